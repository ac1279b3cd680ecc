//! What one turn promises: nothing is said before it is synced, and how a loop pauses, fails and stops.

use std::sync::atomic::Ordering;

use faults::fired;
use protocol::hello::Control;
use reactor::{Error, Limits};

use crate::toy::{self, Server};
use crate::wire::{Came, Wire, said};

fn server() -> Server {
    Server::start(toy::for_clients(Limits::default()))
}

#[test]
fn one_sync_covers_the_requests_of_a_turn_and_a_lazy_record_is_synced_alone() {
    let server = server();
    let mut wire = Wire::client(server.address());
    let requests: Vec<u8> = (0..100).flat_map(|n| said(&format!("write {n}"))).collect();
    wire.raw(&requests);
    for n in 0..100 {
        assert_eq!(wire.text(), format!("write {n} is record {}", n + 2));
    }
    let syncs = server.shared.syncs.load(Ordering::SeqCst);
    assert!(syncs < 50, "{syncs} syncs for one write of 100 requests");
    assert_eq!(wire.ask("lazy a"), "lazy a is record 102");
}

#[test]
fn a_failed_sync_ends_the_loop_and_answers_nobody() {
    let server = server();
    let mut wire = Wire::client(server.address());
    server.shared.sync_fails.store(true, Ordering::SeqCst);
    wire.say("write x");
    fired("D11");
    assert_eq!(wire.next(), Came::End);
    let shared = std::sync::Arc::clone(&server.shared);
    assert!(matches!(server.ended(), Err(Error::Store(_))));
    assert!(!shared.closed_cleanly.load(Ordering::SeqCst));
}

#[test]
fn the_machine_can_stop_the_loop() {
    let server = server();
    let mut wire = Wire::client(server.address());
    wire.say("stop");
    assert_eq!(wire.next(), Came::End);
    assert!(matches!(server.ended(), Err(Error::Stopped(why)) if why == "told to stop"));
}

#[test]
fn a_hangup_comes_after_everything_said_before() {
    let server = server();
    let mut wire = Wire::client(server.address());
    assert_eq!(wire.ask("hang"), "bye");
    assert_eq!(wire.next(), Came::End);
}

#[test]
fn timers_fire_unless_cancelled() {
    let server = server();
    let mut wire = Wire::client(server.address());
    for word in ["after 30", "after 10", "after 20", "cancel 20"] {
        wire.say(word);
    }
    assert_eq!(wire.text(), "fired 10");
    assert_eq!(wire.text(), "fired 30");
}

#[test]
fn clients_wait_while_too_much_is_open_and_lose_nothing() {
    let server = Server::start(toy::for_clients(Limits {
        open: 8,
        ..Limits::default()
    }));
    let mut peer = Wire::greeted(server.address(), toy::coordinator());
    let mut client = Wire::client(server.address());
    client.raw(
        &(0..20)
            .flat_map(|n| said(&format!("open {n}")))
            .collect::<Vec<u8>>(),
    );
    for n in 0..8 {
        assert_eq!(client.text(), format!("open {n}"));
    }
    // Peers are heard all the while; 6 of 8 is not yet below three quarters.
    assert_eq!(peer.ask("state"), "open 8 room true gone 0");
    peer.say("done 2");
    assert_eq!(peer.ask("state"), "open 6 room true gone 0");
    peer.say("done 6");
    for n in 8..16 {
        assert_eq!(client.text(), format!("open {n}"));
    }
    assert_eq!(peer.ask("state"), "open 8 room true gone 0");
    peer.say("done 8");
    for n in 16..20 {
        assert_eq!(client.text(), format!("open {n}"));
    }
    assert_eq!(client.ask("echo after"), "echo after");
}

#[test]
fn the_machine_hears_when_the_disk_fills_and_when_it_has_room_again() {
    let server = server();
    let mut wire = Wire::client(server.address());
    server.shared.full.store(true, Ordering::SeqCst);
    fired("D8");
    assert_eq!(wire.ask("state"), "open 0 room false gone 0");
    server.shared.full.store(false, Ordering::SeqCst);
    assert_eq!(wire.ask("state"), "open 0 room true gone 0");
}

#[test]
fn stopping_syncs_answers_and_closes_the_store() {
    let server = server();
    let mut wire = Wire::client(server.address());
    assert_eq!(wire.ask("write x"), "write x is record 2");
    let shared = std::sync::Arc::clone(&server.shared);
    server.stop().unwrap();
    assert!(shared.closed_cleanly.load(Ordering::SeqCst));
    assert_eq!(wire.next(), Came::End);
}

#[test]
fn pings_from_a_client_are_taken_and_not_answered() {
    let server = server();
    let mut wire = Wire::client(server.address());
    wire.control(Control::Ping);
    assert_eq!(wire.ask("echo x"), "echo x");
}
