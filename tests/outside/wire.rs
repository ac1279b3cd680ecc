//! Bytes on the ports that no well-behaved program sends: the connection ends, with a reason where the other side can
//! read one, and everybody else goes on as before.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use client::{Answer, Ask, Order, Outcome, Target, fresh_request_id};
use faults::fired;
use protocol::hello::{Control, Hello, Refused, VERSIONS, Versions};
use protocol::id::{ClusterName, StoreId};
use protocol::message::{Call, Reply, ToNode};
use protocol::{codec, frame};

use crate::world::{PATIENCE, World, node};

#[test]
fn a_json_cluster_shrugs_off_bad_bytes() {
    bad_bytes("json");
}

#[test]
fn a_sled_cluster_shrugs_off_bad_bytes() {
    bad_bytes("sled");
}

fn bad_bytes(store: &str) {
    let mut world = World::start(store);
    let before = world.snapshot();
    let coordinator = world.cluster.address(Target::Coordinator);
    let n1 = world.cluster.address(node("N1"));
    // These end by a time limit; the others take their turn meanwhile.
    let mute = [Line::open(&coordinator), Line::open(&n1)];
    fired("X3");
    let mut slow = Line::open(&coordinator);
    slow.say(&framed(&hello(|_| {})));
    slow.say(&framed(&call(Ask::Status))[..9]);
    fired("X3");

    for port in [&coordinator, &n1] {
        broken_frames(port);
    }
    strangers_at_the_coordinator(&coordinator);
    strangers_at_a_node(&n1);
    world.unharmed(&before);
    one_byte_at_a_time(&coordinator);
    world.run("balance N1/A").prints(&["999"]);
    world.run("transfer N2/B N1/A 1").prints(&[]);

    for line in mute {
        line.ends(None);
    }
    slow.ends(None);
    world.unharmed(&before);
    world.works_and_stops();
}

/// What no greeting can begin with, and what is cut short.
fn broken_frames(port: &str) {
    let good = framed(&hello(|_| {}));
    let stranger = Some("does not speak its protocol");
    let send = |bytes: &[u8], why: Option<&str>| {
        let mut line = Line::open(port);
        line.say(bytes);
        fired("I11");
        line.ends(why);
    };
    send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None);
    send(&[0xff; 4096], None);
    send(&[0; 4096], None);
    send(&noise(200_000), None);
    // Announced lengths, with nothing behind them: refused at once, not waited for.
    for len in [0, u32::MAX, 1024 * 1024 + 1] {
        let mut header = len.to_le_bytes().to_vec();
        header.extend([0; 4]);
        send(&header, None);
    }
    send(&framed(b"hello, is this the bank?"), stranger);
    send(&framed(b"\xff2PNX\x00"), stranger);
    send(&framed(b"\xff2PNC"), Some("no kind"));
    send(&framed(b"\xff2PNC\x09"), Some("unknown kind 9"));
    send(&framed(b"\xff2PNC\x00\x01"), Some("without versions"));
    send(&framed(&Control::Ping.encode()), Some("ping before the hello"));
    send(
        &framed(&Control::Refused(Refused("no, you go".to_owned())).encode()),
        None,
    );
    for bit in [0, 7 * 8, 4 * 8, good.len() * 8 - 1] {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut line = Line::open(port);
        line.say(&flipped);
        fired("W10");
        // A length that grew by a flipped bit leaves it waiting for the rest.
        line.finish();
        line.ends(None);
    }
    for len in [0, 1, 3, 4, 7, 8, 9, good.len() - 1] {
        let mut line = Line::open(port);
        line.say(&good[..len]);
        line.finish();
        fired("W8");
        line.ends(None);
    }
    let mut longer = Control::Hello(Hello::client(local())).encode();
    longer.push(0);
    send(&framed(&longer), Some("after the end of the value"));
    let version = |versions| framed(&hello(|hello| hello.versions = versions));
    send(
        &version(Versions { min: 2, max: 9 }),
        Some("no common wire version"),
    );
    send(
        &version(Versions { min: 0, max: 0 }),
        Some("no common wire version"),
    );
    fired("P16");
    let stranger = Hello::client("elsewhere".parse().unwrap());
    send(
        &framed(&Control::Hello(stranger).encode()),
        Some("belongs to cluster local, not to elsewhere"),
    );
}

fn strangers_at_the_coordinator(port: &str) {
    let store = StoreId(0x1234);
    let greeted = |greeting: &Hello, message: Option<Vec<u8>>, why: Option<&str>| {
        let mut line = Line::open(port);
        line.say(&framed(&Control::Hello(greeting.clone()).encode()));
        if let Some(message) = message {
            line.say(&framed(&message));
        }
        line.ends(why);
    };
    let client = Hello::client(local());
    let a_node = Hello::node(local(), store, "N1".parse().unwrap());
    greeted(&a_node, None, Some("a node does not talk to a coordinator here"));
    let other = Hello::coordinator(local(), store);
    greeted(
        &other,
        None,
        Some("a coordinator does not talk to a coordinator here"),
    );
    greeted(
        &client.clone().expecting("N1".parse().unwrap()),
        None,
        Some("not node N1"),
    );
    greeted(&client, Some(codec::encode(&join())), Some("cannot decode"));
    fired("I11");
    greeted(&client, Some(vec![1, 2, 3, 0xfe]), Some("cannot decode"));
    greeted(&client, Some(hello(|_| {})), Some("a second hello"));
    let mut trailing = call(Ask::Status);
    trailing.push(0);
    greeted(&client, Some(trailing), Some("cannot decode"));
    // A checksum that is right for a body that announces 2^64 legs: nothing is allocated for them.
    let mut legs = codec::encode(&7_u64);
    legs.extend([0, 0xfd]);
    legs.extend([0xff; 8]);
    greeted(&client, Some(legs), Some("cannot decode"));
    // Vanishing with a question open is no reason to stumble.
    for _ in 0..20 {
        let mut line = Line::open(port);
        line.say(&framed(&Control::Hello(client.clone()).encode()));
        line.say(&framed(&call(Ask::Audit)));
        drop(line);
        fired("W8");
    }
}

fn strangers_at_a_node(port: &str) {
    let store = StoreId(0x1234);
    let greeted = |greeting: &Hello, message: Option<Vec<u8>>, why: Option<&str>| {
        let mut line = Line::open(port);
        line.say(&framed(&Control::Hello(greeting.clone()).encode()));
        if let Some(message) = message {
            line.say(&framed(&message));
        }
        line.ends(why);
    };
    greeted(
        &Hello::client(local()),
        None,
        Some("clients talk to the coordinator"),
    );
    let a_node = Hello::node(local(), store, "N2".parse().unwrap());
    greeted(&a_node, None, Some("a node does not talk to a node here"));
    let coordinator = Hello::coordinator(local(), store);
    let lost = coordinator.clone().expecting("N2".parse().unwrap());
    greeted(&lost, None, Some("this is node N1, not node N2"));
    fired("W11");
    let mut trailing = codec::encode(&join());
    trailing.push(0);
    greeted(&coordinator, Some(trailing), Some("cannot decode"));
    greeted(&coordinator, Some(vec![0xfe; 40]), Some("cannot decode"));
    fired("I11");
}

/// The shortest writes there are: nothing may depend on how bytes come in.
fn one_byte_at_a_time(port: &str) {
    let order = Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        "1".parse().unwrap(),
    );
    let submit = Ask::Submit {
        request: fresh_request_id(),
        repeated: false,
        order: order.unwrap(),
    };
    fired("W9");
    let mut line = Line::open(port);
    for message in [hello(|_| {}), call(submit)] {
        for byte in framed(&message) {
            line.say(&[byte]);
        }
    }
    let reply: Reply = codec::decode(&line.next_message()).unwrap();
    assert_eq!(reply.id, 7);
    assert!(
        matches!(reply.answer, Answer::Outcome(Outcome::Committed { .. })),
        "{reply:?}"
    );
}

fn local() -> ClusterName {
    "local".parse().unwrap()
}

fn hello(change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let mut hello = Hello::client(local());
    assert_eq!(hello.versions, VERSIONS);
    change(&mut hello);
    Control::Hello(hello).encode()
}

fn call(ask: Ask) -> Vec<u8> {
    codec::encode(&Call { id: 7, ask })
}

fn join() -> ToNode {
    ToNode::Join {
        epoch: 1,
        incarnation: 9,
        durable: 1,
        history: Vec::new(),
        proved: None,
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(body, &mut bytes);
    bytes
}

/// The same bytes every time, like none of ours.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// One raw connection.
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
    at: usize,
}

impl Line {
    fn open(address: &str) -> Line {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line {
            stream,
            received: Vec::new(),
            at: 0,
        }
    }

    /// Says it, unless the other side has heard enough already.
    fn say(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error) if gone(&error) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Says that nothing more will come.
    fn finish(&mut self) {
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => {}
            Err(error) if gone(&error) || error.kind() == io::ErrorKind::NotConnected => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// The next frame's body, if another one comes before the end.
    fn next(&mut self) -> Option<Vec<u8>> {
        let began = Instant::now();
        loop {
            if let Some(body) = frame::read(&self.received[self.at..]).expect("whole frames come back") {
                let body = body.to_vec();
                self.at += frame::HEADER_LEN + body.len();
                return Some(body);
            }
            assert!(began.elapsed() < PATIENCE, "it neither answers nor closes");
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(len) => self.received.extend_from_slice(&bytes[..len]),
                Err(error) if gone(&error) => return None,
                Err(error) => panic!("it neither answers nor closes: {error}"),
            }
        }
    }

    fn next_message(&mut self) -> Vec<u8> {
        loop {
            let body = self.next().expect("an answer");
            if !Control::is_control(&body) {
                return body;
            }
        }
    }

    /// The other side closes; if `why` is given, after a refusal that contains it.
    #[track_caller]
    fn ends(mut self, why: Option<&str>) {
        self.stream
            .set_read_timeout(Some(PATIENCE.min(Duration::from_secs(20))))
            .unwrap();
        let ours = Hello::client(local());
        let mut refusal = None;
        while let Some(body) = self.next() {
            match Control::decode(&body, &ours).expect("only control frames come back") {
                Control::Refused(Refused(text)) => refusal = Some(text),
                Control::Hello(_) | Control::Ping => {}
            }
        }
        if let Some(why) = why {
            let refusal = refusal.unwrap_or_else(|| panic!("closed without a word, not with {why:?}"));
            assert!(
                refusal.contains(why),
                "refused with {refusal:?}, not with {why:?}"
            );
        }
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
