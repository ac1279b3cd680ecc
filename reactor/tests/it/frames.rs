//! Bytes arrive in any pieces, and some of them are wrong.

use std::io::Write;
use std::net::Shutdown;

use faults::fired;
use protocol::frame::BODY_LEN_MAX;
use protocol::hello::{Control, Hello};
use reactor::Limits;

use crate::toy::{self, Server};
use crate::wire::{Came, Wire, eventually, framed, said};

fn server() -> Server {
    Server::start(toy::for_clients(Limits::default()))
}

/// A hello and two requests, as bytes.
fn session() -> Vec<u8> {
    let hello = Control::Hello(Hello::client(toy::cluster()));
    [framed(&hello.encode()), said("echo one"), said("echo two")].concat()
}

fn expect_answers(wire: &mut Wire) {
    assert!(matches!(wire.next(), Came::Control(Control::Hello(_))));
    assert_eq!(wire.text(), "welcome");
    assert_eq!(wire.text(), "echo one");
    assert_eq!(wire.text(), "echo two");
}

#[test]
fn a_session_cut_at_any_byte_is_understood() {
    let server = server();
    let bytes = session();
    for cut in 0..=bytes.len() {
        let mut wire = Wire::connect(server.address());
        wire.raw(&bytes[..cut]);
        fired("W9");
        // Another client's round trip, so that the first piece is read by itself.
        assert_eq!(Wire::client(server.address()).ask("echo x"), "echo x");
        wire.raw(&bytes[cut..]);
        expect_answers(&mut wire);
    }
}

#[test]
fn a_session_sent_byte_by_byte_is_understood() {
    let server = server();
    let mut wire = Wire::connect(server.address());
    for byte in session() {
        wire.raw(&[byte]);
    }
    fired("W9");
    expect_answers(&mut wire);
}

#[test]
fn many_frames_in_one_write_are_answered_in_order() {
    let server = server();
    let mut wire = Wire::client(server.address());
    let requests: Vec<u8> = (0..10_000).flat_map(|n| said(&format!("echo {n}"))).collect();
    let mut writing = wire.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&requests).unwrap());
    fired("W9");
    for n in 0..10_000 {
        assert_eq!(wire.text(), format!("echo {n}"));
    }
    writer.join().unwrap();
    let counters = server.counters();
    assert!(
        counters.turns < 5_000,
        "{} turns for 10,000 frames",
        counters.turns
    );
}

/// Whatever is flipped in a session, hello and all: what was said before it is answered, nothing else is.
#[test]
fn every_flipped_bit_of_a_session_closes_the_connection_or_is_refused() {
    let server = server();
    let good = session();
    let hello_len = good.len() - said("echo one").len() - said("echo two").len();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // A longer announcement waits for bytes that never come: give it some.
        bad.extend_from_slice(&[0; 600]);
        let mut wire = Wire::connect(server.address());
        // The other side may have closed already.
        let _ = wire.stream.write_all(&bad);
        fired("W10");
        let _ = wire.stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        loop {
            match wire.next() {
                Came::Text(text) => answers.push(text),
                Came::End => break,
                Came::Control(_) | Came::Body(_) => {}
            }
        }
        let whole_before: &[&str] = match bit / 8 {
            at if at < hello_len => &[],
            at if at < hello_len + said("echo one").len() => &["welcome"],
            _ => &["welcome", "echo one"],
        };
        // An end that is reset may swallow answers.
        assert!(
            whole_before.starts_with(&as_str(&answers)),
            "bit {bit}: {answers:?}"
        );
    }
    assert!(server.counters().bad_frames > 0);
}

fn as_str(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// At every byte, by a clean end and by a reset: whole messages count, the rest was never said.
#[test]
fn a_session_that_breaks_at_any_byte_has_said_its_whole_messages_and_no_more() {
    let server = server();
    let hello = framed(&Control::Hello(Hello::client(toy::cluster())).encode());
    let (mut said_whole, mut expected) = (Vec::new(), Vec::new());
    for reset in [false, true] {
        let frame_len = said("write r000").len();
        for cut in 0..=hello.len() + 2 * frame_len {
            let names = [0, 1].map(|n| format!("write {}{n}{cut:02}", if reset { "r" } else { "f" }));
            let bytes = [&hello[..], &said(&names[0]), &said(&names[1])].concat();
            let mut wire = Wire::connect(server.address());
            if reset {
                // To close with something unread makes a reset.
                wire.stream.peek(&mut [0]).unwrap();
            }
            wire.raw(&bytes[..cut]);
            fired("W8");
            drop(wire);
            let whole = cut.saturating_sub(hello.len()) / frame_len;
            said_whole.extend(names[..whole].iter().cloned());
            if !reset {
                expected.extend(names[..whole].iter().cloned());
            }
        }
    }
    let records = || server.shared.records.lock().unwrap().clone();
    eventually("all that was said before a clean end is written", || {
        let records = records();
        expected.iter().all(|name| records.contains(name))
    });
    eventually("every client is gone", || {
        let log = server.log();
        let count = |word: &str| log.iter().filter(|line| line.starts_with(word)).count();
        count("opened") == count("closed")
    });
    for record in records().iter().filter(|record| record.starts_with("write")) {
        assert!(said_whole.contains(record), "{record} was never said as a whole");
    }
    assert_eq!(Wire::client(server.address()).ask("echo x"), "echo x");
}

#[test]
fn empty_long_and_garbage_frames_close_the_connection_and_are_counted() {
    let server = server();
    let too_long = u32::try_from(BODY_LEN_MAX + 1).unwrap().to_le_bytes();
    let bad: [&[u8]; 4] = [&[0, 0, 0, 0], &too_long, &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n"];
    for bytes in bad {
        let mut wire = Wire::client(server.address());
        wire.raw(bytes);
        fired("I11");
        wire.end();
    }
    eventually("bad frames are counted", || server.counters().bad_frames == 4);
    assert_eq!(
        Wire::client(server.address()).ask("echo still here"),
        "echo still here"
    );
}

#[test]
fn a_body_that_does_not_decode_is_refused_and_counted() {
    let server = server();
    let trailing = [protocol::codec::encode(&"echo".to_owned()), vec![9]].concat();
    for body in [&trailing[..], b"\x20short", b"\xff2PNC\x07"] {
        let mut wire = Wire::client(server.address());
        wire.raw(&framed(body));
        fired("I11");
        let why = wire.refusal();
        assert!(
            why.contains("cannot decode") || why.contains("unknown kind"),
            "{why}"
        );
    }
    assert_eq!(server.counters().bad_bodies, 2);
    eventually("every client is gone", || {
        server
            .log()
            .iter()
            .filter(|line| line.starts_with("closed"))
            .count()
            == 3
    });
}

#[test]
fn the_longest_frames_pass_both_ways() {
    let server = server();
    let mut wire = Wire::client(server.address());
    let long = format!("echo {}", "y".repeat(900_000));
    assert_eq!(wire.ask(&long), long);
    assert_eq!(wire.ask("echo short"), "echo short");
}

#[test]
fn an_answer_too_long_for_a_frame_costs_only_its_connection() {
    let server = server();
    let mut wire = Wire::client(server.address());
    wire.say(&format!("large {}", BODY_LEN_MAX + 1));
    wire.end();
    assert_eq!(
        Wire::client(server.address()).ask("echo still here"),
        "echo still here"
    );
}

#[test]
fn requests_sent_just_before_closing_are_still_heard() {
    let server = server();
    let mut wire = Wire::client(server.address());
    wire.say("write last words");
    drop(wire);
    fired("W8");
    eventually("the record is written", || {
        server
            .shared
            .records
            .lock()
            .unwrap()
            .contains(&"write last words".to_owned())
    });
    eventually("the service hears that the client is gone", || {
        server.log() == ["opened a client", "closed a client"]
    });
}
