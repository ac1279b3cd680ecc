//! What people see of a log while its process writes it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine::{LogAsk, LogLine, LogPage, Owner, StoreKind, peek};
use protocol::fold::Fold;

use crate::bank::{Bank, config, owner, records, step};

fn page(dir: &std::path::Path, ask: &LogAsk) -> LogPage {
    peek::<Bank>(dir, owner(), ask).unwrap()
}

fn ask(limit: usize) -> LogAsk {
    LogAsk {
        before: None,
        naming: None,
        limit,
    }
}

/// Every line, read a few at a time.
fn all(dir: &std::path::Path) -> Vec<LogLine> {
    let mut ask = ask(3);
    let mut lines = Vec::new();
    loop {
        let page = page(dir, &ask);
        assert!(page.lines.len() <= 3);
        lines.extend(page.lines);
        ask.before = page.next;
        if page.next.is_none() {
            return lines;
        }
    }
}

#[test]
fn a_log_is_shown_line_by_line_from_its_end_with_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = engine::open(&config(dir.path(), StoreKind::Json)).unwrap();
    let mut bank = Bank::empty();
    for at in 0..30 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        opened.engine.tend(&mut bank).unwrap();
    }
    let lines = all(dir.path());
    assert!(
        lines.iter().all(|line| line.crc_ok && line.crc.len() == 8),
        "{lines:#?}"
    );
    assert!(lines.is_sorted_by(|newer, older| newer.place > older.place));
    let written: Vec<String> = (0..30)
        .flat_map(records)
        .map(|record| record.to_string())
        .collect();
    let shown: Vec<&LogLine> = lines.iter().rev().filter(|line| line.seq.is_some()).collect();
    let first = usize::try_from(shown[0].seq.unwrap()).unwrap();
    let texts: Vec<&String> = shown.iter().map(|line| &line.text).collect();
    assert_eq!(texts, written[first - 1..].iter().collect::<Vec<_>>());
    let segments = lines.iter().filter(|line| line.action == "segment").count();
    assert!(segments > 1, "the log has been rotated");
    assert!(
        lines
            .iter()
            .any(|line| line.text.starts_with("everything up to record"))
    );

    // Only what names an id, and it as a whole.
    let of = |id: &str| {
        let naming = Some(id.to_owned());
        page(dir.path(), &LogAsk { naming, ..ask(100) }).lines
    };
    let deposits = of("deposit");
    assert!(!deposits.is_empty() && deposits.iter().all(|line| line.action == "deposit"));
    assert!(of("deposi").is_empty());
}

#[test]
fn a_damaged_line_is_shown_as_such_among_the_good_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = engine::open(&config(dir.path(), StoreKind::Json)).unwrap();
    let mut bank = Bank::empty();
    for at in 0..4 {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
    }
    drop(opened);
    let path = dir.path().join(format!("{}.jsonl", owner().log_stem()));
    let mut bytes = fs::read(&path).unwrap();
    let victim = all(dir.path())
        .into_iter()
        .find(|line| line.seq == Some(2))
        .unwrap();
    let at = usize::try_from(victim.place.offset).unwrap() + 25;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let lines = all(dir.path());
    let bad: Vec<&LogLine> = lines.iter().filter(|line| !line.crc_ok).collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].place, victim.place);
    assert!(bad[0].text.starts_with("checksum mismatch"), "{}", bad[0].text);
}

#[test]
fn a_log_that_is_being_written_and_rotated_never_shows_a_gap_or_a_wrong_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = engine::open(&config(dir.path(), StoreKind::Json)).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut bank = Bank::empty();
            for at in 0..200 {
                step(&mut *opened.engine, &mut bank, at).unwrap();
                opened.engine.sync().unwrap();
                opened.engine.tend(&mut bank).unwrap();
            }
            ended.store(true, Ordering::Relaxed);
        });
        let mut newest = 0;
        while !ended.load(Ordering::Relaxed) {
            let lines = page(dir.path(), &ask(60)).lines;
            assert!(lines.iter().all(|line| line.crc_ok), "{lines:#?}");
            let seqs: Vec<u64> = lines.iter().filter_map(|line| line.seq).collect();
            assert!(seqs.windows(2).all(|pair| pair[0] == pair[1] + 1), "{seqs:?}");
            if let Some(&seq) = seqs.first() {
                assert!(seq >= newest, "time goes on");
                newest = seq;
            }
        }
        assert!(newest > 0);
    });
    let nobody = peek::<Bank>(dir.path(), Owner::Coordinator, &ask(1));
    assert!(matches!(nobody, Err(engine::Error::Mismatch(_))));
}
