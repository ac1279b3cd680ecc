//! sled's database with what it lacks: batches of bounded length, a measure of what is not yet synced, and a real fsync.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use ::sled::{Config, Db, IVec, Iter, Mode};
use protocol::planted;

use super::folder::{DYING_OWNER, RETRY, corrupt, io_error};
use super::journal;
use crate::{Error, failpoint};

/// Length of sled's segments. Fixed for the life of a store.
pub(super) const SEGMENT_LEN: u64 = 1024 * 1024;

/// The most by which sled's log may grow between two fsyncs, as far as estimates hold (why: see the module's head).
const UNSYNCED_MAX: u64 = SEGMENT_LEN / 2;

/// sled's page cache.
const CACHE_LEN: u64 = 64 * 1024 * 1024;

/// What one row may cost sled's log beyond its own bytes, on average over a batch: rewriting, splitting or merging the page
/// it lies on, and moving a page out of a segment that is to be freed. Measured in large batches: a quarter of this.
const ROW_COST: usize = 2048;

/// What a batch may cost beyond that if it is small and no average helps: a few pages of the journal, of up to 17 KiB, and
/// the end of a segment that the next one does not fit into.
const BATCH_COST: usize = 96 * 1024;

/// A row's own bytes are written again when its page is.
const BYTE_COST: usize = 4;

/// What a row of the journal may cost in all. There are nine to sixteen on a page; every tenth change writes all of it anew,
/// a split both halves. Measured: 4.5 KiB.
const JOURNAL_ROW_COST: usize = 6 * 1024;

/// Rows that change together, or not at all.
#[derive(Debug, Default)]
pub(super) struct Write {
    batch: ::sled::Batch,
    log_len: usize,
}

impl Write {
    /// Sets a row.
    pub(super) fn set(&mut self, key: &[u8], row: &[u8]) {
        self.log_len += if journal::is_key(key) {
            JOURNAL_ROW_COST
        } else {
            ROW_COST + (key.len() + row.len()) * BYTE_COST
        };
        self.batch.insert(key, row);
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.log_len += ROW_COST + key.len() * BYTE_COST;
        self.batch.remove(key);
    }

    /// Upper estimate of the bytes by which sled's log grows.
    pub(super) fn log_len(&self) -> usize {
        BATCH_COST + self.log_len
    }
}

/// An open sled folder.
#[derive(Debug)]
pub(super) struct Database {
    /// All rows are in its default tree: sled changes rows of one tree together at less cost than those of several.
    db: Db,
    /// Our own handle of sled's file.
    file: File,
    path: PathBuf,
    /// The end of sled's log at the last fsync.
    synced_len: u64,
    /// Upper estimate of what was given to sled since it last wrote everything to its file.
    unflushed: u64,
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
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error("cannot open", &path))?;
        Ok(Database {
            db,
            file,
            path,
            synced_len: 0,
            unflushed: 0,
        })
    }

    /// One row.
    ///
    /// # Errors
    /// sled's; what they mean depends on what it is read for.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, ::sled::Error> {
        self.db.get(key)
    }

    /// All rows from `key` on, in key order, as sled finds them.
    pub(super) fn rows_from(&self, key: &[u8]) -> Iter {
        self.db.range(key..)
    }

    /// Gives rows to sled. Not durable before [`Database::sync`], which this calls first where the log would grow by
    /// too much without.
    ///
    /// # Errors
    /// [`Error::Io`]; whether it happened is undefined.
    pub(super) fn apply(&mut self, write: Write) -> Result<(), Error> {
        let log_len = u64::try_from(write.log_len()).unwrap_or(u64::MAX);
        if self.unsynced_len().saturating_add(log_len) > UNSYNCED_MAX {
            self.flush()?; // Tells how much it really was.
            if self.unsynced_len() > 0 && self.unsynced_len().saturating_add(log_len) > UNSYNCED_MAX {
                self.sync()?;
            }
        }
        let applied = self.db.apply_batch(write.batch);
        applied.map_err(|error| self.failure("cannot change", error))?;
        self.unflushed = self.unflushed.saturating_add(log_len);
        Ok(())
    }

    /// Has sled write everything to its file, and the fsync that it leaves out.
    ///
    /// # Errors
    /// [`Error::Io`]; whether it is durable is undefined.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.flush()?;
        point("sled.flushed")?;
        let synced = planted!(FlushIsNoSync: self.file.sync_data() => Ok(()));
        synced.map_err(io_error("cannot sync", &self.path))?;
        self.synced_len = self.log_len();
        Ok(())
    }

    /// Bytes by which sled's log has grown since the last fsync: those that it has written, and an upper estimate of the
    /// others.
    pub(super) fn unsynced_len(&self) -> u64 {
        self.log_len()
            .saturating_sub(self.synced_len)
            .saturating_add(self.unflushed)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let flushed = self.db.flush();
        flushed.map_err(|error| self.failure("cannot write", error))?;
        self.unflushed = 0;
        Ok(())
    }

    /// Lets go of everything. sled's own threads may hold the file for a moment longer.
    pub(super) fn close(self) {
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

    /// sled's error as what it is while the store is in use: one of the system.
    pub(super) fn failure(&self, what: &str, error: ::sled::Error) -> Error {
        let source = if let ::sled::Error::Io(error) = error {
            error
        } else {
            io::Error::other(error.to_string())
        };
        io_error(what, &self.path)(source)
    }
}

/// Passes a failpoint.
///
/// # Errors
/// The one that it was armed with.
pub(super) fn point(name: &'static str) -> Result<(), Error> {
    #[cfg(test)]
    fail::check(name)?;
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

/// Failpoints of one thread, since those of the process are shared by all tests in it.
#[cfg(test)]
pub(super) mod fail {
    use std::cell::Cell;
    use std::io;

    use crate::Error;

    thread_local! {
        static ARMED: Cell<Option<(&'static str, u32)>> = const { Cell::new(None) };
    }

    /// Lets the point `name` fail at its `hits`th hit.
    pub(in super::super) fn arm(name: &'static str, hits: u32) {
        ARMED.set(Some((name, hits)));
    }

    /// Whether the point has not failed yet; disarms it.
    pub(in super::super) fn disarm() -> bool {
        ARMED.take().is_some()
    }

    pub(super) fn check(name: &str) -> Result<(), Error> {
        match ARMED.get() {
            Some((armed, hits)) if armed == name && hits > 1 => ARMED.set(Some((armed, hits - 1))),
            Some((armed, _)) if armed == name => {
                ARMED.set(None);
                return Err(Error::io("armed", io::Error::other(armed)));
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::key;
    use super::*;

    /// Random numbers below a bound, the same ones in every run.
    fn random(seed: &mut u64, bound: u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed % bound
    }

    fn usize_of(number: u64) -> usize {
        usize::try_from(number).unwrap()
    }

    /// What the module's head relies on: sled's log grows by less than a batch is estimated at, in every mixture of rows
    /// of the journal and new, changed, large and vanishing rows of entries.
    #[test]
    fn sleds_log_grows_by_less_than_a_batch_is_estimated_at() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(&dir.path().join("x.sled")).unwrap();
        database.sync().unwrap();
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        let (mut position, mut closest) = (0, 0);
        for round in 1..=1000_u64 {
            let mut write = Write::default();
            for _ in 0..[0, 1, 10, 64][usize_of(random(&mut seed, 4))] {
                write.set(&key(position), &[7; 1024]);
                position += 1;
            }
            let rows = [1, 4, 20, 100][usize_of(random(&mut seed, 4))];
            let spread = [50, 1_000, 10_000][usize_of(round / 50 % 3)];
            for _ in 0..rows {
                let table = 1 + random(&mut seed, 4);
                let id = if table == 3 {
                    round * 1000 + random(&mut seed, 1000)
                } else {
                    random(&mut seed, spread)
                };
                let key = [&[u8::try_from(table).unwrap()], &id.to_be_bytes()[..]].concat();
                let large = random(&mut seed, 40) == 0;
                let len = usize_of(random(&mut seed, if large { 2048 } else { 120 }));
                if table == 2 && random(&mut seed, 2) == 0 {
                    write.remove(&key);
                } else {
                    write.set(&key, &vec![u8::try_from(round % 251).unwrap(); len]);
                }
            }
            let estimate = u64::try_from(write.log_len()).unwrap();
            database.apply(write).unwrap();
            database.flush().unwrap();
            let grown = database.unsynced_len();
            assert!(
                grown > 0 && grown <= estimate,
                "round {round}: {grown} bytes, estimated at {estimate}"
            );
            closest = closest.max(100 * grown / estimate);
            database.sync().unwrap();
            assert_eq!(database.unsynced_len(), 0);
        }
        println!("at most {closest} % of the estimate");
    }

    #[test]
    fn there_is_a_sync_wherever_the_log_might_grow_by_more_than_half_a_segment() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(&dir.path().join("x.sled")).unwrap();
        database.sync().unwrap();
        let mut synced = 0;
        for round in 0..200_u8 {
            let mut write = Write::default();
            for at in 0..50_u8 {
                write.set(&[1, 0, at, round % 3], &[round; 500]);
            }
            let before = database.synced_len;
            database.apply(write).unwrap();
            synced += u32::from(database.synced_len != before);
            let written = database.log_len() - database.synced_len;
            assert!(written <= UNSYNCED_MAX, "{written} bytes");
        }
        assert!((10..180).contains(&synced), "{synced} syncs");
    }
}
