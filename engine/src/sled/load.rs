//! Reading a store: every row, every entry, and whether they add up.
//!
//! Two threads share the work: one has sled find the rows, which is mostly reading pages of its file, the other checks and
//! decodes them.

use std::panic;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ::sled::IVec;
use protocol::codec;
use protocol::fold::Fold;
use protocol::id::StoreId;

use super::change;
use super::database::{Database, damage};
use super::folder::corrupt;
use super::journal::{self, Extent, Journal};
use super::rows::{entry_key_into, row_hash, split_first_row, split_row_key, table_of};
use super::tally::{FORMAT, TALLY_KEY, Tally, Unreadable};
use crate::Error;

/// Rows that are handed from one thread to the other at a time.
const HANDFUL: usize = 1024;

/// Handfuls that may lie between the threads.
const WAITING_MAX: usize = 8;

/// Rows in key order, or why there are no more.
type Handful = Result<Vec<(IVec, IVec)>, ::sled::Error>;

/// Reads every row, checks all of them against the tally, lays the journal over them, and builds the state. `folder` is
/// what messages call it.
///
/// # Errors
/// [`Error::Corrupt`] with what does not fit, [`Error::Mismatch`] for a store of another format.
pub(super) fn load<S: Fold>(
    database: &Database,
    folder: &Path,
    store: StoreId,
) -> Result<(S, Tally, Journal), Error> {
    // First, since it names the format: rows of another one would seem damaged.
    let tally = read_tally(database, folder)?;
    if tally.store != store {
        let text = format!("it belongs to store {}, the manifest names {store}", tally.store);
        return Err(corrupt(folder, &text));
    }
    let (journal, found) = read_journal::<S>(database, folder, &tally)?;
    let mut sum = Tally::empty(store);
    sum.journal = found;
    let mut entries = read_entries::<S>(database, folder, &journal, &mut sum)?;
    sum.seq = tally.seq;
    if sum != tally {
        let text = format!(
            "its rows do not add up at record {} (expected {:?} rows with digest {:016x}, found {:?} with {:016x})",
            tally.seq, tally.rows, tally.digest, sum.rows, sum.digest
        );
        return Err(corrupt(folder, &text));
    }
    for change in journal.newest() {
        if let Some(value) = change.value() {
            entries.push(decode::<S>(folder, change.key(), value, &mut Vec::new())?);
        }
    }
    let state = S::restore(tally.seq, &mut entries.into_iter()).map_err(|text| corrupt(folder, &text))?;
    Ok((state, tally, journal))
}

/// What the rows should add up to.
fn read_tally(database: &Database, folder: &Path) -> Result<Tally, Error> {
    let row = database.get(TALLY_KEY).map_err(|error| damage(folder, error))?;
    let row = row.ok_or_else(|| corrupt(folder, "the row with its sequence number is gone"))?;
    match Tally::decode(&row) {
        Ok(tally) => Ok(tally),
        Err(Unreadable::Damaged(text)) => Err(corrupt(folder, &text)),
        Err(Unreadable::Format(other)) => Err(other_format(folder, &other.to_string())),
    }
}

/// The refusal of a store that another version of this backend has written.
pub(super) fn other_format(folder: &Path, other: &str) -> Error {
    Error::Mismatch(format!(
        "{} has format {other}, and this program knows format {FORMAT}: use the version of the program that wrote it, or \
         start anew in an empty directory. Nothing was changed",
        folder.display()
    ))
}

/// The journal as `tally` describes it, and what its rows really add up to.
fn read_journal<S: Fold>(
    database: &Database,
    folder: &Path,
    tally: &Tally,
) -> Result<(Journal, Extent), Error> {
    let expected = tally.journal;
    if let Some(why) = expected.impossible() {
        return Err(corrupt(folder, &why));
    }
    let mut journal = Journal::empty_at(expected.first);
    let mut extent = journal.extent();
    let mut encoded = Vec::new();
    for position in expected.first..expected.next {
        let malformed = || corrupt(folder, &format!("row {position} of its journal is malformed"));
        let key = journal::key(position);
        let row = database.get(&key).map_err(|error| damage(folder, error))?;
        let row = row.ok_or_else(malformed)?;
        extent.digest = extent.digest.wrapping_add(row_hash(&key, &row));
        extent.next += 1;
        let (following, part) = journal::split_row(position, &row).ok_or_else(malformed)?;
        encoded.extend_from_slice(part);
        if following == 0 {
            let changes = change::decode::<S>(&encoded).ok_or_else(malformed)?;
            journal.push(extent, changes);
            encoded.clear();
        }
    }
    if journal.extent() != expected {
        let text = format!("its journal does not add up at record {}", tally.seq);
        return Err(corrupt(folder, &text));
    }
    Ok((journal, extent))
}

/// The entries of all rows that the journal does not lie over. All rows are added to `sum`.
fn read_entries<S: Fold>(
    database: &Database,
    folder: &Path,
    journal: &Journal,
    sum: &mut Tally,
) -> Result<Vec<S::Entry>, Error> {
    let (send, receive) = sync_channel(WAITING_MAX);
    thread::scope(|scope| {
        let finder = move || find_rows(database, &send);
        let finder = thread::Builder::new()
            .name("read".to_owned())
            .spawn_scoped(scope, finder);
        let finder =
            finder.map_err(|error| Error::io("cannot start a thread that reads the store", error))?;
        let entries = join_rows::<S>(folder, journal, receive, sum);
        match finder.join() {
            Ok(()) => entries,
            Err(panicked) => panic::resume_unwind(panicked), // Whoever called has a shield for it.
        }
    })
}

/// Sends all rows but those of the journal. Ends early if nobody listens any more.
fn find_rows(database: &Database, send: &SyncSender<Handful>) {
    let first_of_entries = [journal::key(0)[0] + 1];
    let mut rows = database.rows_from(&first_of_entries);
    loop {
        let handful: Handful = rows.by_ref().take(HANDFUL).collect();
        let last = handful.as_ref().map_or(true, |rows| rows.len() < HANDFUL);
        if send.send(handful).is_err() || last {
            return;
        }
    }
}

/// Puts entries together from their rows.
fn join_rows<S: Fold>(
    folder: &Path,
    journal: &Journal,
    receive: Receiver<Handful>,
    sum: &mut Tally,
) -> Result<Vec<S::Entry>, Error> {
    let (mut entries, mut scratch) = (Vec::new(), Vec::new());
    let mut open: Option<Open> = None;
    for handful in receive {
        for (row_key, row) in handful.map_err(|error| damage(folder, error))? {
            if *row_key == *TALLY_KEY {
                continue;
            }
            let malformed = || corrupt(folder, &format!("row {row_key:02x?} is malformed"));
            if table_of(&row_key).is_none() {
                return Err(malformed());
            }
            sum.add(&row_key, &row);
            let (key, chunk) = split_row_key(&row_key).ok_or_else(malformed)?;
            let entry = match open.take() {
                None if chunk == 0 => {
                    let (chunks, first) = split_first_row(&row).ok_or_else(malformed)?;
                    Open {
                        key: key.to_vec(),
                        bytes: first.to_vec(),
                        next: 1,
                        chunks,
                    }
                }
                Some(mut entry) if chunk == entry.next && key == entry.key => {
                    entry.bytes.extend_from_slice(&row);
                    entry.next += 1;
                    entry
                }
                None | Some(_) => return Err(malformed()),
            };
            if entry.next < entry.chunks {
                open = Some(entry);
            } else if !journal.covers(&entry.key) {
                entries.push(decode::<S>(folder, &entry.key, &entry.bytes, &mut scratch)?);
            }
        }
    }
    match open {
        None => Ok(entries),
        Some(entry) => Err(corrupt(
            folder,
            &format!("the end of entry {:02x?} is gone", entry.key),
        )),
    }
}

/// An entry of which rows are still to come.
struct Open {
    key: Vec<u8>,
    bytes: Vec<u8>,
    next: u16,
    chunks: u16,
}

/// The entry that belongs under `key`. `scratch` is memory to work in.
fn decode<S: Fold>(
    folder: &Path,
    key: &[u8],
    bytes: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<S::Entry, Error> {
    let entry: S::Entry = codec::decode(bytes).map_err(|error| corrupt(folder, &error.to_string()))?;
    scratch.clear();
    entry_key_into::<S>(&S::key(&entry), scratch);
    if scratch == key {
        Ok(entry)
    } else {
        Err(corrupt(folder, &format!("entry {key:02x?} is malformed")))
    }
}
