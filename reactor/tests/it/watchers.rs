//! Those who look on: they see what happens, and nobody has to wait for them but at the gate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::codec;
use protocol::hello::{Control, Hello};
use protocol::id::{StoreId, TxnId};
use protocol::message::watch::{Holding, Seen, Sight, Told, WatchAnswer, WatchAsk};
use reactor::{Config, Limits};

use crate::toy::{self, Server};
use crate::wire::{Came, Wire, eventually, framed, said};

fn server() -> Server {
    Server::start(toy::for_clients(Limits::default()))
}

fn txn(sequence: u64) -> TxnId {
    TxnId::new(StoreId(0xc), 1, sequence)
}

/// Somebody who looks on.
struct Watcher {
    wire: Wire,
    /// What came in frames that were read already.
    told: VecDeque<Told>,
}

impl Watcher {
    fn connect(address: SocketAddr) -> Watcher {
        let mut wire = Wire::connect(address);
        wire.control(Control::Hello(Hello::watcher(toy::cluster())));
        assert!(matches!(wire.next_body(), Came::Control(Control::Hello(_))));
        let told = VecDeque::new();
        Watcher { wire, told }
    }

    fn say(&mut self, ask: &WatchAsk) {
        self.wire.raw(&framed(&codec::encode(ask)));
    }

    fn next(&mut self) -> Told {
        while self.told.is_empty() {
            let Came::Body(body) = self.wire.next_body() else {
                panic!("the server hangs up on a watcher");
            };
            let mut rest = body.as_slice();
            while !rest.is_empty() {
                self.told.push_back(codec::decode_next(&mut rest).unwrap());
            }
        }
        self.told.pop_front().unwrap()
    }

    /// Asks, and skips what is seen until the answer comes.
    fn ask(&mut self, ask: &WatchAsk) -> WatchAnswer {
        self.say(ask);
        loop {
            if let Told::Answer(answer) = self.next() {
                return *answer;
            }
        }
    }

    fn follow(&mut self, replay: bool) {
        let answer = self.ask(&WatchAsk::Follow { replay });
        assert_eq!(answer, WatchAnswer::Following { every: 1 });
    }

    fn gate(&mut self, ask: &WatchAsk) -> Holding {
        let WatchAnswer::Holding(holding) = self.ask(ask) else {
            panic!("not what was asked for");
        };
        holding
    }

    fn seen(&mut self) -> Seen {
        match self.next() {
            Told::Seen(seen) => seen,
            Told::Answer(answer) => panic!("nobody asked: {answer:?}"),
        }
    }

    /// The next sight, in short.
    fn sight(&mut self) -> String {
        loop {
            if let Seen::Sight(sighting) = self.seen() {
                let forced = matches!(sighting.what, Sight::Recorded { forced: true, .. });
                let forced = if forced { " (forced)" } else { "" };
                return format!("{} {}{forced}", sighting.what.word(), sighting.what.line());
            }
        }
    }
}

#[test]
fn a_watcher_sees_a_transaction_from_its_message_to_its_answer() {
    let server = server();
    let mut client = Wire::client(server.address());
    client.ask("write t1");
    let mut watcher = Watcher::connect(server.address());
    watcher.follow(false);
    client.ask("echo of no transaction");
    assert_eq!(client.ask("write t2"), "write t2 is record 3");
    let seen = [
        "received write t2",
        "recorded write t2 (forced)",
        "synced ",
        "sent write t2 is record 3",
    ];
    for expected in seen {
        assert_eq!(watcher.sight(), expected);
    }
    // Another one who comes late is told what is still there.
    let mut late = Watcher::connect(server.address());
    late.follow(true);
    assert_eq!(late.sight(), "received write t1");
    let WatchAnswer::Recalled(about) = late.ask(&WatchAsk::Recall(txn(2))) else {
        panic!("not what was asked for");
    };
    assert_eq!(
        about.iter().map(|sighting| sighting.n).collect::<Vec<_>>(),
        [5, 6, 7, 8]
    );
    assert_eq!(
        late.ask(&WatchAsk::Recall(txn(9))),
        WatchAnswer::Recalled(Vec::new())
    );
}

#[test]
fn what_happens_is_counted() {
    let server = server();
    let mut client = Wire::client(server.address());
    for request in ["write t1", "write t2", "echo t3"] {
        client.ask(request);
    }
    let WatchAnswer::Numbers(numbers) = Watcher::connect(server.address()).ask(&WatchAsk::Numbers) else {
        panic!("not what was asked for");
    };
    assert_eq!((numbers.committed, numbers.decisions.count()), (2, 2));
    // The toy writes one record at its start.
    assert_eq!(numbers.syncs.count(), 3);
    assert!(numbers.traffic.frames_in >= 4 && numbers.traffic.accepted == 2);
}

#[test]
fn a_watcher_is_no_client_and_what_it_cannot_say_is_refused() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    // The machine has not heard of it.
    assert_eq!(client.ask("state"), "open 0 room true gone 0");
    watcher.wire.raw(&framed(b"\xfe\x01\x02"));
    assert!(watcher.wire.refusal().contains("cannot decode"));
    assert_eq!(client.ask("state"), "open 0 room true gone 0");
    assert!(server.log().iter().all(|line| !line.contains("watcher")));
}

#[test]
fn so_many_may_watch_and_one_more_is_told_to_come_back() {
    let server = server();
    let mut watchers: Vec<Watcher> = (0..16).map(|_| Watcher::connect(server.address())).collect();
    for watcher in &mut watchers {
        watcher.follow(false);
    }
    let mut one_more = Watcher::connect(server.address());
    assert!(one_more.wire.refusal().contains("busy"));
    watchers.pop();
    eventually("there is room again", || {
        let mut next = Watcher::connect(server.address());
        next.say(&WatchAsk::Nodes);
        !matches!(next.wire.next_body(), Came::Control(_) | Came::End)
    });
}

#[test]
fn a_watcher_that_does_not_read_stops_nobody_and_hears_how_much_it_lost() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    watcher.follow(false);
    let long = "x".repeat(400);
    // More than the ring, the queue and the kernel's buffers hold together; the sampling keeps what comes before.
    let mut numbers = 0;
    while numbers < 60_000 {
        let requests: Vec<u8> = (0..500).flat_map(|_| said(&format!("echo t0 {long}"))).collect();
        client.raw(&requests);
        for _ in 0..500 {
            assert!(client.text().starts_with("echo t0 "));
        }
        numbers += 1000;
    }
    let (mut told, mut lost) = (0, 0);
    while told + lost < numbers {
        match watcher.seen() {
            Seen::Sight(sighting) => {
                told += 1;
                assert_eq!(
                    sighting.n,
                    told + lost,
                    "sights come in order, and what lacks was told"
                );
            }
            Seen::Dropped(count) => lost += count,
            Seen::Sampling { .. } | Seen::Holding(_) => {}
        }
    }
    assert!(lost > 0 && told > 0, "{told} told, {lost} lost");
    let WatchAnswer::Numbers(numbers) = watcher.ask(&WatchAsk::Numbers) else {
        panic!("not what was asked for");
    };
    assert_eq!(numbers.dropped, lost);
}

#[test]
fn at_a_closed_gate_messages_about_transactions_wait_and_time_stands_still() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    assert!(watcher.gate(&WatchAsk::Gate(true)).closed);
    client.raw(&[said("write t1"), said("echo t2"), said("write no-transaction")].concat());
    assert_eq!(client.text(), "write no-transaction is record 3", "it passes");
    let holding = watcher.gate(&WatchAsk::Gate(true));
    let lines =
        |holding: &Holding| -> Vec<String> { holding.first.iter().map(|held| held.to_string()).collect() };
    assert_eq!(
        lines(&holding),
        ["c → client write t1 is record 2", "c → client echo t2"]
    );
    // A timer that is due long before everything else, had its clock not stopped.
    client.say("after 0");
    assert_eq!(client.ask("echo is no timer"), "echo is no timer");
    assert_eq!(watcher.gate(&WatchAsk::Step).waiting, 1);
    assert_eq!(client.text(), "write t1 is record 2");
    assert_eq!(client.ask("echo still no timer"), "echo still no timer");
    assert!(!watcher.gate(&WatchAsk::Gate(false)).closed);
    assert_eq!(client.text(), "echo t2");
    assert_eq!(client.text(), "fired 0");
}

#[test]
fn two_answers_that_read_alike_both_wait_at_the_gate_and_both_arrive() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    assert!(watcher.gate(&WatchAsk::Gate(true)).closed);
    client.raw(&[said("echo t2"), said("echo t2"), said("echo passes")].concat());
    assert_eq!(client.text(), "echo passes");
    assert_eq!(watcher.gate(&WatchAsk::Step).waiting, 1);
    assert_eq!(client.text(), "echo t2");
    assert!(!watcher.gate(&WatchAsk::Gate(false)).closed);
    assert_eq!(client.text(), "echo t2");
}

#[test]
fn time_that_passes_while_something_waits_does_not_count() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    watcher.gate(&WatchAsk::Gate(true));
    client.say("echo t1");
    while watcher.gate(&WatchAsk::Gate(true)).waiting == 0 {}
    let begin = Instant::now();
    client.say("after 400");
    server.shared.sync_takes_ms.store(300, Ordering::SeqCst);
    assert_eq!(
        client.ask("write no-transaction"),
        "write no-transaction is record 2"
    );
    watcher.gate(&WatchAsk::Gate(false));
    assert_eq!(
        (client.text(), client.text()),
        ("echo t1".to_owned(), "fired 400".to_owned())
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn the_gate_is_one_watchers_and_opens_when_that_one_goes() {
    let server = server();
    let mut client = Wire::client(server.address());
    let mut watcher = Watcher::connect(server.address());
    let mut other = Watcher::connect(server.address());
    other.follow(false);
    assert!(watcher.gate(&WatchAsk::Gate(true)).closed);
    for ask in [WatchAsk::Gate(true), WatchAsk::Gate(false), WatchAsk::Step] {
        assert!(matches!(other.ask(&ask), WatchAnswer::Cannot(_)), "{ask:?}");
    }
    client.say("echo t1");
    // Whoever follows sees it wait.
    while other.sight() != "held echo t1" {}
    drop(watcher);
    assert_eq!(client.text(), "echo t1");
    while other.sight() != "sent echo t1" {}
    let closed = other.gate(&WatchAsk::Gate(true));
    assert!(closed.closed && closed.waiting == 0);
}

#[test]
fn a_node_has_no_gate_and_a_coordinator_tells_where_its_nodes_are() {
    let mut config: Config = toy::for_coordinators(Limits::default());
    config
        .listen
        .as_mut()
        .unwrap()
        .accepts
        .push(protocol::hello::Role::Watcher);
    let node = Server::start(config);
    let refused = Watcher::connect(node.address()).ask(&WatchAsk::Gate(true));
    assert!(matches!(refused, WatchAnswer::Cannot(_)));
    let mut config = toy::for_clients(Limits::default());
    config.links = toy::dialling(node.address(), Limits::default()).links;
    let coordinator = Server::start(config);
    let nodes = Watcher::connect(coordinator.address()).ask(&WatchAsk::Nodes);
    assert_eq!(
        nodes,
        WatchAnswer::Nodes(vec![(toy::n1(), node.address().to_string())])
    );
}

#[test]
fn whoever_may_only_look_on_cannot_hold_messages_up() {
    let mut config = toy::for_clients(Limits::default());
    config.gate = false;
    let server = Server::start(config);
    for ask in [WatchAsk::Gate(true), WatchAsk::Step, WatchAsk::Gate(false)] {
        let refused = Watcher::connect(server.address()).ask(&ask);
        assert!(
            matches!(&refused, WatchAnswer::Cannot(why) if why.contains("--enable-failpoints")),
            "{refused:?}"
        );
    }
}
