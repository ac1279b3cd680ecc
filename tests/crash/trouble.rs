//! Trouble that a process gets into with load on it: it freezes, is asked to stop, its disk is slow or vanishes.

use std::time::{Duration, Instant};
use std::{fs, thread};

use client::{Client, Target};
use cluster::{Cluster, ClusterConfig, Log};
use faults::fired;
use protocol::message::LinkState;
use rustix::process::{Pid, Signal, kill_process};

use crate::load::{self, PATIENCE, for_a_while, n2, short_segments};

const STORES: [&str; 2] = ["json", "sled"];

/// Longer than a vote may take, and far shorter than a silence that ends a link.
const LONG: Duration = Duration::from_millis(1500);

pub(crate) fn each() -> [Target; 2] {
    [n2(), Target::Coordinator]
}

#[test]
fn a_process_that_freezes_and_thaws_goes_on_where_it_was() {
    load::through("freeze", "json", with_whole_logs, |cluster, _| {
        for target in each() {
            cluster.freeze(target).unwrap();
            thread::sleep(LONG);
            cluster.thaw(target).unwrap();
            fired("P12");
            for_a_while();
        }
        nobody_was_taken_for_dead(cluster);
    });
}

#[test]
fn a_sync_that_takes_long_delays_votes_and_costs_no_link() {
    load::through("slow disk", "sled", with_whole_logs, |cluster, client| {
        for target in each() {
            arm(client, target, "sync=sleep:2000");
            cluster.wait_line(target, "failpoint sync acts").unwrap();
            fired("D12");
            // Asked while it stands still, it answers when the sync is over.
            client.status().unwrap();
            for_a_while();
        }
        nobody_was_taken_for_dead(cluster);
    });
}

/// Of what is kept in memory the beginning may be gone.
fn with_whole_logs(config: &mut ClusterConfig) {
    config.log = Log::Files(config.dir.join("logs"));
}

/// Nobody died, and every node joined once, when the coordinator started.
#[track_caller]
fn nobody_was_taken_for_dead(cluster: &mut Cluster) {
    assert!(cluster.ended().is_empty());
    let log = fs::read_to_string(cluster.config().dir.join("logs/coordinator.log")).unwrap();
    let joined = log.lines().filter(|line| line.ends_with(" joined"));
    assert_eq!(joined.count(), 3, "{log}");
}

#[test]
fn sigterm_under_load_stops_cleanly_and_sigkill_may_overtake_it() {
    for store in STORES {
        load::through(
            "sigterm",
            store,
            |_| {},
            |cluster, _| {
                for target in each() {
                    fired("P15");
                    let status = cluster.stop(target).unwrap();
                    assert_eq!(status.code(), Some(0), "{target:?}");
                    cluster.restart(target).unwrap();
                    for_a_while();
                    kill_process(pid(cluster, target), Signal::TERM).unwrap();
                    fired("P15");
                    cluster.kill9(target);
                    cluster.restart(target).unwrap();
                    for_a_while();
                }
            },
        );
    }
}

/// Their files are still open, but free space cannot be asked for any more, and the next segment has no place to be: some
/// take no new transfers, some stop, and that is all.
#[test]
fn a_data_directory_that_disappears_ends_work_and_loses_nothing() {
    load::through("no directory", "json", short_segments, |cluster, client| {
        let dir = cluster.config().dir.clone();
        let away = dir.with_extension("away");
        fs::rename(&dir, &away).unwrap();
        fired("D13");
        let works = |node: &LinkState| matches!(node, LinkState::Up(_, node) if node.has_room);
        let began = Instant::now();
        while client.status().is_ok_and(|status| status.nodes.iter().all(works)) {
            assert!(began.elapsed() < PATIENCE, "they go on without a directory");
        }
        for (_, exit) in cluster.ended() {
            let said = exit.last_lines.join("\n");
            let why = said.contains("No such file") || said.contains("is missing");
            assert!(why && said.contains(dir.to_str().unwrap()), "{exit}");
            assert!(matches!(exit.status.code(), Some(5 | 9)), "{exit}");
        }
        cluster.kill9_all();
        fs::rename(&away, &dir).unwrap();
        cluster.start_all().unwrap();
    });
}

pub(crate) fn pid(cluster: &Cluster, target: Target) -> Pid {
    let pid = cluster.pid(target).expect("it runs");
    Pid::from_raw(pid.cast_signed()).unwrap()
}

/// The load may reach the point before the answer is out.
fn arm(client: &mut Client, target: Target, failpoint: &str) {
    if let Err(error) = client.arm(target, failpoint) {
        println!("arming {failpoint} was answered with {error}");
    }
}
