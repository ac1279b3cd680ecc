//! What a crash leaves: whole steps, none of them missing that was acknowledged, whatever the disk kept of a sync that
//! was under way.
//!
//! The processes that die here are this test binary, started again with an environment variable that names a folder.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use engine::failpoint;
use faults::fired;
use protocol::fold::{Fold, Seq};

use crate::toy::{Random, Toy, copy_folder, open, records, state_after, step, steps_until};

const DIR: &str = "TWOPENCE_SLED_CRASH_DIR";
pub(crate) const FAILPOINT: &str = "TWOPENCE_SLED_CRASH_AT";
const STEPS: &str = "TWOPENCE_SLED_CRASH_STEPS";

/// Not a test by itself: what the started processes do. Says `synced <step>` after every sync.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else {
        return;
    };
    if let Ok(point) = env::var(FAILPOINT) {
        failpoint::enable();
        failpoint::arm(&point).unwrap();
    }
    let steps: u64 = env::var(STEPS).map_or(u64::MAX, |steps| steps.parse().unwrap());
    let mut opened = open(Path::new(&dir)).unwrap();
    let mut toy = opened.state;
    let first = steps_until(toy.seq());
    for at in first..first.saturating_add(steps) {
        step(&mut *opened.engine, &mut toy, records(at)).unwrap();
        opened.engine.sync().unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "synced {}", toy.seq()).unwrap();
        out.flush().unwrap();
    }
}

/// Starts the child on the store in `dir`.
pub(crate) fn start(command: &mut Command, dir: &Path) -> Child {
    let command = command
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIR, dir);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// `wrapper` with the child behind it, which ends after `steps` steps.
pub(crate) fn child_command(mut wrapper: Command, dir: &Path, steps: u64) -> Command {
    wrapper
        .arg(binary())
        .args(["--exact", "crash::child", "--nocapture"]);
    wrapper.env(DIR, dir).env(STEPS, steps.to_string());
    wrapper
}

pub(crate) fn binary() -> PathBuf {
    env::current_exe().unwrap()
}

/// The sequence number that a line of the child acknowledges. The first one shares its line with the test's name.
pub(crate) fn acknowledged(line: &str) -> Option<Seq> {
    line.split_once("synced ")?.1.trim().parse().ok()
}

/// Opens the store and checks that it holds a state between whole steps, at or behind `synced`. Returns its steps.
pub(crate) fn expect_whole_steps(dir: &Path, synced: Seq) -> u64 {
    let found = open(dir).unwrap().state;
    let steps = steps_until(found.seq());
    assert_eq!(found, state_after(steps), "not a state between two steps");
    assert!(
        found.seq() >= synced,
        "record {synced} was acknowledged, record {} is the last",
        found.seq()
    );
    steps
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let mut child = start(&mut Command::new(binary()), dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut synced = 0;
        for line in lines
            .map(Result::unwrap)
            .filter(|line| line.contains("synced"))
            .take(5 + round * 17)
        {
            synced = acknowledged(&line).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(synced > 0);
        expect_whole_steps(dir.path(), synced);
    }
}

#[test]
fn a_process_that_dies_inside_a_sync_leaves_that_step_whole_or_not_at_all() {
    for (point, kept) in [("sled.before-batch", false), ("sled.flushed", true)] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary());
        // The first hits belong to making and opening the store.
        let at_step = |hits: u32| format!("{point}=kill@{hits}");
        let hits = if kept { 2 + 8 } else { 1 + 8 };
        let mut child = start(child.env(FAILPOINT, at_step(hits)), dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let synced = lines
            .map(Result::unwrap)
            .filter_map(|line| acknowledged(&line))
            .last()
            .unwrap();
        assert!(!child.wait().unwrap().success());
        fired("N10");
        let steps_synced = steps_until(synced);
        let steps = expect_whole_steps(dir.path(), synced);
        assert_eq!(steps, steps_synced + u64::from(kept), "killed at {point}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary());
    let mut child = start(child.env(FAILPOINT, "sled.after-batch=kill@9"), dir.path());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let synced = lines
        .map(Result::unwrap)
        .filter_map(|line| acknowledged(&line))
        .last()
        .unwrap();
    assert!(!child.wait().unwrap().success());
    fired("N10");
    expect_whole_steps(dir.path(), synced);
}

/// Rows of the journal are settled only once it is nearly full.
#[test]
fn a_process_that_dies_while_it_settles_loses_nothing_and_goes_on_with_it() {
    let scratch = tempfile::tempdir().unwrap();
    let full = scratch.path().join("full");
    let mut opened = open(&full).unwrap();
    let mut toy = Toy::empty();
    let steps = 1500;
    for at in 0..steps {
        step(&mut *opened.engine, &mut toy, records(at)).unwrap();
        opened.engine.sync().unwrap();
    }
    drop(opened);
    for point in ["sled.before-settle", "sled.after-settle"] {
        for hit in [1, 2, 9] {
            let dir = scratch.path().join("dies");
            copy_folder(&full, &dir);
            let mut command = Command::new(binary());
            command.env(FAILPOINT, format!("{point}=kill@{hit}"));
            let mut child = start(&mut command, &dir);
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let synced = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line));
            let synced = synced.last().unwrap_or(toy.seq());
            assert!(!child.wait().unwrap().success());
            fired("N10");
            assert!(expect_whole_steps(&dir, synced) >= steps);
            // And again where it was.
            let mut child = start(&mut Command::new(binary()), &dir);
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut lines = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line));
            let synced = lines.nth(50).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            expect_whole_steps(&dir, synced);
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}

/// A power cut during a sync keeps any part of what was written since the last fsync, in any order. Here every block
/// that changed is kept or lost at random, for syncs all along the life of a store that reuses its segments.
#[test]
fn any_part_of_an_unfinished_sync_may_reach_the_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let (dir, torn) = (scratch.path().join("store"), scratch.path().join("torn"));
    let db = Path::new("node_N1.sled/db");
    let mut opened = open(&dir).unwrap();
    let mut toy = Toy::empty();
    let mut random = Random(77);
    let (mut kept, mut lost, mut reused) = (0, 0, 0);
    let mut before = fs::read(dir.join(db)).unwrap();
    for round in 0..700u64 {
        let (last, first) = (toy.clone(), round * 12);
        for at in first..first + 12 {
            step(&mut *opened.engine, &mut toy, records(at)).unwrap();
        }
        opened.engine.sync().unwrap();
        let after = fs::read(dir.join(db)).unwrap();
        let changed = changed_blocks(&before, &after);
        let overwrote = changed.iter().any(|block| {
            before
                .get(block * BLOCK..)
                .is_some_and(|old| old.len() > 1_200_000)
        });
        reused += u32::from(overwrote);
        if round % if overwrote { 5 } else { 40 } == 0 {
            for keep_percent in [0, 50, 97, 100] {
                let longer = keep_percent == 100 || random.below(2) == 0;
                let mut bytes = before.clone();
                bytes.resize(if longer { after.len() } else { before.len() }, 0);
                for block in &changed {
                    let range = block * BLOCK..after.len().min((block + 1) * BLOCK);
                    if random.below(100) < keep_percent && range.end <= bytes.len() {
                        bytes[range.clone()].copy_from_slice(&after[range]);
                    }
                }
                copy_folder(&dir, &torn);
                fs::write(torn.join(db), &bytes).unwrap();
                if bytes != after {
                    fired("D2");
                }
                fs::remove_file(torn.join("node_N1.synced")).unwrap();
                let found = open(&torn)
                    .unwrap_or_else(|error| panic!("round {round}: {error}"))
                    .state;
                assert!(
                    found == toy || found == last,
                    "round {round}: neither before nor after"
                );
                kept += u32::from(found == toy);
                lost += u32::from(found == last);
                fs::remove_dir_all(&torn).unwrap();
            }
        }
        before = after;
    }
    println!("{kept} kept, {lost} lost, {reused} syncs reused a segment");
    assert!(kept > 0 && lost > 0 && reused > 0);
}

const BLOCK: usize = 512;

fn changed_blocks(before: &[u8], after: &[u8]) -> Vec<usize> {
    let blocks = after.len().div_ceil(BLOCK);
    let block = |bytes: &[u8], at: usize| {
        bytes
            .get(at * BLOCK..bytes.len().min((at + 1) * BLOCK))
            .map(<[u8]>::to_vec)
    };
    (0..blocks)
        .filter(|at| block(before, *at) != block(after, *at))
        .collect()
}
