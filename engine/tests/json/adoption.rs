//! A balance file written by hand: adopted once and whole, or refused and left alone.

use std::path::Path;

use engine::{Disk, Error, Fate, MemDisk, Owner, StoreConfig, StoreKind};
use faults::fired;
use protocol::fold::Fold;
use protocol::id::{AccountId, StoreId};

use crate::bank::{Bank, config, open_mem, ticking};

const STATE: &str = "node_N1_state.json";

fn balance(bank: &Bank, account: &str) -> Option<i64> {
    let id: AccountId = account.parse().unwrap();
    bank.accounts.get(&id).map(|(balance, _)| *balance)
}

fn by_hand(text: &str) -> MemDisk {
    let disk = MemDisk::new();
    disk.put(STATE, text.as_bytes());
    disk
}

#[test]
fn a_hand_written_file_is_adopted_once() {
    let disk = by_hand("{\"A\": 100,\n \"B\": 5}");
    for round in 0..3 {
        let opened = open_mem(&disk).unwrap();
        assert_eq!(opened.first_start, round == 0);
        assert_eq!(
            opened.notices.len(),
            usize::from(round == 0),
            "{:?}",
            opened.notices
        );
        assert_eq!(
            (balance(&opened.state, "A"), balance(&opened.state, "B")),
            (Some(100), Some(5))
        );
        assert_eq!(opened.state.accounts[&AccountId::world()].0, -105);
        assert_eq!(opened.state.seq(), 1);
    }
}

#[test]
fn a_crash_at_any_operation_neither_refuses_nor_doubles_it() {
    let mut n = 0;
    loop {
        let disk = by_hand("{\"A\": 100}");
        disk.stop_after(n);
        let done = open_mem(&disk).is_ok();
        for keep in [Fate::Keep, Fate::Drop] {
            let after = disk.crash(&mut |_| keep);
            let bank = open_mem(&after)
                .unwrap_or_else(|error| panic!("after {n}, {keep:?}: {error}"))
                .state;
            assert_eq!(
                (balance(&bank, "A"), bank.seq()),
                (Some(100), 1),
                "after {n}, {keep:?}"
            );
            assert_eq!(open_mem(&after).unwrap().state, bank);
        }
        if done {
            break;
        }
        n += 1;
    }
    assert!(n > 20, "only {n} operations");
}

#[test]
fn a_flawed_file_is_refused_whole_and_nothing_else_appears() {
    for text in [
        "{\"A\": 1, \"A\": 1}",
        "{\"A\": 1.5}",
        "{\"A\": -1}",
        "{\"@world\": 0}",
        "{\"_meta\": {}}",
        "[]",
        "",
        "{\"A\": 100",
    ] {
        let disk = by_hand(text);
        fired("I12");
        let Err(error) = open_mem(&disk) else {
            panic!("{text} was adopted")
        };
        assert!(
            matches!(&error, Error::Mismatch(why) if why.contains(STATE)),
            "{text}: {error}"
        );
        assert_eq!(disk.list().unwrap(), [STATE], "{text}");
        assert_eq!(disk.read(STATE).unwrap(), text.as_bytes());
    }
}

#[test]
fn a_stores_own_state_file_without_its_manifest_is_not_adopted() {
    let disk = MemDisk::new();
    drop(open_mem(&disk).unwrap());
    let alone = MemDisk::new();
    alone.put(STATE, &disk.read(STATE).unwrap());
    assert!(matches!(open_mem(&alone), Err(Error::Corrupt(text)) if text.contains("manifest")));
}

#[test]
fn a_plain_file_in_place_of_a_running_stores_state_is_refused() {
    let disk = MemDisk::new();
    drop(open_mem(&disk).unwrap());
    disk.put(STATE, b"{\"A\": 100}");
    fired("I13");
    assert!(matches!(open_mem(&disk), Err(Error::Corrupt(text)) if text.contains("twopence deposit")));
}

#[test]
fn sled_refuses_a_hand_written_file_and_says_who_adopts_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(STATE), "{\"A\": 100}").unwrap();
    let refused = engine::open::<Bank>(&config(dir.path(), StoreKind::Sled))
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Mismatch(text) if text.contains("--store json")),
        "{refused}"
    );
    let adopted = engine::open::<Bank>(&config(dir.path(), StoreKind::Json)).unwrap();
    assert_eq!(balance(&adopted.state, "A"), Some(100));
}

#[test]
fn the_coordinator_has_files_of_its_own() {
    let disk = MemDisk::new();
    let node = config(Path::new("/nowhere"), StoreKind::Json);
    let coordinator = StoreConfig {
        owner: Owner::Coordinator,
        ..node
    };
    engine::open_on::<Bank, _>(&disk, &coordinator, StoreId(5), ticking()).unwrap();
    let expected = [
        "coordinator_manifest.json",
        "coordinator_state.json",
        "coordinator_state.prev.json",
        "coordinator_tx_log.jsonl",
    ];
    assert_eq!(disk.list().unwrap(), expected);
}
