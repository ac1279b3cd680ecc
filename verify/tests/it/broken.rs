//! One thing is broken; that very violation is found.

use protocol::coordinator::CoordinatorRecord;
use protocol::fold::Fold;
use protocol::id::TxnPoint;
use protocol::leg::{Leg, Order};
use protocol::message::Home;
use protocol::participant::{NodeEntry, NodeKey, NodeRecord, NodeState};
use protocol::reason::Reason;
use verify::{Claims, Invariant, check};

use crate::history::{
    History, coordinator_image, deposit, expect, fold, home, node, node_image, promise, transfer, txn,
};

fn unknown(history: &mut History) {
    history.told.clear();
    (history.complete, history.settled) = (false, false);
}

/// N2 ends with these records instead of what it said about transaction 3.
fn instead(records: Vec<NodeRecord>) -> History {
    let mut history = History::settled();
    let kept = history.nodes.get_mut(&node("N2")).unwrap();
    kept.truncate(2);
    kept.extend(records);
    history
}

fn abort(n: u64) -> NodeRecord {
    NodeRecord::Abort {
        txn: txn(n),
        reason: Reason::PresumedAbort,
        bind: None,
    }
}

#[test]
fn v1_a_one_node_transaction_that_makes_money() {
    let mut history = History::settled();
    let order = deposit("N1/A", "100");
    let mut operations = order.operations(node("N1"));
    operations.retain(|operation| !operation.account.is_world());
    let home = home(9, &order);
    history.at(
        "N1",
        NodeRecord::CommitOnePhase {
            txn: txn(9),
            operations,
            opens: true,
            home,
        },
    );
    unknown(&mut history);
    let report = history.check();
    expect(
        &report,
        &[
            (
                Invariant::V1,
                "N1",
                "record 6, transaction c0-1-9: expected: operations that add up to 0; found: +100",
            ),
            (Invariant::V1, "all nodes", "found: +100"),
            (Invariant::V1, "all nodes", "they add up to +100"),
        ],
    );
}

#[test]
fn v1_a_part_that_differs_from_the_others() {
    let order = transfer("N1/A", "N2/B", "30");
    let NodeRecord::PrepareOk {
        txn: id,
        participants,
        hold,
        ..
    } = promise(3, &order, node("N2"))
    else {
        unreachable!("a promise")
    };
    let wrong = NodeRecord::PrepareOk {
        txn: id,
        operations: transfer("N1/A", "N2/B", "31").operations(node("N2")),
        opens: false,
        participants,
        home: None,
        hold,
    };
    let history = instead(vec![wrong, NodeRecord::Commit { txn: txn(3) }]);
    expect(
        &check(&history.images(), &Claims::default()),
        &[
            (
                Invariant::V3,
                "N2",
                "expected: its part of N1/A:-30 N2/B:+30; found: B +31",
            ),
            (
                Invariant::V1,
                "all nodes",
                "transaction c0-1-3: expected: parts that add up to 0; found: they add up to +1",
            ),
            (Invariant::V1, "all nodes", "@world included; found: +1"),
        ],
    );
    // Claims say the same, and without a START the parts still have to add up.
    expect_any(&history, Invariant::V4, "N2");
    let mut history = history;
    history
        .coordinator
        .retain(|record| !matches!(record, CoordinatorRecord::Start { txn: id, .. } if *id == txn(3)));
    expect_any(&history, Invariant::V1, "all nodes");
}

/// At least this one.
#[track_caller]
fn expect_any(history: &History, invariant: Invariant, store: &str) {
    let report = history.check();
    let found = report
        .violations
        .iter()
        .any(|violation| violation.invariant == invariant && violation.store == store);
    assert!(found, "{invariant} at {store} is missing in\n{report}");
}

#[test]
fn v2_a_balance_below_zero_for_a_moment() {
    let mut history = History::settled();
    unknown(&mut history);
    history.moved(5, &transfer("N1/A", "N2/B", "80"));
    history.moved(6, &transfer("N2/B", "N1/A", "80"));
    expect(
        &history.check(),
        &[
            (
                Invariant::V2,
                "N1",
                "record 6, transaction c0-1-5: expected: no promise beyond what is there; found: A holds 70 and has promised 80",
            ),
            (
                Invariant::V2,
                "N1",
                "record 7, transaction c0-1-5: expected: no balance below 0; found: A holds -10",
            ),
        ],
    );
}

#[test]
fn v3_one_side_commits_and_the_other_aborts() {
    let order = transfer("N1/A", "N2/B", "30");
    let mut history = instead(vec![promise(3, &order, node("N2")), abort(3)]);
    unknown(&mut history);
    expect(
        &history.check(),
        &[
            (
                Invariant::V3,
                "N2",
                "record 4, transaction c0-1-3: expected: it is committed at coordinator c0",
            ),
            (Invariant::V1, "all nodes", "-30"),
        ],
    );
    // The coordinator's store is gone: the other node is witness enough.
    let mut images = history.images();
    images.coordinators.clear();
    expect(
        &check(&images, &Claims::default()),
        &[
            (
                Invariant::V3,
                "N2",
                "expected: it is committed at N1 in record 4; found: aborted in record 4",
            ),
            (Invariant::V1, "all nodes", "-30"),
        ],
    );
}

#[test]
fn v3_one_side_commits_and_the_other_has_no_trace_of_it() {
    let mut history = instead(vec![]);
    unknown(&mut history);
    expect(
        &history.check(),
        &[
            (Invariant::V3, "N2", "found: no trace of it"),
            (Invariant::V1, "all nodes", "-30"),
        ],
    );
}

#[test]
fn v3_a_node_commits_what_its_coordinator_has_not_decided() {
    let order = transfer("N1/A", "N2/B", "10");
    let word = |end: Vec<CoordinatorRecord>| {
        let mut history = History::settled();
        unknown(&mut history);
        history.prepared(5, &order);
        for record in end {
            history.log(record);
        }
        history.at("N1", NodeRecord::Commit { txn: txn(5) });
        history.at("N2", NodeRecord::Commit { txn: txn(5) });
        history
    };
    expect(
        &word(vec![]).check(),
        &[(
            Invariant::V3,
            "coordinator c0",
            "expected: COMMIT, since N1 committed it in record 7; found: START and no decision",
        )],
    );
    let aborted = CoordinatorRecord::Abort {
        txn: txn(5),
        reason: Reason::CoordinatorRestarted,
    };
    let epoch = CoordinatorRecord::Epoch {
        epoch: 2,
        incarnation: 8,
    };
    expect(
        &word(vec![epoch, aborted]).check(),
        &[(Invariant::V3, "coordinator c0", "found: ABORT in record")],
    );
    let mut lost = word(vec![]);
    lost.coordinator.truncate(lost.coordinator.len() - 3);
    expect(
        &lost.check(),
        &[(
            Invariant::V3,
            "coordinator c0",
            "found: no record of it, which means abort",
        )],
    );
}

#[test]
fn v3_a_decision_on_disk_that_a_participant_has_aborted() {
    let mut history = History::settled();
    unknown(&mut history);
    history.prepared(5, &transfer("N1/A", "N2/B", "10"));
    history.log(CoordinatorRecord::Commit { txn: txn(5) });
    history.at("N1", abort(5));
    expect(
        &history.check(),
        &[
            (
                Invariant::V3,
                "N1",
                "expected: it is committed at coordinator c0 in record",
            ),
            (Invariant::V1, "all nodes", "+10"),
        ],
    );
}

#[test]
fn v3_a_coordinator_that_forgot_before_everyone_had_committed() {
    let mut history = History::in_doubt();
    unknown(&mut history);
    history.log(CoordinatorRecord::Complete { txn: txn(5) });
    expect(
        &history.check(),
        &[(Invariant::V3, "N2", "expected: committed and acknowledged")],
    );
}

#[test]
fn v3_a_mark_over_what_has_not_ended() {
    let mut history = History::in_doubt();
    let below = TxnPoint {
        epoch: 1,
        sequence: 6,
    };
    history.log(CoordinatorRecord::Mark {
        node: node("N2"),
        below,
    });
    expect(
        &history.check(),
        &[(
            Invariant::V3,
            "coordinator c0",
            "found: N2 was told that everything below 1-6 has ended",
        )],
    );
}

#[test]
fn v3_ends_that_contradict_each_other_at_one_node() {
    let mut history = History::settled();
    unknown(&mut history);
    history.at("N1", abort(3));
    expect(
        &history.check(),
        &[(
            Invariant::V3,
            "N1",
            "record 6, transaction c0-1-3: expected: commit, as it had ended in record 4; found: abort",
        )],
    );
    let mut history = History::settled();
    unknown(&mut history);
    history.at("N1", NodeRecord::Commit { txn: txn(3) });
    expect(
        &history.check(),
        &[(Invariant::V3, "N1", "only what is prepared is decided")],
    );
    let mut history = History::settled();
    unknown(&mut history);
    let order = transfer("N1/A", "N2/B", "500");
    history.at("N2", promise(4, &order, node("N2")));
    expect(
        &history.check(),
        &[(
            Invariant::V3,
            "N2",
            "found: prepared again, though abort in record",
        )],
    );
}

#[test]
fn v3_decisions_that_contradict_each_other_at_the_coordinator() {
    for (record, text) in [
        (
            CoordinatorRecord::Commit { txn: txn(4) },
            "COMMIT of what is being decided",
        ),
        (
            CoordinatorRecord::Abort {
                txn: txn(3),
                reason: Reason::CoordinatorRestarted,
            },
            "ABORT of what is being decided",
        ),
        (
            CoordinatorRecord::Complete { txn: txn(3) },
            "COMPLETE of what was decided",
        ),
    ] {
        let mut history = History::settled();
        unknown(&mut history);
        history.log(record);
        let report = history.check();
        let found = report
            .violations
            .iter()
            .any(|violation| violation.to_string().contains(text));
        assert!(found, "{text} is missing in\n{report}");
    }
}

#[test]
fn v3_someone_who_takes_no_part_or_names_others() {
    let order = transfer("N1/A", "N2/B", "30");
    let NodeRecord::PrepareOk {
        txn: id,
        operations,
        opens,
        home,
        hold,
        ..
    } = promise(3, &order, node("N2"))
    else {
        unreachable!("a promise")
    };
    let alone = NodeRecord::PrepareOk {
        txn: id,
        operations,
        opens,
        participants: vec![node("N2")].into(),
        home,
        hold,
    };
    let mut history = instead(vec![alone, NodeRecord::Commit { txn: txn(3) }]);
    unknown(&mut history);
    expect(
        &history.check(),
        &[(
            Invariant::V3,
            "all nodes",
            "expected: the participants [N1, N2]; found: [N2]",
        )],
    );
}

#[test]
fn v5_a_request_that_happened_twice() {
    let order = deposit("N1/A", "100");
    let mut history = History::settled();
    unknown(&mut history);
    let record = NodeRecord::CommitOnePhase {
        txn: txn(9),
        operations: order.operations(node("N1")),
        opens: true,
        home: home(1, &order),
    };
    history.at("N1", record);
    expect(
        &history.check(),
        &[
            (
                Invariant::V5,
                "N1",
                "record 6, transaction c0-1-9: expected: request 00000000000000000000000000000001 belongs to c0-1-1",
            ),
            (Invariant::V5, "N1", "and as c0-1-9"),
        ],
    );
    // At another home, which nobody could have asked.
    let mut history = History::settled();
    unknown(&mut history);
    let record = NodeRecord::CommitOnePhase {
        txn: txn(9),
        operations: deposit("N2/B", "100").operations(node("N2")),
        opens: true,
        home: home(1, &order),
    };
    history.at("N2", record);
    expect(&history.check(), &[(Invariant::V5, "N1", "and as c0-1-9")]);
}

#[test]
fn v5_a_request_that_is_not_kept_at_its_home() {
    let order = transfer("N1/A", "N2/B", "30");
    let with_home = |kept: Option<Home>| {
        let NodeRecord::PrepareOk {
            txn,
            operations,
            opens,
            participants,
            hold,
            ..
        } = promise(3, &order, node("N2"))
        else {
            unreachable!("a promise")
        };
        NodeRecord::PrepareOk {
            txn,
            operations,
            opens,
            participants,
            home: kept,
            hold,
        }
    };
    let mut history = instead(vec![
        with_home(Some(home(3, &order))),
        NodeRecord::Commit { txn: txn(3) },
    ]);
    unknown(&mut history);
    expect(
        &history.check(),
        &[(Invariant::V5, "N2", "is kept at N1 and nowhere else; found: 0000")],
    );
    let mut history = History::settled();
    unknown(&mut history);
    let records = history.nodes.get_mut(&node("N1")).unwrap();
    for record in records.iter_mut() {
        if let NodeRecord::PrepareOk { home, .. } = record {
            *home = None;
        }
    }
    expect(
        &history.check(),
        &[(
            Invariant::V5,
            "N1",
            "is kept at N1 and nowhere else; found: no request",
        )],
    );
}

#[test]
fn v5_a_request_from_beyond_the_window_may_run_again() {
    let order = deposit("N1/A", "100");
    let mut history = History::new();
    history.at("N1", NodeRecord::RequestWindow { requests: 1 });
    history.alone(1, &order);
    history.alone(2, &deposit("N1/A", "5"));
    unknown(&mut history);
    let record = NodeRecord::CommitOnePhase {
        txn: txn(9),
        operations: order.operations(node("N1")),
        opens: true,
        home: home(1, &order),
    };
    history.at("N1", record);
    let report = history.check();
    expect(&report, &[]);
    assert!(
        report
            .unchecked
            .iter()
            .any(|unchecked| unchecked.invariant == Invariant::V5),
        "{report}"
    );
}

/// The same state with one account as told.
fn forged(state: &NodeState, account: &str, balance: i64, version: u64) -> NodeState {
    let key = NodeKey::Account(account.parse().unwrap());
    let others = state.entries().filter(|entry| NodeState::key(entry) != key);
    let forged = NodeEntry::Account(account.parse().unwrap(), balance, version);
    let mut entries = others.chain([forged]);
    NodeState::restore(state.seq(), &mut entries).unwrap()
}

#[test]
fn v6_a_state_file_with_another_balance_or_version() {
    for (balance, version) in [(71, 2), (70, 3)] {
        let history = History::settled();
        let mut images = history.images();
        let content = node_image(&mut images, "N1");
        let good = fold(&content.records, 4);
        content.checkpoints = vec![NodeState::empty(), forged(&good, "A", balance, version)];
        let text = format!(
            "account A holds 70 at version 2, as the records add up; found: it holds {balance} at version {version} in the state file"
        );
        expect(
            &check(&images, &history.claims()),
            &[(Invariant::V6, "N1", &text)],
        );
    }
}

#[test]
fn v6_a_state_file_that_lost_a_promise_an_outcome_or_a_request() {
    type Lose = fn(&NodeEntry) -> bool;
    let losses: [(Lose, &str); 4] = [
        (
            |entry| matches!(entry, NodeEntry::Prepared(..)),
            "prepared c0-1-5",
        ),
        (
            |entry| matches!(entry, NodeEntry::Finished(id, _) if *id == txn(3)),
            "ended c0-1-3",
        ),
        (|entry| matches!(entry, NodeEntry::Request(..)), "request 0000"),
        (
            |entry| matches!(entry, NodeEntry::Coordinator(..)),
            "coordinator c0",
        ),
    ];
    for (loses, text) in losses {
        let history = History::in_doubt();
        let mut images = history.images();
        let content = node_image(&mut images, "N2");
        let good: NodeState = fold(&content.records, content.records.len());
        let mut kept = good.entries().filter(|entry| !loses(entry));
        let bad = NodeState::restore(good.seq(), &mut kept).unwrap();
        content.checkpoints = vec![NodeState::empty(), bad];
        let report = check(&images, &history.claims());
        expect(&report, &[(Invariant::V6, "N2", text)]);
        let said = report.violations[0].to_string();
        assert!(said.contains("it is not there in the state file"), "{said}");
    }
}

#[test]
fn v6_records_that_are_missing() {
    let history = History::settled();
    let mut images = history.images();
    node_image(&mut images, "N1").records.remove(0);
    expect(
        &check(&images, &Claims::default()),
        &[(Invariant::V6, "N1", "found: record 2 follows record 0")],
    );
    let mut images = history.images();
    let content = node_image(&mut images, "N1");
    content.checkpoints.push(fold(&content.records, 5));
    content.records.truncate(4);
    let report = check(&images, &Claims::default());
    expect(
        &report,
        &[(
            Invariant::V6,
            "N1",
            "expected: records up to the newest state file; found: the records end with 4",
        )],
    );
}

#[test]
fn v6_a_coordinators_state_file_that_lost_an_open_transaction() {
    let history = History::in_doubt();
    let mut images = history.images();
    let content = coordinator_image(&mut images);
    let good: protocol::coordinator::CoordinatorState = fold(&content.records, content.records.len());
    let open = |entry: &protocol::coordinator::CoordinatorEntry| {
        matches!(entry, protocol::coordinator::CoordinatorEntry::Open(..))
    };
    let bad = protocol::coordinator::CoordinatorState::restore(
        good.seq(),
        &mut good.entries().filter(|entry| !open(entry)),
    );
    content.checkpoints.push(bad.unwrap());
    expect(
        &check(&images, &history.claims()),
        &[(Invariant::V6, "coordinator c0", "open c0-1-5 is OpenTxn")],
    );
}

#[test]
fn v6_ids_and_epochs_that_do_not_rise() {
    let mut history = History::settled();
    let epoch = CoordinatorRecord::Epoch {
        epoch: 1,
        incarnation: 9,
    };
    history.log(epoch);
    expect(
        &history.check(),
        &[(
            Invariant::V6,
            "coordinator c0",
            "expected: an epoch above 1; found: 1",
        )],
    );
    let mut history = History::settled();
    history.at(
        "N1",
        NodeRecord::Coordinator {
            coordinator: txn(1).coordinator,
            epoch: 1,
            incarnation: 9,
        },
    );
    expect(
        &history.check(),
        &[(Invariant::V6, "N1", "expected: an epoch of c0 above 1; found: 1")],
    );
}

#[test]
fn v9_an_account_that_is_held_twice() {
    let mut history = History::settled();
    unknown(&mut history);
    history.prepared(5, &transfer("N1/A", "N2/B", "10"));
    let legs = ["N1/A:-1", "N2/C:+1"].map(|leg| leg.parse::<Leg>().unwrap());
    history.prepared(6, &Order::new(&legs).unwrap());
    expect(
        &history.check(),
        &[(
            Invariant::V9,
            "N1",
            "transaction c0-1-6: expected: A is held by c0-1-5; found: it is given away a second time",
        )],
    );
    let mut history = History::settled();
    unknown(&mut history);
    history.prepared(5, &transfer("N1/A", "N2/B", "10"));
    history.alone(6, &deposit("N1/A", "5"));
    expect(&history.check(), &[(Invariant::V9, "N1", "A is held by c0-1-5")]);
}

#[test]
fn v9_what_is_still_in_doubt_when_all_should_have_come_to_rest() {
    let mut history = History::in_doubt();
    history.settled = true;
    expect(
        &history.check(),
        &[
            (Invariant::V9, "N2", "nothing in doubt when all has come to rest"),
            (
                Invariant::V9,
                "coordinator c0",
                "nothing open when all has come to rest",
            ),
        ],
    );
}
