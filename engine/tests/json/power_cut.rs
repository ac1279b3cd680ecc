//! Real processes whose death is a power cut: nothing that was acknowledged is lost, and what was not synced really is.
//!
//! The processes that die here are this test binary, started again with an environment variable that names a folder.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use engine::{StoreConfig, StoreKind, failpoint};
use protocol::fold::{Fold, Seq};

use crate::bank::{Bank, config, records, states, step};

const DIR: &str = "TWOPENCE_JSON_POWER_CUT_DIR";
const SEED: &str = "TWOPENCE_JSON_POWER_CUT_SEED";
const FAILPOINT: &str = "TWOPENCE_JSON_POWER_CUT_AT";
const NO_SYNC_FROM: &str = "TWOPENCE_JSON_POWER_CUT_NO_SYNC_FROM";

/// A seed that never lets anything become durable early.
const STRICT: u64 = 3;

/// More than any of them takes before it dies. What is tested here costs memory with the square of it.
const STEPS_MAX: u64 = 3000;

/// Not a test by itself: what the started processes do. Says `synced <record>` after every sync, and goes on until it
/// is killed.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else {
        return;
    };
    if let Ok(point) = env::var(FAILPOINT) {
        failpoint::enable();
        failpoint::arm(&point).unwrap();
    }
    let no_sync_from = env::var(NO_SYNC_FROM).map_or(u64::MAX, |at| at.parse().unwrap());
    let mut config = StoreConfig {
        power_cut: env::var(SEED).ok().map(|seed| seed.parse().unwrap()),
        ..config(Path::new(&dir), StoreKind::Json)
    };
    if no_sync_from < u64::MAX {
        config.segment_len_max = StoreConfig::SEGMENT_LEN_MAX; // A rotation syncs, too.
    }
    let mut opened = engine::open::<Bank>(&config).unwrap();
    let mut bank = opened.state;
    let mut out = std::io::stdout().lock();
    for at in steps_in(&bank)..STEPS_MAX {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        if at < no_sync_from {
            opened.engine.sync().unwrap();
        }
        opened.engine.tend(&mut bank).unwrap();
        writeln!(out, "synced {}", bank.seq()).unwrap();
        out.flush().unwrap();
    }
}

/// How many whole steps lead to `bank`.
fn steps_in(bank: &Bank) -> u64 {
    let mut records_so_far = 0;
    (0..)
        .find(|&at| {
            let reached = records_so_far >= bank.seq();
            records_so_far += u64::try_from(records(at).len()).unwrap();
            reached
        })
        .unwrap()
}

/// Runs a child until it has said `lines` times that it synced, or until it dies. Returns the last record it named.
fn run_and_kill(dir: &Path, variables: &[(&str, String)], lines: usize) -> Seq {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "power_cut::child", "--nocapture"])
        .env(DIR, dir)
        .envs(variables.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first one shares its line with the test's name.
    let synced = |line: String| line.split_once("synced ")?.1.trim().parse().ok();
    let last = said.map_while(Result::ok).filter_map(synced).take(lines).last();
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(
        ended.signal(),
        Some(9),
        "it was killed, by us or at its failpoint"
    );
    if variables.iter().any(|(name, _)| *name == SEED) {
        faults::fired("D2");
    }
    last.unwrap_or(0)
}

/// What a process that starts now finds.
fn found(dir: &Path) -> Bank {
    let opened = engine::open::<Bank>(&config(dir, StoreKind::Json)).unwrap();
    let legal = states(opened.state.seq() + 1);
    assert!(legal.contains(&opened.state), "not a state that ever was");
    opened.state
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_power_is_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12 {
        let seed = (SEED, round.to_string());
        let lines = 3 + usize::try_from(round).unwrap() * 7 % 40;
        let last = run_and_kill(dir.path(), &[seed], lines);
        assert!(last > acknowledged, "round {round} came nowhere");
        acknowledged = last;
        let seq = found(dir.path()).seq();
        assert!(
            seq >= acknowledged,
            "round {round}: {acknowledged} was acknowledged, {seq} is there"
        );
    }
}

#[test]
fn nor_when_it_is_cut_at_a_step_of_a_checkpoint_or_of_recovery() {
    for seed in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        let steps = (1..=11).map(|k| format!("checkpoint.k{k}=kill@2"));
        for point in steps.chain([
            "recovery.copied=kill".to_owned(),
            "recovery.record=kill@3".to_owned(),
        ]) {
            let variables = [(SEED, seed.to_string()), (FAILPOINT, point.clone())];
            acknowledged = acknowledged.max(run_and_kill(dir.path(), &variables, usize::MAX));
            let seq = found(dir.path()).seq();
            assert!(
                seq >= acknowledged,
                "seed {seed}, {point}: {acknowledged} was acknowledged, {seq} is there"
            );
        }
        assert!(acknowledged > 50, "{acknowledged}");
    }
}

#[test]
fn a_missing_sync_loses_records_under_a_power_cut_and_under_it_alone() {
    let no_sync = (NO_SYNC_FROM, "10".to_owned());
    let synced: usize = (0..10).map(|at| records(at).len()).sum();
    let synced = Seq::try_from(synced).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let last = run_and_kill(dir.path(), std::slice::from_ref(&no_sync), 12);
    assert!(
        last > synced && found(dir.path()).seq() >= last,
        "the page cache survives kill -9"
    );

    let dir = tempfile::tempdir().unwrap();
    let variables = [no_sync, (SEED, STRICT.to_string())];
    let last = run_and_kill(dir.path(), &variables, 12);
    assert!(last > synced);
    assert_eq!(found(dir.path()).seq(), synced, "what was not synced is gone");
}
