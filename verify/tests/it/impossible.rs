//! Records that cannot follow what is before them. A state machine would stop at them; the check names them.

use protocol::coordinator::CoordinatorRecord;
use protocol::fold::Fold;
use protocol::id::{StoreId, TxnId, TxnPoint};
use protocol::message::OperatorWord;
use protocol::participant::NodeRecord;
use verify::{Claims, Invariant, check};

use crate::history::{
    History, coordinator_image, deposit, expect, fold, home, node, promise, request, transfer, txn,
};

/// N1 writes one record more.
#[track_caller]
fn at_n1(record: NodeRecord, expected: &[(Invariant, &str, &str)]) {
    let mut history = History::settled();
    history.settled = false;
    history.at("N1", record);
    expect(&check(&history.images(), &Claims::default()), expected);
}

/// The coordinator writes one record more.
#[track_caller]
fn at_coordinator(record: CoordinatorRecord, expected: &[(Invariant, &str, &str)]) {
    let mut history = History::in_doubt();
    history.log(record);
    expect(&check(&history.images(), &Claims::default()), expected);
}

fn alone(n: u64, order: &protocol::leg::Order) -> NodeRecord {
    NodeRecord::CommitOnePhase {
        txn: txn(n),
        operations: order.operations(node("N1")),
        opens: order.opens(),
        home: home(n, order),
    }
}

#[test]
fn the_truth_about_what_nobody_forced() {
    let truth = OperatorWord::Commit;
    at_n1(
        NodeRecord::Truth { txn: txn(3), truth },
        &[(
            Invariant::V3,
            "N1",
            "expected: an outcome that an operator forced; found: the truth about none",
        )],
    );
}

#[test]
fn balances_adopted_into_a_store_that_has_some() {
    at_n1(
        NodeRecord::AdoptBalances {
            accounts: vec![("A".parse().unwrap(), 70)],
            file_digest: 7,
        },
        &[
            (
                Invariant::V6,
                "N1",
                "expected: balances adopted into an empty store",
            ),
            (Invariant::V1, "all nodes", "found: +30"),
        ],
    );
}

#[test]
fn a_second_promise_of_the_same() {
    let mut history = History::settled();
    let order = transfer("N1/A", "N2/B", "10");
    history.prepared(5, &order);
    history.at("N2", promise(5, &order, node("N2")));
    expect(
        &check(&history.images(), &Claims::default()),
        &[(
            Invariant::V3,
            "N2",
            "expected: a transaction is prepared once; found: prepared again, though promised in record 7",
        )],
    );
}

#[test]
fn a_transaction_that_happens_after_its_end() {
    // The request is another one, so that only the transaction is old.
    let order = deposit("N1/A", "5");
    let NodeRecord::CommitOnePhase {
        txn: id,
        operations,
        opens,
        ..
    } = alone(1, &order)
    else {
        unreachable!("it commits alone")
    };
    at_n1(
        NodeRecord::CommitOnePhase {
            txn: id,
            operations,
            opens,
            home: home(77, &order),
        },
        &[
            (Invariant::V3, "N1", "found: committed, though commit in record 2"),
            (
                Invariant::V3,
                "N1",
                "expected: its part of N1/@world:-100 N1/A:+100",
            ),
            (Invariant::V5, "N1", "found: 0000"),
        ],
    );
}

#[test]
fn more_than_an_account_can_hold() {
    let mut history = History::settled();
    let all = protocol::money::AMOUNT_MAX.to_string();
    for n in 5..15 {
        history.alone(n, &deposit("N1/A", &all));
    }
    let report = check(&history.images(), &Claims::default());
    expect(
        &report,
        &[(
            Invariant::V2,
            "N1",
            "expected: no more than an account can hold; found: A holds",
        )],
    );
}

#[test]
fn operations_that_were_not_merged() {
    let order = deposit("N1/A", "5");
    let mut operations = order.operations(node("N1"));
    operations.reverse();
    at_n1(
        NodeRecord::CommitOnePhase {
            txn: txn(9),
            operations,
            opens: true,
            home: home(9, &order),
        },
        &[(
            Invariant::V6,
            "N1",
            "expected: one operation for each account; found: 2 of them, repeated or out of order",
        )],
    );
}

#[test]
fn a_transaction_of_two_that_one_node_ends_alone() {
    let mut history = History::settled();
    history.prepared(5, &transfer("N1/A", "N2/B", "10"));
    // N1 had promised its part of it, and does another thing all by itself instead.
    let records = history.nodes.get_mut(&node("N1")).unwrap();
    records.pop();
    records.push(alone(5, &transfer("N1/A", "N1/Z", "5")));
    let report = check(&history.images(), &Claims::default());
    let said = report.to_string();
    assert!(
        said.contains("transaction c0-1-5: expected: a decision with 1 others; found: committed alone"),
        "{said}"
    );
}

#[test]
fn a_node_that_takes_part_in_what_is_not_its_own() {
    let order = transfer("N1/A", "N1/Z", "5");
    let mut history = History::settled();
    history.prepared(5, &order);
    history.at(
        "N2",
        NodeRecord::CommitOnePhase {
            txn: txn(5),
            operations: deposit("N2/B", "5").operations(node("N2")),
            opens: true,
            home: home(55, &order),
        },
    );
    let said = check(&history.images(), &Claims::default()).to_string();
    assert!(
        said.contains("N2, transaction c0-1-5: expected: only [N1] take part; found: it takes part too"),
        "{said}"
    );
}

#[test]
fn a_home_that_has_a_request_under_another_transaction_than_its_client() {
    let mut history = History::settled();
    let at = history.told.iter().position(|told| told.request == request(3));
    history.told[at.unwrap()].word = verify::Word::Committed(txn(2));
    history.complete = false;
    let said = history.check().to_string();
    assert!(
        said.contains("V4 told is true: N1, transaction c0-1-2: expected: request 00000000000000000000000000000003 was told that it committed; found: it has the request as c0-1-3"),
        "{said}"
    );
}

#[test]
fn a_coordinator_that_begins_what_is_not_its_own_or_has_begun() {
    let order = transfer("N1/A", "N2/B", "10");
    let start = |txn: TxnId| CoordinatorRecord::Start {
        txn,
        request: request(8),
        order: order.clone(),
    };
    let ids = [TxnId::new(txn(1).coordinator, 2, 1), TxnId::new(StoreId(7), 1, 8)];
    for id in ids {
        let text = format!("expected: an id of coordinator c0 in epoch 1; found: {id}");
        at_coordinator(start(id), &[(Invariant::V6, "coordinator c0", &text)]);
    }
    let again = CoordinatorRecord::Start {
        txn: txn(5),
        request: request(5),
        order: order.clone(),
    };
    at_coordinator(
        again,
        &[(
            Invariant::V6,
            "coordinator c0",
            "expected: a transaction begins once; found: a second START",
        )],
    );
}

#[test]
fn a_mark_that_falls() {
    let mut history = History::settled();
    for sequence in [4, 3] {
        history.log(CoordinatorRecord::Mark {
            node: node("N1"),
            below: TxnPoint { epoch: 1, sequence },
        });
    }
    expect(
        &history.check(),
        &[(
            Invariant::V6,
            "coordinator c0",
            "expected: a mark that rises; found: one that falls",
        )],
    );
}

#[test]
fn a_coordinators_log_with_a_gap_or_without_its_end() {
    let history = History::settled();
    let mut images = history.images();
    coordinator_image(&mut images).records.remove(0);
    expect(
        &check(&images, &Claims::default()),
        &[
            (
                Invariant::V6,
                "coordinator c0",
                "found: record 2 follows record 0",
            ),
            (
                Invariant::V6,
                "coordinator c0",
                "an id of coordinator c0 in epoch 0",
            ),
        ],
    );
    let mut images = history.images();
    let content = coordinator_image(&mut images);
    let newest: protocol::coordinator::CoordinatorState = fold(&content.records, content.records.len());
    let text = format!(
        "record {}: expected: records up to the newest state file; found: the records end with {}",
        newest.seq(),
        newest.seq() - 1
    );
    content.checkpoints.push(newest);
    content.records.pop();
    expect(
        &check(&images, &Claims::default()),
        &[(Invariant::V6, "coordinator c0", &text)],
    );
}
