//! What an inspection says of a store on the system's disk, of either kind, and when it refuses.

use std::fs;
use std::path::{Path, PathBuf};

use engine::{Error, Inspection, Owner, StoreKind, inspect, owners};
use protocol::fold::Fold;

use crate::bank::{Bank, config, open_mem, owner, records, states, step};

/// A store of 30 steps, cut off as by kill -9, and the state it must come back with.
fn sample(dir: &Path, kind: StoreKind) -> Bank {
    let mut opened = engine::open(&config(dir, kind)).unwrap();
    let mut bank = Bank::empty();
    for at in 0..30 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        opened.engine.tend(&mut bank).unwrap();
    }
    bank
}

fn inspected(dir: &Path) -> Result<Inspection<Bank>, Error> {
    inspect(dir, owner())
}

/// Every file below `dir` with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}

#[test]
fn an_inspection_finds_what_a_start_would_recover_and_changes_nothing() {
    for kind in StoreKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let bank = sample(dir.path(), kind);
        let before = files(dir.path());
        let found = inspected(dir.path()).unwrap();
        assert_eq!(files(dir.path()), before, "{kind}");
        assert_eq!((found.owner, found.kind), (owner(), kind));
        assert_eq!(found.cluster, "local".parse().unwrap());
        assert_eq!(found.content.recover(), bank, "{kind}");
        assert_eq!(
            engine::open::<Bank>(&config(dir.path(), kind)).unwrap().state,
            bank
        );
    }
}

#[test]
fn a_json_store_shows_both_checkpoints_and_every_record_that_is_left() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), StoreKind::Json);
    let content = inspected(dir.path()).unwrap().content;
    let [previous, newest] = &content.checkpoints[..] else {
        panic!("{:?}", content.checkpoints)
    };
    let (legal, all) = (states(30), (0..30).flat_map(records).collect::<Vec<_>>());
    assert!(previous.seq() < newest.seq(), "the run cuts checkpoints");
    assert!(legal.contains(previous) && legal.contains(newest));
    let first = content.records[0].0;
    assert!(
        first <= previous.seq() + 1,
        "the log reaches back to the previous checkpoint"
    );
    let skipped = usize::try_from(first).unwrap() - 1;
    let left: Vec<_> = content.records.iter().map(|(_, record)| record.clone()).collect();
    assert_eq!(left, all[skipped..]);
}

#[test]
fn a_store_that_a_process_has_open_is_refused_and_no_lock_is_left_behind() {
    for kind in StoreKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let open = engine::open::<Bank>(&config(dir.path(), kind)).unwrap();
        let refused = inspected(dir.path()).unwrap_err();
        assert!(matches!(refused, Error::Locked { .. }), "{kind}: {refused}");
        drop(open);
        inspected(dir.path()).unwrap();
        assert!(!engine::is_locked(dir.path(), owner()).unwrap());
        fs::remove_file(dir.path().join("node_N1.lock")).unwrap();
        inspected(dir.path()).unwrap();
        assert!(!dir.path().join("node_N1.lock").exists(), "nothing is made");
    }
}

#[test]
fn damage_that_a_start_refuses_is_refused_and_damage_that_it_ignores_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let bank = sample(dir.path(), StoreKind::Json);
    let flip = |name: &str| {
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    flip("node_N1_state.prev.json");
    let content = inspected(dir.path()).unwrap().content;
    assert_eq!(content.recover(), bank);
    let [damage] = &content.damage[..] else {
        panic!("{:?}", content.damage)
    };
    assert!(
        damage.contains("node_N1_state.prev.json is damaged: checksum mismatch"),
        "{damage}"
    );
    flip("node_N1_state.json");
    let refused = inspected(dir.path()).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), StoreKind::Sled);
    fs::remove_file(dir.path().join("node_N1.sled/conf")).unwrap();
    let before = files(dir.path());
    let refused = inspected(dir.path()).unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused}");
    assert_eq!(files(dir.path()), before);
}

#[test]
fn an_interrupted_first_start_holds_nothing_and_no_store_is_no_inspection() {
    let disk = engine::MemDisk::new();
    disk.stop_after(14);
    assert!(open_mem(&disk).is_err());
    let after = disk.crash(&mut |_| engine::Fate::Keep);
    let content = engine::inspect_on::<Bank, _>(&after, owner()).unwrap().content;
    assert_eq!(content.recover(), Bank::empty());
    assert!(
        content.notices[0].contains("interrupted"),
        "{:?}",
        content.notices
    );
    let refused = engine::inspect_on::<Bank, _>(&engine::MemDisk::new(), owner()).unwrap_err();
    assert!(
        matches!(&refused, Error::Mismatch(text) if text.contains("node N1 has no store here")),
        "{refused}"
    );
}

#[test]
fn owners_are_those_with_a_store_and_those_whose_manifest_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "node_N2_manifest.json",
        "node_N1_log.jsonl",
        "node_N1_log.7.jsonl",
        "node_N3_state.json",
        "node_N4.lock",
        "node_N5.sled",
        "node_",
        "coordinator_state.json",
        "notes.txt",
    ] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let node = |name: &str| Owner::Node(name.parse().unwrap());
    assert_eq!(owners(dir.path()).unwrap(), [node("N1"), node("N2"), node("N5")]);
    fs::write(dir.path().join("coordinator_manifest.json"), "").unwrap();
    assert_eq!(
        owners(dir.path()).unwrap(),
        [node("N1"), node("N2"), node("N5"), Owner::Coordinator]
    );
}
