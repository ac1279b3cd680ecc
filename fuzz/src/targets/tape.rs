//! A state that any record can follow, so that a log may say anything and only its reader is on trial.

use std::collections::BTreeMap;
use std::fmt;

use protocol::fold::{AccountLine, Fold, Seq, Table};
use protocol::id::AccountId;
use protocol::money::Balance;
use protocol::plain::Plain;
use serde::{Deserialize, Serialize};

/// Accounts and notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tape {
    seq: Seq,
    accounts: BTreeMap<AccountId, (Balance, u64)>,
    notes: BTreeMap<u64, String>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum TapeRecord {
    /// An account's balance is this.
    Set { account: AccountId, balance: Balance },
    /// Something is noted.
    Note { key: u64, text: String },
    /// Something is forgotten.
    Forget { key: u64 },
}

impl fmt::Display for TapeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Names an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum TapeKey {
    Account(AccountId),
    Note(u64),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum TapeEntry {
    Account(AccountId, Balance, u64),
    Note(u64, String),
}

impl Plain for TapeRecord {}
impl Plain for TapeEntry {}

impl Fold for Tape {
    type Record = TapeRecord;
    type Key = TapeKey;
    type Entry = TapeEntry;

    fn empty() -> Tape {
        Tape::default()
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    /// Now copied for its checkpoint, now not.
    fn size(&self) -> usize {
        if self.seq.is_multiple_of(2) { 0 } else { usize::MAX }
    }

    fn apply(&mut self, seq: Seq, record: &TapeRecord, touched: &mut Vec<TapeKey>) {
        assert_eq!(
            Some(seq),
            self.seq.checked_add(1),
            "records follow each other without a gap"
        );
        self.seq = seq;
        match record {
            TapeRecord::Set { account, balance } => {
                let entry = self.accounts.entry(account.clone()).or_default();
                *entry = (*balance, entry.1.wrapping_add(1));
                touched.push(TapeKey::Account(account.clone()));
            }
            TapeRecord::Note { key, text } => {
                self.notes.insert(*key, text.clone());
                touched.push(TapeKey::Note(*key));
            }
            TapeRecord::Forget { key } => {
                self.notes.remove(key);
                touched.push(TapeKey::Note(*key));
            }
        }
    }

    fn entry(&self, key: &TapeKey) -> Option<TapeEntry> {
        match key {
            TapeKey::Account(id) => {
                let (balance, version) = self.accounts.get(id)?;
                Some(TapeEntry::Account(id.clone(), *balance, *version))
            }
            TapeKey::Note(key) => self
                .notes
                .get(key)
                .map(|text| TapeEntry::Note(*key, text.clone())),
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = TapeEntry> + '_> {
        let account = |(id, (balance, version)): (&AccountId, &(Balance, u64))| {
            TapeEntry::Account(id.clone(), *balance, *version)
        };
        let note = |(key, text): (&u64, &String)| TapeEntry::Note(*key, text.clone());
        Box::new(
            self.accounts
                .iter()
                .map(account)
                .chain(self.notes.iter().map(note)),
        )
    }

    fn restore(seq: Seq, entries: &mut dyn Iterator<Item = TapeEntry>) -> Result<Tape, String> {
        let mut tape = Tape {
            seq,
            ..Tape::default()
        };
        for entry in entries {
            let twice = match entry {
                TapeEntry::Account(id, balance, version) => {
                    tape.accounts.insert(id, (balance, version)).is_some()
                }
                TapeEntry::Note(key, text) => tape.notes.insert(key, text).is_some(),
            };
            if twice {
                return Err("an entry is there twice".to_owned());
            }
        }
        Ok(tape)
    }

    fn key(entry: &TapeEntry) -> TapeKey {
        match entry {
            TapeEntry::Account(id, ..) => TapeKey::Account(id.clone()),
            TapeEntry::Note(key, _) => TapeKey::Note(*key),
        }
    }

    fn table(key: &TapeKey) -> Table {
        match key {
            TapeKey::Account(_) => Table::Accounts,
            TapeKey::Note(_) => Table::Outcomes,
        }
    }

    fn as_account(entry: &TapeEntry) -> Option<AccountLine> {
        match entry.clone() {
            TapeEntry::Account(id, balance, version) => Some(AccountLine { id, balance, version }),
            TapeEntry::Note(..) => None,
        }
    }

    fn from_account(line: AccountLine) -> Option<TapeEntry> {
        Some(TapeEntry::Account(line.id, line.balance, line.version))
    }

    fn adoption(_: Vec<(AccountId, Balance)>, _: u32) -> Option<TapeRecord> {
        None
    }
}
