//! Wrong money with right checksums, written by the engine itself: only the check can tell.

use std::time::Duration;

use engine::{Opened, StoreKind};
use protocol::fold::{Fold, Seq};
use protocol::id::{AccountId, StoreId, TxnId};
use protocol::leg::{BodyDigest, Operation};
use protocol::message::Home;
use protocol::participant::{NodeEntry, NodeKey, NodeRecord, NodeState};
use protocol::reason::Reason;

use crate::stopped::{Stopped, impatient, node, transfer, verified};

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// The same state with 1000 in `name`.
fn enriched(state: &NodeState, name: &str) -> NodeState {
    let key = NodeKey::Account(account(name));
    let others = state.entries().filter(|entry| NodeState::key(entry) != key);
    let rich = NodeEntry::Account(account(name), 1000, 2);
    NodeState::restore(state.seq(), &mut others.chain([rich])).unwrap()
}

/// A record that changes no money, appended and applied.
fn harmless(opened: &mut Opened<NodeState>) -> (Seq, NodeRecord) {
    let record = NodeRecord::RequestWindow { requests: 1_000_000 };
    let seq = opened.state.seq() + 1;
    opened.state.apply(seq, &record, &mut Vec::new());
    (seq, record)
}

fn open(stopped: &Stopped, name: &str) -> Opened<NodeState> {
    engine::open(&stopped.config(name)).unwrap()
}

#[test]
fn a_state_file_with_more_money_than_its_records_add_up_to() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    let mut opened = open(&stopped, "N1");
    let record = harmless(&mut opened);
    opened.engine.append(&[record], &[], &opened.state).unwrap();
    let forged = enriched(&opened.state, "A");
    opened.engine.close(&forged).unwrap();
    // A start sees nothing wrong.
    assert_eq!(open(&stopped, "N1").state, forged);

    let run = verified(stopped.path(), 8);
    assert!(
        run.stdout.contains(
            "expected: account A holds 70 at version 2, as the records add up; found: it holds 1000 at version 2 in the \
             state file"
        ),
        "{run:?}"
    );
    assert!(
        run.stderr.contains("INVARIANT VIOLATED: money is wrong"),
        "{run:?}"
    );
    assert!(run.stderr.contains("no money moved"), "{run:?}");
}

#[test]
fn a_sled_store_with_more_money_than_all_the_others_know_of() {
    let stopped = Stopped::cleanly(StoreKind::Sled);
    let mut opened = open(&stopped, "N1");
    let record = harmless(&mut opened);
    let forged = enriched(&opened.state, "A");
    let touched = [NodeKey::Account(account("A"))];
    opened.engine.append(&[record], &touched, &forged).unwrap();
    opened.engine.close(&forged).unwrap();
    assert_eq!(open(&stopped, "N1").state, forged);

    let run = verified(stopped.path(), 8);
    let text =
        "V1 conservation: all nodes: expected: balances that add up to 0, @world included; found: +930";
    assert!(run.stdout.contains(text), "{run:?}");
}

#[test]
fn a_record_that_makes_money() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    let mut opened = open(&stopped, "N2");
    let record = NodeRecord::CommitOnePhase {
        txn: TxnId::new(StoreId(0xbad), 1, 1),
        operations: vec![Operation {
            account: account("B"),
            delta: 5.try_into().unwrap(),
        }]
        .into(),
        opens: false,
        home: Home {
            request: client::RequestId(7),
            digest: BodyDigest(7),
            repeated: false,
        },
    };
    let seq = opened.state.seq() + 1;
    opened
        .engine
        .append(&[(seq, record)], &[], &opened.state)
        .unwrap();
    opened.engine.sync().unwrap();
    drop(opened.engine);

    let run = verified(stopped.path(), 8);
    for text in [
        format!(
            "V1 conservation: N2, record {seq}, transaction bad-1-1: expected: operations that add up to 0; found: +5"
        ),
        "V1 conservation: all nodes: expected: balances that add up to 0, @world included; found: +5"
            .to_owned(),
    ] {
        assert!(run.stdout.contains(&text), "{text} is missing in\n{}", run.stdout);
    }
}

#[test]
fn a_commit_that_one_side_never_heard_of() {
    let stopped = Stopped::by(StoreKind::Json, |cluster, client| {
        client.arm(node("N2"), "received.commit=kill").unwrap();
        let _ = impatient(cluster).submit(None, transfer("7"));
        let patience = Duration::from_secs(60);
        cluster.wait_exit(node("N2"), patience).unwrap();
        cluster.kill9_all();
    });
    verified(stopped.path(), 0);
    // An ABORT instead of the COMMIT that is on its way.
    let mut opened = open(&stopped, "N2");
    let txn = *opened.state.prepared().keys().next().unwrap();
    let record = NodeRecord::Abort {
        txn,
        reason: Reason::PresumedAbort,
        bind: None,
    };
    let seq = opened.state.seq() + 1;
    opened
        .engine
        .append(&[(seq, record)], &[], &opened.state)
        .unwrap();
    opened.engine.sync().unwrap();
    drop(opened.engine);

    let run = verified(stopped.path(), 8);
    let text = format!(
        "V3 all or nothing: N2, record {seq}, transaction {txn}: expected: it is committed at coordinator"
    );
    assert!(run.stdout.contains(&text), "{text} is missing in\n{}", run.stdout);
}
