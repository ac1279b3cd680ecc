//! Reading a store: every row, every entry, and whether they add up.

use std::path::Path;

use protocol::codec;
use protocol::fold::{Fold, Table};
use protocol::id::StoreId;

use super::database::{Database, damage};
use super::folder::corrupt;
use super::rows::{row_key, split_first_row, split_row_key};
use super::tally::{TALLY_KEY, Tally};
use crate::Error;

/// The rows of a store as they were found.
struct Found<E> {
    entries: Vec<E>,
    /// What the rows add up to, as of record 0.
    sum: Tally,
}

/// Reads every row, checks all of them against the tally, and builds the state. `folder` is what messages call it.
///
/// # Errors
/// [`Error::Corrupt`] with what does not fit.
pub(super) fn load<S: Fold>(database: &Database, folder: &Path, store: StoreId) -> Result<(S, Tally), Error> {
    // First, since it names the format: rows of another one would seem damaged.
    let tally = read_tally(database, folder)?;
    let Found { entries, sum } = read_all::<S>(database, folder, store)?;
    if tally.store != store {
        let text = format!("it belongs to store {}, the manifest names {store}", tally.store);
        return Err(corrupt(folder, &text));
    }
    if sum != tally.at(0) {
        let text = format!(
            "its rows do not add up at record {} (expected {:?} rows with digest {:016x}, found {:?} with {:016x})",
            tally.seq, tally.rows, tally.digest, sum.rows, sum.digest
        );
        return Err(corrupt(folder, &text));
    }
    let state = S::restore(tally.seq, &mut entries.into_iter()).map_err(|text| corrupt(folder, &text))?;
    Ok((state, tally))
}

/// What the rows should add up to.
fn read_tally(database: &Database, folder: &Path) -> Result<Tally, Error> {
    let gone = || corrupt(folder, "the row with its sequence number is gone");
    let (_, meta) = database
        .trees()
        .find(|(table, _)| *table == Table::Meta)
        .ok_or_else(gone)?;
    let row = meta.get(TALLY_KEY).map_err(|error| damage(folder, error))?;
    let tally = Tally::decode(&row.ok_or_else(gone)?).map_err(|text| corrupt(folder, &text))?;
    match tally.unknown() {
        Some(why) => Err(Error::Mismatch(format!("{} {why}", folder.display()))),
        None => Ok(tally),
    }
}

fn read_all<S: Fold>(database: &Database, folder: &Path, store: StoreId) -> Result<Found<S::Entry>, Error> {
    let mut found = Found {
        entries: Vec::new(),
        sum: Tally::empty(store),
    };
    for (index, (table, tree)) in database.trees().enumerate() {
        for row in tree {
            let (key, row) = row.map_err(|error| damage(folder, error))?;
            if table == Table::Meta && *key == *TALLY_KEY {
                continue;
            }
            found.sum.add(index, &key, &row);
            let malformed = || {
                corrupt(
                    folder,
                    &format!("row {key:02x?} of {} is malformed", table.name()),
                )
            };
            let (entry_key, chunk) = split_row_key(&key).ok_or_else(malformed)?;
            if chunk > 0 {
                continue; // Read with chunk 0; counted above.
            }
            let (count, first) = split_first_row(&row).ok_or_else(malformed)?;
            let mut bytes = first.to_vec();
            for chunk in 1..count {
                let row = tree
                    .get(row_key(entry_key, chunk))
                    .map_err(|error| damage(folder, error))?;
                bytes.extend_from_slice(&row.ok_or_else(malformed)?);
            }
            let entry: S::Entry =
                codec::decode(&bytes).map_err(|error| corrupt(folder, &error.to_string()))?;
            let own_key = S::key(&entry);
            if S::table(&own_key) != table || codec::encode_sorted(&own_key) != entry_key {
                return Err(malformed());
            }
            found.entries.push(entry);
        }
    }
    Ok(found)
}
