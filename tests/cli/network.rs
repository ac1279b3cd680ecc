//! Coordinators that are away, die, fall silent, or are something else.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use faults::fired;
use protocol::hello::{Control, Hello, Refused};
use protocol::id::{StoreId, TxnId};
use protocol::message::{Answer, Outcome};

use crate::fake::{Act, Fake, Greeting};
use crate::pay::submitted;
use crate::run::{ask, twopence};

/// An address where nothing listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn committed() -> Answer {
    Answer::Outcome(Outcome::Committed {
        txn: TxnId::new(StoreId(0xc), 1, 7),
    })
}

#[test]
fn nothing_listening_exits_with_7_says_that_nothing_was_sent_and_does_not_wait_for_long() {
    let (nobody, begun) = (nobody(), Instant::now());
    let run = twopence(&format!(
        "transfer N1/A N2/B 10 --coord {nobody} --timeout-ms 60000"
    ));
    run.is(
        7,
        "TRANSFER_RESULT(success=false, reason=no_coordinator)\n",
        &format!(
            "No coordinator can be reached ({nobody}: nothing listens there); nothing was sent. No money moved. Start one \
             with `twopence up`, or name a running one with --coord HOST:PORT, then try again.\n"
        ),
    );
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn nothing_listening_leaves_the_outcome_of_an_earlier_send_unknown() {
    let run = twopence(&format!(
        "transfer N1/A N2/B 10 --request-id a1 --coord {}",
        nobody()
    ));
    assert_eq!(run.code, 7, "{run:?}");
    assert!(
        run.stdout
            .starts_with("TRANSFER_RESULT(success=unknown, reason=no_coordinator, "),
        "{run:?}"
    );
    assert!(
        run.stderr
            .contains("--request-id 000000000000000000000000000000a1"),
        "{run:?}"
    );
}

#[test]
fn a_coordinator_that_dies_after_reading_is_replaced_under_the_same_id() {
    let first = Fake::start(|_| Act::HangUp);
    let second = Fake::answering(committed());
    let run = twopence(&format!(
        "transfer N1/A N2/B 10 --coord {},{}",
        first.address(),
        second.address()
    ));
    assert_eq!(run.code, 0, "{run:?}");
    fired("P11");
    let one: Vec<_> = first.asks().into_iter().map(submitted).collect();
    let two: Vec<_> = second.asks().into_iter().map(submitted).collect();
    assert_eq!((one.len(), two.len()), (1, 1));
    assert_eq!((one[0].0, &one[0].2), (two[0].0, &two[0].2), "the same request");
    assert_eq!(
        (one[0].1, two[0].1),
        (false, true),
        "the second send says that it is one"
    );
}

#[test]
fn a_coordinator_that_is_away_is_skipped() {
    let fake = Fake::answering(committed());
    let run = twopence(&format!(
        "transfer N1/A N2/B 10 --coord {},{}",
        nobody(),
        fake.address()
    ));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!submitted(fake.asks().remove(0)).1, "it is the first send");
}

#[test]
fn silence_and_a_lost_connection_exit_with_6() {
    let acts: [fn() -> Act; 3] = [|| Act::Ignore, || Act::HangUp, || Act::Garbage];
    for act in acts {
        let fake = Fake::start(move |_| act());
        let run = ask(&fake, "transfer N1/A N2/B 10 --timeout-ms 1500");
        fired("W1");
        assert_eq!(run.code, 6, "{run:?}");
        assert!(
            run.stdout
                .starts_with("TRANSFER_RESULT(success=unknown, request_id="),
            "{run:?}"
        );
        assert!(run.stderr.starts_with("Outcome unknown: COORD: "), "{run:?}");
        assert!(
            run.stderr
                .contains("twopence transfer N1/A N2/B 10 --coord COORD --request-id "),
            "{run:?}"
        );
        let repeated: Vec<bool> = fake.asks().into_iter().map(|ask| submitted(ask).1).collect();
        assert!(repeated.len() >= 2, "it is tried again: {repeated:?}");
        assert!(
            repeated.iter().skip(1).all(|repeated| *repeated) && !repeated[0],
            "{repeated:?}"
        );
    }
}

#[test]
fn whoever_is_no_coordinator_of_ours_is_named_and_nothing_is_sent_to_it() {
    let local = || "local".parse().unwrap();
    let refused = |text: &str| Greeting::Control(Control::Refused(Refused(text.to_owned())));
    let cases = [
        (
            Greeting::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "it does not speak our protocol: frame of 1347703880 bytes",
        ),
        (
            refused("too many connections: try again later"),
            "too many connections: try again later",
        ),
        (
            Greeting::Control(Control::Hello(Hello::coordinator(
                "test".parse().unwrap(),
                StoreId(0xc),
            ))),
            "coordinator c belongs to cluster test, not to local: check the address and --cluster",
        ),
        (
            Greeting::Control(Control::Hello(Hello::node(
                local(),
                StoreId(1),
                "N1".parse().unwrap(),
            ))),
            "that is node N1: clients talk to the coordinator",
        ),
    ];
    for (greeting, why) in cases {
        let fake = Fake::greeting(greeting, |_| Act::HangUp);
        let run = ask(&fake, "transfer N1/A N2/B 10");
        assert_eq!(run.code, 7, "{run:?}");
        fired("W11");
        assert!(run.stderr.contains(&format!("COORD: {why}")), "{run:?}");
        assert!(fake.asks().is_empty(), "nothing is sent");
    }
}

#[test]
fn a_question_without_an_answer_exits_with_6() {
    let fake = Fake::start(|_| Act::Ignore);
    let run = ask(&fake, "balance N1/A --timeout-ms 1500");
    assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{run:?}");
    assert!(
        run.stderr
            .starts_with("No answer (COORD: no answer in time). It was only a question"),
        "{run:?}"
    );
}
