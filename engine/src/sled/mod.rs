//! The sled backend: every entry a few rows of one tree, and in front of them a journal of what changed last; one sled
//! batch per sync.
//!
//! sled 0.34.7 is quick and small but promises less than it seems to. What this backend relies on, and how each of
//! sled's weaknesses is closed:
//!
//! - **`flush()` does not fsync on Linux** (it issues `sync_file_range`, which neither makes the file's length durable
//!   nor empties the disk's cache). Every sync ends with our own `fdatasync` of sled's file; a test watches the system
//!   calls.
//! - **Atomicity.** `Tree::apply_batch` pins the log with a manifest in front of its messages, and fills in the last log
//!   position among them when all are written (`apply_batch_inner`: `pin_log`, the inserts, `seal_batch`), just as a
//!   transaction's commit does. Recovery stops in front of a manifest whose last position lies beyond the end of what it can
//!   read without a gap, so a batch is there as a whole or not at all, however many pages it spans. The sequence number and the
//!   [tally] are a row in the same batch. Pages may be split, merged or moved by it, too; that changes no row.
//! - **Freed segments are reused before a sync, and a tear that lies two segments back passes for the end of a
//!   segment.** sled takes what it has *written* for stable. It reuses a segment at the earliest when its log has grown
//!   by more than a whole segment since the last live page moved out of it, and it looks for tears in the segment of
//!   the last position it believes stable, and later ones. Both are safe as long as its log never grows by a segment
//!   between two fsyncs. So nothing is given to sled before a sync, batches are small, each is estimated on the safe
//!   side, and there is an fsync between two batches wherever their sum might pass *half* a segment of 1 MiB, once the
//!   log's true growth has been measured. The other half is for a batch that costs more than its estimate, which is an
//!   average: what sled moves out of segments that it frees comes on top, and is bounded by what lives in those.
//!   What remains: a single step, which is never cut in two, that makes sled write more than a segment. 100 rows were
//!   measured at 100 KiB at most, so the largest step of the protocol (256 legs) stays below; if it does not and
//!   power fails within these milliseconds, the tally makes the next start refuse the store rather than go on without
//!   what is lost.
//! - **A row that changes is expensive, and reading it first is as well.** Each change copies a page in memory, every tenth
//!   writes all of it. So a sync writes its changes into a few rows of a [journal], and the rows of the entries
//!   follow later, those that are still needed (see [store]). Only then is the old row read, which the tally has to know.
//! - **Large values go to `blobs/`, which is never synced.** Entries are cut into [rows] that keep every page far
//!   below the limit; the folder must be empty, and after the swap at open (see below) a write there cannot succeed.
//! - **Opening writes, can panic, and can lose a damaged tail in silence.** So a copy lies in the store's place
//!   meanwhile, or is what is opened (see [folder]), sled opens under a [shield], every row is read and decoded, rows must add
//!   up to the tally, and a store that is older than its [mark] is refused.
//! - **The lock of a process that is dying, or of a sled thread that has not noticed the end, lingers.** It is waited
//!   for, when opening and when closing.
//!
//! Not guaranteed: that a store put back whole from an older backup, its mark included, is recognised. Nothing inside
//! one directory can tell; the peers' marks do (R22).

mod aside;
mod change;
mod database;
mod folder;
mod journal;
mod load;
mod mark;
mod rows;
mod shield;
mod store;
mod tally;

use std::fs;
use std::panic;
use std::path::Path;
use std::thread;

use protocol::fold::{Fold, Seq};
use protocol::id::StoreId;

use crate::inspect::Content;
use crate::open::Recovered;
use crate::{Engine, Error, Owner, Stats, StoreConfig};
use change::{Batch, Change, Pending};
use database::{Database, SEGMENT_LEN};
use folder::{Folders, Removal, io_error};
use mark::Mark;
use store::Store;

/// The `conf` that sled has written for stores of the formats before 3, whose segments were half as long: its text, and
/// the checksum of that.
const CONF_BEFORE_3: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n\0\0\0\0";

/// Space that stays free for the decision of one open transaction.
const DECISION_LEN: u64 = 2048;

/// Opens the store, or makes it at the first start. Lock and manifest are the caller's.
pub(crate) fn open<S: Fold>(
    config: &StoreConfig,
    store: StoreId,
    first_start: bool,
) -> Result<Recovered<S>, Error> {
    let folders = Folders::of(&config.dir, config.owner);
    if first_start {
        folders.clear()?;
        create::<S>(&folders, store)?;
    } else {
        folders.settle()?;
    }
    let mut notices = Vec::new();
    let promised = mark::read(&folders.mark, store).map_err(io_error("cannot read", &folders.mark))?;
    if promised.is_none() && !first_start {
        notices.push(format!("{}; it is written anew", no_mark(&folders)));
    }
    let conf = folders.set_aside()?;
    let what = folders.live.display().to_string();
    let checked = refuse_older(&folders, &conf).and_then(|()| {
        shield::shielded(
            &what,
            || {},
            || check_trial::<S>(&folders, store, &conf, promised),
        )
    });
    let (found, state) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            folders.settle()?; // What was refused is of no use: its copy is the store.
            return Err(error);
        }
    };
    folders.swap()?;
    let mark = Mark::open(&folders.mark, store).map_err(io_error("cannot open", &folders.mark))?;
    let synced = found.seq();
    mark.write(synced)
        .map_err(io_error("cannot write", &folders.mark))?;
    let engine = SledEngine {
        store: found,
        removal: folders.remove_retired(),
        folders,
        mark,
        synced,
        pending: Pending::default(),
        appended: synced,
        stats: Stats::default(),
        scratch: Vec::new(),
    };
    Ok((Box::new(engine), state, notices))
}

/// Reads the store without changing it: a copy is opened, in a temporary directory.
///
/// # Errors
/// As [`open`].
pub(crate) fn inspect<S: Fold>(dir: &Path, owner: Owner, store: StoreId) -> Result<Content<S>, Error> {
    let aside = tempfile::tempdir().map_err(|error| Error::io("no temporary directory for a copy", error))?;
    let folders = Folders::to_read(dir, owner, aside.path());
    let promised = mark::read(&folders.mark, store).map_err(io_error("cannot read", &folders.mark))?;
    let conf = folders.copy()?;
    let what = folders.live.display().to_string();
    let copy = aside.path().to_owned();
    let clean_up = move || drop(fs::remove_dir_all(&copy));
    refuse_older(&folders, &conf)?;
    let (found, state) = shield::shielded(&what, clean_up, || {
        read_trial::<S>(&folders, store, &conf, promised)
    })?;
    found.close();
    Ok(Content {
        checkpoints: vec![state],
        records: Vec::new(),
        notices: promised
            .is_none()
            .then(|| no_mark(&folders))
            .into_iter()
            .collect(),
        damage: Vec::new(),
    })
}

fn no_mark(folders: &Folders) -> String {
    format!(
        "{} does not say how far the store was synced, so a loss at its very end would go unnoticed",
        folders.mark.display()
    )
}

/// Makes the store of an empty state.
fn create<S: Fold>(folders: &Folders, store: StoreId) -> Result<(), Error> {
    let mut made = Store::empty(Database::open(&folders.trial)?, store);
    let mut first = Batch::new(0);
    for entry in S::empty().entries() {
        first.put(Change::of::<S>(&S::key(&entry), Some(&entry), &mut Vec::new()));
    }
    made.write(first)?;
    made.sync()?;
    made.close();
    folders.sync_trial()?;
    folders.swap()?;
    let mark = Mark::open(&folders.mark, store).map_err(io_error("cannot make", &folders.mark))?;
    mark.write(0).map_err(io_error("cannot write", &folders.mark))
}

/// A store of an older format is not to be opened: sled would look for segments in the wrong places.
fn refuse_older(folders: &Folders, conf: &[u8]) -> Result<(), Error> {
    if conf[..conf.len().saturating_sub(4)] == CONF_BEFORE_3[..CONF_BEFORE_3.len() - 4] {
        return Err(load::other_format(&folders.live, "2 or an older one"));
    }
    Ok(())
}

/// Opens the copy, checks it in full and makes it durable.
fn check_trial<S: Fold>(
    folders: &Folders,
    store: StoreId,
    conf: &[u8],
    promised: Option<Seq>,
) -> Result<(Store, S), Error> {
    thread::scope(|scope| {
        // The disk may take in what was copied while it is read. Without a thread it does so afterwards.
        let copied = thread::Builder::new()
            .name("sync".to_owned())
            .spawn_scoped(scope, || folders.sync_copy());
        let read = read_trial(folders, store, conf, promised);
        if let Ok(copied) = copied {
            // A sync that failed is said only once, and what was read from such a copy says nothing about the store.
            copied
                .join()
                .unwrap_or_else(|panicked| panic::resume_unwind(panicked))?;
        }
        let (mut found, state) = read?;
        found.sync()?;
        folders.sync_trial()?;
        Ok((found, state))
    })
}

/// Opens the copy and checks it in full.
fn read_trial<S: Fold>(
    folders: &Folders,
    store: StoreId,
    conf: &[u8],
    promised: Option<Seq>,
) -> Result<(Store, S), Error> {
    let database = Database::open(&folders.trial)?;
    if !same_file(&folders.trial.join("conf"), conf)? {
        return Err(Error::Corrupt(format!(
            "{} is not what this version of sled writes: it is damaged or of another version. Nothing was changed. \
             Restore it from a backup, or start with the version that wrote it",
            folders.live.join("conf").display()
        )));
    }
    let (state, tally, journal) = load::load::<S>(&database, &folders.live, store)?;
    if let Some(promised) = promised.filter(|promised| *promised > tally.seq) {
        return Err(Error::Corrupt(format!(
            "{} ends at record {}, but was synced through {promised}: its end is lost. Nothing was changed. Restore the \
             whole data directory from a backup that is not older than the last transaction",
            folders.live.display(),
            tally.seq
        )));
    }
    Ok((Store::found(database, journal, tally), state))
}

fn same_file(path: &Path, expected: &[u8]) -> Result<bool, Error> {
    fs::read(path)
        .map(|bytes| bytes == expected)
        .map_err(io_error("cannot read", path))
}

struct SledEngine {
    store: Store,
    /// Of the copy of the store as it was before the start.
    removal: Removal,
    folders: Folders,
    mark: Mark,
    synced: Seq,
    pending: Pending,
    appended: Seq,
    stats: Stats,
    /// Memory in which changes are put together.
    scratch: Vec<u8>,
}

impl SledEngine {
    fn sync_pending(&mut self) -> Result<(), Error> {
        let batches = self.pending.take();
        if batches.is_empty() {
            return Ok(());
        }
        for batch in batches {
            self.store.write(batch)?;
        }
        self.store.sync()?;
        self.synced = self.store.seq();
        self.stats.syncs += 1;
        self.mark
            .write(self.synced)
            .map_err(io_error("cannot write", &self.folders.mark))
    }

    fn is_enough_free(&self, open: usize) -> bool {
        let free =
            rustix::fs::statvfs(&self.folders.live).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        match (free, self.reserve(open)) {
            (Ok(free), Ok(reserve)) => free >= reserve,
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// Free space below which nothing new may be promised.
    fn reserve(&self, open: usize) -> std::io::Result<u64> {
        let file_len = self.store.database().file_len()?;
        let recovery_copy = file_len + file_len / 4;
        let open = u64::try_from(open).unwrap_or(u64::MAX);
        // What waits for its row will live in sled's log a second time, and sled's segments may be half empty.
        let unsettled = self.store.unsettled().saturating_add(self.pending.len());
        let unsettled = u64::try_from(unsettled).unwrap_or(u64::MAX);
        let decisions = open
            .saturating_mul(DECISION_LEN)
            .saturating_add(unsettled.saturating_mul(2));
        Ok(decisions
            .saturating_add(recovery_copy)
            .saturating_add(2 * SEGMENT_LEN))
    }
}

impl<S: Fold> Engine<S> for SledEngine {
    fn append(&mut self, records: &[(Seq, S::Record)], touched: &[S::Key], state: &S) -> Result<(), Error> {
        let Some((last, _)) = records.last() else {
            return Ok(());
        };
        assert_eq!(
            records[0].0,
            self.appended + 1,
            "records are numbered without a gap"
        );
        assert_eq!(state.seq(), *last, "the state is the one after the step");
        let mut step = Batch::new(*last);
        for key in touched {
            let change = Change::of::<S>(key, state.entry(key).as_ref(), &mut self.scratch);
            self.stats.bytes += u64::try_from(change.len()).expect("a change fits into memory");
            step.put(change);
        }
        self.stats.records += u64::try_from(records.len()).expect("a count fits");
        self.pending.push(step);
        self.appended = *last;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sync_pending()
    }

    fn synced(&self) -> Seq {
        self.synced
    }

    fn tend(&mut self, _state: &mut S) -> Result<Option<u64>, Error> {
        Ok(None) // sled has no checkpoints, and the mark is written with every sync.
    }

    fn has_room(&mut self, open: usize) -> bool {
        self.is_enough_free(open) || self.removal.finish() && self.is_enough_free(open)
    }

    fn stats(&self) -> Stats {
        self.stats
    }

    fn close(mut self: Box<Self>, _state: &S) -> Result<(), Error> {
        self.sync_pending()?;
        let SledEngine { store, folders, .. } = *self;
        store.close();
        drop(folders.lock()?); // Nobody of ours holds it any more: the next process gets it at once.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::participant::NodeState;

    use super::*;
    use crate::StoreKind;

    #[test]
    fn a_store_of_an_older_format_is_refused_for_that_before_sled_opens_it_and_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            dir: dir.path().to_owned(),
            owner: Owner::Node("N1".parse().unwrap()),
            kind: StoreKind::Sled,
            cluster: "local".parse().unwrap(),
            segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
            power_cut: None,
        };
        let folder = dir.path().join("node_N1.sled");
        let old = ::sled::Config::new()
            .path(&folder)
            .segment_size(512 * 1024)
            .open()
            .unwrap();
        old.open_tree("meta").unwrap().insert([0xff], vec![2, 0]).unwrap();
        old.flush().unwrap();
        drop(old);
        let db = fs::read(folder.join("db")).unwrap();
        let conf = fs::read(folder.join("conf")).unwrap();
        let Err(refused) = open::<NodeState>(&config, StoreId(7), false) else {
            panic!("taken for a store of this format");
        };
        let text = refused.to_string();
        assert!(matches!(refused, Error::Mismatch(_)), "{text}");
        for part in ["node_N1.sled has format 2", "format 3", "Nothing was changed"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(fs::read(folder.join("db")).unwrap() == db);
        assert!(fs::read(folder.join("conf")).unwrap() == conf);
        assert!(!dir.path().join("node_N1.sled.trial").exists());
        let Err(refused) = inspect::<NodeState>(dir.path(), config.owner, StoreId(7)) else {
            panic!("taken for a store of this format");
        };
        assert!(matches!(refused, Error::Mismatch(_)), "{refused}");
    }
}
