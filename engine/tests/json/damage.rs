//! Every single bit, and every place to cut: refused, or provably harmless, and never a panic.

use engine::{Disk, Error, MemDisk};
use faults::fired;
use protocol::fold::Fold;

use crate::bank::{Bank, open_mem, states, step};

const LOG: &str = "node_N1_log.jsonl";

/// A store of a few steps that was left without closing it, with its last mark written.
fn sample(steps: u64) -> (MemDisk, Bank) {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    for at in 0..steps {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
    }
    (disk, bank)
}

fn flipped(good: &[u8], bit: usize) -> Vec<u8> {
    let mut bad = good.to_vec();
    bad[bit / 8] ^= 1 << (bit % 8);
    bad
}

#[test]
fn every_flipped_bit_of_the_log_is_refused_or_costs_only_what_no_mark_covers() {
    let (disk, bank) = sample(14);
    let good = disk.read(LOG).unwrap();
    assert!(good.len() > 2000, "{} bytes are too few", good.len());
    let last_mark = String::from_utf8_lossy(&good).rfind("\n{\"crc\":\"").unwrap();
    let text = String::from_utf8_lossy(&good[..last_mark]).into_owned();
    let mark = text.rfind("\"synced\":").unwrap();
    let covered = text[..mark].rfind('\n').unwrap() + 1;
    let legal = states(14);
    for bit in 0..good.len() * 8 {
        let damaged = disk.snapshot();
        damaged.put(LOG, &flipped(&good, bit));
        fired(if bit / 8 < covered { "D3" } else { "D4" });
        if good[bit / 8].is_ascii_digit() {
            fired("D5");
        }
        match open_mem(&damaged) {
            Err(Error::Corrupt(text)) => assert!(
                bit / 8 < covered && text.contains("node_N1_log.jsonl: line "),
                "{text}"
            ),
            Err(error) => panic!("bit {bit}: {error}"),
            Ok(opened) => {
                assert!(
                    bit / 8 >= covered,
                    "bit {bit} of {covered} covered bytes went unnoticed"
                );
                assert_eq!(opened.notices.len(), 1, "bit {bit}");
                assert!(legal.contains(&opened.state) && opened.state.seq() < bank.seq());
            }
        }
    }
}

#[test]
fn once_the_log_has_been_idle_no_record_can_be_damaged_unnoticed() {
    let (disk, bank) = sample(3);
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = bank;
    step(&mut *opened.engine, &mut bank, 3).unwrap();
    opened.engine.sync().unwrap();
    let before = disk.read(LOG).unwrap().len();
    assert!(
        opened.engine.tend(&mut bank).unwrap().is_some(),
        "the mark is pending"
    );
    let covered = disk.read(LOG).unwrap().len();
    assert_eq!(covered, before, "not idle for long enough yet");
    while opened.engine.tend(&mut bank).unwrap().is_some() {}
    let good = disk.read(LOG).unwrap();
    assert!(good.len() > covered, "the idle mark is there");
    opened.engine.tend(&mut bank).unwrap();
    assert_eq!(disk.read(LOG).unwrap().len(), good.len(), "and only once");
    drop(opened.engine);
    let last_record = good[..covered - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    for bit in 0..covered * 8 {
        let damaged = disk.snapshot();
        damaged.put(LOG, &flipped(&good, bit));
        fired(if bit / 8 < last_record { "D3" } else { "D4" });
        assert!(matches!(open_mem(&damaged), Err(Error::Corrupt(_))), "bit {bit}");
    }
}

#[test]
fn a_log_cut_at_any_byte_is_a_prefix() {
    let (disk, bank) = sample(14);
    let good = disk.read(LOG).unwrap();
    let header = good.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let legal = states(14);
    let mut last = 0;
    for end in 0..=good.len() {
        let damaged = disk.snapshot();
        damaged.put(LOG, &good[..end]);
        fired("D1");
        match open_mem(&damaged) {
            Err(error) => assert!(
                end < header && matches!(error, Error::Corrupt(_)),
                "cut at {end}: {error}"
            ),
            Ok(opened) => {
                assert!(
                    end >= header && opened.state.seq() >= last && legal.contains(&opened.state),
                    "cut at {end}"
                );
                last = opened.state.seq();
            }
        }
    }
    assert_eq!(last, bank.seq());
}

#[test]
fn every_flipped_bit_of_state_file_and_manifest_is_refused_and_nothing_is_changed() {
    let (disk, bank) = sample(6);
    let opened = open_mem(&disk).unwrap();
    opened.engine.close(&bank).unwrap();
    for name in ["node_N1_state.json", "node_N1_manifest.json"] {
        let good = disk.read(name).unwrap();
        for bit in 0..good.len() * 8 {
            let damaged = disk.snapshot();
            damaged.put(name, &flipped(&good, bit));
            fired("D6");
            let refused = open_mem(&damaged);
            assert!(
                matches!(&refused, Err(Error::Corrupt(text)) if text.contains(name)),
                "{name} bit {bit}"
            );
            assert_eq!(damaged.list().unwrap(), disk.list().unwrap());
            assert_eq!(damaged.read(LOG).unwrap(), disk.read(LOG).unwrap());
        }
        for end in 0..good.len() {
            let damaged = disk.snapshot();
            damaged.put(name, &good[..end]);
            fired("D6");
            assert!(
                matches!(open_mem(&damaged), Err(Error::Corrupt(_))),
                "{name} cut at {end}"
            );
        }
    }
}

#[test]
fn a_hand_edit_is_refused_with_the_command_to_use_and_can_be_undone() {
    let (disk, bank) = sample(6);
    let opened = open_mem(&disk).unwrap();
    opened.engine.close(&bank).unwrap();
    let good = String::from_utf8(disk.read("node_N1_state.json").unwrap()).unwrap();
    let edited = good.replace("\"A0\": ", "\"A0\": 9");
    assert_ne!(edited, good);
    disk.put("node_N1_state.json", edited.as_bytes());
    fired("I13");
    let Err(Error::Corrupt(text)) = open_mem(&disk) else {
        panic!("a hand edit went unnoticed")
    };
    for part in [
        "node_N1_state.json",
        "edited by hand",
        "node_N1_state.prev.json",
        "twopence deposit N1/A 100",
    ] {
        assert!(text.contains(part), "{text}");
    }
    disk.put(
        "node_N1_state.json",
        &disk.read("node_N1_state.prev.json").unwrap(),
    );
    assert_eq!(open_mem(&disk).unwrap().state, bank);
}

/// Replaces text in a state file or in a segment's first line, and puts the right checksum on it again.
fn resealed(good: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(good.to_vec()).unwrap().replacen(from, to, 1);
    let mut bad = text.into_bytes();
    assert_ne!(bad, good);
    let (covered, digits) = if let Some(body) = bad.strip_suffix(b"\"}\n}\n") {
        (0..body.len() - 8, body.len() - 8)
    } else {
        let line = bad.iter().position(|&byte| byte == b'\n').unwrap();
        (18..line - 1, 8)
    };
    let crc = format!("{:08x}", crc32fast::hash(&bad[covered]));
    bad[digits..digits + 8].copy_from_slice(crc.as_bytes());
    bad
}

#[test]
fn numbers_that_no_store_reaches_are_refused_though_their_checksum_is_right() {
    let (disk, bank) = sample(6);
    let opened = open_mem(&disk).unwrap();
    opened.engine.close(&bank).unwrap();
    let (seq, next) = (bank.seq(), bank.seq() + 1);
    let sequence = format!("\"sequence\":{seq}");
    for (name, from, to) in [
        (
            "node_N1_state.json",
            "\"previous\":0",
            "\"previous\":18446744073709551615",
        ),
        (
            "node_N1_state.json",
            "\"previous\":0",
            &format!("\"previous\":{next}"),
        ),
        (
            "node_N1_state.json",
            &sequence,
            "\"sequence\":18446744073709551615",
        ),
        (LOG, "\"first\":1", "\"first\":18446744073709551615"),
        (LOG, "\"first\":1", "\"first\":0"),
        (LOG, "\"segment\":1", "\"segment\":18446744073709551615"),
    ] {
        let damaged = disk.snapshot();
        damaged.put(name, &resealed(&disk.read(name).unwrap(), from, to));
        let refused = open_mem(&damaged);
        assert!(
            matches!(&refused, Err(Error::Corrupt(text)) if text.contains(name)),
            "{name} with {to}"
        );
    }
}

#[test]
fn an_account_among_the_other_entries_is_refused_though_the_checksum_is_right() {
    let (disk, bank) = sample(6);
    let opened = open_mem(&disk).unwrap();
    opened.engine.close(&bank).unwrap();
    let name = "node_N1_state.json";
    let hidden = "\"entries\":[{\"Account\":[\"Hidden\",1000,1]},";
    disk.put(
        name,
        &resealed(&disk.read(name).unwrap(), "\"entries\":[", hidden),
    );
    let refused = open_mem(&disk);
    assert!(matches!(&refused, Err(Error::Corrupt(text)) if text.contains("account Hidden")));
}
