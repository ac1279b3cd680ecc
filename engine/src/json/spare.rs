//! The segment to be: written full of line breaks and synced in the background, so that the syncs of a busy log never
//! have to grow a file.
//!
//! A sync of 128 KiB takes about a quarter of the time in a file that is as long already. An idle log needs no spare
//! segment, so one is made when the active segment is half full. What a crash leaves of one is thrown away.

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::json::log::is_no_space;
use crate::json::recovery::Home;

/// Line breaks written by one call, and the most that may wait for the system to write them out.
const STEP: u64 = 1024 * 1024;

/// On a disk with less room than this many spare segments every byte is for promises.
const FREE_MIN: u64 = 8;

/// Makes an empty file, synced, with line breaks for `len` bytes of log. `None` if the disk has no room for luxuries.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn make<D: Disk>(home: &Home<D>, len: u64) -> Result<Option<D::File>, Error> {
    let name = &home.names.spare;
    let has_room = || home.disk.free_space().map(|free| free / FREE_MIN >= len);
    let fill = || {
        if !has_room()? {
            return Ok(None);
        }
        let mut file = home.disk.create(name)?;
        let mut filled = 0;
        while filled < len {
            filled = (filled + STEP).min(len);
            file.fill_ahead(filled)?;
            file.sync()?;
            // Others write at the same time.
            if !has_room()? {
                return Ok(None);
            }
        }
        Ok(Some(file))
    };
    let made = match fill() {
        Err(error) if is_no_space(&error) => None,
        result => result.map_err(home.io("write", name))?,
    };
    if made.is_none() {
        // Also one that a rotation without room has left.
        home.remove(name)?;
    }
    Ok(made)
}
