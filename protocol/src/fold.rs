//! Durable state as a fold: what a store remembers is what its records add up to.
//!
//! Live code, recovery and the checkpointer all go through [`Fold::apply`]; there is no second way to change durable
//! state. A state is also a set of small entries, so that a log backend can write a checkpoint of all of them and a
//! keyed backend can write just those that a record touched.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::AccountId;
use crate::money::Balance;
use crate::plain::Plain;

/// A record's number in its log: 1, 2, 3, … without a gap for as long as the store lives. 0 means "nothing".
pub type Seq = u64;

/// The group of entries an [`Fold::Entry`] belongs to; a keyed backend keeps each together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Account balances.
    Accounts,
    /// Transactions that are prepared (node) or open (coordinator).
    Prepared,
    /// How transactions and requests ended.
    Outcomes,
    /// Epochs, marks, identities.
    Meta,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 4] = [Table::Accounts, Table::Prepared, Table::Outcomes, Table::Meta];

    /// Its name where entries are shown.
    pub fn name(self) -> &'static str {
        match self {
            Table::Accounts => "accounts",
            Table::Prepared => "prepared",
            Table::Outcomes => "outcomes",
            Table::Meta => "meta",
        }
    }
}

/// An account entry, taken out of the others because a state file shows balances first and readably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLine {
    /// The account.
    pub id: AccountId,
    /// Its balance in minor units.
    pub balance: Balance,
    /// How many committed changes it has seen.
    pub version: u64,
}

/// A durable state: the fold of its records.
pub trait Fold: Clone + Debug + PartialEq + Send + 'static {
    /// What is appended to the log. Serialises to a JSON object with an `action`. Here and in entries, members that this
    /// program does not know are refused: what a later version wrote must not be lost in silence.
    type Record: Clone + Debug + Display + PartialEq + Plain + Serialize + DeserializeOwned + Send + 'static;
    /// Names one entry.
    type Key: Clone + Debug + Ord + Serialize + DeserializeOwned + Send + 'static;
    /// One small piece of the state with its key in it.
    type Entry: Clone + Debug + PartialEq + Plain + Serialize + DeserializeOwned + Send + 'static;

    /// Whether a record is housekeeping that no story needs: logged only for those who ask for details.
    fn is_housekeeping(record: &Self::Record) -> bool {
        let _ = record;
        false
    }

    /// The state before the first record.
    fn empty() -> Self;

    /// The newest record this state contains; 0 before the first.
    fn seq(&self) -> Seq;

    /// About how many entries there are: what it costs to copy the state.
    fn size(&self) -> usize;

    /// Looks at the memory that applying these records will need, and does nothing else: asked for together it comes sooner
    /// than record by record.
    fn look_ahead(&self, records: &[(Seq, Self::Record)]) {
        let _ = records;
    }

    /// Applies record number `seq`, which must be [`Fold::seq`] + 1, and pushes the key of every entry that it
    /// added, changed or removed.
    ///
    /// # Panics
    /// If the record cannot follow this state: the program or the log is broken.
    fn apply(&mut self, seq: Seq, record: &Self::Record, touched: &mut Vec<Self::Key>);

    /// The entry under `key`, if the state has one.
    fn entry(&self, key: &Self::Key) -> Option<Self::Entry>;

    /// Every entry, in an order that depends on the state alone.
    fn entries(&self) -> Box<dyn Iterator<Item = Self::Entry> + '_>;

    /// The first `len` entries behind the one under `after`, or the first of all, for those who look on. In the order of
    /// keys as far as that has a cheap meaning; where the state changes between pages, each page is right for its moment.
    fn page(&self, after: Option<&Self::Key>, len: usize) -> Vec<Self::Entry> {
        let passed = |entry: &Self::Entry| after.is_some_and(|after| Self::key(entry) <= *after);
        self.entries().skip_while(passed).take(len).collect()
    }

    /// Begins a snapshot: a copy of the state as it is now, made in parts while the state goes on changing. One that is
    /// under way is dropped. `false` if this state can only be copied at once, with [`Fold::entries`].
    fn begin_snapshot(&mut self) -> bool {
        false
    }

    /// The next part of the snapshot, of about `size` entries: first the accounts, in name order, then everything else.
    /// `None` when it is complete.
    fn next_part(&mut self, size: usize) -> Option<Vec<Self::Entry>> {
        let _ = size;
        None
    }

    /// Builds the state that has exactly these entries and whose newest record is `seq`. The inverse of
    /// [`Fold::entries`].
    ///
    /// # Errors
    /// A text that says which entries contradict each other.
    fn restore(seq: Seq, entries: &mut dyn Iterator<Item = Self::Entry>) -> Result<Self, String>;

    /// The key of an entry.
    fn key(entry: &Self::Entry) -> Self::Key;

    /// The table a key belongs to.
    fn table(key: &Self::Key) -> Table;

    /// The entry as an account line, if it is an account.
    fn as_account(entry: &Self::Entry) -> Option<AccountLine>;

    /// The entry for an account line; `None` where this state has no accounts.
    fn from_account(line: AccountLine) -> Option<Self::Entry>;

    /// The record that adopts a hand-written balance file on a store's very first start; `None` where this state
    /// has no accounts. `file_digest` is the CRC-32 of the file.
    fn adoption(accounts: Vec<(AccountId, Balance)>, file_digest: u32) -> Option<Self::Record>;
}
