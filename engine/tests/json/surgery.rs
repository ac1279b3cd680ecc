//! Segments that are missing, swapped, doubled, restored from a backup or filled with garbage.

use engine::{Disk, Error, MemDisk};
use faults::fired;

use crate::bank::{Bank, open_mem, step};

const ACTIVE: &str = "node_N1_log.jsonl";

/// A store whose log has several closed segments, since no checkpoint has been cut for long: the names of the closed
/// ones, in order, and the disk.
fn sample() -> (MemDisk, Bank, Vec<String>) {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    for at in 0..60 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        // The checkpoint finds no room, so that segments pile up.
        let _armed = Armed::for_checkpoints(&disk);
        opened.engine.tend(&mut bank).unwrap();
    }
    drop(opened.engine);
    let names = disk.list().unwrap();
    let first = |name: &String| {
        name.strip_prefix("node_N1_log.")?
            .strip_suffix(".jsonl")?
            .parse::<u64>()
            .ok()
    };
    let mut closed: Vec<(u64, String)> = names
        .iter()
        .filter_map(|name| Some((first(name)?, name.clone())))
        .collect();
    closed.sort();
    let closed: Vec<String> = closed.into_iter().map(|(_, name)| name).collect();
    assert!(closed.len() >= 3, "{closed:?}");
    (disk, bank, closed)
}

/// Keeps the first state file in place by making what a checkpoint writes disappear again.
struct Armed<'a> {
    disk: &'a MemDisk,
    kept: Vec<(String, Vec<u8>)>,
}

impl<'a> Armed<'a> {
    fn for_checkpoints(disk: &'a MemDisk) -> Armed<'a> {
        let names = disk.list().unwrap().into_iter();
        let is_kept =
            |name: &String| name != ACTIVE && !name.ends_with(".next.jsonl") && !name.ends_with(".tmp");
        let names = names.filter(is_kept);
        let kept = names
            .map(|name| (name.clone(), disk.read(&name).unwrap()))
            .collect();
        Armed { disk, kept }
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        for (name, content) in &self.kept {
            self.disk.put(name, content);
        }
    }
}

fn refused(disk: &MemDisk, what: &str) {
    let before = disk.list().unwrap();
    match open_mem(disk) {
        Err(Error::Corrupt(text)) => assert!(text.contains("node_N1_"), "{what}: {text}"),
        Err(error) => panic!("{what}: {error}"),
        Ok(opened) => panic!("{what} went unnoticed: {:?}", opened.notices),
    }
    assert_eq!(
        disk.list().unwrap(),
        before,
        "{what}: a refused store is left as it was"
    );
}

#[test]
fn the_untouched_store_opens() {
    let (disk, bank, _) = sample();
    assert_eq!(open_mem(&disk).unwrap().state, bank);
}

#[test]
fn a_missing_file_is_corruption() {
    let (disk, _, closed) = sample();
    for name in
        closed
            .iter()
            .map(String::as_str)
            .chain([ACTIVE, "node_N1_state.json", "node_N1_manifest.json"])
    {
        let damaged = disk.snapshot();
        damaged.remove(name).unwrap();
        fired("D7");
        refused(&damaged, &format!("without {name}"));
    }
}

#[test]
fn swapped_doubled_and_foreign_segments_are_corruption() {
    let (disk, _, closed) = sample();
    let all: Vec<&str> = closed.iter().map(String::as_str).chain([ACTIVE]).collect();
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            let (first, second) = (disk.read(a).unwrap(), disk.read(b).unwrap());
            let swapped = disk.snapshot();
            swapped.put(a, &second);
            swapped.put(b, &first);
            fired("D7");
            refused(&swapped, &format!("{a} and {b} swapped"));
            let doubled = disk.snapshot();
            doubled.put(b, &first);
            fired("D7");
            refused(&doubled, &format!("{a} in place of {b}"));
        }
    }
    let (other, _, _) = sample();
    other.put(ACTIVE, b"");
    fired("D7");
    refused(&other, "an empty active segment");
    other.put(ACTIVE, &[0; 4096]);
    fired("D7");
    refused(&other, "an active segment of zeros");
}

#[test]
fn damage_within_closed_segments_is_corruption_at_every_byte() {
    let (disk, _, closed) = sample();
    let name = &closed[1];
    let good = disk.read(name).unwrap();
    for at in 0..good.len() {
        let damaged = disk.snapshot();
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        damaged.put(name, &bad);
        fired("D3");
        refused(&damaged, &format!("{name} with byte {at} changed"));
        damaged.put(name, &good[..at]);
        fired("D7");
        refused(&damaged, &format!("{name} cut at {at}"));
    }
}

#[test]
fn an_older_active_segment_behind_a_checkpoint_is_corruption() {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    for at in 0..6 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
    }
    let old = disk.read(ACTIVE).unwrap();
    for at in 6..9 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
    }
    opened.engine.close(&bank).unwrap();
    disk.put(ACTIVE, &old);
    fired("D7");
    refused(&disk, "an older active segment");
}
