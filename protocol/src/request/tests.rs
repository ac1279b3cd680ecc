//! Transcripts of single behaviours, and a table of everything that can happen in every phase.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::id::{RequestId, StoreId, TxnId};
use crate::leg::Order;
use crate::message::{AuditReport, AuditVerdict, OperatorWord};
use crate::reason::{Reason, Refusal};

fn transfer(repeated: bool) -> Ask {
    let (from, to) = ("N1/A".parse().unwrap(), "N2/B".parse().unwrap());
    Ask::Submit {
        request: RequestId(0xa1),
        repeated,
        order: Order::transfer(from, to, "10".parse().unwrap()).unwrap(),
    }
}

fn resolve() -> Ask {
    Ask::Resolve {
        txn: txn(),
        word: OperatorWord::Abort,
        why: "disk lost".into(),
    }
}

fn txn() -> TxnId {
    TxnId::new(StoreId(0xc), 1, 7)
}

fn committed() -> Answer {
    Answer::Outcome(Outcome::Committed { txn: txn() })
}

fn aborted() -> Answer {
    let refusal = Refusal::from(Reason::LockContention("A".parse().unwrap()));
    Answer::Outcome(Outcome::Aborted {
        txn: Some(txn()),
        refusal,
    })
}

fn unknown() -> Answer {
    Answer::Outcome(Outcome::Unknown {
        why: "N1 is away".into(),
    })
}

fn exact() -> Answer {
    Answer::Audit(AuditReport {
        verdict: AuditVerdict::Exact,
        in_accounts: 0,
        brought_in: 0,
        prepared: 0,
    })
}

fn connected(attempt: u32) -> Input {
    Input::Connected { attempt }
}

fn lost(attempt: u32) -> Input {
    Input::Lost {
        attempt,
        why: "gone".into(),
    }
}

fn answered(attempt: u32, answer: Answer) -> Input {
    Input::Answered { attempt, answer }
}

fn backoff(round: u32) -> Input {
    Input::Expired(Timer::Backoff { round })
}

/// One line for each input, and indented below it what it leads to.
fn run(mut request: Request, inputs: impl IntoIterator<Item = Input>) -> String {
    let mut transcript = String::new();
    for input in inputs {
        transcript += &format!("{input}\n");
        let mut effects = Vec::new();
        request.step(input, &mut effects);
        for effect in effects {
            transcript += &format!("    {effect}\n");
        }
    }
    transcript
}

#[track_caller]
fn expect(transcript: &str, expected: &str) {
    let margin = |line: &str| line.strip_prefix("        ").unwrap_or(line).to_string();
    let expected: Vec<String> = expected.lines().skip(1).map(margin).collect();
    let expected = expected.join("\n");
    assert_eq!(transcript.trim_end(), expected.trim_end(), "\n{transcript}");
}

#[test]
fn a_first_send_says_that_it_is_one_and_ends_with_the_answer() {
    let request = Request::new(transfer(false), 1, 0);
    expect(
        &run(request, [Input::Start, connected(1), answered(1, committed())]),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10
        answered #1: outcome committed c-1-7
            end: outcome committed c-1-7",
    );
}

#[test]
fn an_id_that_may_have_been_sent_before_is_repeated_from_the_first_send_on() {
    let request = Request::new(transfer(true), 1, 0);
    expect(
        &run(request, [Input::Start, connected(1), answered(1, aborted())]),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 (repeated) N1/A:-10 N2/B:+10
        answered #1: outcome aborted c-1-7 lock_contention_on_A
            end: outcome aborted c-1-7 lock_contention_on_A",
    );
}

#[test]
fn a_lost_answer_moves_the_request_to_the_next_coordinator_under_its_id_as_repeated() {
    let request = Request::new(transfer(false), 2, 0);
    expect(
        &run(
            request,
            [
                Input::Start,
                connected(1),
                lost(1),
                connected(2),
                answered(2, committed()),
            ],
        ),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10
        lost #1: gone
            cancel answer
            set connect
            connect #2 to c1
        connected #2
            cancel connect
            set answer
            send #2 submit 000000000000000000000000000000a1 (repeated) N1/A:-10 N2/B:+10
        answered #2: outcome committed c-1-7
            end: outcome committed c-1-7",
    );
}

#[test]
fn a_failed_connection_sends_nothing_so_the_next_send_is_still_the_first() {
    let request = Request::new(transfer(false), 2, 1);
    expect(
        &run(request, [Input::Start, lost(1), connected(2)]),
        "
        start
            set deadline
            set connect
            connect #1 to c1
        lost #1: gone
            cancel connect
            set connect
            connect #2 to c0
        connected #2
            cancel connect
            set answer
            send #2 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10",
    );
}

#[test]
fn a_silent_coordinator_is_left_for_the_next_one() {
    let request = Request::new(transfer(false), 2, 0);
    expect(
        &run(
            request,
            [
                Input::Start,
                connected(1),
                Input::Expired(Timer::Answer),
                answered(1, aborted()),
                connected(2),
            ],
        ),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10
        expired answer
            hang up
            cancel answer
            set connect
            connect #2 to c1
        answered #1: outcome aborted c-1-7 lock_contention_on_A
        connected #2
            cancel connect
            set answer
            send #2 submit 000000000000000000000000000000a1 (repeated) N1/A:-10 N2/B:+10",
    );
}

#[test]
fn an_unknown_outcome_is_asked_again_until_the_deadline() {
    let request = Request::new(transfer(false), 1, 0);
    expect(
        &run(
            request,
            [
                Input::Start,
                connected(1),
                answered(1, unknown()),
                backoff(1),
                connected(2),
                answered(2, unknown()),
                Input::Expired(Timer::Deadline),
            ],
        ),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10
        answered #1: outcome unknown N1 is away
            cancel answer
            set backoff 1
        expired backoff 1
            set connect
            connect #2 to c0
        connected #2
            cancel connect
            set answer
            send #2 submit 000000000000000000000000000000a1 (repeated) N1/A:-10 N2/B:+10
        answered #2: outcome unknown N1 is away
            cancel answer
            set backoff 2
        expired deadline
            end: unknown: c0 N1 is away",
    );
}

#[test]
fn a_deadline_in_mid_attempt_leaves_what_the_coordinator_said_before() {
    let asked_again = [
        Input::Start,
        connected(1),
        answered(1, unknown()),
        backoff(1),
        connected(2),
    ];
    for inputs in [&asked_again[..], &asked_again[..4]] {
        let request = Request::new(transfer(false), 1, 0);
        let deadline = Input::Expired(Timer::Deadline);
        let transcript = run(request, inputs.iter().cloned().chain([deadline]));
        assert!(
            transcript.ends_with("    end: unknown: c0 N1 is away\n"),
            "{transcript}"
        );
    }
}

#[test]
fn nobody_there_ends_after_a_few_rounds_with_nothing_sent() {
    let request = Request::new(transfer(false), 2, 0);
    let rounds = (1..=ROUNDS_MAX).flat_map(|round| {
        let pause = (round < ROUNDS_MAX).then_some(backoff(round));
        [lost(2 * round - 1), lost(2 * round)].into_iter().chain(pause)
    });
    let transcript = run(request, core::iter::once(Input::Start).chain(rounds));
    assert_eq!(transcript.matches("connect #").count(), 10, "{transcript}");
    assert!(!transcript.contains("send #"), "{transcript}");
    assert!(
        transcript.ends_with("    end: no coordinator: c0 gone; c1 gone\n"),
        "{transcript}"
    );
}

#[test]
fn once_sent_the_request_is_pursued_until_the_deadline_and_never_reported_as_not_sent() {
    let request = Request::new(transfer(false), 1, 0);
    let rounds = (1..50).flat_map(|round| [lost(round), backoff(round)]);
    let inputs = [Input::Start, connected(1)].into_iter().chain(rounds);
    let transcript = run(request, inputs.chain([Input::Expired(Timer::Deadline)]));
    assert!(transcript.contains("set backoff 49"), "{transcript}");
    assert!(
        transcript.ends_with("    end: unknown: c0 gone\n"),
        "{transcript}"
    );
}

#[test]
fn a_question_is_asked_again_elsewhere() {
    let request = Request::new(Ask::Audit, 2, 0);
    expect(
        &run(
            request,
            [
                Input::Start,
                connected(1),
                lost(1),
                connected(2),
                answered(2, exact()),
            ],
        ),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 audit
        lost #1: gone
            cancel answer
            set connect
            connect #2 to c1
        connected #2
            cancel connect
            set answer
            send #2 audit
        answered #2: audit exact
            end: audit exact",
    );
}

#[test]
fn an_operators_word_goes_out_once_over_a_new_connection_and_a_lost_answer_is_reported() {
    let request = Request::new(resolve(), 2, 0);
    expect(
        &run(
            request,
            [Input::Start, lost(1), connected(2), lost(2), connected(3)],
        ),
        "
        start
            set deadline
            hang up
            set connect
            connect #1 to c0
        lost #1: gone
            cancel connect
            hang up
            set connect
            connect #2 to c1
        connected #2
            cancel connect
            send #2 resolve c-1-7 abort
        lost #2: gone
            end: unknown: c0 gone; c1 gone
        connected #3",
    );
}

#[test]
fn an_answer_to_another_question_counts_as_a_lost_one() {
    let request = Request::new(transfer(false), 1, 0);
    expect(
        &run(request, [Input::Start, connected(1), answered(1, exact())]),
        "
        start
            set deadline
            set connect
            connect #1 to c0
        connected #1
            cancel connect
            set answer
            send #1 submit 000000000000000000000000000000a1 N1/A:-10 N2/B:+10
        answered #1: audit exact
            hang up
            cancel answer
            set backoff 1",
    );
}

#[test]
fn a_failure_answers_every_question() {
    for ask in [transfer(false), Ask::Audit, Ask::Status, resolve()] {
        let failed = Answer::Failed("no".into());
        let transcript = run(
            Request::new(ask, 1, 0),
            [Input::Start, connected(1), answered(1, failed)],
        );
        assert!(transcript.ends_with("    end: failed no\n"), "{transcript}");
    }
}

/// Every input in every phase, for an ask of each kind. What is not listed changes nothing.
#[test]
fn the_table_of_all_phases_and_inputs() {
    let phases: [(&str, &[Input]); 5] = [
        ("new", &[]),
        ("connecting", &[Input::Start]),
        ("waiting", &[Input::Start, connected(1)]),
        ("pausing", &[Input::Start, lost(1)]),
        (
            "ended",
            &[
                Input::Start,
                connected(1),
                answered(1, Answer::Failed("no".into())),
            ],
        ),
    ];
    let inputs = [
        Input::Start,
        connected(1),
        connected(9),
        lost(1),
        lost(9),
        answered(1, committed()),
        answered(1, unknown()),
        answered(1, exact()),
        answered(9, committed()),
        Input::Expired(Timer::Connect),
        Input::Expired(Timer::Answer),
        backoff(1),
        backoff(9),
        Input::Expired(Timer::Deadline),
    ];
    let mut table = String::new();
    for (name, ask) in [
        ("submit", transfer(false)),
        ("audit", Ask::Audit),
        ("resolve", resolve()),
    ] {
        for (phase, before) in &phases {
            for input in &inputs {
                let mut request = Request::new(ask.clone(), 1, 0);
                for input in *before {
                    request.step(input.clone(), &mut Vec::new());
                }
                let (untouched, mut effects) = (request.clone(), Vec::new());
                request.step(input.clone(), &mut effects);
                assert_eq!(effects.is_empty(), request == untouched, "{name} {phase} {input}");
                if !effects.is_empty() {
                    let effects: Vec<String> = effects.iter().map(Effect::to_string).collect();
                    table += &format!("{name} {phase} | {input} | {}\n", effects.join(", "));
                }
            }
        }
    }
    assert_eq!(table, include_str!("table.txt"), "\n{table}");
}
