//! Who may talk to whom, links that come back, and clocks that run out.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faults::fired;
use protocol::hello::{Control, Hello, Refused};
use protocol::id::StoreId;
use reactor::{Config, Error, Limits, Listen, Reactor};

use crate::toy::{self, Server};
use crate::wire::{Came, Wire, eventually, framed};

/// Everything short, but for what the test sets itself.
fn short() -> Limits {
    Limits {
        redial_min: Duration::from_millis(5),
        redial_max: Duration::from_millis(20),
        linger: Duration::from_secs(5),
        ..Limits::default()
    }
}

fn refusal(config: Config, hello: Hello) -> String {
    let server = Server::start(config);
    let mut wire = Wire::connect(server.address());
    wire.control(Control::Hello(hello));
    wire.refusal()
}

#[test]
fn every_wrong_hello_is_refused_with_its_reason() {
    let node = || toy::for_coordinators(short());
    assert_eq!(
        refusal(node(), Hello::client(toy::cluster())),
        "this is node N1: clients talk to the coordinator"
    );
    let elsewhere = Hello::coordinator("other".parse().unwrap(), StoreId(7));
    assert!(refusal(node(), elsewhere).contains("cluster"));
    fired("P3");
    let n2 = toy::coordinator().expecting("N2".parse().unwrap());
    assert!(refusal(node(), n2).contains("not node N2"));
    fired("W11");
    let mut newer = toy::to_n1();
    newer.versions.min = 2;
    newer.versions.max = 3;
    assert!(refusal(node(), newer).contains("wire versions 2 to 3"));
    fired("P16");
    assert!(refusal(toy::for_clients(short()), toy::node()).contains("does not talk"));
}

#[test]
fn a_message_or_ping_before_the_hello_is_refused() {
    let server = Server::start(toy::for_clients(short()));
    for body in [
        Control::Ping.encode(),
        protocol::codec::encode(&"echo".to_owned()),
    ] {
        let mut wire = Wire::connect(server.address());
        wire.raw(&framed(&body));
        wire.refusal();
    }
    assert!(server.log().is_empty(), "nobody was let in");
}

#[test]
fn a_link_comes_back_when_its_peer_restarts() {
    let mut config = toy::for_coordinators(short());
    let first = Server::start(config.clone());
    let address = first.address();
    let coordinator = Server::start(toy::dialling(address, short()));
    let up = || coordinator.shared.links.lock().unwrap().contains("node N1");
    eventually("the link is up", up);
    first.stop().unwrap();
    eventually("the link is down", || !up());
    config.listen.as_mut().unwrap().address = address.to_string();
    let second = Server::start(config);
    eventually("the link is up again", up);
    eventually("the node knows", || second.log() == ["opened coordinator c"]);
}

#[test]
fn a_link_to_the_wrong_node_or_a_refusing_one_never_opens() {
    let mut config = toy::for_coordinators(short());
    config.hello = Hello::node(toy::cluster(), StoreId(2), "N2".parse().unwrap());
    let wrong = Server::start(config);
    let coordinator = Server::start(toy::dialling(wrong.address(), short()));
    eventually("several attempts were refused", || wrong.counters().refused >= 3);
    fired("W11");
    assert!(coordinator.log().is_empty());

    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let coordinator = Server::start(toy::dialling(refusing.local_addr().unwrap(), short()));
    for _ in 0..3 {
        let mut wire = Wire::over(refusing.accept().unwrap().0);
        assert_eq!(wire.next(), Came::Control(Control::Hello(toy::to_n1())));
        wire.control(Control::Refused(Refused("not today".to_owned())));
    }
    assert!(coordinator.log().is_empty());
}

#[test]
fn a_quiet_link_is_kept_by_pings_and_a_silent_one_is_dialled_again() {
    let limits = Limits {
        heartbeat: Duration::from_millis(20),
        silence: Duration::from_millis(400),
        ..short()
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let coordinator = Server::start(toy::dialling(silent.local_addr().unwrap(), limits.clone()));
    let mut first = Wire::over(silent.accept().unwrap().0);
    first.control(Control::Hello(toy::node()));
    assert!(matches!(first.next(), Came::Control(Control::Hello(_))));
    assert_eq!(first.text(), "welcome");
    assert_eq!(first.next(), Came::Control(Control::Ping));
    fired("W7");
    first.end();
    silent.accept().unwrap();
    assert_eq!(coordinator.log(), ["opened node N1", "closed node N1"]);

    // Two loops that ping each other outlast the silence many times over.
    let node = Server::start(toy::for_coordinators(limits.clone()));
    let coordinator = Server::start(toy::dialling(node.address(), limits));
    eventually("many pings", || coordinator.counters().frames_in > 60);
    assert_eq!(coordinator.log(), ["opened node N1"]);
}

/// While a sync takes long, the loop stands still. What came meanwhile was said in time.
#[test]
fn a_sync_that_takes_longer_than_a_silence_may_last_costs_no_link() {
    let patient = Limits {
        heartbeat: Duration::from_millis(20),
        ..short()
    };
    let impatient = Limits {
        silence: Duration::from_millis(1500),
        ..patient.clone()
    };
    let node = Server::start(toy::for_coordinators(impatient));
    let coordinator = Server::start(toy::dialling(node.address(), patient));
    eventually("the link is up", || node.log() == ["opened coordinator c"]);
    let mut writer = Wire::greeted(node.address(), toy::coordinator());
    node.shared.sync_takes_ms.store(2500, Ordering::SeqCst);
    fired("D12");
    assert_eq!(writer.ask("write x"), "write x is record 2");
    let heard = node.counters().frames_in;
    eventually("the link goes on", || node.counters().frames_in > heard + 3);
    assert_eq!(coordinator.log(), ["opened node N1"]);
}

#[test]
fn slow_hellos_and_half_frames_run_out_of_time() {
    let server = Server::start(toy::for_clients(Limits {
        hello: Duration::from_millis(50),
        ..short()
    }));
    fired("X3");
    Wire::connect(server.address()).end();
    let server_with_slow_frame = Server::start(toy::for_clients(Limits {
        partial_frame: Duration::from_millis(50),
        ..short()
    }));
    let mut wire = Wire::client(server_with_slow_frame.address());
    wire.raw(&[5, 0, 0]);
    fired("X3");
    wire.end();
    for server in [server, server_with_slow_frame] {
        eventually("it is counted", || server.counters().timed_out == 1);
    }
}

#[test]
fn a_client_that_never_reads_is_dropped_and_others_are_served() {
    let server = Server::start(toy::for_clients(Limits {
        client_queue_len: 64 * 1024,
        client_stalled: Duration::from_millis(100),
        ..short()
    }));
    let mut deaf = Wire::client(server.address());
    for _ in 0..40 {
        deaf.say("large 900000");
    }
    fired("X2");
    eventually("it is dropped", || server.counters().timed_out == 1);
    assert_eq!(Wire::client(server.address()).ask("echo x"), "echo x");
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start(toy::for_clients(short()));
    let mut config = toy::for_clients(short());
    config.listen = Some(Listen {
        address: server.address().to_string(),
        accepts: Vec::new(),
    });
    let Err(Error::Address(text)) = Reactor::bind(config) else {
        panic!("two loops on one port");
    };
    let expected = format!("port {} on 127.0.0.1 is already in use", server.address().port());
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn too_many_connections_are_told_so_and_leaving_makes_room() {
    let server = Server::start(toy::for_clients(Limits {
        connections: 2,
        ..short()
    }));
    let first = Wire::client(server.address());
    let _second = Wire::client(server.address());
    fired("X4");
    assert!(Wire::connect(server.address()).refusal().starts_with("busy"));
    drop(first);
    eventually("the first is gone", || {
        server.log().contains(&"closed a client".to_owned())
    });
    assert_eq!(Wire::client(server.address()).ask("echo x"), "echo x");
}

#[test]
fn hundreds_of_clients_are_all_answered() {
    let server = Server::start(toy::for_clients(short()));
    let mut clients: Vec<Wire> = (0..200).map(|_| Wire::client(server.address())).collect();
    for (n, wire) in clients.iter_mut().enumerate() {
        wire.say(&format!("write {n}"));
    }
    for (n, wire) in clients.iter_mut().enumerate() {
        assert!(wire.text().starts_with(&format!("write {n} is record")));
    }
    assert_eq!(server.shared.records.lock().unwrap().len(), 201);
    assert!(server.shared.syncs.load(Ordering::SeqCst) <= 201);
}
