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
const SETTLE_LEN_MAX: usize = 320 * 1024;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::fold::Fold;
    use protocol::participant::NodeState;

    use super::super::change::some::{account_at, settings};
    use super::super::database::fail;
    use super::super::load::load;
    use super::*;

    const STORE: StoreId = StoreId(7);

    fn made(folder: &Path) -> Store {
        let mut store = Store::empty(Database::open(folder).unwrap(), STORE);
        write(&mut store, 0, [settings(1_000_000)]);
        store
    }

    fn write(store: &mut Store, seq: Seq, changes: impl IntoIterator<Item = Change>) {
        let mut batch = Batch::new(seq);
        changes.into_iter().for_each(|change| batch.put(change));
        store.write(batch).unwrap();
    }

    /// Each of the accounts is changed in turn, `per_round` of them by each record from `first` on.
    fn rounds(store: &mut Store, first: Seq, count: u64, per_round: u64) {
        for seq in first..first + count {
            let accounts = (0..per_round).map(|at| account_at((seq * per_round + at) % 5000, seq));
            write(store, seq, accounts);
        }
    }

    /// The state that is in the folder, read from scratch.
    fn reopened(mut store: Store, folder: &Path) -> (Store, NodeState) {
        let seq = store.seq();
        store.sync().unwrap();
        store.close();
        let database = Database::open(folder).unwrap();
        let (state, tally, journal) = load::<NodeState>(&database, folder, STORE).unwrap();
        assert_eq!(tally.seq, seq);
        (Store::found(database, journal, tally), state)
    }

    fn refusal(folder: &Path) -> String {
        let database = Database::open(folder).unwrap();
        let refused = load::<NodeState>(&database, folder, STORE).unwrap_err();
        assert!(matches!(&refused, Error::Corrupt(_)), "{refused}");
        refused.to_string()
    }

    /// In how many accounts there is which version.
    fn versions(state: &NodeState) -> Vec<u64> {
        state
            .entries()
            .filter_map(|entry| NodeState::as_account(&entry))
            .map(|line| line.version)
            .collect()
    }

    #[test]
    fn the_ring_goes_round_and_every_entry_is_as_it_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x.sled");
        let mut store = made(&folder);
        let mut seq = 1;
        for _ in 0..4 {
            rounds(&mut store, seq, 400, 100);
            seq += 400;
            assert!(store.journal.extent().rows() <= SETTLED_ABOVE);
            let (reopened, state) = reopened(store, &folder);
            store = reopened;
            let versions = versions(&state);
            assert_eq!(versions.len(), 5000);
            assert!(
                versions.iter().all(|version| seq - version <= 50),
                "all were changed in the last 50"
            );
        }
        assert!(
            store.journal.extent().next > 2 * journal::LEN,
            "{:?}",
            store.journal.extent()
        );
        // What was settled may be journaled again, and gone.
        write(&mut store, seq, (0..5000).map(|number| account_at(number, 0)));
        store.settle_down_to(0).unwrap();
        assert_eq!(store.tally.rows, [0, 0, 0, 1]);
        let (store, state) = reopened(store, &folder);
        assert!(versions(&state).is_empty());
        assert_eq!(store.unsettled(), 0);
    }

    #[test]
    fn what_came_and_went_within_the_journal_never_becomes_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = made(&dir.path().join("x.sled"));
        store.settle_down_to(0).unwrap();
        write(&mut store, 1, [account_at(1, 1), account_at(2, 1)]);
        write(&mut store, 2, [account_at(1, 0), account_at(2, 2)]);
        store.settle_oldest().unwrap();
        assert_eq!(store.tally.rows, [0, 0, 0, 1], "both have changed since");
        store.settle_oldest().unwrap();
        assert_eq!(store.tally.rows, [1, 0, 0, 1]);
        assert_eq!(store.journal.extent().rows(), 0);
    }

    #[test]
    fn a_batch_that_is_too_long_for_the_journal_is_rows_at_once_and_nothing_older_lies_over_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x.sled");
        let mut store = made(&folder);
        rounds(&mut store, 1, 10, 100);
        let changes = 20_000;
        write(&mut store, 11, (0..changes).map(|number| account_at(number, 11)));
        assert_eq!(store.journal.extent().rows(), 0);
        write(&mut store, 12, [account_at(3, 12)]);
        let (_store, state) = reopened(store, &folder);
        let versions = versions(&state);
        assert_eq!(versions.iter().filter(|version| **version == 11).count(), 19_999);
        assert_eq!(versions.iter().max(), Some(&12));
    }

    /// A crash may come between any two of the batches in which groups are journaled and settled.
    #[test]
    fn a_crash_between_any_two_batches_of_journal_and_rows_leaves_whole_batches_and_goes_on() {
        let points = [
            "sled.before-batch",
            "sled.after-batch",
            "sled.before-settle",
            "sled.after-settle",
        ];
        for point in points {
            let mut failures = 0;
            for hit in 1.. {
                let dir = tempfile::tempdir().unwrap();
                let folder = dir.path().join("x.sled");
                let mut store = made(&folder);
                rounds(&mut store, 1, 3, 1000);
                let (mut store, state) = reopened(store, &folder);
                let mut expected = versions(&state);
                fail::arm(point, hit);
                let worked = (|| {
                    store.settle_oldest()?;
                    let mut batch = Batch::new(4);
                    (1000..2000).for_each(|number| batch.put(account_at(number, 4)));
                    store.write(batch)?;
                    store.settle_down_to(0)
                })();
                assert_eq!(worked.is_ok(), fail::disarm(), "{point}@{hit}");
                if store.seq() == 4 {
                    expected[..1000].fill(4);
                }
                let (mut store, state) = reopened(store, &folder);
                assert_eq!(versions(&state), expected, "{point}@{hit}");
                store.settle_down_to(0).unwrap();
                let (store, state) = reopened(store, &folder);
                assert_eq!(versions(&state), expected, "{point}@{hit}, settled");
                assert_eq!(store.tally.rows[0], 3000);
                if worked.is_ok() {
                    break;
                }
                failures += 1;
            }
            let at_least = if point.ends_with("settle") { 10 } else { 1 };
            assert!(failures >= at_least, "{point} came up {failures} times");
        }
    }

    /// A store whose journal has the rows 0 to 9 and `damage` done to it.
    fn damaged(damage: impl FnOnce(&mut Store, &mut Write)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x.sled");
        let mut store = made(&folder);
        rounds(&mut store, 1, 9, 5);
        let mut write = Write::default();
        damage(&mut store, &mut write);
        store.database.apply(write).unwrap();
        store.close();
        refusal(&folder)
    }

    #[test]
    fn a_journal_with_a_damaged_missing_old_or_strange_row_is_refused() {
        let row_of = |store: &Store, position| store.database.get(&journal::key(position)).unwrap().unwrap();
        for position in [0, 4, 9] {
            let text = damaged(|store, write| {
                let mut row = row_of(store, position).to_vec();
                *row.last_mut().unwrap() ^= 1;
                write.set(&journal::key(position), &row);
            });
            assert!(text.contains("journal"), "{text}");
            let text = damaged(|_, write| write.remove(&journal::key(position)));
            assert!(
                text.contains(&format!("row {position} of its journal is malformed")),
                "{text}"
            );
        }
        let text = damaged(|store, write| {
            let mut old = row_of(store, 5).to_vec();
            old[..8].copy_from_slice(&(5 + journal::LEN).to_le_bytes());
            write.set(&journal::key(5), &old);
        });
        assert!(text.contains("row 5 of its journal is malformed"), "{text}");
        let text = damaged(|store, write| {
            // One that adds up.
            let written = store.journal.rows(b"no changes at all");
            let (key, row) = &written.rows[0];
            write.set(key, row);
            store.tally.journal = written.extent;
            write.set(TALLY_KEY, &store.tally.encode());
        });
        assert!(text.contains("row 10 of its journal is malformed"), "{text}");
        let text = damaged(|store, write| {
            store.tally.journal.first += 11;
            write.set(TALLY_KEY, &store.tally.encode());
        });
        assert!(text.contains("cannot reach from row 11 to 10"), "{text}");
        let text = damaged(|store, write| {
            store.tally.journal.next -= 1;
            write.set(TALLY_KEY, &store.tally.encode());
        });
        assert!(text.contains("its journal does not add up"), "{text}");
    }

    #[test]
    fn a_row_that_is_damaged_missing_or_too_many_is_refused_also_where_the_journal_lies_over_it() {
        let damages: [fn(&mut Write, &[u8]); 3] = [
            |write, key| write.set(key, b"\x01\0damaged"),
            |write, key| write.remove(key),
            |write, _| write.set(&row_key(account_at(77_777, 1).key(), 0), b"\x01\0"),
        ];
        for damage in damages {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("x.sled");
            let mut store = made(&folder);
            rounds(&mut store, 1, 1, 5);
            store.settle_down_to(0).unwrap();
            write(&mut store, 2, [account_at(8, 2)]);
            let mut rows = Write::default();
            damage(&mut rows, &row_key(account_at(8, 1).key(), 0));
            store.database.apply(rows).unwrap();
            store.close();
            refusal(&folder);
        }
    }
}
