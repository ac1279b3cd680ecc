//! A balance file written by hand: adopted exactly if it is one flat object of good names and whole numbers, none twice.

use std::fmt;

use engine::Error;
use protocol::fold::Fold;
use protocol::id::AccountId;
use protocol::participant::NodeState;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::disk::{self, STATE};
use crate::crc32::crc32;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "by-hand",
    holds: "a hand-written file is adopted whole exactly if it is a plain map of balances, or refused and left alone",
    judge,
    seeds,
    memory: (2 << 20, 256),
    shows: &["adopted", "adopted empty", "refused", "sealed"],
    faults: &["I12"],
};

fn judge(file: &[u8], seen: &mut Seen) {
    let disk = engine::MemDisk::new();
    disk.put(STATE, file);
    let before = disk::content(&disk);
    let expected = by_the_book(file);
    match disk::open::<NodeState>(&disk) {
        Ok(opened) => {
            let expected = expected.unwrap_or_else(|| panic!("adopted: {}", String::from_utf8_lossy(file)));
            assert!(
                opened.first_start && opened.notices.len() == 1,
                "{:?}",
                opened.notices
            );
            holds(&opened.state, &expected, file);
            seen.way(if expected.is_empty() {
                "adopted empty"
            } else {
                "adopted"
            });
            drop(opened.engine);
            let again =
                disk::open::<NodeState>(&disk).unwrap_or_else(|error| panic!("the second start: {error}"));
            assert_eq!((again.state, again.first_start), (opened.state, false));
        }
        Err(error) => {
            assert_eq!(
                disk::content(&disk),
                before,
                "a refused file is left alone: {error}"
            );
            match error {
                Error::Mismatch(why) => {
                    assert!(expected.is_none(), "refused: {why}");
                    assert!(why.contains("was not adopted"), "{why}");
                    seen.way("refused");
                    seen.fault("I12");
                }
                Error::Corrupt(why) => {
                    assert!(expected.is_none() && why.contains("manifest is missing"), "{why}");
                    seen.way("sealed");
                }
                Error::Io { .. } | Error::Locked { .. } => panic!("a disk in memory: {error}"),
            }
        }
    }
}

/// What was adopted is what the file says, and the world owes it.
fn holds(state: &NodeState, expected: &[(String, i64)], file: &[u8]) {
    assert_eq!(state.seq(), 1, "one record holds it all");
    assert_eq!(state.ledger().total(), 0);
    assert_eq!(state.adopted(), Some(crc32(file)));
    assert_eq!(state.ledger().len(), expected.len());
    for (name, balance) in expected {
        let id: AccountId = name.parse().expect("a good name");
        assert_eq!(
            state.ledger().account(&id).map(|account| account.balance),
            Some(*balance),
            "{name}"
        );
    }
}

/// What the file says, in the terms of a general JSON reader that keeps repeated keys.
fn by_the_book(file: &[u8]) -> Option<Vec<(String, i64)>> {
    let Pairs(pairs) = serde_json::from_slice(file).ok()?;
    let mut accounts: Vec<(String, i64)> = Vec::new();
    for (name, value) in pairs {
        let mut chars = name.chars();
        let alnum = |c: char| c.is_ascii_alphanumeric();
        let good = chars.next().is_some_and(alnum)
            && chars.all(|c| alnum(c) || "_.:-".contains(c))
            && name.len() <= 64;
        let balance = value.as_i64().filter(|balance| *balance >= 0)?;
        if !good || accounts.iter().any(|(other, _)| *other == name) {
            return None;
        }
        accounts.push((name, balance));
    }
    let total: i128 = accounts.iter().map(|(_, balance)| i128::from(*balance)).sum();
    (total <= i128::from(i64::MAX)).then_some(accounts)
}

/// An object with its members in order, repeated ones too.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let sealed = {
        let disk = engine::MemDisk::new();
        drop(disk::open::<NodeState>(&disk).unwrap_or_else(|error| panic!("a first start: {error}")));
        disk::read(&disk, STATE)
    };
    let texts: &[(&str, &str)] = &[
        ("plain", "{\"A\": 100, \"B\": 0}"),
        ("spaced", " {\n\"a:b.c_d-E9\" : 9223372036854775807 }\r\n\t"),
        ("empty-map", "{}"),
        ("escaped-name", "{\"\\u0041\": 1}"),
        ("escaped-twice", "{\"\\u0041\": 1, \"A\": 2}"),
        ("twice", "{\"A\": 1, \"A\": 1}"),
        ("float", "{\"A\": 1.0}"),
        ("exponent", "{\"A\": 1e2}"),
        ("negative", "{\"A\": -1}"),
        ("minus-zero", "{\"A\": -0}"),
        ("leading-zero", "{\"A\": 01}"),
        ("too-large", "{\"A\": 9223372036854775808}"),
        ("sum-too-large", "{\"A\": 9223372036854775807, \"B\": 1}"),
        ("far-too-large", "{\"A\": 99999999999999999999999}"),
        ("text", "{\"A\": \"1\"}"),
        ("null", "{\"A\": null}"),
        ("nested", "{\"A\": {\"B\": 1}}"),
        ("list", "[1]"),
        ("world", "{\"@world\": 0}"),
        ("meta", "{\"A\": 1, \"_meta\": {}}"),
        ("path", "{\"../A\": 1}"),
        ("trailing", "{\"A\": 1} {"),
        ("byte-order-mark", "\u{feff}{\"A\": 1}"),
        ("cut", "{\"A\": 100"),
        ("nothing", ""),
    ];
    let texts = texts.iter().map(|&(name, text)| (name, text.as_bytes().to_vec()));
    texts.chain([("sealed", sealed)]).collect()
}
