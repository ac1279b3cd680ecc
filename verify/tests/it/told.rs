//! What clients were told, against what the stores hold.

use protocol::coordinator::CoordinatorRecord;
use protocol::participant::NodeRecord;
use verify::{Invariant, Word, check};

use crate::history::{History, expect, node, request, transfer, txn};

/// The words about one request, instead of what it was told.
fn told(history: &mut History, n: u64, words: &[Word]) {
    let at = history
        .told
        .iter()
        .position(|told| told.request == request(n))
        .unwrap();
    let order = history.told.remove(at).order;
    for word in words {
        history.tell(n, &order, *word);
    }
}

fn aborted(n: u64, is_final: bool) -> Word {
    Word::Aborted {
        txn: Some(txn(n)),
        is_final,
    }
}

#[test]
fn told_committed_and_not_there() {
    let mut history = History::settled();
    let order = transfer("N1/A", "N2/B", "7");
    history.tell(8, &order, Word::Committed(txn(8)));
    history.complete = false;
    expect(
        &history.check(),
        &[
            (
                Invariant::V4,
                "N1",
                "transaction c0-1-8: expected: request 00000000000000000000000000000008 was told that it committed; found: no trace of it",
            ),
            (Invariant::V4, "N1", "it does not know the request"),
            (Invariant::V4, "N2", "no trace of it"),
            (Invariant::V4, "coordinator c0", "COMMIT is not on disk"),
        ],
    );
}

#[test]
fn told_committed_before_the_decision_was_on_disk() {
    let mut history = History::settled();
    (history.settled, history.complete) = (false, false);
    let order = transfer("N1/A", "N2/B", "7");
    history.prepared(5, &order);
    history.tell(5, &order, Word::Committed(txn(5)));
    expect(
        &history.check(),
        &[
            (Invariant::V4, "N1", "prepared, and committed nowhere"),
            (Invariant::V4, "N2", "prepared, and committed nowhere"),
            (
                Invariant::V4,
                "coordinator c0",
                "COMMIT is not on disk: Undecided",
            ),
        ],
    );
}

#[test]
fn told_committed_and_aborted_at_a_node() {
    let mut history = History::settled();
    told(&mut history, 4, &[Word::Committed(txn(4))]);
    history.complete = false;
    expect(
        &history.check(),
        &[
            (Invariant::V4, "N1", "found: aborted"),
            (Invariant::V4, "N2", "found: aborted"),
            (Invariant::V4, "coordinator c0", "COMMIT is not on disk: Abort"),
        ],
    );
}

#[test]
fn told_committed_with_other_legs() {
    let mut history = History::settled();
    let at = history
        .told
        .iter()
        .position(|told| told.request == request(3))
        .unwrap();
    history.told[at].order = transfer("N1/A", "N2/B", "31");
    history.complete = false;
    expect(
        &history.check(),
        &[
            (
                Invariant::V4,
                "N1",
                "expected: its part of N1/A:-31 N2/B:+31; found: A -30",
            ),
            (Invariant::V4, "N2", "found: B +30"),
        ],
    );
}

#[test]
fn told_aborted_and_yet_it_committed() {
    let mut history = History::settled();
    told(&mut history, 3, &[aborted(3, false)]);
    history.complete = false;
    expect(
        &history.check(),
        &[
            (
                Invariant::V4,
                "all nodes",
                "was told that it aborted; found: committed",
            ),
            (
                Invariant::V4,
                "all nodes",
                "was told that it aborted; found: it committed",
            ),
        ],
    );
    // A first attempt may abort and a second one succeed, unless the first word was for good.
    let mut history = History::settled();
    told(
        &mut history,
        3,
        &[aborted(9, false), Word::Unknown, Word::Committed(txn(3))],
    );
    expect(&history.check(), &[]);
    let mut history = History::settled();
    told(&mut history, 3, &[aborted(9, true), Word::Committed(txn(3))]);
    expect(
        &history.check(),
        &[(
            Invariant::V4,
            "all nodes",
            "was told for good that it aborted; found: and then that it committed",
        )],
    );
}

#[test]
fn told_two_different_things() {
    let mut history = History::settled();
    told(&mut history, 3, &[Word::Committed(txn(3)), aborted(3, false)]);
    history.complete = false;
    let report = history.check();
    assert!(
        report
            .to_string()
            .contains("was told that it committed as c0-1-3; found: and then that it aborted"),
        "{report}"
    );
    let mut history = History::settled();
    told(
        &mut history,
        3,
        &[Word::Committed(txn(3)), Word::Committed(txn(2))],
    );
    history.complete = false;
    let report = history.check();
    assert!(report.to_string().contains("and then as another"), "{report}");
}

#[test]
fn an_answer_that_got_lost_is_settled_by_what_the_home_has() {
    let mut history = History::settled();
    told(&mut history, 3, &[Word::Unknown]);
    told(&mut history, 4, &[Word::Unknown]);
    expect(&history.check(), &[]);
}

#[test]
fn money_that_no_client_asked_for() {
    let mut history = History::settled();
    history.told.retain(|told| told.request != request(3));
    expect(
        &history.check(),
        &[
            (
                Invariant::V4,
                "N1",
                "expected: A holds 100, as clients were told; found: 70",
            ),
            (
                Invariant::V4,
                "N2",
                "expected: B holds 50, as clients were told; found: 80",
            ),
        ],
    );
}

#[test]
fn claims_hold_while_a_transaction_is_in_doubt_and_after_a_balance_file_was_adopted() {
    expect(&History::in_doubt().check(), &[]);
    let mut history = History::settled();
    let adopt = NodeRecord::AdoptBalances {
        accounts: vec![("Z".parse().unwrap(), 40)],
        file_digest: 7,
    };
    history.nodes.get_mut(&node("N1")).unwrap().insert(0, adopt);
    expect(&history.check(), &[]);
}

#[test]
fn a_decision_that_only_the_coordinator_has_keeps_a_promise_to_a_client() {
    let mut history = History::settled();
    history.settled = false;
    let order = transfer("N1/A", "N2/B", "7");
    history.prepared(5, &order);
    history.log(CoordinatorRecord::Commit { txn: txn(5) });
    history.tell(5, &order, Word::Committed(txn(5)));
    let report = check(&history.images(), &history.claims());
    expect(&report, &[]);
    assert_eq!(report.in_doubt.len(), 2);
}
