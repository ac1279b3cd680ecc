//! sled's database with what it lacks: a transaction that keeps the tally, a measure of what is not yet synced, and a
//! real fsync.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use ::sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use ::sled::{Config, Db, Mode, Transactional, Tree};
use protocol::fold::Table;
use protocol::planted;

use super::batch::Batch;
use super::folder::{DYING_OWNER, RETRY, corrupt, io_error};
use super::rows::{row_key, rows, split_first_row};
use super::tally::{TALLY_KEY, Tally};
use crate::{Error, failpoint};

/// Length of sled's segments. Fixed for the life of a store.
pub(super) const SEGMENT_LEN: u64 = 512 * 1024;

/// sled's page cache.
const CACHE_LEN: u64 = 64 * 1024 * 1024;

/// An open sled folder.
#[derive(Debug)]
pub(super) struct Database {
    db: Db,
    /// In the order of `Table::ALL`.
    trees: Vec<Tree>,
    /// Our own handle of sled's file.
    file: File,
    path: PathBuf,
    /// The end of sled's log at the last fsync.
    synced_len: u64,
}

impl Database {
    /// Opens the folder, or makes it. To be called under a shield: sled panics over some damage.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Corrupt`], [`Error::Io`].
    pub(super) fn open(folder: &Path) -> Result<Database, Error> {
        let path = folder.join("db");
        let segment_len = usize::try_from(SEGMENT_LEN).expect("a segment fits into memory");
        let config = Config::new()
            .path(folder)
            .mode(Mode::HighThroughput)
            .cache_capacity(CACHE_LEN)
            .segment_size(segment_len)
            .flush_every_ms(None);
        let began = Instant::now();
        let db = loop {
            match config.open() {
                Ok(db) => break db,
                Err(error) if is_locked(&error) && began.elapsed() < DYING_OWNER => thread::sleep(RETRY),
                Err(error) if is_locked(&error) => return Err(Error::Locked { path }),
                Err(error) => return Err(damage(folder, error)),
            }
        };
        let mut trees = Vec::new();
        for table in Table::ALL {
            trees.push(
                db.open_tree(table.name())
                    .map_err(|error| damage(folder, error))?,
            );
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error("cannot open", &path))?;
        Ok(Database {
            db,
            trees,
            file,
            path,
            synced_len: 0,
        })
    }

    /// The trees, in the order of `Table::ALL`.
    pub(super) fn trees(&self) -> impl Iterator<Item = (Table, &Tree)> {
        Table::ALL.into_iter().zip(&self.trees)
    }

    /// Gives one batch to sled, with the tally that `before` becomes by it. Not durable before [`Database::sync`].
    ///
    /// # Errors
    /// [`Error::Io`]; whether it happened is undefined.
    pub(super) fn apply(&mut self, batch: &Batch, before: Tally) -> Result<Tally, Error> {
        let budget = usize::try_from(SEGMENT_LEN).expect("a segment fits into memory");
        let unsynced = usize::try_from(self.unsynced_len()).unwrap_or(usize::MAX);
        if unsynced > 0 && unsynced.saturating_add(batch.log_len()) > budget {
            self.sync()?;
        }
        point("sled.before-batch")?;
        let after = self.trees[..].transaction(|views: &Vec<TransactionalTree>| {
            let mut tally = before.at(batch.seq);
            for ((table, key), value) in &batch.entries {
                let index = Table::ALL
                    .iter()
                    .position(|known| known == table)
                    .expect("every table has a tree");
                put_entry(&views[index], index, key, value.as_deref(), &mut tally)?;
            }
            let meta = views.last().expect("there are four trees");
            meta.insert(TALLY_KEY, tally.encode())?;
            Ok::<Tally, ConflictableTransactionError<String>>(tally)
        });
        let after = after.map_err(|error| match error {
            TransactionError::Storage(error) => self.failure("cannot change", error),
            TransactionError::Abort(text) => Error::Corrupt(format!("{}: {text}", self.path.display())),
        })?;
        point("sled.after-batch")?;
        let flushed = self.db.flush();
        flushed.map_err(|error| self.failure("cannot write", error))?;
        Ok(after)
    }

    /// The fsync that sled leaves out.
    ///
    /// # Errors
    /// [`Error::Io`]; whether it is durable is undefined.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        point("sled.flushed")?;
        let synced = planted!(FlushIsNoSync: self.file.sync_data() => Ok(()));
        synced.map_err(io_error("cannot sync", &self.path))?;
        self.synced_len = self.log_len();
        Ok(())
    }

    /// Bytes that sled has written to its log since the last fsync.
    pub(super) fn unsynced_len(&self) -> u64 {
        self.log_len().saturating_sub(self.synced_len)
    }

    /// Lets go of everything. sled's own threads may hold the file for a moment longer.
    pub(super) fn close(self) {
        drop(self.trees);
        drop(self.db);
    }

    /// Length of sled's file.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(super) fn file_len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Where sled's log ends: its count of all bytes ever written, which only grows.
    fn log_len(&self) -> u64 {
        u64::try_from(self.db.context.pagecache.log.stable_offset() + 1).unwrap_or(0)
    }

    fn failure(&self, what: &str, error: ::sled::Error) -> Error {
        let source = if let ::sled::Error::Io(error) = error {
            error
        } else {
            io::Error::other(error.to_string())
        };
        io_error(what, &self.path)(source)
    }
}

fn put_entry(
    view: &TransactionalTree,
    table: usize,
    key: &[u8],
    value: Option<&[u8]>,
    tally: &mut Tally,
) -> Result<(), ConflictableTransactionError<String>> {
    let (mut before, mut after) = (0, 0);
    for (chunk, row) in value.into_iter().flat_map(rows) {
        let row_key = row_key(key, chunk);
        let old = view.insert(row_key.as_slice(), row.as_slice())?;
        tally.add(table, &row_key, &row);
        if let Some(old) = old {
            tally.remove(table, &row_key, &old);
            if chunk == 0 {
                before = chunks(&old)?;
            }
        }
        after = chunk + 1;
    }
    if value.is_none() {
        let old = view.get(row_key(key, 0))?;
        before = old.as_deref().map_or(Ok(0), chunks)?;
    }
    for chunk in after..before {
        let row_key = row_key(key, chunk);
        if let Some(old) = view.remove(row_key.as_slice())? {
            tally.remove(table, &row_key, &old);
        }
    }
    Ok(())
}

fn chunks(row: &[u8]) -> Result<u16, ConflictableTransactionError<String>> {
    let malformed = || ConflictableTransactionError::Abort("a row changed since it was read".to_owned());
    split_first_row(row).map(|(count, _)| count).ok_or_else(malformed)
}

fn point(name: &str) -> Result<(), Error> {
    failpoint::check(name).map_err(|error| Error::io(format!("failpoint {name}"), error))
}

fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// What sled says while it opens or reads: an error of the system, or else damage.
pub(super) fn damage(folder: &Path, error: ::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(error) if !is_damage(error.kind()) => io_error("cannot open", folder)(error),
        ::sled::Error::Io(_)
        | ::sled::Error::Corruption { .. }
        | ::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_) => corrupt(folder, &error.to_string()),
    }
}

/// The kinds of error with which sled reports what it read, not what the system refused.
fn is_damage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    [InvalidData, InvalidInput, Other, UnexpectedEof].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;
    use protocol::id::StoreId;

    /// Random numbers below a bound, the same ones in every run.
    fn random(seed: &mut u64, bound: u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed % bound
    }

    /// What the module's head relies on: sled's log grows by less than a segment between two fsyncs, and by no more
    /// than a batch's estimate, in every mixture of new, changed, large and vanishing entries.
    #[test]
    fn sleds_log_grows_by_less_than_a_batch_is_estimated_at() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(&dir.path().join("x.sled")).unwrap();
        database.sync().unwrap();
        let mut tally = Tally::empty(StoreId(1));
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for round in 1..=500 {
            let mut batch = Batch::new(round);
            let rows = [1, 4, 20, 100][usize::try_from(random(&mut seed, 4)).unwrap()];
            let spread = [50, 1_000, 10_000][usize::try_from(round / 50 % 3).unwrap()];
            while batch.entries.len() < rows {
                let table = Table::ALL[usize::try_from(random(&mut seed, 4)).unwrap()];
                let id = match table {
                    Table::Outcomes => round * 1000 + random(&mut seed, 1000),
                    Table::Accounts | Table::Prepared | Table::Meta => random(&mut seed, spread),
                };
                let large = random(&mut seed, 40) == 0;
                let len = random(&mut seed, if large { 6000 } else { 120 });
                let cut = table == Table::Prepared && random(&mut seed, 2) == 0;
                let value = vec![7; usize::try_from(len).unwrap()];
                batch.put(table, id.to_be_bytes().to_vec(), (!cut).then_some(value));
            }
            tally = database.apply(&batch, tally).unwrap();
            let (grown, estimate) = (database.unsynced_len(), u64::try_from(batch.log_len()).unwrap());
            assert!(
                grown > 0 && grown <= estimate,
                "round {round}: {grown} bytes, estimated at {estimate}"
            );
            database.sync().unwrap();
            assert_eq!(database.unsynced_len(), 0);
        }
    }
}
