//! The client library over real sockets: when connections are shared, replaced, or bring replies in odd pieces.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::{
    Answer, Ask, BATCH_MAX, BalanceAnswer, Client, ClientConfig, Error, Order, Outcome, Pipeline, RequestId,
};
use faults::fired;
use protocol::codec;
use protocol::frame;
use protocol::hello::{Control, Hello};
use protocol::id::{StoreId, TxnId};
use protocol::message::{Call, Page, Reply};

const PATIENCE: Duration = Duration::from_secs(30);

/// A coordinator whose thread accepts exactly one connection for each entry of `connections`, and answers that many
/// calls on it before it closes it.
struct Coordinator {
    address: String,
    thread: JoinHandle<()>,
}

impl Coordinator {
    fn start(
        connections: Vec<usize>,
        mut serve: impl FnMut(&mut TcpStream, Vec<Call>) + Send + 'static,
    ) -> Coordinator {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            for calls in connections {
                let (mut stream, _) = listener.accept().unwrap();
                let hello = Hello::coordinator("local".parse().unwrap(), StoreId(0xc));
                write_body(&mut stream, &Control::Hello(hello).encode());
                read_body(&mut stream);
                let calls = read_calls(&mut stream, calls);
                serve(&mut stream, calls);
            }
        });
        Coordinator { address, thread }
    }

    /// One that answers every read with a balance of its own connection's number, from 1.
    fn numbering(connections: Vec<usize>) -> Coordinator {
        let mut number = 0;
        Coordinator::start(connections, move |stream, calls| {
            number += 1;
            for call in calls {
                reply(stream, call.id, Answer::Balance(BalanceAnswer::Is(number)));
            }
        })
    }

    fn config(&self) -> ClientConfig {
        ClientConfig {
            timeout: PATIENCE,
            ..ClientConfig::at([self.address.clone()])
        }
    }

    /// Waits for the script's end.
    fn join(self) {
        self.thread.join().unwrap();
    }
}

fn write_body(stream: &mut TcpStream, body: &[u8]) {
    let mut bytes = Vec::new();
    frame::write(body, &mut bytes);
    stream.write_all(&bytes).unwrap();
}

fn read_body(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; frame::HEADER_LEN];
    stream.read_exact(&mut bytes).unwrap();
    let len = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    bytes.resize(frame::HEADER_LEN + usize::try_from(len).unwrap(), 0);
    stream.read_exact(&mut bytes[frame::HEADER_LEN..]).unwrap();
    frame::read(&bytes).unwrap().unwrap().to_vec()
}

/// Reads frames until there are that many calls; the last one ends with its frame.
fn read_calls(stream: &mut TcpStream, count: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    while calls.len() < count {
        let body = read_body(stream);
        let mut rest = body.as_slice();
        while !rest.is_empty() {
            calls.push(codec::decode_next(&mut rest).unwrap());
        }
    }
    assert_eq!(calls.len(), count);
    calls
}

fn reply(stream: &mut TcpStream, id: u64, answer: Answer) {
    write_body(stream, &codec::encode(&Reply { id, answer }));
}

fn balance(client: &mut Client) -> i64 {
    match client.balance("N1/A".parse().unwrap()).unwrap() {
        BalanceAnswer::Is(balance) => balance,
        BalanceAnswer::InDoubt { .. } | BalanceAnswer::NoSuchAccount => panic!("not a number"),
    }
}

#[test]
fn a_client_without_a_coordinator_or_without_time_is_refused() {
    let nobody: [String; 0] = [];
    assert!(matches!(
        Client::new(ClientConfig::at(nobody)),
        Err(Error::Config(_))
    ));
    let timeless = ClientConfig {
        timeout: Duration::ZERO,
        ..ClientConfig::at(["127.0.0.1:5000"])
    };
    assert!(matches!(Client::new(timeless), Err(Error::Config(_))));
}

/// The coordinator ends each connection after its last answer, while the client is not looking.
#[test]
fn calls_share_a_connection_and_one_that_was_closed_meanwhile_is_replaced() {
    let coordinator = Coordinator::start(vec![1, 1], {
        let mut number = 0;
        move |stream, calls| {
            number += 1;
            reply(stream, calls[0].id, Answer::Balance(BalanceAnswer::Is(number)));
            if number == 1 {
                // A second call on the same connection.
                let call: Call = codec::decode(&read_body(stream)).unwrap();
                reply(stream, call.id, Answer::Balance(BalanceAnswer::Is(number)));
            }
        }
    });
    let mut client = Client::new(coordinator.config()).unwrap();
    assert_eq!(
        (balance(&mut client), balance(&mut client), balance(&mut client)),
        (1, 1, 2)
    );
    coordinator.join();
}

#[test]
fn the_coordinator_that_answered_last_is_asked_first() {
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let coordinator = Coordinator::numbering(vec![1, 1, 1]);
    let mut config = coordinator.config();
    config.coordinators.insert(0, away);
    let mut client = Client::new(config).unwrap();
    assert_eq!(
        (balance(&mut client), balance(&mut client), balance(&mut client)),
        (1, 2, 3)
    );
    coordinator.join();
}

#[test]
fn a_reply_arrives_in_single_bytes_and_a_long_one_in_many_reads() {
    let page = |accounts: usize| {
        let accounts = (0..accounts)
            .map(|number| (format!("{number:064}").parse().unwrap(), i64::MAX))
            .collect();
        Answer::Accounts(Page {
            accounts,
            more: false,
        })
    };
    fired("W9");
    let coordinator = Coordinator::start(vec![1, 1], {
        let mut small = true;
        move |stream, calls| {
            let answer = page(if small { 3 } else { 9_000 });
            let mut bytes = Vec::new();
            frame::write(
                &codec::encode(&Reply {
                    id: calls[0].id,
                    answer,
                }),
                &mut bytes,
            );
            if small {
                for byte in bytes {
                    stream.write_all(&[byte]).unwrap();
                }
            } else {
                assert!(bytes.len() > 600_000, "{} bytes", bytes.len());
                stream.write_all(&bytes).unwrap();
            }
            small = false;
        }
    });
    let mut client = Client::new(coordinator.config()).unwrap();
    assert_eq!(
        client
            .accounts("N1".parse().unwrap(), None)
            .unwrap()
            .accounts
            .len(),
        3
    );
    assert_eq!(
        client
            .accounts("N1".parse().unwrap(), None)
            .unwrap()
            .accounts
            .len(),
        9_000
    );
    coordinator.join();
}

#[test]
fn a_pipeline_keeps_many_calls_in_flight_and_tells_their_replies_apart() {
    const CALLS: usize = 10_000;
    let coordinator = Coordinator::start(vec![CALLS], |stream, calls| {
        let mut bytes = Vec::new();
        for call in calls.iter().rev() {
            let answer = Answer::Balance(BalanceAnswer::Is(i64::try_from(call.id).unwrap()));
            frame::write(&codec::encode(&Reply { id: call.id, answer }), &mut bytes);
        }
        stream.write_all(&bytes).unwrap();
    });
    fired("W9");
    let mut pipeline = Pipeline::connect(&coordinator.config()).unwrap();
    let ask = || Ask::Balance {
        place: "N1/A".parse().unwrap(),
        wait_ms: 0,
    };
    let mut sent: Vec<u64> = (0..CALLS).map(|_| pipeline.send(ask()).unwrap()).collect();
    assert_eq!(pipeline.in_flight(), CALLS);
    while let Some(expected) = sent.pop() {
        let (call, answer) = pipeline.receive(PATIENCE).unwrap().unwrap();
        assert_eq!(call, expected);
        assert_eq!(
            answer,
            Answer::Balance(BalanceAnswer::Is(i64::try_from(call).unwrap()))
        );
    }
    assert_eq!(pipeline.in_flight(), 0);
    coordinator.join();
    let error = pipeline.receive(PATIENCE).unwrap_err();
    assert!(matches!(error, Error::NoAnswer(_)), "{error:?}");
}

fn submit(request: u128, account: &str) -> Ask {
    let order = Order::transfer(
        format!("N1/{account}").parse().unwrap(),
        format!("N2/{account}").parse().unwrap(),
        "10".parse().unwrap(),
    );
    Ask::Submit {
        request: RequestId(request),
        repeated: false,
        order: order.unwrap(),
    }
}

#[test]
fn a_batch_leaves_in_one_frame_and_its_replies_come_back_in_as_many_as_the_coordinator_likes() {
    let (tell, told) = std::sync::mpsc::channel();
    let coordinator = Coordinator::start(vec![0], move |stream, _| {
        let body = read_body(stream);
        let (mut rest, mut calls) = (body.as_slice(), Vec::new());
        while !rest.is_empty() {
            calls.push(codec::decode_next::<Call>(&mut rest).unwrap());
        }
        for part in calls.chunks(3_000) {
            let mut body = Vec::new();
            for call in part {
                let (id, answer) = (call.id, Answer::Done(call.id.to_string()));
                codec::encode_into(&Reply { id, answer }, &mut body);
            }
            write_body(stream, &body);
        }
        tell.send(calls).unwrap();
    });
    let batch: Vec<Ask> = (0..BATCH_MAX as u128).map(|n| submit(n, "A")).collect();
    let mut pipeline = Pipeline::connect(&coordinator.config()).unwrap();
    let numbers = pipeline.send_batch(&batch).unwrap();
    assert_eq!(pipeline.in_flight(), BATCH_MAX);
    for number in numbers {
        let received = pipeline.receive(PATIENCE).unwrap().unwrap();
        assert_eq!(received, (number, Answer::Done(number.to_string())));
    }
    assert_eq!(pipeline.in_flight(), 0);
    let asks: Vec<Ask> = told.recv().unwrap().into_iter().map(|call| call.ask).collect();
    assert_eq!(asks, batch);
    coordinator.join();
}

#[test]
fn a_batch_too_long_for_a_frame_leaves_in_several() {
    let long = "A".repeat(64);
    let batch: Vec<Ask> = (0..BATCH_MAX as u128)
        .map(|n| submit(u128::MAX - n, &long))
        .collect();
    let coordinator = Coordinator::start(vec![BATCH_MAX], |stream, calls| {
        let last = calls.last().unwrap();
        reply(stream, last.id, Answer::Done(last.ask.to_string()));
    });
    let mut pipeline = Pipeline::connect(&coordinator.config()).unwrap();
    let numbers = pipeline.send_batch(&batch).unwrap();
    let (number, answer) = pipeline.receive(PATIENCE).unwrap().unwrap();
    assert_eq!(number, numbers.end - 1);
    assert_eq!(answer, Answer::Done(batch.last().unwrap().to_string()));
    coordinator.join();
}

#[test]
fn a_request_that_stands_in_a_batch_twice_is_marked_as_repeated_the_second_time() {
    let (tell, told) = std::sync::mpsc::channel();
    let coordinator = Coordinator::start(vec![4], move |_, calls| {
        let marks = calls
            .iter()
            .map(|call| matches!(call.ask, Ask::Submit { repeated: true, .. }));
        tell.send(marks.collect::<Vec<bool>>()).unwrap();
    });
    fired("I8");
    let mut pipeline = Pipeline::connect(&coordinator.config()).unwrap();
    let batch = [submit(1, "A"), submit(2, "A"), submit(1, "A"), submit(1, "B")];
    pipeline.send_batch(&batch).unwrap();
    pipeline.flush().unwrap();
    assert_eq!(told.recv().unwrap(), [false, false, true, true]);
    coordinator.join();
}

#[test]
fn a_pipeline_waits_no_longer_than_it_is_told() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let coordinator = Coordinator::start(vec![1], move |stream, calls| {
        wait.recv().unwrap();
        reply(stream, calls[0].id, Answer::Done("late".to_owned()));
    });
    let mut pipeline = Pipeline::connect(&coordinator.config()).unwrap();
    let call = pipeline.send(Ask::Audit).unwrap();
    assert_eq!(pipeline.receive(Duration::from_millis(1)).unwrap(), None);
    assert_eq!(pipeline.in_flight(), 1);
    go.send(()).unwrap();
    let received = pipeline.receive(PATIENCE).unwrap();
    assert_eq!(received, Some((call, Answer::Done("late".to_owned()))));
    coordinator.join();
}

#[test]
fn a_pipeline_names_every_coordinator_that_it_cannot_reach() {
    let away = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string()
    };
    let (one, two) = (away(), away());
    let error = Pipeline::connect(&ClientConfig::at([one.clone(), two.clone()])).unwrap_err();
    assert_eq!(
        error,
        Error::NoCoordinator(format!(
            "{one}: nothing listens there; {two}: nothing listens there"
        ))
    );
}

/// At every byte of the answer the client knows that it knows nothing, and asks again under the same id.
#[test]
fn an_answer_that_breaks_off_anywhere_is_asked_for_again() {
    let committed = || {
        Answer::Outcome(Outcome::Committed {
            txn: TxnId::new(StoreId(0xc), 1, 7),
        })
    };
    let whole = move |id| {
        let mut bytes = Vec::new();
        frame::write(
            &codec::encode(&Reply {
                id,
                answer: committed(),
            }),
            &mut bytes,
        );
        bytes
    };
    let order = Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        "1".parse().unwrap(),
    )
    .unwrap();
    // A client of its own for each cut: its calls are numbered from the start.
    for cut in 0..whole(1).len() {
        let (tell, told) = std::sync::mpsc::channel();
        let mut first = true;
        let coordinator = Coordinator::start(vec![1, 1], move |stream, calls| {
            let bytes = whole(calls[0].id);
            stream
                .write_all(if first { &bytes[..cut] } else { &bytes })
                .unwrap();
            first = false;
            tell.send(calls[0].ask.clone()).unwrap();
        });
        let mut client = Client::new(coordinator.config()).unwrap();
        let submission = client.submit(None, order.clone()).unwrap();
        fired("W8");
        assert!(
            matches!(submission.outcome, Outcome::Committed { .. }),
            "cut at {cut}"
        );
        coordinator.join();
        let again = |repeated| Ask::Submit {
            request: submission.request,
            repeated,
            order: order.clone(),
        };
        assert_eq!(
            told.iter().collect::<Vec<_>>(),
            [again(false), again(true)],
            "cut at {cut}"
        );
    }
}
