//! A store gives back what it was given, whatever its size, and as whole steps.

use engine::Error;
use faults::fired;
use protocol::fold::Fold;

use crate::toy::{self, Record, Toy, open, records, state_after, step};

#[test]
fn what_was_synced_is_there_after_every_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    for round in 0..6 {
        let mut opened = open(dir.path()).unwrap();
        assert_eq!(opened.first_start, round == 0);
        assert_eq!(opened.notices, Vec::<String>::new());
        assert_eq!(opened.state, toy);
        for at in round * 300..(round + 1) * 300 {
            step(&mut *opened.engine, &mut toy, records(at)).unwrap();
            if at % 7 == 0 {
                opened.engine.sync().unwrap();
                assert_eq!(opened.engine.synced(), toy.seq());
            }
        }
        opened.engine.sync().unwrap();
        if round % 2 == 0 {
            opened.engine.close(&toy).unwrap();
        }
    }
    assert_eq!(open(dir.path()).unwrap().state, state_after(1800));
}

#[test]
fn steps_that_were_never_synced_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path()).unwrap();
    let mut toy = Toy::empty();
    step(&mut *opened.engine, &mut toy, records(0)).unwrap();
    opened.engine.sync().unwrap();
    let synced = toy.clone();
    step(&mut *opened.engine, &mut toy, records(1)).unwrap();
    assert_eq!(opened.engine.synced(), synced.seq());
    drop(opened);
    assert_eq!(open(dir.path()).unwrap().state, synced);
}

#[test]
fn close_syncs_and_lets_the_next_process_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy::empty();
    for at in 0..5 {
        let mut opened = open(dir.path()).unwrap();
        step(&mut *opened.engine, &mut toy, records(at)).unwrap();
        opened.engine.close(&toy).unwrap();
        let db = std::fs::File::open(dir.path().join("node_N1.sled/db")).unwrap();
        db.try_lock()
            .expect("sled's lock is free once close has returned");
    }
    assert_eq!(open(dir.path()).unwrap().state, toy);
}

#[test]
fn an_entry_may_grow_shrink_and_go_at_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path()).unwrap();
    let mut toy = Toy::empty();
    for len in [100_000, 5, 0, 2047, 2048, 2049, 60_000, 10_000, 300_000, 1] {
        let text = "x".repeat(len);
        let put = |id| Record::Put {
            table: 1,
            id,
            text: text.clone(),
        };
        step(&mut *opened.engine, &mut toy, vec![put(1), put(2)]).unwrap();
        opened.engine.sync().unwrap();
        drop(opened);
        opened = open(dir.path()).unwrap();
        assert_eq!(opened.state, toy, "{len} bytes");
    }
    step(
        &mut *opened.engine,
        &mut toy,
        vec![Record::Cut { table: 1, id: 1 }, Record::Cut { table: 1, id: 3 }],
    )
    .unwrap();
    opened.engine.close(&toy).unwrap();
    assert_eq!(open(dir.path()).unwrap().state, toy);
    assert_eq!(toy.entries().count(), 1);
    let blobs = std::fs::read_dir(dir.path().join("node_N1.sled/blobs")).unwrap();
    assert_eq!(blobs.count(), 0, "sled does not sync blobs");
}

#[test]
fn a_second_owner_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path()).unwrap();
    fired("P1");
    assert!(matches!(open(dir.path()), Err(Error::Locked { .. })));
    drop(opened);
    open(dir.path()).unwrap();
}

#[test]
fn room_is_refused_when_the_reserve_for_open_transactions_is_all_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path()).unwrap();
    assert!(opened.engine.has_room(0));
    assert!(!opened.engine.has_room(usize::MAX));
    assert_eq!(toy::config(dir.path()).kind, engine::StoreKind::Sled);
}
