//! Reading a store: every row, every entry, and whether they add up.
//!
//! Two threads share the work: one has sled find the rows, which is mostly reading pages of its file, the other checks and
//! decodes them and makes the state of them. Nothing comes of that before all has turned out to add up.

use std::marker::PhantomData;
use std::panic;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::vec;

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
    let newer = newer_entries::<S>(folder, &journal)?;
    let state = with_rows(database, |rows| {
        let mut entries = Entries::<S>::of(rows, folder, &journal, &mut sum);
        let state = S::restore(tally.seq, &mut entries.by_ref().chain(newer));
        // Rows that are damaged say more than the state that they make.
        entries.finish()?;
        Ok(state)
    })?;
    sum.seq = tally.seq;
    if sum != tally {
        let text = format!(
            "its rows do not add up at record {} (expected {:?} rows with digest {:016x}, found {:?} with {:016x})",
            tally.seq, tally.rows, tally.digest, sum.rows, sum.digest
        );
        return Err(corrupt(folder, &text));
    }
    let state = state.map_err(|text| corrupt(folder, &text))?;
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

/// The entries that stand in the journal, as it left them.
fn newer_entries<S: Fold>(folder: &Path, journal: &Journal) -> Result<Vec<S::Entry>, Error> {
    let mut scratch = Vec::new();
    let values = journal
        .newest()
        .filter_map(|change| Some((change.key(), change.value()?)));
    values
        .map(|(key, value)| decode::<S>(folder, key, value, &mut scratch))
        .collect()
}

/// Has `take` take all rows but those of the journal, while another thread finds them.
fn with_rows<T>(
    database: &Database,
    take: impl FnOnce(Receiver<Handful>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (send, receive) = sync_channel(WAITING_MAX);
    thread::scope(|scope| {
        let finder = thread::Builder::new()
            .name("read".to_owned())
            .spawn_scoped(scope, move || find_rows(database, &send));
        let finder =
            finder.map_err(|error| Error::io("cannot start a thread that reads the store", error))?;
        let taken = take(receive);
        match finder.join() {
            Ok(()) => taken,
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

/// Puts entries together from their rows, those that the journal does not lie over. All rows are added to `sum`.
struct Entries<'a, S> {
    rows: Receiver<Handful>,
    handful: vec::IntoIter<(IVec, IVec)>,
    folder: &'a Path,
    journal: &'a Journal,
    sum: &'a mut Tally,
    open: Option<Open>,
    scratch: Vec<u8>,
    /// What ended it before its time.
    problem: Option<Error>,
    state: PhantomData<S>,
}

impl<'a, S: Fold> Entries<'a, S> {
    fn of(
        rows: Receiver<Handful>,
        folder: &'a Path,
        journal: &'a Journal,
        sum: &'a mut Tally,
    ) -> Entries<'a, S> {
        Entries {
            rows,
            handful: Vec::new().into_iter(),
            folder,
            journal,
            sum,
            open: None,
            scratch: Vec::new(),
            problem: None,
            state: PhantomData,
        }
    }

    /// Reads what was left unread.
    ///
    /// # Errors
    /// The first problem there was.
    fn finish(mut self) -> Result<(), Error> {
        self.by_ref().for_each(drop);
        match (self.problem, self.open) {
            (Some(problem), _) => Err(problem),
            (None, None) => Ok(()),
            (None, Some(entry)) => {
                let text = format!("the end of entry {:02x?} is gone", entry.key);
                Err(corrupt(self.folder, &text))
            }
        }
    }

    /// The next row, if there is one.
    fn row(&mut self) -> Result<Option<(IVec, IVec)>, Error> {
        loop {
            if let Some(row) = self.handful.next() {
                return Ok(Some(row));
            }
            let Ok(handful) = self.rows.recv() else {
                return Ok(None);
            };
            let handful = handful.map_err(|error| damage(self.folder, error))?;
            self.handful = handful.into_iter();
        }
    }

    /// The next entry, if there is one.
    fn entry(&mut self) -> Result<Option<S::Entry>, Error> {
        while let Some((row_key, row)) = self.row()? {
            if *row_key == *TALLY_KEY {
                continue;
            }
            let malformed = || corrupt(self.folder, &format!("row {row_key:02x?} is malformed"));
            if table_of(&row_key).is_none() {
                return Err(malformed());
            }
            self.sum.add(&row_key, &row);
            let (key, chunk) = split_row_key(&row_key).ok_or_else(malformed)?;
            match self.open.take() {
                None if chunk == 0 => {
                    let (chunks, first) = split_first_row(&row).ok_or_else(malformed)?;
                    if chunks > 1 {
                        self.open = Some(Open::of(key, first, chunks));
                    } else if !self.journal.covers(key) {
                        return self.decode(key, first).map(Some);
                    }
                }
                Some(mut entry) if chunk == entry.next && key == entry.key => {
                    entry.bytes.extend_from_slice(&row);
                    entry.next += 1;
                    if entry.next < entry.chunks {
                        self.open = Some(entry);
                    } else if !self.journal.covers(key) {
                        return self.decode(key, &entry.bytes).map(Some);
                    }
                }
                None | Some(_) => return Err(malformed()),
            }
        }
        Ok(None)
    }

    fn decode(&mut self, key: &[u8], bytes: &[u8]) -> Result<S::Entry, Error> {
        decode::<S>(self.folder, key, bytes, &mut self.scratch)
    }
}

impl<S: Fold> Iterator for Entries<'_, S> {
    type Item = S::Entry;

    fn next(&mut self) -> Option<S::Entry> {
        if self.problem.is_some() {
            return None;
        }
        self.entry().unwrap_or_else(|problem| {
            self.problem = Some(problem);
            None
        })
    }
}

/// An entry of which rows are still to come.
struct Open {
    key: Vec<u8>,
    bytes: Vec<u8>,
    next: u16,
    chunks: u16,
}

impl Open {
    fn of(key: &[u8], first: &[u8], chunks: u16) -> Open {
        Open {
            key: key.to_vec(),
            bytes: first.to_vec(),
            next: 1,
            chunks,
        }
    }
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

#[cfg(test)]
mod tests {
    use protocol::id::AccountId;
    use protocol::participant::{NodeEntry, NodeState};

    use super::super::change::{Batch, Change};
    use super::super::database::Write;
    use super::super::rows::row_key;
    use super::super::store::Store;
    use super::*;

    const ACCOUNTS: usize = 2 * HANDFUL * WAITING_MAX;

    fn entry(n: usize, version: u64) -> NodeEntry {
        let id: AccountId = format!("account-{n:05}").parse().unwrap();
        NodeEntry::Account(id, 1, version)
    }

    fn key(n: usize) -> Vec<u8> {
        let mut key = Vec::new();
        entry_key_into::<NodeState>(&NodeState::key(&entry(n, 1)), &mut key);
        row_key(&key, 0)
    }

    /// What loading a store says against it: all of its accounts have this version, and then `damage` is done to its rows.
    fn refusal(version: u64, damage: impl FnOnce(&mut Write)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x.sled");
        let mut store = Store::empty(Database::open(&folder).unwrap(), StoreId(1));
        // Too much for the journal, so they are rows at once.
        let mut batch = Batch::new(1);
        for n in 0..ACCOUNTS {
            let entry = entry(n, version);
            batch.put(Change::of::<NodeState>(
                &NodeState::key(&entry),
                Some(&entry),
                &mut Vec::new(),
            ));
        }
        store.write(batch).unwrap();
        assert_eq!(store.unsettled(), 0);
        store.sync().unwrap();
        store.close();
        let mut database = Database::open(&folder).unwrap();
        let mut write = Write::default();
        damage(&mut write);
        database.apply(write).unwrap();
        match load::<NodeState>(&database, &folder, StoreId(1)) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn damaged_rows_say_more_than_the_state_that_they_make() {
        let (sound, too_new) = (1, 1_000_000);
        let lose_one = |write: &mut Write| write.remove(&key(7));
        let break_one = |write: &mut Write| write.set(&key(7), &[1]);
        for (version, damage, expected) in [
            (sound, None, "nothing"),
            (sound, Some(&lose_one as &dyn Fn(&mut Write)), "do not add up"),
            (sound, Some(&break_one), "is malformed"),
            // The very first entry cannot be right; the rows behind it are more than fit between the threads.
            (too_new, None, "more changes than records"),
            (too_new, Some(&lose_one), "do not add up"),
            (too_new, Some(&break_one), "is malformed"),
        ] {
            let text = refusal(version, |write| {
                damage.into_iter().for_each(|damage| damage(write))
            });
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
