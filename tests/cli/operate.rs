//! `tx …` and `adopt`: what an operator sees and does.

use protocol::id::{NodeId, StoreId, TxnId};
use protocol::message::{
    Answer, Ask, CoordinatorView, Freshness, InDoubt, NodeView, OperatorWord, Reference, TxnReport, TxnState,
};
use protocol::reason::Reason;

use crate::fake::{Act, Fake};
use crate::run::ask;

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn txn() -> TxnId {
    TxnId::new(StoreId(0xc), 1, 7)
}

#[test]
fn a_transaction_is_shown_as_the_coordinator_and_every_node_hold_it() {
    let at = |state, forced: Option<&str>| {
        let request = Some("a1".parse().unwrap());
        let forced = forced.map(str::to_owned);
        Some(NodeView {
            txn: Some(txn()),
            request,
            state,
            forced,
            operations: Vec::new(),
            participants: Vec::new(),
            coordinator_connected: true,
        })
    };
    let fake = Fake::answering(Answer::Txn(TxnReport {
        reference: Reference::Txn(txn()),
        txn: Some(txn()),
        coordinator: CoordinatorView::Committed {
            unacknowledged: vec![node("N2"), node("N3")],
        },
        nodes: vec![
            (node("N1"), at(TxnState::Committed, None)),
            (
                node("N2"),
                at(TxnState::Aborted(Reason::OperatorDecision), Some("disk lost")),
            ),
            (node("N3"), None),
        ],
    }));
    ask(&fake, "tx show c-1-7").is(
        0,
        "\
transaction c-1-7
coordinator: decided to commit, waits for acknowledgements of N2, N3
NODE  STATE                        REQUEST                           OPERATIONS
N1    committed                    000000000000000000000000000000a1
N2    aborted (operator_decision)  000000000000000000000000000000a1
N3    no answer                    -
N2: forced by an operator: disk lost
",
        "",
    );
    let run = ask(&fake, "tx show a1 --output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&json["coordinator"], &json["nodes"][2]["state"]),
        (&"committed".into(), &"no_answer".into())
    );
    let asked = [Reference::Txn(txn()), Reference::Request("a1".parse().unwrap())].map(Ask::Show);
    assert_eq!(fake.asks(), asked, "by either name");
}

#[test]
fn open_transactions_are_listed_and_the_way_out_of_doubt_is_named() {
    let operation = protocol::leg::Operation {
        account: "B".parse().unwrap(),
        delta: "10".parse().unwrap(),
    };
    let fake = Fake::answering(Answer::List(vec![InDoubt {
        txn: txn(),
        age_s: 42,
        participants: vec![node("N1"), node("N2")],
        prepared: vec![(node("N2"), vec![operation])],
        coordinator: CoordinatorView::NotMine,
        freshness: Freshness::InDoubt,
    }]));
    let run = ask(&fake, "tx list --in-doubt");
    assert_eq!(
        run.stdout,
        "\
TRANSACTION  AGE   STATE     PREPARED AT  PARTICIPANTS
c-1-7        42 s  in doubt  N2 (B +10)   N1, N2
"
    );
    assert!(
        run.stderr
            .ends_with("twopence tx resolve c-1-7 commit|abort --reason … --coord COORD\n"),
        "{run:?}"
    );
    assert_eq!(fake.asks(), [Ask::List { in_doubt: true }]);

    let fake = Fake::answering(Answer::List(Vec::new()));
    ask(&fake, "tx list").is(0, "", "All transactions have ended.\n");
}

#[test]
fn an_operators_word_is_passed_on_and_its_effect_reported() {
    let fake = Fake::answering(Answer::Done("c-1-7 aborted at N2".to_owned()));
    ask(&fake, "tx resolve c-1-7 abort --reason ticket-4711").is(0, "c-1-7 aborted at N2\n", "");
    ask(&fake, "adopt N2").is(0, "c-1-7 aborted at N2\n", "");
    let resolve = Ask::Resolve {
        txn: txn(),
        word: OperatorWord::Abort,
        why: "ticket-4711".to_owned(),
    };
    assert_eq!(fake.asks(), [resolve, Ask::Adopt { node: node("N2") }]);
    let fake = Fake::answering(Answer::Failed("N2 is not quarantined".to_owned()));
    ask(&fake, "adopt N2").is(
        5,
        "",
        "N2 is not quarantined. Nothing was changed, no money moved.\n",
    );
}

#[test]
fn an_operators_word_whose_answer_is_lost_is_not_given_twice() {
    let fake = Fake::start(|_| Act::HangUp);
    let run = ask(&fake, "tx resolve c-1-7 commit --reason why");
    faults::fired("W1");
    assert_eq!((run.code, fake.asks().len()), (6, 1), "{run:?}");
    assert!(run.stderr.contains("It may have been done or not."), "{run:?}");
    assert!(
        run.stderr.contains("twopence tx show c-1-7 --coord COORD"),
        "{run:?}"
    );
}
