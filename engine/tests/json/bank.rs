//! A small state with accounts and notes, and how the tests drive a store of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Clock, Engine, Error, MemDisk, Opened, Owner, StoreConfig, StoreKind};
use protocol::fold::{AccountLine, Fold, Seq, Table};
use protocol::id::{AccountId, StoreId};
use protocol::money::Balance;
use protocol::plain::Plain;
use serde::{Deserialize, Serialize};

/// Accounts with versions, and notes that stand for everything else.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bank {
    seq: Seq,
    pub(crate) accounts: BTreeMap<AccountId, (Balance, u64)>,
    notes: BTreeMap<u64, String>,
}

/// What can happen to a bank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Record {
    /// Money comes in from the world.
    Deposit { account: AccountId, amount: Balance },
    /// Something else is remembered.
    Note { key: u64, text: String },
    /// And forgotten.
    Forget { key: u64 },
    /// A hand-written file.
    Adopt {
        accounts: Vec<(AccountId, Balance)>,
        crc32: u32,
    },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Names an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    Account(AccountId),
    Note(u64),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Entry {
    Account(AccountId, Balance, u64),
    Note(u64, String),
}

impl Bank {
    fn deposit(&mut self, account: &AccountId, amount: Balance, touched: &mut Vec<Key>) {
        for (id, delta) in [(account.clone(), amount), (AccountId::world(), -amount)] {
            let entry = self.accounts.entry(id.clone()).or_default();
            *entry = (entry.0 + delta, entry.1 + 1);
            touched.push(Key::Account(id));
        }
    }
}

impl Plain for Record {}
impl Plain for Entry {}

impl Fold for Bank {
    type Record = Record;
    type Key = Key;
    type Entry = Entry;

    fn empty() -> Bank {
        Bank::default()
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    /// Now copied for its checkpoint, now not.
    fn size(&self) -> usize {
        if self.seq.is_multiple_of(2) { 0 } else { usize::MAX }
    }

    fn apply(&mut self, seq: Seq, record: &Record, touched: &mut Vec<Key>) {
        assert_eq!(seq, self.seq + 1);
        self.seq = seq;
        match record {
            Record::Deposit { account, amount } => self.deposit(account, *amount, touched),
            Record::Adopt { accounts, .. } => {
                for (account, amount) in accounts {
                    self.deposit(account, *amount, touched);
                }
            }
            Record::Note { key, text } => {
                self.notes.insert(*key, text.clone());
                touched.push(Key::Note(*key));
            }
            Record::Forget { key } => {
                self.notes.remove(key);
                touched.push(Key::Note(*key));
            }
        }
    }

    fn entry(&self, key: &Key) -> Option<Entry> {
        match key {
            Key::Account(id) => {
                let (balance, version) = self.accounts.get(id)?;
                Some(Entry::Account(id.clone(), *balance, *version))
            }
            Key::Note(key) => self.notes.get(key).map(|text| Entry::Note(*key, text.clone())),
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        let accounts = self
            .accounts
            .iter()
            .map(|(id, (balance, version))| Entry::Account(id.clone(), *balance, *version));
        Box::new(
            accounts.chain(
                self.notes
                    .iter()
                    .map(|(key, text)| Entry::Note(*key, text.clone())),
            ),
        )
    }

    fn restore(seq: Seq, entries: &mut dyn Iterator<Item = Entry>) -> Result<Bank, String> {
        let mut bank = Bank {
            seq,
            ..Bank::default()
        };
        for entry in entries {
            let doubled = match entry {
                Entry::Account(id, balance, version) => {
                    bank.accounts.insert(id, (balance, version)).is_some()
                }
                Entry::Note(key, text) => bank.notes.insert(key, text).is_some(),
            };
            if doubled {
                return Err("an entry is there twice".to_owned());
            }
        }
        Ok(bank)
    }

    fn key(entry: &Entry) -> Key {
        match entry {
            Entry::Account(id, ..) => Key::Account(id.clone()),
            Entry::Note(key, _) => Key::Note(*key),
        }
    }

    fn table(key: &Key) -> Table {
        match key {
            Key::Account(_) => Table::Accounts,
            Key::Note(_) => Table::Outcomes,
        }
    }

    fn as_account(entry: &Entry) -> Option<AccountLine> {
        match entry.clone() {
            Entry::Account(id, balance, version) => Some(AccountLine { id, balance, version }),
            Entry::Note(..) => None,
        }
    }

    fn from_account(line: AccountLine) -> Option<Entry> {
        Some(Entry::Account(line.id, line.balance, line.version))
    }

    fn adoption(accounts: Vec<(AccountId, Balance)>, crc32: u32) -> Option<Record> {
        Some(Record::Adopt { accounts, crc32 })
    }
}

/// Whose store it is.
pub(crate) fn owner() -> Owner {
    Owner::Node("N1".parse().unwrap())
}

/// N1's store of that kind in `dir`, with short segments.
pub(crate) fn config(dir: &Path, kind: StoreKind) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        owner: owner(),
        kind,
        cluster: "local".parse().unwrap(),
        segment_len_max: 700,
        power_cut: None,
    }
}

/// A clock that advances 60 ms whenever it is asked.
pub(crate) fn ticking() -> Clock {
    let (start, ticks) = (Instant::now(), AtomicU64::new(0));
    Arc::new(move || start + Duration::from_millis(60 * ticks.fetch_add(1, Ordering::Relaxed)))
}

/// N1's json store on a disk in memory.
pub(crate) fn open_mem(disk: &MemDisk) -> Result<Opened<Bank>, Error> {
    let config = config(Path::new("/nowhere"), StoreKind::Json);
    engine::open_on(disk, &config, StoreId(0x9f3c), ticking())
}

/// The records of step number `at`.
pub(crate) fn records(at: u64) -> Vec<Record> {
    let account: AccountId = format!("A{}", at % 3).parse().unwrap();
    let amount = 10 + i64::try_from(at).unwrap();
    let deposit = Record::Deposit { account, amount };
    match at % 4 {
        0 => vec![deposit],
        1 => vec![
            Record::Note {
                key: at,
                text: format!("line\n\"{at}\""),
            },
            deposit,
        ],
        2 => vec![deposit, Record::Forget { key: at - 1 }],
        _ => vec![Record::Note {
            key: at,
            text: "x".repeat(40),
        }],
    }
}

/// Every state that a store may be in while the first `steps` steps happen: before any, and after each record.
pub(crate) fn states(steps: u64) -> Vec<Bank> {
    let mut all = vec![Bank::empty()];
    for record in (0..steps).flat_map(records) {
        let mut next = all.last().unwrap().clone();
        next.apply(next.seq + 1, &record, &mut Vec::new());
        all.push(next);
    }
    all
}

/// Applies and appends step number `at`.
pub(crate) fn step(engine: &mut dyn Engine<Bank>, bank: &mut Bank, at: u64) -> Result<(), Error> {
    let (mut numbered, mut touched) = (Vec::new(), Vec::new());
    for record in records(at) {
        bank.apply(bank.seq + 1, &record, &mut touched);
        numbered.push((bank.seq, record));
    }
    engine.append(&numbered, &touched, bank)
}

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
