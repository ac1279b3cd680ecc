//! A cluster that is looked after and ordered about at the same time: real processes, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::{Client, Target};
use cluster::{Cluster, ClusterConfig, Keeper, OrderError, ProcessState, ProcessView};

const LONG: Duration = Duration::from_secs(60);

/// A cluster with somebody who tends it.
struct Tended {
    keeper: Keeper,
    stop: Arc<AtomicBool>,
    tender: Option<JoinHandle<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Tended {
    fn start() -> Tended {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
        config.nodes = 2;
        let keeper = Keeper::new(Cluster::start(config).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let tender = thread::spawn({
            let (keeper, stop) = (keeper.clone(), Arc::clone(&stop));
            move || {
                let mut told = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    told.extend(keeper.tend().iter().map(|news| format!("{news:?}")));
                    thread::sleep(Duration::from_millis(5));
                }
                told
            }
        });
        Tended {
            keeper,
            stop,
            tender: Some(tender),
            _dir: dir,
        }
    }

    fn view(&self, target: Target) -> ProcessView {
        self.keeper.find(&cluster::name(target)).unwrap()
    }

    fn wait(&self, target: Target, what: &str, met: impl Fn(&ProcessView) -> bool) -> ProcessView {
        self.keeper.wait_until(target, LONG, what, met).unwrap()
    }

    /// Ends it all. Returns what was told meanwhile.
    fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.tender.take().unwrap().join().unwrap();
        assert!(
            self.keeper.close().is_empty(),
            "all stop politely, frozen ones too"
        );
        told
    }
}

fn n1() -> Target {
    Target::Node("N1".parse().unwrap())
}

fn not_now(result: Result<(), OrderError>) -> String {
    match result {
        Err(OrderError::NotNow(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn what_is_killed_by_anyone_comes_back_and_what_was_stopped_stays_down() {
    let tended = Tended::start();
    let keeper = &tended.keeper;
    let before = tended.view(n1());
    assert_eq!((before.state, before.why), (ProcessState::Running, None));
    let first = before.pid.unwrap();
    signal("KILL", first);
    let back = tended.wait(n1(), "to be back", |view| {
        view.state == ProcessState::Running && view.pid != Some(first)
    });
    assert_eq!(
        not_now(keeper.start(n1())),
        "N1 runs already: it is running",
        "{back:?}"
    );

    keeper.stop(n1()).unwrap();
    let stopped = tended.view(n1());
    assert_eq!((stopped.state, stopped.pid), (ProcessState::Stopped, None));
    assert_eq!(not_now(keeper.stop(n1())), "N1 is stopped already");
    assert_eq!(not_now(keeper.kill(n1())), "N1 does not run: it is stopped");
    // A kill that comes back proves that a second's pause has passed, and the stopped one is still down.
    keeper.kill(Target::Coordinator).unwrap();
    tended.wait(Target::Coordinator, "to be back", |view| {
        view.state == ProcessState::Running
    });
    assert_eq!(tended.view(n1()).state, ProcessState::Stopped);
    keeper.start(n1()).unwrap();
    assert_eq!(tended.view(n1()).state, ProcessState::Running);

    let told = tended.end();
    let count = |what: &str| told.iter().filter(|news| news.starts_with(what)).count();
    assert_eq!(
        (count("Ended"), count("Back")),
        (2, 2),
        "stops and starts by order are no news: {told:?}"
    );
}

#[test]
fn a_frozen_process_is_seen_whoever_froze_it_and_stops_with_the_others() {
    let tended = Tended::start();
    let keeper = &tended.keeper;
    keeper.freeze(n1()).unwrap();
    assert_eq!(tended.view(n1()).state, ProcessState::Frozen);
    assert_eq!(not_now(keeper.freeze(n1())), "N1 is frozen already");
    keeper.thaw(n1()).unwrap();
    assert_eq!(tended.view(n1()).state, ProcessState::Running);
    assert_eq!(not_now(keeper.thaw(n1())), "N1 is not frozen");

    let version = keeper.wait_change(0, LONG);
    signal("STOP", tended.view(n1()).pid.unwrap());
    tended.wait(n1(), "to stand still", |view| view.state == ProcessState::Frozen);
    assert!(keeper.wait_change(version, LONG) > version, "others hear of it");
    tended.end();
}

#[test]
fn nothing_comes_back_by_itself_while_that_is_switched_off_or_while_it_is_held() {
    let tended = Tended::start();
    let keeper = &tended.keeper;
    keeper.set_auto_restart(false);
    keeper.kill(n1()).unwrap();
    let dead = tended.view(n1());
    assert_eq!(dead.state, ProcessState::Ended);
    assert_eq!(dead.why.as_deref(), Some("was killed (SIGKILL)"));
    keeper.set_auto_restart(true);
    tended.wait(n1(), "to be back", |view| view.state == ProcessState::Running);

    let held = keeper.hold(n1()).unwrap();
    assert!(keeper.hold(n1()).is_err(), "by one at a time");
    keeper.kill(n1()).unwrap();
    // Somebody else's return takes longer than the pause after which this one would be back.
    keeper.kill(Target::Coordinator).unwrap();
    tended.wait(Target::Coordinator, "to be back", |view| {
        view.state == ProcessState::Running
    });
    assert_eq!(tended.view(n1()).state, ProcessState::Ended);
    drop(held);
    tended.wait(n1(), "to be back", |view| view.state == ProcessState::Running);

    // Who only reads its files changes nothing about whether it comes back.
    keeper.set_auto_restart(false);
    keeper.kill(n1()).unwrap();
    drop(keeper.hold_dead(n1()).unwrap());
    keeper.kill(Target::Coordinator).unwrap();
    keeper.start(Target::Coordinator).unwrap();
    assert_eq!(tended.view(n1()).state, ProcessState::Ended);
    keeper.set_auto_restart(true);
    tended.wait(n1(), "to be back", |view| view.state == ProcessState::Running);
    tended.end();
}

#[test]
fn another_cluster_takes_the_place_of_one_that_was_stopped() {
    let tended = Tended::start();
    let keeper = &tended.keeper;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
    config.nodes = 1;
    config.store = "sled".to_owned();
    let next = Cluster::prepare(config).unwrap();
    let refused = keeper.replace(next).unwrap_err();
    assert!(refused.to_string().ends_with("still runs"), "{refused}");

    keeper.stop_all().unwrap();
    assert_eq!(not_now(keeper.stop_all()), "every process is stopped already");
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
    config.nodes = 1;
    config.store = "sled".to_owned();
    keeper.replace(Cluster::prepare(config).unwrap()).unwrap();
    keeper.start_all().unwrap();
    assert_eq!(not_now(keeper.start_all()), "every process runs already");
    let names: Vec<String> = keeper
        .processes()
        .into_iter()
        .map(|view| format!("{} {}", view.name, view.state))
        .collect();
    assert_eq!(names, ["coordinator running", "N1 running"]);
    let status = Client::new(keeper.client_config()).unwrap().status().unwrap();
    assert_eq!(status.nodes.len(), 1);
    let gone = Target::Node("N2".parse().unwrap());
    assert!(matches!(keeper.stop(gone), Err(OrderError::NoSuchProcess(_))));
    tended.end();
    // Its processes have ended, so its files may go.
    drop(dir);
}
