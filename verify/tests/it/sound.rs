//! What must pass, and what is said about it.

use engine::{Owner, StoreKind};
use protocol::coordinator::CoordinatorRecord;
use protocol::id::TxnPoint;
use protocol::message::OperatorWord;
use protocol::participant::NodeRecord;
use verify::{Claims, CoordinatorWord, Forced, Images, Invariant, check};

use crate::history::{History, coordinator_image, expect, fold, node, node_image, transfer, txn};

#[test]
fn a_settled_history_has_nothing_to_complain_about() {
    let report = History::settled().check();
    expect(&report, &[]);
    assert_eq!((report.transactions, report.committed), (4, 3));
    assert_eq!(report.sum.total(), 0);
    assert!(
        report.in_doubt.is_empty() && report.open.is_empty() && report.unchecked.is_empty(),
        "{report}"
    );
}

#[test]
fn what_is_committed_at_one_node_and_prepared_at_another_is_in_doubt_and_no_money_is_missing() {
    let report = History::in_doubt().check();
    expect(&report, &[]);
    assert_eq!((report.sum.found, report.sum.in_doubt), (-10, 10));
    let [doubt] = &report.in_doubt[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (doubt.txn, doubt.node, doubt.coordinator),
        (txn(5), node("N2"), CoordinatorWord::Commit)
    );
    assert_eq!(report.open.len(), 1);
    let text = report.to_string();
    assert!(
        text.contains("c0-1-5 at N2: B +10, since record 7: its coordinator has COMMIT on disk"),
        "{text}"
    );
}

#[test]
fn a_promise_that_nobody_decided_counts_as_nothing() {
    let mut history = History::settled();
    history.prepared(5, &transfer("N1/A", "N2/B", "10"));
    history.settled = false;
    let report = history.check();
    expect(&report, &[]);
    assert_eq!(report.sum.found, 0);
    let words: Vec<_> = report.in_doubt.iter().map(|doubt| doubt.coordinator).collect();
    assert_eq!(words, [CoordinatorWord::Undecided; 2]);
}

#[test]
fn every_moment_of_a_history_is_sound() {
    let history = History::in_doubt();
    let mut in_doubt = 0;
    for moment in &history.moments {
        let report = check(&history.images_at(moment), &Claims::default());
        expect(&report, &[]);
        in_doubt += report.in_doubt.len();
    }
    assert!(history.moments.len() > 30 && in_doubt > 10, "{in_doubt} in doubt");
}

#[test]
fn checkpoints_at_every_record_agree_with_the_records() {
    let history = History::in_doubt();
    for n in 0..history.nodes[&node("N2")].len() {
        let mut images = history.images();
        let content = node_image(&mut images, "N2");
        content.checkpoints = vec![
            fold(&content.records, n),
            fold(&content.records, content.records.len()),
        ];
        let whole = check(&images, &history.claims());
        expect(&whole, &[]);
        // And when the log reaches back only to the older of them.
        let content = node_image(&mut images, "N2");
        content.records.drain(..n);
        let short = check(&images, &history.claims());
        expect(&short, &[]);
        assert_eq!(short.stores[1].checked_from, Some(u64::try_from(n).unwrap()));
        assert_eq!(short.sum, whole.sum);
    }
    for n in 0..history.coordinator.len() {
        let mut images = history.images();
        let content = coordinator_image(&mut images);
        content.checkpoints = vec![
            fold(&content.records, n),
            fold(&content.records, content.records.len()),
        ];
        content.records.drain(..n);
        expect(&check(&images, &history.claims()), &[]);
    }
}

#[test]
fn a_sled_store_is_held_against_the_others_by_its_state_alone() {
    let history = History::in_doubt();
    let mut images = history.images();
    for image in &mut images.nodes {
        image.kind = StoreKind::Sled;
        let records = std::mem::take(&mut image.content.records);
        image.content.checkpoints = vec![fold(&records, records.len())];
    }
    let report = check(&images, &history.claims());
    expect(&report, &[]);
    assert_eq!(report.in_doubt.len(), 1);
    let unchecked: Vec<_> = report
        .unchecked
        .iter()
        .map(|unchecked| unchecked.invariant)
        .collect();
    assert_eq!(
        unchecked,
        [Invariant::V2, Invariant::V2, Invariant::V6, Invariant::V6]
    );
}

#[test]
fn what_everyone_may_have_forgotten_is_no_violation_and_said_to_be_unchecked() {
    let mut history = History::settled();
    history.at(
        "N2",
        NodeRecord::Mark {
            coordinator: txn(1).coordinator,
            below: TxnPoint {
                epoch: 1,
                sequence: 5,
            },
        },
    );
    let mut images = history.images();
    let content = node_image(&mut images, "N2");
    content.checkpoints = vec![fold(&content.records, content.records.len())];
    content.records.clear();
    let report = check(&images, &history.claims());
    expect(&report, &[]);
    assert!(
        report
            .unchecked
            .iter()
            .any(|unchecked| unchecked.invariant == Invariant::V3
                && unchecked.why.contains("N2 no longer keeps how they ended")),
        "{report}"
    );
    let content = coordinator_image(&mut images);
    content.checkpoints = vec![fold(&content.records, content.records.len())];
    content.records.clear();
    let report = check(&images, &history.claims());
    expect(&report, &[]);
    assert!(
        report.to_string().contains("no longer reaches back to them"),
        "{report}"
    );
}

#[test]
fn without_a_store_nothing_is_claimed_about_its_money() {
    let history = History::in_doubt();
    let mut images = history.images();
    images
        .nodes
        .retain(|image| image.owner != Owner::Node(node("N2")));
    let report = check(&images, &Claims::default());
    expect(&report, &[]);
    assert!(
        report
            .to_string()
            .contains("the store of N2 is not among those that were read"),
        "{report}"
    );
    let report = check(&Images::default(), &Claims::default());
    expect(&report, &[]);
}

#[test]
fn what_an_operator_forced_is_reported_and_no_violation() {
    for (word, sum) in [(OperatorWord::Commit, 0), (OperatorWord::Abort, -10)] {
        let mut history = History::in_doubt();
        history.complete = false;
        history.at(
            "N2",
            NodeRecord::Resolve {
                txn: txn(5),
                word,
                why: "its coordinator burnt".to_owned(),
            },
        );
        let report = history.check();
        expect(&report, &[]);
        assert_eq!((report.sum.found, report.sum.total()), (sum, 0), "{word}");
        let [Forced::Outcome { elsewhere, .. }] = &report.forced[..] else {
            panic!("{report}")
        };
        assert_eq!(*elsewhere, Some(OperatorWord::Commit));
        let wrong = report
            .to_string()
            .contains("money is wrong by this node's part of it");
        assert_eq!(wrong, word == OperatorWord::Abort, "{report}");
    }
}

#[test]
fn what_an_operator_gave_up_with_a_lost_store_is_reported_and_no_violation_of_all_or_nothing() {
    let mut history = History::settled();
    history.nodes.get_mut(&node("N2")).unwrap().truncate(1);
    history.log(CoordinatorRecord::Node {
        node: node("N2"),
        store: protocol::id::StoreId(9),
        proved: 1,
        forgives: TxnPoint {
            epoch: 1,
            sequence: 5,
        },
    });
    let report = check(&history.images(), &Claims::default());
    // The money is gone all the same.
    expect(&report, &[(Invariant::V1, "all nodes", "-30")]);
    assert!(
        matches!(report.forced[..], [Forced::GivenUp { .. }, ..]),
        "{report}"
    );
}
