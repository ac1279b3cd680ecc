//! Segments that are used again, on a real disk: nothing that they held before ever comes back.

use std::collections::BTreeSet;
use std::path::Path;

use engine::StoreKind;
use protocol::fold::Fold;

use crate::bank::{Bank, config, step};

/// The files that are kept to be written over.
fn kept(dir: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".old")).collect()
}

#[test]
fn a_store_whose_segments_are_used_again_comes_back_whole_in_life_after_life() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), StoreKind::Json);
    let (mut at, mut last) = (0, None);
    let mut put_by = 0;
    for life in 0..12 {
        let before = kept(dir.path());
        let mut opened = engine::open::<Bank>(&config).unwrap();
        assert_eq!(
            kept(dir.path()),
            before,
            "life {life}: a start frees nothing where there is room"
        );
        let mut bank = opened.state;
        if let Some(last) = &last {
            assert_eq!(&bank, last, "life {life}");
        }
        for _ in 0..150 {
            step(&mut *opened.engine, &mut bank, at).unwrap();
            opened.engine.sync().unwrap();
            opened.engine.tend(&mut bank).unwrap();
            at += 1;
        }
        put_by += kept(dir.path()).len();
        if life % 4 == 3 {
            opened.engine.close(&bank).unwrap();
        }
        last = Some(bank);
    }
    assert!(put_by > 0, "none was put by");
    assert!(last.is_some_and(|bank| bank.seq() >= 12 * 150));
}
