//! State files and manifests: read back as they were written, or refused. What a right checksum covers is still checked
//! for sense: a state that is taken is one that a node can go on from.
//!
//! An input chooses a file and changes it, with or without a right checksum afterwards, or assembles a state file of its
//! own out of entries that may contradict each other.

use std::sync::OnceLock;

use engine::{Disk, Error, MemDisk, Opened, Owner};
use protocol::effects::{Effects, Machine};
use protocol::fold::Fold;
use protocol::id::{AccountId, TxnId};
use protocol::locking::Locking;
use protocol::message::ToNode;
use protocol::participant::{
    NodeEntry, NodeState, Participant, ParticipantConfig, ParticipantInput, ParticipantTimer,
};
use protocol::reason::Decision;

use super::disk::{self, ACTIVE, MANIFEST, STATE};
use super::entries;
use super::surgery;
use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "state",
    holds: "a state file or manifest that was changed is refused; one with a right checksum is taken only if it makes sense",
    judge,
    seeds,
    memory: (4 << 20, 64),
    shows: &[
        "untouched",
        "refused",
        "resealed and taken",
        "resealed and refused",
        "manifest taken",
        "assembled and taken",
        "assembled and refused",
        "coordinator taken",
        "coordinator refused",
        "commits after all",
    ],
    faults: &["D6"],
};

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    match choices.below(6) {
        0 => changed(STATE, &mut choices, seen),
        1 => changed(MANIFEST, &mut choices, seen),
        2 => resealed_state(&mut choices, seen),
        3 => resealed_manifest(&mut choices, seen),
        4 => assembled(&mut choices, seen),
        _ => of_a_coordinator(&mut choices, seen),
    }
}

/// A node's store whose log is empty behind its state file, so that nothing but that file says what the state is.
fn sample() -> &'static MemDisk {
    static SAMPLE: OnceLock<MemDisk> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        entries::store_of::<NodeState>(
            Owner::Node("N1".parse().expect("a good name")),
            &entries::node_records(),
        )
    })
}

fn put_operated(
    disk: &MemDisk,
    name: &str,
    choices: &mut Choices<'_>,
    resealed: bool,
    seen: &mut Seen,
) -> Vec<u8> {
    let mut files = surgery::Files::from([(name.to_owned(), disk::read(disk, name))]);
    surgery::operate(&mut files, choices, |_| surgery::Files::new(), seen);
    if resealed {
        surgery::reseal(&mut files);
    }
    let bytes = files.remove(name).unwrap_or_default();
    disk.put(name, &bytes);
    bytes
}

/// Any change at all is noticed.
fn changed(name: &str, choices: &mut Choices<'_>, seen: &mut Seen) {
    let disk = sample().snapshot();
    let good = disk::read(&disk, name);
    let bytes = put_operated(&disk, name, choices, false, seen);
    let before = disk::content(&disk);
    match disk::open::<NodeState>(&disk) {
        Ok(opened) => {
            assert_eq!(bytes, good, "a changed {name} is taken");
            assert_eq!(opened.state, entries::node_state());
            seen.way("untouched");
        }
        Err(Error::Corrupt(why)) => {
            assert!(bytes != good && why.contains(name), "{why}");
            assert_eq!(disk::content(&disk), before);
            seen.way("refused");
        }
        Err(error) => panic!("{error}"),
    }
}

fn resealed_state(choices: &mut Choices<'_>, seen: &mut Seen) {
    let disk = sample().snapshot();
    put_operated(&disk, STATE, choices, true, seen);
    let taken = taken_or_left(&disk, seen);
    seen.way(if taken {
        "resealed and taken"
    } else {
        "resealed and refused"
    });
}

/// A state file made of whatever entries.
fn assembled(choices: &mut Choices<'_>, seen: &mut Seen) {
    let disk = sample().snapshot();
    let sequence = entries::node_state().seq();
    disk.put(STATE, &entries::assemble(sequence, choices));
    seen.fault("D6");
    let taken = taken_or_left(&disk, seen);
    seen.way(if taken {
        "assembled and taken"
    } else {
        "assembled and refused"
    });
}

fn taken_or_left(disk: &MemDisk, seen: &mut Seen) -> bool {
    let before = disk::content(disk);
    match disk::open::<NodeState>(disk) {
        Ok(opened) => {
            makes_sense(&opened, &before[STATE]);
            let state = opened.state.clone();
            drop(opened.engine);
            let again = disk::open::<NodeState>(disk)
                .unwrap_or_else(|error| panic!("taken once, then refused: {error}"));
            assert_eq!(again.state, state);
            can_commit(state, seen);
            true
        }
        Err(Error::Corrupt(why)) => {
            assert!(why.contains("node_N1_"), "{why}");
            assert_eq!(
                disk::content(disk),
                before,
                "a refused store is left as it was: {why}"
            );
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// The state says what the file says, each thing once.
fn makes_sense(opened: &Opened<NodeState>, file: &[u8]) {
    let state = &opened.state;
    let value: serde_json::Value = serde_json::from_slice(file).expect("it was taken");
    let members = value.as_object().expect("it was taken");
    assert_eq!(Some(state.seq()), members["_meta"]["sequence"].as_u64());
    let accounts: Vec<(&AccountId, i64)> = state
        .ledger()
        .accounts()
        .map(|(id, account)| (id, account.balance))
        .collect();
    assert_eq!(
        accounts.len(),
        members.len() - 1,
        "accounts that the file does not name"
    );
    for (id, balance) in accounts {
        assert_eq!(members[id.as_str()].as_i64(), Some(balance), "{id}");
        assert!(balance >= 0 || id.is_world(), "{id} has {balance}");
    }
    let again = NodeState::restore(state.seq(), &mut state.entries());
    assert_eq!(again.as_ref(), Ok(state), "a state is what its entries say");
    let listed = members["_meta"]["entries"].as_array().expect("it was taken");
    let mut said: Vec<String> = listed.iter().map(|entry| shape(&newest(entry))).collect();
    let others = state
        .entries()
        .filter(|entry| NodeState::as_account(entry).is_none());
    let mut kept: Vec<String> = others
        .map(|entry| shape(&serde_json::to_value(entry).expect("JSON")))
        .collect();
    // Settings may be left out, and then are as at the beginning.
    if !said.iter().any(|entry| entry.contains("settings")) {
        kept.retain(|entry| !entry.contains("settings"));
    }
    said.sort();
    kept.sort();
    assert_eq!(kept, said, "the state holds something else than the file");
}

/// An entry as it is written today: in a file of format 1 a request has named members.
fn newest(entry: &serde_json::Value) -> serde_json::Value {
    if !entry["request"][1].is_object() {
        return entry.clone();
    }
    let read: NodeEntry = serde_json::from_value(entry.clone()).expect("the state was made of it");
    serde_json::to_value(&read).expect("JSON")
}

/// Which members a value has, however they spell what they hold; one that is null may as well be absent.
fn shape(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let there = members.iter().filter(|(_, member)| !member.is_null());
            let named = there.map(|(name, member)| format!("{name}:{}", shape(member)));
            format!("{{{}}}", named.collect::<Vec<String>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<String>>().join(",")),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
    }
}

/// What is prepared can commit, and be asked about again, whatever else the state holds: that was promised (R3).
fn can_commit(state: NodeState, seen: &mut Seen) {
    let config = ParticipantConfig {
        node: "N1".parse().expect("a good name"),
        store: disk::STORE,
        store_kind: "json".to_owned(),
        locking: Locking::NoWait,
        request_window: state.requests().window(),
    };
    let prepared: Vec<TxnId> = state.prepared().keys().copied().collect();
    let known = state.entries().filter_map(|entry| match entry {
        NodeEntry::Prepared(txn, _) | NodeEntry::Finished(txn, _) => Some(txn),
        NodeEntry::Account(..)
        | NodeEntry::Request(..)
        | NodeEntry::Coordinator(..)
        | NodeEntry::Settings(..) => None,
    });
    let known: Vec<TxnId> = known.collect();
    let mut node = Participant::new(config, state);
    let mut step = |input| {
        let mut effects = Effects::new();
        node.step(input, &mut effects);
        let newest = node.state().seq();
        let shown = effects.sends.iter().map(|send| send.shows).max().unwrap_or(0);
        assert!(
            effects.force.max(shown) <= newest,
            "record {} is not there yet",
            effects.force.max(shown)
        );
    };
    step(ParticipantInput::Start);
    step(ParticipantInput::Timer(ParticipantTimer::Tick));
    for (session, txn) in (1..).zip(known) {
        let coordinator = txn.coordinator;
        step(ParticipantInput::Connected { session, coordinator });
        let join = ToNode::Join {
            epoch: u32::MAX,
            incarnation: 1,
            durable: u64::MAX,
            history: Vec::new(),
            proved: None,
        };
        step(ParticipantInput::Message {
            session,
            message: join,
        });
        let commit = ToNode::Decide {
            txn,
            decision: Decision::Commit,
            bind: None,
            durable: u64::MAX,
        };
        for message in [commit.clone(), commit] {
            step(ParticipantInput::Message { session, message });
        }
    }
    if prepared.iter().any(|txn| node.state().finished(txn).is_some()) {
        seen.way("commits after all");
    }
}

/// A manifest is taken only if it says what this store is.
fn resealed_manifest(choices: &mut Choices<'_>, seen: &mut Seen) {
    let disk = sample().snapshot();
    let bytes = put_operated(&disk, MANIFEST, choices, true, seen);
    let before = disk::content(&disk);
    match disk::open::<NodeState>(&disk) {
        Ok(opened) => {
            let value: serde_json::Value = serde_json::from_slice(&bytes).expect("it was taken");
            for (member, expected) in [
                ("kind", "json"),
                ("store", "9f3c"),
                ("cluster", "local"),
                ("owner", "node N1"),
            ] {
                assert_eq!(value[member], expected, "{member}");
            }
            assert_eq!(value["format"], 1);
            assert_eq!(value["complete"], !opened.first_start);
            assert_eq!(
                opened.state,
                entries::node_state(),
                "a first start that is repeated keeps what is whole"
            );
            seen.way("manifest taken");
        }
        Err(Error::Corrupt(_) | Error::Mismatch(_)) => {
            assert_eq!(disk::content(&disk), before);
            seen.way("refused");
        }
        Err(error) => panic!("{error}"),
    }
}

/// The same for a coordinator's state file, which has no accounts.
fn of_a_coordinator(choices: &mut Choices<'_>, seen: &mut Seen) {
    use protocol::coordinator::CoordinatorState;
    static SAMPLE: OnceLock<MemDisk> = OnceLock::new();
    let sample = SAMPLE.get_or_init(|| {
        entries::store_of::<CoordinatorState>(Owner::Coordinator, &entries::coordinator_records())
    });
    let disk = sample.snapshot();
    let resealed = choices.flag();
    let name = "coordinator_state.json";
    let good = disk::read(&disk, name);
    let bytes = put_operated(&disk, name, choices, resealed, seen);
    let before = disk::content(&disk);
    match disk::open_as::<CoordinatorState>(&disk, Owner::Coordinator) {
        Ok(opened) => {
            assert!(resealed || bytes == good, "a changed {name} is taken");
            let state = &opened.state;
            let again = CoordinatorState::restore(state.seq(), &mut state.entries());
            assert_eq!(again.as_ref(), Ok(state));
            seen.way("coordinator taken");
        }
        Err(Error::Corrupt(why)) => {
            assert!(bytes != good, "{why}");
            assert_eq!(disk::content(&disk), before);
            seen.way("coordinator refused");
        }
        Err(error) => panic!("{error}"),
    }
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    assert!(sample().exists(ACTIVE).is_ok());
    // Which way; then operations on the one file: which, file, place and what else. Assembled: entries.
    vec![
        ("untouched", vec![0]),
        ("flip", vec![0, 0, 0, 100, 0, 3]),
        ("cut", vec![0, 1, 0, 100, 1]),
        ("longer", vec![0, 8, 0, 0, 0, 3, 0]),
        ("manifest-untouched", vec![1]),
        ("manifest-flip", vec![1, 0, 0, 40, 0, 3]),
        ("balance-changed", vec![2, 9, 0, 10, 0, 6]),
        ("balance-negative", vec![2, 9, 0, 20, 0, 13]),
        ("sequence-changed", vec![2, 9, 0, 130, 0, 15]),
        ("line-doubled", vec![2, 6, 0, 0, 0, 2]),
        ("lines-swapped", vec![2, 7, 0, 0, 0, 1, 2]),
        ("manifest-format", vec![3, 9, 0, 10, 0, 2]),
        ("manifest-as-it-was", vec![3]),
        ("no-entries", vec![4, 2, 1, 1, 0]),
        (
            "prepared",
            vec![4, 2, 2, 2, 0, 0, 0, 1, 0, 3, 0, 1, 1, 1, 1, 0, 0],
        ),
        (
            "prepared-twice",
            vec![4, 2, 2, 2, 0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 1, 0, 3, 0, 1],
        ),
        (
            "prepared-one-account-twice",
            vec![4, 2, 2, 2, 0, 0, 0, 2, 0, 3, 0, 3, 0, 1],
        ),
        (
            "every-kind",
            vec![
                4, 3, 2, 2, 3, 1, 0, 2, 1, 1, 2, 0, 2, 1, 3, 1, 1, 4, 1, 1, 1, 5, 1, 1,
            ],
        ),
        ("coordinator-untouched", vec![5, 0]),
        ("coordinator-flip", vec![5, 0, 0, 0, 100, 0, 3]),
        ("coordinator-epoch", vec![5, 1, 9, 0, 60, 0, 6]),
        ("account-hidden-among-entries", vec![4, 0, 5, 0, 1, 3]),
    ]
}
