//! What every backend promises, run against each of them. A new backend gets one line in [`every_backend`].

use engine::{Error, MemDisk, Opened, StoreConfig, StoreKind};
use faults::fired;
use protocol::fold::Fold;

use crate::bank::{Bank, config, open_mem, states, step};

/// Opens the same store again and again.
type Reopen<'a> = &'a dyn Fn() -> Result<Opened<Bank>, Error>;

fn every_backend(test: impl Fn(Reopen<'_>)) {
    for kind in StoreKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        println!("{kind} on the system's disk");
        test(&|| engine::open(&config(dir.path(), kind)));
    }
    for seed in [0, 1, 2] {
        let dir = tempfile::tempdir().unwrap();
        println!("json on a disk where kill -9 is a power cut, seed {seed}");
        let config = StoreConfig {
            power_cut: Some(seed),
            ..config(dir.path(), StoreKind::Json)
        };
        test(&|| engine::open(&config));
    }
    println!("json in memory");
    let disk = MemDisk::new();
    test(&|| open_mem(&disk));
}

#[test]
fn what_was_synced_comes_back_whether_the_store_was_closed_or_not() {
    every_backend(|open| {
        let mut bank = Bank::empty();
        for round in 0..6 {
            let mut opened = open().unwrap();
            assert_eq!((opened.first_start, &opened.state), (round == 0, &bank));
            assert_eq!((opened.engine.synced(), opened.notices.len()), (bank.seq(), 0));
            for at in round * 20..(round + 1) * 20 {
                step(&mut *opened.engine, &mut bank, at).unwrap();
                assert!(
                    opened.engine.synced() < bank.seq(),
                    "nothing is durable before its sync"
                );
                opened.engine.sync().unwrap();
                assert_eq!(opened.engine.synced(), bank.seq());
                opened.engine.tend(&mut bank).unwrap();
            }
            if round % 2 == 0 {
                opened.engine.close(&bank).unwrap();
            }
        }
        assert_eq!(open().unwrap().state, bank);
    });
}

#[test]
fn what_was_not_synced_comes_back_as_a_prefix_of_whole_steps_or_not_at_all() {
    every_backend(|open| {
        let mut bank = Bank::empty();
        let mut opened = open().unwrap();
        for at in 0..30 {
            step(&mut *opened.engine, &mut bank, at).unwrap();
            if at == 9 {
                opened.engine.sync().unwrap();
            }
        }
        let synced = opened.engine.synced();
        drop(opened);
        let found = open().unwrap().state;
        assert!(found.seq() >= synced && states(30).contains(&found));
    });
}

#[test]
fn one_sync_covers_many_steps_and_one_without_news_is_free() {
    every_backend(|open| {
        let mut bank = Bank::empty();
        let mut opened = open().unwrap();
        for at in 0..12 {
            step(&mut *opened.engine, &mut bank, at).unwrap();
        }
        opened.engine.sync().unwrap();
        opened.engine.sync().unwrap();
        let stats = opened.engine.stats();
        assert_eq!((stats.syncs, stats.records), (1, bank.seq()));
        assert!(stats.bytes > 0 && opened.engine.has_room(100));
    });
}

#[test]
fn a_store_that_is_open_is_locked() {
    for kind in StoreKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), kind);
        let first = engine::open::<Bank>(&config).unwrap();
        assert!(engine::is_locked(dir.path(), config.owner).unwrap());
        fired("P1");
        assert!(matches!(engine::open::<Bank>(&config), Err(Error::Locked { .. })));
        first.engine.close(&first.state).unwrap();
        assert!(!engine::is_locked(dir.path(), config.owner).unwrap());
    }
}

#[test]
fn a_store_of_another_kind_is_refused_and_left_alone() {
    for (kind, other) in [
        (StoreKind::Json, StoreKind::Sled),
        (StoreKind::Sled, StoreKind::Json),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(engine::open::<Bank>(&config(dir.path(), kind)).unwrap());
        fired("P2");
        assert!(matches!(
            engine::open::<Bank>(&config(dir.path(), other)),
            Err(Error::Mismatch(_))
        ));
        engine::open::<Bank>(&config(dir.path(), kind)).unwrap();
    }
}
