//! Moving money: each outcome has its line, its explanation and its exit code.

use protocol::id::{RequestId, StoreId, TxnId};
use protocol::message::{Answer, Ask, Outcome};
use protocol::reason::{Holder, Refusal};

use crate::fake::{Act, Fake};
use crate::run::{Run, ask};

const ID: &str = "000000000000000000000000000000a1";

fn txn() -> TxnId {
    TxnId::new(StoreId(0xc), 1, 7)
}

fn transfer(outcome: Outcome) -> Run {
    let fake = Fake::answering(Answer::Outcome(outcome));
    ask(&fake, "transfer N1/A N2/B 10 --request-id a1 --timeout-ms 1500")
}

fn aborted(reason: &str) -> Outcome {
    let refusal = Refusal {
        reason: reason.parse().unwrap(),
        holder: None,
    };
    Outcome::Aborted {
        txn: Some(txn()),
        refusal,
    }
}

#[test]
fn a_committed_transfer_prints_one_line_and_exits_with_0() {
    let line = format!("TRANSFER_RESULT(success=true, txn=c-1-7, request_id={ID})\n");
    transfer(Outcome::Committed { txn: txn() }).is(0, &line, "");
}

#[test]
fn insufficient_funds_exit_with_3() {
    transfer(aborted("insufficient_funds_on_A")).is(
        3,
        &format!(
            "TRANSFER_RESULT(success=false, reason=insufficient_funds_on_A, retryable=false, txn=c-1-7, request_id={ID})\n"
        ),
        "Aborted: N1/A holds less than what would be taken. No money moved. See what is there:\n  \
         twopence balance N1/A --coord COORD\n",
    );
}

#[test]
fn a_conflict_exits_with_4_and_names_the_holder_and_the_command_to_try_again_under_a_fresh_id() {
    let refusal = Refusal {
        reason: "lock_contention_on_B".parse().unwrap(),
        holder: Some(Holder {
            txn: TxnId::new(StoreId(0xd), 1, 6),
            held_s: 42,
        }),
    };
    transfer(Outcome::Aborted { txn: Some(txn()), refusal }).is(
        4,
        &format!(
            "TRANSFER_RESULT(success=false, reason=lock_contention_on_B, retryable=true, txn=c-1-7, request_id={ID})\n"
        ),
        &format!(
            "Aborted: another transaction (d-1-6) holds N2/B, for 42 s so far. No money moved. Try again:\n  \
             twopence transfer N1/A N2/B 10 --coord COORD --retry-of {ID}\n"
        ),
    );
}

#[test]
fn what_is_tried_again_gets_a_fresh_id_of_the_same_age_and_counts_as_new() {
    let fake = Fake::answering(Answer::Outcome(Outcome::Committed { txn: txn() }));
    let first: RequestId = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
    let run = ask(&fake, &format!("transfer N1/A N2/B 10 --retry-of {first}"));
    assert_eq!(run.code, 0, "{run:?}");
    let [
        Ask::Submit {
            request,
            repeated: false,
            ..
        },
    ] = &fake.asks()[..]
    else {
        panic!("{:?}", fake.asks());
    };
    assert_ne!(*request, first);
    assert_eq!(request.birth(), first.birth());
}

#[test]
fn other_aborts_exit_with_5_and_say_what_to_do() {
    for (reason, advice) in [
        ("unknown_account_B", "twopence deposit N2/B AMOUNT --coord COORD"),
        ("unknown_node_N2", "twopence status --coord COORD"),
        ("cannot_reach_N2", "twopence transfer N1/A N2/B 10 --coord COORD"),
        (
            "no_vote_in_time_from_N2",
            "twopence transfer N1/A N2/B 10 --coord COORD",
        ),
        ("quarantined_N2", "twopence adopt N2 --coord COORD"),
        (
            "operator_decision",
            "twopence tx show 000000000000000000000000000000a1 --coord COORD",
        ),
    ] {
        let run = transfer(aborted(reason));
        assert_eq!(run.code, 5, "{run:?}");
        assert!(
            run.stdout.contains(&format!("success=false, reason={reason},")),
            "{run:?}"
        );
        assert!(run.stderr.contains("No money moved."), "{run:?}");
        assert!(run.stderr.ends_with(&format!("{advice}\n")), "{run:?}");
    }
}

#[test]
fn an_unknown_outcome_exits_with_6_and_names_the_command_that_asks_under_the_same_id() {
    transfer(Outcome::Unknown { why: "node N1 is away".to_owned() }).is(
        6,
        &format!("TRANSFER_RESULT(success=unknown, request_id={ID})\n"),
        &format!(
            "Outcome unknown: COORD: node N1 is away. The money moved once or not at all. Ask again under the same request \
             id, it cannot move twice:\n  twopence transfer N1/A N2/B 10 --coord COORD --request-id {ID}\n"
        ),
    );
}

#[test]
fn a_reused_id_exits_with_10_and_a_rejected_request_with_2() {
    let run = transfer(Outcome::Reused);
    assert_eq!(run.code, 10, "{run:?}");
    assert!(
        run.stdout
            .starts_with("TRANSFER_RESULT(success=false, reason=request_id_reused, "),
        "{run:?}"
    );
    assert!(run.stderr.contains("no money moved"), "{run:?}");
    let run = transfer(Outcome::Rejected {
        why: "too odd".to_owned(),
    });
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.stderr
            .starts_with("Rejected: too odd. Nothing ran, no money moved."),
        "{run:?}"
    );
}

#[test]
fn a_coordinator_that_cannot_take_it_exits_with_5() {
    let fake = Fake::answering(Answer::Failed("too busy".to_owned()));
    ask(&fake, "transfer N1/A N2/B 10").is(
        5,
        "TRANSFER_RESULT(success=false, reason=failed)\n",
        "Too busy. No money moved.\n",
    );
}

#[test]
fn json_has_the_same_fields_for_every_outcome() {
    let fake = Fake::answering(Answer::Outcome(aborted("lock_contention_on_B")));
    let run = ask(&fake, "transfer N1/A N2/B 10 --request-id a1 --output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["outcome"], "aborted");
    assert_eq!(json["success"], false);
    assert_eq!(json["reason"], "lock_contention_on_B");
    assert_eq!(json["retryable"], true);
    assert_eq!(json["holder"], serde_json::Value::Null);
    assert_eq!(json["txn"], "c-1-7");
    assert_eq!(json["request_id"], ID);
    assert!(json["message"].as_str().unwrap().contains("No money moved"));
    let aborted: Vec<&String> = json.as_object().unwrap().keys().collect();

    let fake = Fake::answering(Answer::Outcome(Outcome::Committed { txn: txn() }));
    let run = ask(&fake, "deposit N1/A 10 --output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&json["outcome"], &json["success"]),
        (&"committed".into(), &true.into())
    );
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), aborted);
    assert_eq!(run.stderr, "");
}

#[test]
fn both_forms_of_transfer_ask_for_the_same() {
    let fake = Fake::answering(Answer::Outcome(Outcome::Committed { txn: txn() }));
    let words = ask(&fake, "transfer N1/A N2/B 10");
    let flags = ask(
        &fake,
        "transfer --from-node N1 --from-account A --to-node N2 --to-account B --amount 10",
    );
    assert_eq!((words.code, flags.code), (0, 0), "{words:?} {flags:?}");
    let orders: Vec<(RequestId, bool, String)> = fake.asks().into_iter().map(submitted).collect();
    let [one, two] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert_eq!(
        (one.2.as_str(), two.2.as_str()),
        ("N1/A:-10 N2/B:+10", "N1/A:-10 N2/B:+10")
    );
    assert!(!one.1 && !two.1, "a fresh id is sent for the first time");
    assert_ne!(one.0, two.0, "every command has an id of its own");
}

#[test]
fn submit_merges_legs_and_deposit_opens_accounts() {
    let fake = Fake::answering(Answer::Outcome(Outcome::Committed { txn: txn() }));
    let run = ask(&fake, "submit N1/A:-30 N2/B:10 N3/C:+25 N3/C:-5");
    assert!(run.stdout.starts_with("SUBMIT_RESULT(success=true, "), "{run:?}");
    let run = ask(&fake, "deposit N1/A 100 --request-id 7");
    assert!(run.stdout.starts_with("DEPOSIT_RESULT(success=true, "), "{run:?}");
    let orders: Vec<_> = fake.asks().into_iter().map(submitted).collect();
    assert_eq!(orders[0].2, "N1/A:-30 N2/B:+10 N3/C:+20");
    assert_eq!(
        orders[1],
        (RequestId(7), true, "N1/@world:-100 N1/A:+100".to_owned())
    );
}

#[test]
fn an_unknown_outcome_is_asked_again_as_repeated_until_somebody_knows() {
    let mut asked = 0;
    let fake = Fake::start(move |_| {
        asked += 1;
        Act::Answer(Answer::Outcome(if asked < 3 {
            Outcome::Unknown {
                why: "wait".to_owned(),
            }
        } else {
            Outcome::Committed { txn: txn() }
        }))
    });
    assert_eq!(ask(&fake, "transfer N1/A N2/B 10").code, 0);
    let submitted: Vec<_> = fake.asks().into_iter().map(submitted).collect();
    let repeated: Vec<bool> = submitted.iter().map(|(_, repeated, _)| *repeated).collect();
    assert_eq!(repeated, [false, true, true]);
    assert!(submitted.iter().all(|(request, _, _)| *request == submitted[0].0));
}

pub(crate) fn submitted(ask: Ask) -> (RequestId, bool, String) {
    let Ask::Submit {
        request,
        repeated,
        order,
    } = ask
    else {
        panic!("not a submit: {ask}");
    };
    (request, repeated, order.to_string())
}
