//! The segment to be: written full of line breaks and synced in the background, so that the syncs of a busy log never
//! have to grow a file.
//!
//! Closed segments that a checkpoint makes needless are put by and written over: the system need not find memory and
//! blocks for a new file, which costs more than all the rest of it.
//!
//! A sync of 128 KiB takes about a quarter of the time in a file that is as long already. An idle log needs no spare
//! segment, so one is made when the active segment is half full. Once it is whole it is named as the next segment, so that
//! the rotation need not wait for that; without a first line it holds nothing, and what a crash leaves of it is thrown away.

use std::io;

use protocol::planted;

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::error::is_no_space;
use crate::json::recovery::Home;

/// Line breaks written by one call, and the most that may wait for the system to write them out.
const STEP: u64 = 1024 * 1024;

/// On a disk with less room than this many spare segments every byte is for promises.
const FREE_MIN: u64 = 8;

/// On a disk with less room nothing needless is kept.
const PUT_BY_FREE_MIN: u64 = 1024 * 1024 * 1024;

/// Makes an empty file, synced and named as the next segment, with line breaks for `len` bytes of log. `None` if the disk
/// has no room for luxuries.
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
        let mut file = match take_old(home, len)? {
            Some(file) => file,
            None => home.disk.create(name)?,
        };
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
        name_next(home)?;
        Ok(Some(file))
    };
    let made = match fill() {
        Err(error) if is_no_space(&error) => None,
        result => result.map_err(home.io("write", name))?,
    };
    if made.is_none() {
        // Also one that a rotation without room has left.
        home.remove(name)?;
        forget_old(home)?;
    }
    Ok(made)
}

/// Names the spare file as the next segment, durably.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn name_next<D: Disk>(home: &Home<D>) -> io::Result<()> {
    home.disk.rename(&home.names.spare, &home.names.next)?;
    planted!(UnsyncedNextName: home.disk.sync_dir()? => ());
    Ok(())
}

/// A segment that was put by, under the spare one's name.
fn take_old<D: Disk>(home: &Home<D>, len: u64) -> io::Result<Option<D::File>> {
    for old in &home.names.old {
        if let Some(file) = take(&home.disk, old, &home.names.spare, len)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// A file that was kept, under another name and to be written over. `None` if there is none, or if it cannot be written over.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn take<D: Disk>(disk: &D, kept: &str, name: &str, len: u64) -> io::Result<Option<D::File>> {
    if !disk.reuses() || !disk.exists(kept)? {
        return Ok(None);
    }
    match disk.rename(kept, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None), // Its room was needed just now.
        result => result?,
    }
    // While its old name may come back, it may be a file that still counts.
    disk.sync_dir()?;
    disk.reuse(name, len).or_else(|error| {
        log::debug!("{} is not written over: {error}", disk.display(name));
        Ok(None)
    })
}

/// A closed segment is of no more use: it is put by, or removed if there are enough or the disk has no room for luxuries.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn put_by<D: Disk>(home: &Home<D>, segment: &str) -> Result<(), Error> {
    match place_for(home).map_err(home.io("put by", segment))? {
        Some(old) => home.rename(segment, old),
        None => home.remove(segment),
    }
}

/// Whether files of no more use are kept on this disk, to be written over.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn has_room_to_keep(disk: &impl Disk) -> io::Result<bool> {
    Ok(disk.reuses() && disk.free_space()? >= PUT_BY_FREE_MIN)
}

fn place_for<D: Disk>(home: &Home<D>) -> io::Result<Option<&String>> {
    if !has_room_to_keep(&home.disk)? {
        return Ok(None);
    }
    for old in &home.names.old {
        if !home.disk.exists(old)? {
            return Ok(Some(old));
        }
    }
    Ok(None)
}

/// Bytes that may still be written. Where those are not `enough`, what was put by goes.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn free_space<D: Disk>(home: &Home<D>, enough: u64) -> io::Result<u64> {
    let free = home.disk.free_space()?;
    if free >= enough {
        return Ok(free);
    }
    forget_old(home).map_err(io::Error::other)?;
    home.disk.free_space()
}

/// Removes the segments that were put by.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn forget_segments<D: Disk>(home: &Home<D>) -> Result<(), Error> {
    forget(home, home.names.old.iter())
}

/// Removes what was put by, also a checkpoint.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn forget_old<D: Disk>(home: &Home<D>) -> Result<(), Error> {
    forget(home, home.names.old.iter().chain([&home.names.outdated]))
}

fn forget<'a, D: Disk>(home: &Home<D>, mut kept: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    if !home.disk.reuses() {
        return Ok(());
    }
    kept.try_for_each(|name| home.remove(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::OsDisk;
    use crate::volatile_disk::VolatileDisk;

    fn home(dir: &Path) -> Home<OsDisk> {
        Home::of_some_coordinator(OsDisk::new(dir))
    }

    #[test]
    fn a_file_is_written_over_only_once_its_old_name_is_gone_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let found = OsDisk::new(dir.path());
        found.create("needed").unwrap().append(b"a promise").unwrap();
        found
            .create("newer")
            .unwrap()
            .append(b"the same promise")
            .unwrap();
        let disk = VolatileDisk::quiet(dir.path());
        disk.rename("needed", "kept").unwrap();
        let mut file = take(&disk, "kept", "spare", u64::MAX).unwrap().unwrap();
        file.append(b"\n\n\n").unwrap();
        file.sync().unwrap();
        std::mem::forget(disk.clone()); // As kill -9 does.
        drop((file, disk));
        assert!(
            !found.exists("needed").unwrap(),
            "it would be taken for what it was"
        );
        assert_eq!(found.read("spare").unwrap(), b"\n\n\nromise");
    }

    #[test]
    fn a_segment_that_is_used_again_keeps_nothing_of_what_it_held() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let len = 3 * STEP + 100;
        for (old_len, round) in [(len / 2, 1), (len, 2), (2 * len, 3)] {
            let closed = home.names.closed(round);
            let content = vec![b'x'; usize::try_from(old_len).unwrap()];
            std::fs::write(dir.path().join(&closed), content).unwrap();
            put_by(&home, &closed).unwrap();
            assert!(!home.disk.exists(&closed).unwrap());
            assert!(home.disk.exists(&home.names.old[0]).unwrap());
            let mut file = make(&home, len).unwrap().unwrap();
            assert!(!home.disk.exists(&home.names.old[0]).unwrap());
            file.append(b"first\n").unwrap();
            let spare = home.disk.read(&home.names.next).unwrap();
            assert!(spare.starts_with(b"first\n\n"));
            assert_eq!(u64::try_from(spare.len()).unwrap(), len, "{old_len} bytes before");
            assert!(!spare.contains(&b'x'), "{old_len} bytes before");
        }
    }

    /// A disk with room for one megabyte beside what was put by.
    #[derive(Clone)]
    struct Tight(OsDisk);

    impl Disk for Tight {
        type File = <OsDisk as Disk>::File;

        fn create(&self, name: &str) -> io::Result<Self::File> {
            self.0.create(name)
        }

        fn reuses(&self) -> bool {
            true
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            self.0.read(name)
        }

        fn exists(&self, name: &str) -> io::Result<bool> {
            self.0.exists(name)
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.0.rename(from, to)
        }

        fn link(&self, name: &str, link: &str) -> io::Result<()> {
            self.0.link(name, link)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.0.remove(name)
        }

        fn list(&self) -> io::Result<Vec<String>> {
            self.0.list()
        }

        fn sync_dir(&self) -> io::Result<()> {
            self.0.sync_dir()
        }

        fn free_space(&self) -> io::Result<u64> {
            let is_full = self.list()?.iter().any(|name| name.contains(".old"));
            Ok(if is_full { 0 } else { 1_000_000 })
        }

        fn display(&self, name: &str) -> String {
            self.0.display(name)
        }
    }

    #[test]
    fn what_was_put_by_goes_where_there_is_not_enough_room_for_promises() {
        let dir = tempfile::tempdir().unwrap();
        let Home {
            disk,
            names,
            owner,
            store,
        } = home(dir.path());
        let home = Home {
            disk: Tight(disk),
            names,
            owner,
            store,
        };
        std::fs::write(dir.path().join(&home.names.old[3]), b"x").unwrap();
        assert_eq!(free_space(&home, 0).unwrap(), 0, "enough: nothing is given up");
        assert_eq!(free_space(&home, 1).unwrap(), 1_000_000);
        assert!(home.disk.list().unwrap().is_empty());
    }

    #[test]
    fn only_so_many_are_put_by_and_all_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        for first in 1..100 {
            let closed = home.names.closed(first);
            std::fs::write(dir.path().join(&closed), b"x").unwrap();
            put_by(&home, &closed).unwrap();
        }
        assert_eq!(home.disk.list().unwrap().len(), home.names.old.len());
        forget_old(&home).unwrap();
        assert!(home.disk.list().unwrap().is_empty());
    }
}
