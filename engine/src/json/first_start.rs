//! A json store's very first start: its files, and the balances that a person may have written by hand.
//!
//! Nothing here has been promised to anybody until the manifest says that the first start is complete, so an interrupted
//! one is simply done again. A hand-written file is neither refused nor doubled by that: until the last step it is still
//! there, and the log that was begun beside it is thrown away; after it the store's own file stands in its place.

use std::io;

use protocol::fold::Fold;
use protocol::planted;

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::json::by_hand::{self, ByHand};
use crate::json::line::{self, Header};
use crate::json::recovery::Home;
use crate::json::spare;
use crate::json::state_file::{self, Content};

/// Whether a first start can succeed with what is there. Changes nothing.
///
/// # Errors
/// [`Error::Mismatch`] if a state file is there that is not a plain map of balances.
pub(crate) fn check<S: Fold, D: Disk>(home: &Home<D>) -> Result<(), Error> {
    hand_written::<S, D>(home).map(|_| ())
}

/// Makes the store's files. Returns what there is to say about it.
///
/// # Errors
/// [`Error::Mismatch`] as in [`check`], [`Error::Io`] if a file cannot be made.
pub(crate) fn make<S: Fold, D: Disk>(home: &Home<D>) -> Result<Option<String>, Error> {
    let names = &home.names;
    if state(home)?.is_some_and(|bytes| state_file::is_whole(&bytes)) {
        // The last step of an interrupted first start is done.
        return Ok(None);
    }
    let adopted = hand_written::<S, D>(home)?;
    let listed = home.list()?;
    for first in names.closed_among(&listed) {
        home.remove(&names.closed(first))?;
    }
    for name in [&names.active, &names.next, &names.previous]
        .into_iter()
        .chain(&names.temporary())
    {
        home.remove(name)?;
    }
    spare::forget_old(home)?;
    let mut state = S::empty();
    put_state(home, &names.previous, &state)?;
    let mut text = Vec::new();
    let header = Header::of_first(home.store);
    line::write_header(&header, &mut text);
    let notice = adopted.map(|(by_hand, record)| {
        state.apply(1, &record, &mut Vec::new());
        line::write_record(1, &record, &mut text);
        line::write_synced(1, &mut text);
        format!(
            "adopted {} hand-written balances from {} (crc32 {:08x})",
            by_hand.accounts.len(),
            home.disk.display(&names.state),
            by_hand.digest
        )
    });
    let aside = format!("{}.tmp", names.active);
    let write = || {
        let mut file = home.disk.create(&aside)?;
        file.append(&text)?;
        planted!(UnsyncedFirstLog: file.sync() => Ok(()))
    };
    write().map_err(home.io("write", &aside))?;
    home.rename(&aside, &names.active)?;
    home.sync_dir()?;
    put_state(home, &names.state, &state)?;
    Ok(notice)
}

fn put_state<S: Fold, D: Disk>(home: &Home<D>, name: &str, state: &S) -> Result<(), Error> {
    let aside = format!("{name}.tmp");
    let file = home.disk.create(&aside);
    file.and_then(|file| state_file::write(home, file, 0, Content::of(state)))
        .map_err(home.io("write", &aside))?;
    home.rename(&aside, name)?;
    home.sync_dir()
}

fn state<D: Disk>(home: &Home<D>) -> Result<Option<Vec<u8>>, Error> {
    match home.disk.read(&home.names.state) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(home.io("read", &home.names.state)(error)),
    }
}

/// The hand-written file, if there is one, and the record that adopts it.
fn hand_written<S: Fold, D: Disk>(home: &Home<D>) -> Result<Option<(ByHand, S::Record)>, Error> {
    let Some(bytes) = state(home)? else {
        return Ok(None);
    };
    let path = home.disk.display(&home.names.state);
    let refuse = |why: String| {
        Error::Mismatch(format!(
            "{path} was not adopted: {why}. Nothing was changed. A balance file is one object of whole numbers, such as \
             {{\"A\": 100}}; correct the file, or move it away to start empty"
        ))
    };
    if state_file::is_whole(&bytes) {
        return Err(Error::Corrupt(format!(
            "{path} is the state file of a store whose manifest is missing. Nothing was changed. Restore the whole data \
             directory from one backup, or start with an empty one"
        )));
    }
    let by_hand = by_hand::parse(&bytes).map_err(refuse)?;
    let record = S::adoption(by_hand.accounts.clone(), by_hand.digest)
        .ok_or_else(|| refuse(format!("the {} keeps no accounts", home.owner)))?;
    Ok(Some((by_hand, record)))
}
