//! Stores that were written by earlier versions, or will have been: they open, with everything in them.
//!
//! `UPDATE_STORES=1` writes the newest one anew. Once a version with its format is released, that is over: then a format
//! that differs gets a folder of its own, and this one stays.

use std::fs;
use std::path::PathBuf;

use engine::{Disk, MemDisk};
use faults::fired;

use crate::bank::{Bank, open_mem, step};

const STEPS: u64 = 40;

/// By the format of the state files.
const FORMATS: [&str; 2] = ["format_1", "format_2"];

fn folder(format: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/stores")
        .join(format)
}

/// A store with a checkpoint, the one before, a closed segment and an active one.
fn written_now() -> (MemDisk, Bank) {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    for at in 0..STEPS {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        if at < STEPS - 3 {
            opened.engine.tend(&mut bank).unwrap();
        }
    }
    (disk, bank)
}

#[test]
fn a_store_of_any_format_so_far_opens_whole() {
    let (disk, bank) = written_now();
    if std::env::var_os("UPDATE_STORES").is_some() {
        let [.., newest] = FORMATS;
        fs::create_dir_all(folder(newest)).unwrap();
        for name in disk.list().unwrap() {
            fs::write(folder(newest).join(&name), disk.read(&name).unwrap()).unwrap();
        }
    }
    for format in FORMATS {
        opens_whole(format, &bank);
    }
}

fn opens_whole(format: &str, bank: &Bank) {
    let old = MemDisk::new();
    for entry in fs::read_dir(folder(format)).unwrap() {
        let path = entry.unwrap().path();
        old.put(
            path.file_name().unwrap().to_str().unwrap(),
            &fs::read(&path).unwrap(),
        );
    }
    let names = old.list().unwrap();
    for part in [
        "manifest.json",
        "state.json",
        "state.prev.json",
        "log.jsonl",
        "_log.",
    ] {
        assert!(
            names.iter().any(|name| name.contains(part)),
            "no {part}: {names:?}"
        );
    }
    fired("P4");
    let opened = open_mem(&old).unwrap();
    assert_eq!(opened.state, *bank, "{format}");
    assert_eq!(opened.notices, [""; 0]);
    // It is not only read: this version goes on where that one stopped.
    let (mut engine, mut bank) = (opened.engine, opened.state);
    step(&mut *engine, &mut bank, STEPS).unwrap();
    engine.close(&bank).unwrap();
    assert_eq!(open_mem(&old).unwrap().state, bank);
}
