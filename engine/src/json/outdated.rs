//! The checkpoint that the previous one replaces: kept, and written over by the next one.
//!
//! Each checkpoint needs as much space as the one that goes gives back. A disk that is told at once which blocks have
//! become free (`mount -o discard`) would hear of a hundred megabytes with every checkpoint. A file that is written over frees
//! nothing, and finds its blocks where they are.

use std::io;
use std::sync::atomic::AtomicBool;

use crate::Error;
use crate::disk::Disk;
use crate::json::recovery::Home;
use crate::json::spare;

/// Gives the previous checkpoint, which is about to lose its name, another one. Where there is little room or it cannot
/// have two names it just goes.
pub(crate) fn keep<D: Disk>(home: &Home<D>) {
    let (disk, names) = (&home.disk, &home.names);
    let kept = spare::has_room_to_keep(disk).and_then(|has_room| {
        if has_room && disk.exists(&names.previous)? && !disk.exists(&names.outdated)? {
            disk.link(&names.previous, &names.outdated)?;
        }
        Ok(())
    });
    if let Err(error) = kept {
        log::debug!("{} is not kept: {error}", disk.display(&names.previous));
    }
}

/// An empty file `name` for a checkpoint: the kept one, or a new one.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn take<D: Disk>(home: &Home<D>, name: &str) -> io::Result<D::File> {
    match spare::take(&home.disk, &home.names.outdated, name, u64::MAX)? {
        Some(file) => Ok(file),
        None => home.disk.create(name),
    }
}

/// No checkpoint will need it: it goes, little by little.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn forget<D: Disk>(home: &Home<D>) -> Result<(), Error> {
    if !home.disk.reuses() {
        return Ok(());
    }
    let leaving = home.disk.hold(&home.names.outdated);
    home.remove(&home.names.outdated)?;
    leaving.free(&AtomicBool::new(false));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::disk::{DiskFile, OsDisk};

    fn home(dir: &Path) -> Home<OsDisk> {
        Home::of_some_coordinator(OsDisk::new(dir))
    }

    fn write(home: &Home<OsDisk>, text: &[u8]) {
        let mut file = take(home, "new").unwrap();
        file.append(text).unwrap();
        file.trim().unwrap();
        file.sync().unwrap();
    }

    #[test]
    fn what_is_written_over_keeps_its_blocks_and_nothing_that_it_held() {
        use std::os::unix::fs::MetadataExt;
        for len in [0, 1, 5000, 70_000] {
            let dir = tempfile::tempdir().unwrap();
            let home = home(dir.path());
            let path = |name: &str| dir.path().join(name);
            fs::write(path(&home.names.previous), vec![b'x'; 50_000]).unwrap();
            let inode = fs::metadata(path(&home.names.previous)).unwrap().ino();
            keep(&home);
            fs::write(path("another"), "another").unwrap();
            fs::rename(path("another"), path(&home.names.previous)).unwrap();
            let text = vec![b'y'; len];
            write(&home, &text);
            assert_eq!(fs::read(path("new")).unwrap(), text);
            assert_eq!(fs::metadata(path("new")).unwrap().ino(), inode);
            assert_eq!(fs::read(path(&home.names.previous)).unwrap(), b"another");
            assert!(!home.disk.exists(&home.names.outdated).unwrap());
        }
    }

    /// A checkpoint that fails between the two steps leaves one file under both names.
    #[test]
    fn a_checkpoint_that_still_counts_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let path = |name: &str| dir.path().join(name);
        fs::write(path(&home.names.previous), "it counts").unwrap();
        keep(&home);
        write(&home, b"new");
        assert_eq!(fs::read(path("new")).unwrap(), b"new");
        assert_eq!(fs::read(path(&home.names.previous)).unwrap(), b"it counts");
    }

    /// It may have come from elsewhere.
    #[test]
    fn what_a_symbolic_link_names_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a backup"), "it counts").unwrap();
        std::os::unix::fs::symlink(path("a backup"), path(&home.names.outdated)).unwrap();
        write(&home, b"new");
        assert_eq!(fs::read(path("new")).unwrap(), b"new");
        assert_eq!(fs::read(path("a backup")).unwrap(), b"it counts");
    }

    #[test]
    fn without_one_that_was_kept_a_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        keep(&home);
        write(&home, b"new");
        assert_eq!(home.disk.list().unwrap(), ["new"]);
    }
}
