//! The json log's reader: whatever has happened to a store's files, it refuses them, or finds a state that the store has
//! truly been in and that is no older than what the files themselves still prove.
//!
//! An input chooses a moment of a true history, a power cut perhaps, and surgery on the files; half of the inputs then get
//! right checksums again, so that not only the checksum is tried. Those can say things that never happened; all they must
//! not do is panic, change what they refuse, or be read differently the second time.

use engine::{Error, Fate, MemDisk, Opened};
use protocol::fold::{Fold, Seq};

use super::disk::{self, ACTIVE, NEXT, STATE};
use super::history::{History, histories};
use super::surgery::{self, Files};
use super::tape::Tape;
use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "log",
    holds: "damaged files are refused and left alone, or give a true state, no older than what a mark in them proves",
    judge,
    seeds,
    memory: (16 << 20, 64),
    shows: &[
        "untouched",
        "power cut",
        "refused",
        "a true state",
        "a dropped tail",
        "empty directory",
        "resealed and taken",
    ],
    faults: &["D1", "D2", "D3", "D5", "D6", "D7"],
};

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let head = choices.byte();
    let history = &histories()[usize::from(head & 1)];
    let resealed = head & 2 == 2;
    let at = choices.below(history.pages.len());
    let page = &history.pages[at];
    let whole = if head & 4 == 4 {
        seen.way("power cut");
        seen.fault("D2");
        page.disk.crash(&mut |_| fate(&mut choices))
    } else {
        page.disk.snapshot()
    };
    let untouched = disk::content(&whole);
    let mut files = untouched.clone();
    surgery::operate(
        &mut files,
        &mut choices,
        |when| disk::content(&history.pages[when % (at + 1)].disk),
        seen,
    );
    if resealed {
        surgery::reseal(&mut files);
    }
    let damaged = MemDisk::new();
    files.iter().for_each(|(name, bytes)| damaged.put(name, bytes));
    match disk::open::<Tape>(&damaged) {
        Err(error) => {
            assert!(files != untouched, "an untouched store is refused: {error}");
            refused(&error, &damaged, &files);
            seen.way("refused");
        }
        Ok(opened) if resealed && files != untouched => {
            seen.way("resealed and taken");
            goes_on(&damaged, opened);
        }
        Ok(opened) => {
            if files == untouched {
                seen.way("untouched");
                assert!(
                    opened.state.seq() >= page.promised,
                    "record {} was synced",
                    page.promised
                );
            }
            is_true(history, &opened, &files, seen);
            goes_on_as_it_was(history, &damaged, opened);
        }
    }
}

fn fate(choices: &mut Choices<'_>) -> Fate {
    match choices.below(6) {
        0 | 1 => Fate::Keep,
        2 | 3 => Fate::Drop,
        4 => Fate::Torn(choices.below(256)),
        _ => Fate::Zeros,
    }
}

/// A store that is refused says which file, and stays as it was.
fn refused(error: &Error, disk: &MemDisk, files: &Files) {
    match error {
        Error::Corrupt(why) | Error::Mismatch(why) => assert!(why.contains("node_N1_"), "{why}"),
        Error::Io { .. } | Error::Locked { .. } => panic!("a disk in memory: {error}"),
    }
    assert_eq!(
        disk::content(disk),
        *files,
        "a refused store is left as it was: {error}"
    );
}

/// What was found has once been so, and is no older than the files prove.
fn is_true(history: &History, opened: &Opened<Tape>, files: &Files, seen: &mut Seen) {
    if opened.first_start {
        let of_a_store =
            |name: &&String| name.contains("_log.") || name.contains("manifest") || *name == STATE;
        assert_eq!(
            files.keys().find(of_a_store),
            None,
            "a store is begun anew over the old one"
        );
        return seen.way("empty directory");
    }
    let seq = opened.state.seq();
    let index = usize::try_from(seq).expect("a short history");
    assert_eq!(
        history.states.get(index),
        Some(&opened.state),
        "this was never so"
    );
    let proved = marks(files).into_iter().chain(checkpoint(files)).max();
    assert!(
        proved <= Some(seq),
        "record {seq} is the newest, but the files prove {proved:?} durable"
    );
    seen.way(if opened.notices.is_empty() {
        "a true state"
    } else {
        "a dropped tail"
    });
}

/// What whole lines of the log say was synced.
fn marks(files: &Files) -> Vec<Seq> {
    let closed = |name: &str| {
        let middle = name
            .strip_prefix("node_N1_log.")
            .and_then(|rest| rest.strip_suffix(".jsonl"));
        middle.is_some_and(|digits| {
            digits
                .parse::<Seq>()
                .is_ok_and(|first| first.to_string() == digits)
        })
    };
    let stands_in = !files.contains_key(ACTIVE);
    let read = |name: &str| name == ACTIVE || closed(name) || (stands_in && name == NEXT);
    let segments = files.iter().filter(|(name, _)| read(name));
    let lines = segments.flat_map(|(_, bytes)| bytes.split_inclusive(|&byte| byte == b'\n'));
    lines
        .filter_map(|line| line.strip_suffix(b"\n"))
        .filter(|line| disk::is_sealed_line(line))
        .filter_map(|line| {
            let text = std::str::from_utf8(line).ok()?;
            text.get(18..)?
                .strip_prefix("\"synced\":")?
                .strip_suffix('}')?
                .parse()
                .ok()
        })
        .collect()
}

/// The newest record in the state file.
fn checkpoint(files: &Files) -> Option<Seq> {
    let bytes = files.get(STATE).filter(|bytes| disk::is_sealed_file(bytes))?;
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value["_meta"]["sequence"].as_u64()
}

/// Once taken, a store is read the same again.
fn goes_on(disk: &MemDisk, opened: Opened<Tape>) {
    drop(opened.engine);
    let again = disk::open::<Tape>(disk).unwrap_or_else(|error| panic!("taken once, then refused: {error}"));
    assert_eq!(again.state, opened.state);
    assert_eq!(again.notices, [""; 0], "a tail is dropped once");
}

/// Life goes on behind what was found, and the log holds it.
fn goes_on_as_it_was(history: &History, disk: &MemDisk, opened: Opened<Tape>) {
    let (mut engine, mut state) = (opened.engine, opened.state);
    let known = usize::try_from(state.seq()).expect("a short history");
    for record in history.records.iter().skip(known).take(3) {
        let mut touched = Vec::new();
        state.apply(state.seq() + 1, record, &mut touched);
        engine
            .append(&[(state.seq(), record.clone())], &touched, &state)
            .expect("a disk in memory");
        engine.sync().expect("a disk in memory");
        engine
            .tend(&mut state)
            .unwrap_or_else(|error| panic!("a store that was taken: {error}"));
    }
    if known.is_multiple_of(2) {
        engine
            .close(&state)
            .unwrap_or_else(|error| panic!("a store that was taken: {error}"));
    } else {
        drop(engine);
    }
    let again = disk::open::<Tape>(disk).unwrap_or_else(|error| panic!("taken once, then refused: {error}"));
    assert_eq!(again.state, state);
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    // Head (1 piled up, 2 resealed, 4 power cut), moment; then operations: which, file, place and what else.
    vec![
        ("untouched", vec![0, 30]),
        ("untouched-piled", vec![1, 40]),
        ("cut-off-dropping", vec![4, 18, 2, 2, 2, 2]),
        ("cut-off-tearing", vec![4, 7, 4, 20, 4, 20]),
        ("cut-off-zeros", vec![4, 18, 5, 5, 5]),
        ("flip-active", vec![0, 30, 0, 0, 100, 0, 3]),
        ("flip-in-a-record", vec![0, 9, 0, 0, 0, 20]),
        ("flip-closed", vec![1, 40, 0, 1, 200, 0, 3]),
        ("flip-state", vec![0, 30, 0, 4, 50, 0, 2]),
        ("cut-active", vec![0, 30, 1, 2, 250, 1]),
        ("zeros-in-tail", vec![0, 30, 2, 2, 40, 2, 60]),
        ("filler", vec![0, 30, 8, 2, 0, 0, 60, 0]),
        ("line-gone", vec![1, 40, 5, 1, 0, 0, 2]),
        ("line-doubled", vec![1, 40, 6, 1, 0, 0, 2]),
        ("lines-swapped", vec![1, 40, 7, 1, 0, 0, 2, 4]),
        ("number-changed", vec![0, 30, 9, 2, 60, 0, 14]),
        ("files-swapped", vec![1, 40, 12, 1, 2]),
        ("file-doubled", vec![1, 40, 13, 1, 2]),
        ("segment-gone", vec![1, 40, 14, 1]),
        ("manifest-gone", vec![0, 30, 14, 3]),
        ("all-gone", vec![0, 0, 14, 0, 14, 0, 14, 0, 14, 0]),
        ("older-segment", vec![0, 45, 15, 0, 10]),
        ("older-state", vec![0, 45, 15, 4, 20]),
        (
            "garbage",
            b"\x00\x1e\x10\x02\x40{\"crc\":\"00000000\",\"synced\":7}\n".to_vec(),
        ),
        ("line-elsewhere", vec![1, 40, 17, 1, 2, 2, 3]),
        ("resealed-mark", vec![3, 40, 9, 0, 90, 0, 15]),
        ("resealed-header", vec![2, 30, 9, 0, 10, 0, 15]),
        ("resealed-sequence", vec![2, 30, 9, 4, 120, 0, 15]),
        ("resealed-note", vec![2, 30, 10, 2, 200, 0, 65]),
    ]
}
