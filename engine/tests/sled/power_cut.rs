//! The same processes under the library that makes their death a power cut: our own fdatasync is what keeps a record.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use protocol::fold::{Fold, Seq};

use crate::crash::{FAILPOINT, acknowledged, binary, expect_whole_steps, start};
use crate::toy::state_after;

/// A seed that never lets anything become durable early.
const STRICT: u64 = 3;

/// The child, to be started under the library.
fn child(dir: &Path, seed: u64) -> Command {
    let library = binary().with_file_name("libpowercut.so");
    assert!(library.exists(), "{} is built with this test", library.display());
    let mut command = Command::new(binary());
    command
        .env("LD_PRELOAD", library)
        .env("TWOPENCE_POWER_CUT_DIR", fs::canonicalize(dir).unwrap())
        .env("TWOPENCE_POWER_CUT_SEED", seed.to_string());
    command
}

/// Runs the child until it has acknowledged so many steps or dies. Returns the last record it acknowledged.
fn run_and_kill(command: &mut Command, dir: &Path, steps: usize) -> Seq {
    let mut child = start(command, dir);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let synced = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line));
    let last = synced.take(steps).last().unwrap_or(0);
    child.kill().unwrap();
    child.wait().unwrap();
    faults::fired("D2");
    last
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_power_is_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..8_u64 {
        let steps = 5 + usize::try_from(round).unwrap() * 23 % 100;
        let synced = run_and_kill(&mut child(dir.path(), round), dir.path(), steps);
        assert!(synced > 0, "round {round} came nowhere");
        expect_whole_steps(dir.path(), synced);
    }
}

#[test]
fn a_step_that_sled_has_flushed_and_nobody_synced_is_lost_under_a_power_cut_and_under_it_alone() {
    for power_cut in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = if power_cut {
            child(dir.path(), STRICT)
        } else {
            Command::new(binary())
        };
        // The first hits belong to making and opening the store.
        command.env(FAILPOINT, "sled.flushed=kill@10");
        let synced = run_and_kill(&mut command, dir.path(), usize::MAX);
        let acknowledged = (0..).find(|steps| state_after(*steps).seq() == synced).unwrap();
        let steps = expect_whole_steps(dir.path(), synced);
        assert_eq!(
            steps,
            acknowledged + u64::from(!power_cut),
            "power cut: {power_cut}"
        );
    }
}

#[test]
fn opening_can_be_cut_short_anywhere_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut synced = 0;
    for (seed, hit) in (0..4).zip([1, 2, 1, 3]) {
        synced = synced.max(run_and_kill(&mut child(dir.path(), seed), dir.path(), 30));
        let mut opening = child(dir.path(), seed);
        opening.env(FAILPOINT, format!("sled.flushed=kill@{hit}"));
        synced = synced.max(run_and_kill(&mut opening, dir.path(), usize::MAX));
    }
    expect_whole_steps(dir.path(), synced);
}
