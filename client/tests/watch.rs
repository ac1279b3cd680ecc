//! A watch over real sockets: what comes by itself and what is answered are told apart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use client::{Error, Party, Seen, Sight, Sighting, Watch};
use protocol::codec;
use protocol::frame;
use protocol::hello::{Control, Hello};
use protocol::id::{StoreId, TxnId};
use protocol::message::watch::{Told, WatchAnswer, WatchAsk};

const PATIENCE: Duration = Duration::from_secs(30);

fn sighting(n: u64) -> Sighting {
    Sighting {
        n,
        at_us: 1,
        txn: TxnId::new(StoreId(0xc), 1, 7),
        what: Sight::Synced {
            through: n,
            took_us: 2,
        },
    }
}

/// A node that takes one watcher, and tells it `told` after each question.
fn node(told: Vec<Vec<Told>>) -> (String, thread::JoinHandle<Vec<WatchAsk>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut body = || {
            let mut header = [0; frame::HEADER_LEN];
            stream.read_exact(&mut header).unwrap();
            let len = u32::from_le_bytes(header[..4].try_into().unwrap());
            let mut body = vec![0; usize::try_from(len).unwrap()];
            stream.read_exact(&mut body).unwrap();
            (body, stream.try_clone().unwrap())
        };
        let say = |stream: &mut std::net::TcpStream, body: &[u8]| {
            let mut bytes = Vec::new();
            frame::write(body, &mut bytes);
            stream.write_all(&bytes).unwrap();
        };
        let ours = Hello::node("local".parse().unwrap(), StoreId(1), "N1".parse().unwrap());
        let (theirs, mut out) = body();
        assert!(matches!(Control::decode(&theirs, &ours), Ok(Control::Hello(_))));
        say(&mut out, &Control::Hello(ours).encode());
        let mut asked = Vec::new();
        for told in told {
            asked.push(codec::decode(&body().0).unwrap());
            let joined: Vec<u8> = told.iter().flat_map(codec::encode).collect();
            say(&mut out, &joined);
        }
        asked
    });
    (address, serving)
}

fn answer(answer: WatchAnswer) -> Told {
    Told::Answer(Box::new(answer))
}

#[test]
fn what_is_seen_while_an_answer_is_awaited_is_told_afterwards_in_order() {
    let seen = |n| Told::Seen(Seen::Sight(sighting(n)));
    let (address, serving) = node(vec![
        vec![answer(WatchAnswer::Following { every: 4 }), seen(1)],
        vec![
            seen(2),
            Told::Seen(Seen::Dropped(9)),
            answer(WatchAnswer::Recalled(vec![sighting(1)])),
            seen(12),
        ],
        vec![answer(WatchAnswer::Cannot("not here".to_owned()))],
    ]);
    let mut watch = Watch::connect(&address, &"local".parse().unwrap(), PATIENCE).unwrap();
    assert_eq!(watch.party(), Party::Node("N1".parse().unwrap()));
    watch.follow(false).unwrap();
    assert_eq!(watch.recall(sighting(1).txn).unwrap(), [sighting(1)]);
    assert_eq!(watch.gate(true), Err(Error::Failed("not here".to_owned())));
    let mut told = Vec::new();
    while told.len() < 5 {
        told.push(watch.next(PATIENCE).unwrap().unwrap());
    }
    let sight = |n| Seen::Sight(sighting(n));
    assert_eq!(
        told,
        [
            Seen::Sampling { every: 4 },
            sight(1),
            sight(2),
            Seen::Dropped(9),
            sight(12)
        ]
    );
    assert_eq!(
        serving.join().unwrap(),
        [
            WatchAsk::Follow { replay: false },
            WatchAsk::Recall(sighting(1).txn),
            WatchAsk::Gate(true)
        ]
    );
    assert!(matches!(watch.next(PATIENCE), Err(Error::NoAnswer(_))));
}
