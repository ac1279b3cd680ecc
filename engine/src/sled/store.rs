//! The rows of a store as a whole: what is written to the journal, what is settled when, and the tally of both.
//!
//! Every change of rows is one sled batch with the tally in it, so that whatever prefix of them a crash keeps adds up.
//! While an old group is being settled its changes are in the journal as well as in rows; the journal lies over the rows, so
//! that it does not matter how many of them were written.

use std::mem;

use protocol::fold::Seq;
use protocol::id::StoreId;

use super::change::{self, Batch, Change};
use super::database::{Database, Write, point};
use super::journal::{self, GROUP_ROWS_MAX, Journal};
use super::rows::{row_key, rows, split_first_row};
use super::tally::{TALLY_KEY, Tally};
use crate::Error;

/// Beyond so many rows of the journal its oldest groups are settled. What is left of the ring is for groups that are
/// longer than those that made room for them.
const SETTLED_ABOVE: u64 = journal::LEN / 4 * 3;

/// Rows of entries are settled in batches of at most this length in sled's log, by its estimate.
const SETTLE_LEN_MAX: usize = 256 * 1024;

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    journal: Journal,
    tally: Tally,
}

impl Store {
    /// The store that was found in `database`.
    pub(super) fn found(database: Database, journal: Journal, tally: Tally) -> Store {
        assert_eq!(
            journal.extent(),
            tally.journal,
            "the journal was read as the tally says"
        );
        Store {
            database,
            journal,
            tally,
        }
    }

    /// A store without an entry, in a database without a row.
    pub(super) fn empty(database: Database, store: StoreId) -> Store {
        Store::found(database, Journal::default(), Tally::empty(store))
    }

    /// The newest record that sled was given.
    pub(super) fn seq(&self) -> Seq {
        self.tally.seq
    }

    /// The database, for what concerns its file.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Bytes of entries that will become rows.
    pub(super) fn unsettled(&self) -> usize {
        self.journal.len()
    }

    /// Gives one batch to sled, as a whole. Not durable before [`Store::sync`].
    ///
    /// # Errors
    /// [`Error`]; whether it happened is undefined.
    pub(super) fn write(&mut self, batch: Batch) -> Result<(), Error> {
        let seq = batch.seq;
        let changes = batch.into_changes();
        let encoded = change::encode(&changes);
        let rows = journal::rows_of(&encoded);
        if rows > GROUP_ROWS_MAX {
            return self.write_through(seq, &changes);
        }
        let rows = u64::try_from(rows).expect("a group is short");
        self.settle_down_to(journal::LEN - rows)?;
        point("sled.before-batch")?;
        let written = self.journal.rows(&encoded);
        let mut write = Write::default();
        for (key, row) in &written.rows {
            write.set(key, row);
        }
        let mut tally = self.tally;
        tally.seq = seq;
        tally.journal = written.extent;
        self.apply(write, tally)?;
        self.journal.push(written.extent, changes);
        point("sled.after-batch")?;
        self.settle_down_to(SETTLED_ABOVE)
    }

    /// Makes everything durable that sled was given.
    ///
    /// # Errors
    /// [`Error::Io`]; whether it is durable is undefined.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.database.sync()
    }

    /// Lets go of everything. sled's own threads may hold the file for a moment longer.
    pub(super) fn close(self) {
        self.database.close();
    }

    /// Writes a batch that is too long for the journal: its rows at once. Nothing older may be left that would lie over
    /// them.
    fn write_through(&mut self, seq: Seq, changes: &[Change]) -> Result<(), Error> {
        self.settle_down_to(0)?;
        let (mut write, mut tally) = (Write::default(), self.tally);
        tally.seq = seq;
        for change in changes {
            put_entry(&self.database, &mut write, &mut tally, change)?;
        }
        point("sled.before-batch")?;
        self.apply(write, tally)?;
        point("sled.after-batch")
    }

    fn settle_down_to(&mut self, rows: u64) -> Result<(), Error> {
        while self.journal.extent().rows() > rows {
            self.settle_oldest()?;
        }
        Ok(())
    }

    /// Brings into rows what only the oldest group of the journal says, and forgets it.
    fn settle_oldest(&mut self) -> Result<(), Error> {
        let (mut write, mut tally) = (Write::default(), self.tally);
        for change in self.journal.pop() {
            if write.log_len() > SETTLE_LEN_MAX {
                apply_settled(&mut self.database, mem::take(&mut write), tally)?;
            }
            put_entry(&self.database, &mut write, &mut tally, &change)?;
        }
        tally.journal = self.journal.extent();
        apply_settled(&mut self.database, write, tally)?;
        self.tally = tally;
        Ok(())
    }

    fn apply(&mut self, write: Write, tally: Tally) -> Result<(), Error> {
        apply(&mut self.database, write, tally)?;
        self.tally = tally;
        Ok(())
    }
}

fn apply(database: &mut Database, mut write: Write, tally: Tally) -> Result<(), Error> {
    write.set(TALLY_KEY, &tally.encode());
    database.apply(write)
}

fn apply_settled(database: &mut Database, write: Write, tally: Tally) -> Result<(), Error> {
    point("sled.before-settle")?;
    apply(database, write, tally)?;
    point("sled.after-settle")
}

/// Adds to `write` what brings a change into the entry's rows, and to `tally` what that changes.
fn put_entry(
    database: &Database,
    write: &mut Write,
    tally: &mut Tally,
    change: &Change,
) -> Result<(), Error> {
    let key = change.key();
    let get = |row_key: &[u8]| {
        let row = database.get(row_key);
        row.map_err(|error| database.failure("cannot read", error))
    };
    let mut before = 0;
    if let Some(old) = get(&row_key(key, 0))? {
        let malformed = || Error::Corrupt("a row of sled's changed since it was read".to_owned());
        (before, _) = split_first_row(&old).ok_or_else(malformed)?;
        tally.remove(&row_key(key, 0), &old);
        for chunk in 1..before {
            let row_key = row_key(key, chunk);
            let old = get(&row_key)?.ok_or_else(malformed)?;
            tally.remove(&row_key, &old);
        }
    }
    let mut after = 0;
    for (chunk, row) in change.value().into_iter().flat_map(rows) {
        let row_key = row_key(key, chunk);
        tally.add(&row_key, &row);
        write.set(&row_key, &row);
        after = chunk + 1;
    }
    for chunk in after..before {
        write.remove(&row_key(key, chunk));
    }
    Ok(())
}
