//! Several messages in one frame, in both directions.

use faults::fired;
use protocol::codec;
use protocol::hello::Control;
use reactor::Limits;

use crate::toy::{self, Server};
use crate::wire::{Wire, framed};

fn server(limits: Limits) -> Server {
    Server::start(toy::for_clients(limits))
}

/// One frame that says all of it.
fn batch(texts: impl IntoIterator<Item = String>) -> Vec<u8> {
    let messages: Vec<Vec<u8>> = texts.into_iter().map(|text| codec::encode(&text)).collect();
    framed(&messages.concat())
}

#[test]
fn the_messages_of_a_frame_are_answered_in_order_and_the_answers_of_a_turn_share_frames() {
    let server = server(Limits::default());
    let mut wire = Wire::client(server.address());
    wire.raw(&batch((0..8_192).map(|n| format!("write {n}"))));
    for n in 0..8_192 {
        assert_eq!(wire.text(), format!("write {n} is record {}", n + 2));
    }
    assert_eq!(wire.ask("echo x"), "echo x");
    let counters = server.counters();
    assert!(counters.frames_in <= 3, "a hello, the batch, the echo");
    let frames_out = counters.frames_out;
    assert!(frames_out < 50, "{frames_out} frames for 8,192 answers");
}

#[test]
fn a_frame_that_asks_for_more_than_may_be_open_waits_in_its_middle_and_loses_nothing() {
    let server = server(Limits {
        open: 8,
        ..Limits::default()
    });
    let mut peer = Wire::greeted(server.address(), toy::coordinator());
    let mut client = Wire::client(server.address());
    client.raw(&batch((0..20).map(|n| format!("open {n}"))));
    client.say("echo after");
    for opened in [0..8, 8..16, 16..20] {
        let open = opened.len();
        for n in opened {
            assert_eq!(client.text(), format!("open {n}"));
        }
        assert_eq!(peer.ask("state"), format!("open {open} room true gone 0"));
        peer.say(&format!("done {open}"));
    }
    assert_eq!(client.text(), "echo after");
}

#[test]
fn what_waits_of_a_frame_is_gone_with_its_client() {
    let server = server(Limits {
        open: 8,
        ..Limits::default()
    });
    let mut peer = Wire::greeted(server.address(), toy::coordinator());
    let mut client = Wire::client(server.address());
    client.raw(&batch((0..20).map(|n| format!("open {n}"))));
    for n in 0..8 {
        assert_eq!(client.text(), format!("open {n}"));
    }
    // An end that is read while it still waits: what the kernel held back cannot be answered.
    fired("W8");
    drop(client);
    peer.say("done 8");
    let mut state = peer.ask("state");
    while !state.ends_with("gone 1") {
        let open: usize = state.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(open <= 8, "{state}");
        peer.say(&format!("done {open}"));
        state = peer.ask("state");
    }
}

#[test]
fn a_bad_message_ends_its_connection_and_those_before_it_count() {
    let server = server(Limits::default());
    let mut wire = Wire::client(server.address());
    let good = codec::encode(&"open a");
    wire.raw(&framed(&[&good[..], &good, &[200]].concat()));
    fired("W10");
    assert!(wire.refusal().contains("cannot decode"));
    let mut other = Wire::client(server.address());
    assert_eq!(other.ask("state"), "open 2 room true gone 1");
}

/// A node or a coordinator is never kept waiting, so its messages can be looked at in handfuls.
#[test]
fn messages_of_a_coordinator_are_shown_ahead_and_those_before_a_bad_one_count() {
    let server = server(Limits::default());
    let mut peer = Wire::greeted(server.address(), toy::coordinator());
    let mut frame: Vec<u8> = (0..100)
        .flat_map(|n| codec::encode(&format!("open {n}")))
        .collect();
    frame.push(200);
    peer.raw(&framed(&frame));
    assert!(peer.refusal().contains("cannot decode"));
    let mut client = Wire::client(server.address());
    assert_eq!(client.ask("state"), "open 100 room true gone 1");
    let most: usize = client.ask("ahead").split_once(' ').unwrap().1.parse().unwrap();
    assert!((2..100).contains(&most), "{most} messages ahead");
}

#[test]
fn messages_of_a_client_are_taken_one_by_one() {
    let server = server(Limits::default());
    let mut client = Wire::client(server.address());
    client.raw(&batch((0..100).map(|n| format!("echo {n}"))));
    for n in 0..100 {
        assert_eq!(client.text(), format!("echo {n}"));
    }
    assert_eq!(client.ask("ahead"), "ahead 1");
}

/// A control frame is told by its first byte, so no such byte may count further behind; not after a wait either.
#[test]
fn a_control_frame_behind_a_message_is_no_control_frame() {
    for open in [1, 100] {
        let server = server(Limits {
            open,
            ..Limits::default()
        });
        let mut peer = Wire::greeted(server.address(), toy::coordinator());
        let mut client = Wire::client(server.address());
        client.raw(&framed(
            &[codec::encode(&"open a"), Control::Ping.encode()].concat(),
        ));
        if open == 1 {
            assert_eq!(client.text(), "open a");
            peer.say("done 1");
        }
        assert!(client.refusal().contains("cannot decode"), "room for {open}");
    }
}

#[test]
fn a_long_frame_does_not_keep_other_clients_waiting_for_its_end() {
    let server = server(Limits {
        messages_per_turn: 10,
        ..Limits::default()
    });
    let mut greedy = Wire::client(server.address());
    let mut modest = Wire::client(server.address());
    let before = server.counters().turns;
    greedy.raw(&batch((0..1_000).map(|n| format!("echo {n}"))));
    assert_eq!(modest.ask("echo x"), "echo x");
    for n in 0..1_000 {
        assert_eq!(greedy.text(), format!("echo {n}"));
    }
    // What the last turn said may be here before the turn is counted.
    let turns = server.counters().turns - before + 1;
    assert!(turns >= 100, "{turns} turns for 1,000 messages, 10 a turn");
}
