//! The cluster crate with the real binary: what tests and demos lean on holds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use client::{BalanceAnswer, Order, Outcome, Reason, Target};
use cluster::{Cluster, ClusterConfig, Direction, Error, Link, Log, Weather};
use faults::fired;
use protocol::message::LinkState;

fn config(dir: &tempfile::TempDir) -> ClusterConfig {
    ClusterConfig {
        nodes: 2,
        ..ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path().join("data"))
    }
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn node(name: &str) -> Target {
    Target::Node(name.parse().unwrap())
}

fn deposit(cluster: &Cluster, place: &str) {
    let order = Order::deposit(place.parse().unwrap(), "100".parse().unwrap());
    let submission = cluster.client().submit(None, order).unwrap();
    assert!(
        matches!(submission.outcome, Outcome::Committed { .. }),
        "{}",
        submission.outcome
    );
}

fn transfer(cluster: &Cluster) -> Outcome {
    let order = Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        "10".parse().unwrap(),
    );
    cluster.client().submit(None, order.unwrap()).unwrap().outcome
}

#[test]
fn a_frozen_node_does_not_vote_and_a_thawed_one_does() {
    let dir = temp();
    let mut cluster = Cluster::start(ClusterConfig {
        prepare_timeout_ms: 300,
        ..config(&dir)
    })
    .unwrap();
    deposit(&cluster, "N1/A");
    deposit(&cluster, "N2/B");
    cluster.freeze(node("N2")).unwrap();
    let outcome = transfer(&cluster);
    let Outcome::Aborted { refusal, .. } = &outcome else {
        panic!("{outcome}")
    };
    assert_eq!(refusal.reason, Reason::VoteTimeout("N2".parse().unwrap()));
    cluster.thaw(node("N2")).unwrap();
    // It still has the frozen transfer's PREPARE to take and its ABORT to learn.
    let committed = (0..1000).any(|_| matches!(transfer(&cluster), Outcome::Committed { .. }));
    fired("P12");
    assert!(committed, "a thawed node takes part again");
    assert!(cluster.stop_all().is_empty());
}

#[test]
fn processes_die_and_come_back_one_by_one_and_all_together() {
    let dir = temp();
    let logs = dir.path().join("logs");
    let mut cluster = Cluster::start(ClusterConfig {
        log: Log::Files(logs.clone()),
        ..config(&dir)
    })
    .unwrap();
    deposit(&cluster, "N1/A");
    deposit(&cluster, "N2/B");
    let before = cluster.pid(node("N1"));
    cluster.kill9(node("N1"));
    assert_eq!(cluster.pid(node("N1")), None);
    assert_eq!(cluster.ended().len(), 1);
    let status = cluster.client().status().unwrap();
    assert!(matches!(status.nodes[0], LinkState::Down(_)), "{status:?}");
    assert!(!cluster.takes_part(node("N1")) && cluster.takes_part(node("N2")));
    cluster.restart(node("N1")).unwrap();
    assert_ne!(cluster.pid(node("N1")), before);
    assert!(cluster.takes_part(node("N1")) && cluster.takes_part(Target::Coordinator));

    cluster.kill9_all();
    cluster.start_all().unwrap();
    assert!(matches!(transfer(&cluster), Outcome::Committed { .. }));
    assert!(cluster.stop_all().is_empty(), "every process exits with code 0");
    let log = std::fs::read_to_string(logs.join("N1.log")).unwrap();
    assert_eq!(
        log.matches("serves on").count(),
        3,
        "the log file has every life: {log}"
    );
}

#[test]
fn a_failpoint_armed_from_the_start_acts() {
    let dir = temp();
    let mut cluster = Cluster::start(config(&dir)).unwrap();
    deposit(&cluster, "N1/A");
    deposit(&cluster, "N2/B");
    cluster.restart_with(node("N2"), &["sent.vote=kill"]).unwrap();
    assert!(matches!(transfer(&cluster), Outcome::Committed { .. }));
    let exit = cluster.wait_exit(node("N2"), Duration::from_secs(30)).unwrap();
    assert!(exit.was_ready && exit.how() == "was killed (SIGKILL)", "{exit}");
    fired("N6");
    cluster
        .restart(Target::Coordinator)
        .expect("that N2 is dead is no concern of the coordinator's start");
    cluster.restart(node("N2")).unwrap();
    assert!(cluster.wait_line(node("N2"), "Found 1 in-doubt").is_ok());
    let none = cluster.launch(node("N2"), &[]);
    assert!(none.is_err(), "one process of a kind");
}

#[test]
fn two_clusters_do_not_share_a_directory() {
    let dir = temp();
    let first = Cluster::start(config(&dir)).unwrap();
    let Err(Error::Exited(exit)) = Cluster::start(config(&dir)) else {
        panic!("it must not start")
    };
    assert!(
        exit.to_string().contains("another process owns this store"),
        "{exit}"
    );
    assert!(!exit.was_ready);
    fired("P1");
    drop(first);
    Cluster::start(config(&dir)).unwrap();
}

#[test]
fn a_link_that_is_cut_or_silent_loses_nothing_that_was_committed() {
    let dir = temp();
    let mut cluster = Cluster::start(ClusterConfig {
        proxied: true,
        prepare_timeout_ms: 300,
        ..config(&dir)
    })
    .unwrap();
    deposit(&cluster, "N1/A");
    deposit(&cluster, "N2/B");
    let n2 = &cluster.links()[&Link::Node("N2".parse().unwrap())];
    n2.set(
        Direction::Back,
        Weather {
            held: true,
            ..Weather::default()
        },
    );
    fired("W6");
    let outcome = transfer(&cluster);
    let Outcome::Aborted { refusal, .. } = &outcome else {
        panic!("{outcome}")
    };
    assert_eq!(refusal.reason, Reason::VoteTimeout("N2".parse().unwrap()));
    assert_eq!(n2.cut(), 1);
    fired("W5");
    n2.calm();
    cluster.wait_ready().unwrap();
    let mut client = client::Client::new(cluster.client_config_through_link()).unwrap();
    cluster.links()[&Link::Clients].cut();
    let order = Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        "10".parse().unwrap(),
    );
    let outcome = client.submit(None, order.unwrap()).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
    assert_eq!(
        client.balance("N2/B".parse().unwrap()),
        Ok(BalanceAnswer::Is(110))
    );
    assert!(cluster.stop_all().is_empty());
}
