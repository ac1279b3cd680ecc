//! Rich states and their files: every kind of entry that a node or a coordinator keeps, written by the store itself or
//! put together at will.

use engine::{MemDisk, Opened, Owner};
use protocol::coordinator::CoordinatorRecord;
use protocol::fold::{Fold, Seq};
use protocol::id::{AccountId, NodeId, RequestId, StoreId, TxnId, TxnPoint};
use protocol::ledger::{HoldKind, Slots};
use protocol::leg::{BodyDigest, Operation, Order};
use protocol::message::{Home, OperatorWord};
use protocol::money::Delta;
use protocol::participant::{
    CoordinatorSeen, Finished, Forced, NodeEntry, NodeRecord, NodeState, Prepared, Progress, RequestEntry,
};
use protocol::reason::Reason;

use super::disk::{self, STORE};
use crate::choices::Choices;

fn txn(sequence: u64) -> TxnId {
    TxnId::new(StoreId(0xc), 1, sequence)
}

fn account(name: &str) -> AccountId {
    if name == "@world" {
        AccountId::world()
    } else {
        name.parse().expect("a good name")
    }
}

fn operation(name: &str, delta: i64) -> Operation {
    Operation {
        account: account(name),
        delta: Delta::try_from(delta).expect("a good delta"),
    }
}

fn home(request: u128) -> Home {
    Home {
        request: RequestId(request),
        digest: BodyDigest(0xd1),
        repeated: false,
    }
}

fn nodes() -> Vec<NodeId> {
    ["N1", "N2"]
        .map(|name| name.parse().expect("a good name"))
        .to_vec()
}

/// A life in which everything happens once.
pub(super) fn node_records() -> Vec<NodeRecord> {
    let coordinator = StoreId(0xc);
    let deposit = |sequence, name, amount: i64| NodeRecord::CommitOnePhase {
        txn: txn(sequence),
        operations: vec![operation("@world", -amount), operation(name, amount)].into(),
        opens: true,
        home: home(sequence.into()),
    };
    let prepare = |sequence, name, delta, hold| NodeRecord::PrepareOk {
        txn: txn(sequence),
        operations: vec![operation(name, delta)].into(),
        opens: false,
        participants: nodes().into(),
        home: (delta < 0).then(|| home(sequence.into())),
        hold,
    };
    let resolve = |sequence, word| NodeRecord::Resolve {
        txn: txn(sequence),
        word,
        why: "a \"reason\"".to_owned(),
    };
    vec![
        NodeRecord::RequestWindow { requests: 1000 },
        NodeRecord::Coordinator {
            coordinator,
            epoch: 1,
            incarnation: u64::MAX,
        },
        deposit(1, "A", 100),
        deposit(2, "B", 50),
        deposit(3, "C", 7),
        prepare(4, "A", -30, HoldKind::Exclusive),
        NodeRecord::Commit { txn: txn(4) },
        prepare(5, "A", -10, HoldKind::Exclusive),
        prepare(6, "B", -20, HoldKind::Escrow),
        prepare(7, "B", 25, HoldKind::Escrow),
        prepare(8, "C", 5, HoldKind::Exclusive),
        resolve(8, OperatorWord::Commit),
        prepare(9, "C", -5, HoldKind::Exclusive),
        resolve(9, OperatorWord::Abort),
        NodeRecord::Truth {
            txn: txn(9),
            truth: OperatorWord::Commit,
        },
        NodeRecord::PrepareFailed {
            txn: txn(10),
            reason: Reason::LockContention(account("A")),
            holder: Some(txn(5)),
            home: Some(home(10)),
        },
        NodeRecord::Mark {
            coordinator,
            below: TxnPoint {
                epoch: 1,
                sequence: 3,
            },
        },
        NodeRecord::Proved {
            coordinator,
            through: 77,
        },
        NodeRecord::Quarantine {
            coordinator: StoreId(0xd),
        },
    ]
}

/// A coordinator's life, with one transaction at each stage.
pub(super) fn coordinator_records() -> Vec<CoordinatorRecord> {
    let order =
        |legs: [&str; 2]| Order::new(&legs.map(|leg| leg.parse().expect("a good leg"))).expect("balanced");
    let start = |sequence: u64, legs| CoordinatorRecord::Start {
        txn: txn(sequence),
        request: RequestId(sequence.into()),
        order: order(legs),
    };
    let node = nodes()[0];
    vec![
        CoordinatorRecord::Epoch {
            epoch: 1,
            incarnation: 5,
        },
        CoordinatorRecord::Node {
            node,
            store: StoreId(0x11),
            proved: 9,
            forgives: TxnPoint::default(),
        },
        start(1, ["N1/A:-5", "N2/B:+5"]),
        start(2, ["N1/A:-5", "N1/B:+5"]),
        start(3, ["N1/A:-5", "N2/B:+5"]),
        CoordinatorRecord::Prepare { txn: txn(3), node },
        CoordinatorRecord::Commit { txn: txn(3) },
        CoordinatorRecord::Mark {
            node,
            below: TxnPoint {
                epoch: 1,
                sequence: 1,
            },
        },
        CoordinatorRecord::Suspect { node },
    ]
}

/// The state that [`node_records`] add up to.
pub(super) fn node_state() -> NodeState {
    fold(&node_records())
}

fn fold<S: Fold>(records: &[S::Record]) -> S {
    let mut state = S::empty();
    for record in records {
        state.apply(state.seq() + 1, record, &mut Vec::new());
    }
    state
}

/// A closed store with those records in its state file, and a log that has been cut right behind them.
pub(super) fn store_of<S: Fold>(owner: Owner, records: &[S::Record]) -> MemDisk {
    let disk = MemDisk::new();
    let opened: Opened<S> =
        disk::open_as(&disk, owner).unwrap_or_else(|error| panic!("a first start: {error}"));
    let (mut engine, state) = (opened.engine, fold::<S>(records));
    let numbered: Vec<_> = (1..).zip(records.iter().cloned()).collect();
    engine.append(&numbered, &[], &state).expect("a disk in memory");
    engine.close(&state).expect("a disk in memory");
    let sequence = state.seq();
    let name = format!("{}_state.json", owner.prefix());
    let text = String::from_utf8(disk::read(&disk, &name)).expect("a state file is text");
    let mut text = text
        .replace("\"previous\":0", &format!("\"previous\":{sequence}"))
        .into_bytes();
    disk::reseal_file(&mut text);
    disk.put(&name, &text);
    disk.put(&format!("{}.jsonl", owner.log_stem()), &empty_log(sequence));
    disk
}

/// A segment behind record `sequence` in which nothing has happened.
fn empty_log(sequence: Seq) -> Vec<u8> {
    let first = sequence + 1;
    let lines = [
        format!(
            "\"segment\":1,\"first\":{first},\"previous\":\"00000000\",\"format\":1,\"store\":\"{STORE}\""
        ),
        format!("\"synced\":{sequence}"),
    ];
    let mut log = Vec::new();
    for body in lines {
        let mut line = format!("{{\"crc\":\"00000000\",{body}}}").into_bytes();
        disk::reseal_line(&mut line);
        log.extend(line);
        log.push(b'\n');
    }
    log
}

/// A state file, rightly sealed, of accounts and entries that may be anything.
pub(super) fn assemble(sequence: Seq, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut balances = String::new();
    let mut versions = String::new();
    for name in ["@world", "A", "B"].iter().take(choices.below(4)) {
        let balance = *choices.pick(&[0, 5, 100, -5, -100, i64::MAX, -i64::MAX, i64::MIN]);
        balances.push_str(&format!("  \"{name}\": {balance},\n"));
        let gap = if versions.is_empty() { "" } else { "," };
        versions.push_str(&format!("{gap}\"{name}\":{}", choices.below(3)));
    }
    let mut entries = Vec::new();
    while !choices.is_over() && entries.len() < 12 {
        let entry = entry(choices);
        entries.push(
            if let NodeEntry::Request(id, request) = &entry
                && choices.flag()
            {
                of_format_1(*id, request)
            } else {
                serde_json::to_string(&entry).expect("an entry is JSON")
            },
        );
    }
    let text = format!(
        "{{\n{balances}  \"_meta\": {{\"format\":2,\"store\":\"{STORE}\",\"sequence\":{sequence},\"previous\":{sequence},\
         \"versions\":{{{versions}}},\"entries\":[{}],\"checksum\":\"00000000\"}}\n}}\n",
        entries.join(",")
    );
    let mut file = text.into_bytes();
    disk::reseal_file(&mut file);
    file
}

/// A request as state files of format 1 have it.
fn of_format_1(
    id: RequestId,
    RequestEntry {
        digest,
        txn,
        progress,
    }: &RequestEntry,
) -> String {
    let progress = serde_json::to_string(progress).expect("JSON");
    let digest = serde_json::to_string(digest).expect("JSON");
    format!("{{\"request\":[\"{id}\",{{\"digest\":{digest},\"txn\":\"{txn}\",\"progress\":{progress}}}]}}")
}

fn entry(choices: &mut Choices<'_>) -> NodeEntry {
    match choices.below(6) {
        0 | 1 => NodeEntry::Prepared(some_txn(choices), Box::new(prepared(choices))),
        2 => NodeEntry::Finished(
            some_txn(choices),
            Finished {
                aborted: choices.flag().then(|| Box::new(Reason::Stale)),
                seq: choices.number(),
                forced: choices.flag().then(|| {
                    Box::new(Forced {
                        why: "why".to_owned(),
                        truth: None,
                    })
                }),
            },
        ),
        3 => NodeEntry::Request(
            RequestId(u128::from(choices.byte() % 3)),
            RequestEntry {
                digest: BodyDigest(1),
                txn: some_txn(choices),
                progress: match choices.below(3) {
                    0 => Progress::Open,
                    1 => Progress::Committed(choices.number()),
                    _ => Progress::Aborted(choices.number(), Box::new(Reason::Stale)),
                },
            },
        ),
        4 => NodeEntry::Coordinator(
            StoreId(0xc + u64::from(choices.byte() % 2)),
            CoordinatorSeen {
                epoch: *choices.pick(&[0, 1, u32::MAX]),
                incarnation: 1,
                mark: some_txn(choices).at,
                proved: choices.number(),
                quarantined: choices.flag(),
            },
        ),
        _ => {
            // Accounts have a place of their own in the file; here they are doubled or new.
            if choices.flag() {
                NodeEntry::Settings(choices.number(), None)
            } else {
                NodeEntry::Account(account(["A", "C"][choices.below(2)]), choices.signed(), 1)
            }
        }
    }
}

fn some_txn(choices: &mut Choices<'_>) -> TxnId {
    txn(u64::from(choices.byte() % 4))
}

fn prepared(choices: &mut Choices<'_>) -> Prepared {
    let operations = (0..choices.below(4)).map(|_| {
        let name = *choices.pick(&["A", "B", "@world", "C"]);
        let delta = *choices.pick(&[
            1,
            -1,
            5,
            -5,
            1_000_000_000_000_000_000,
            -1_000_000_000_000_000_000,
        ]);
        operation(name, delta)
    });
    Prepared {
        operations: operations.collect(),
        opens: choices.flag(),
        participants: nodes().into(),
        home: choices.flag().then(|| home(1)),
        hold: if choices.flag() {
            HoldKind::Escrow
        } else {
            HoldKind::Exclusive
        },
        seq: choices.number(),
        slots: Slots::default(),
    }
}
