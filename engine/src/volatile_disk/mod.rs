//! A real directory in which kill -9 is a power cut: what was not synced lives in this process alone and dies with it.
//!
//! kill -9 by itself proves nothing about durability, for the system's page cache survives it. Here written bytes reach
//! the real file only with [`DiskFile::sync`](crate::DiskFile::sync), and names the real directory only with
//! [`Disk::sync_dir`], each without the other: a synced file whose name was not synced is gone, and a synced name may lead
//! to an empty file. The process itself sees everything it did.
//!
//! A disk is free to keep more than it promised. So at random, as a seed says, some of what waits becomes durable early:
//! the beginning of the unsynced writes up to any byte, a late write without those before it, a name before its data. Some
//! seeds leak much, some never.
//!
//! A process that ends by itself, even over an error, leaves what it wrote to the system, as without this disk. What this
//! does not imitate: a sync that fails and loses what it covered (see [`MemDisk`](crate::MemDisk)), and lack of space
//! shows at the sync, not at the write.

mod inode;
mod names;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::append_file::{AppendFile, Bytes};
use crate::disk::{Disk, OsDisk};
use crate::unsynced::Leaks;

use inode::Inode;
use names::Names;

/// See the head of this file. Clones share it.
#[derive(Clone, Debug)]
pub struct VolatileDisk {
    shared: Arc<Shared>,
}

/// A file of [`VolatileDisk`].
pub type VolatileFile = AppendFile<VolatileBytes>;

/// The bytes of one [`VolatileFile`].
#[derive(Debug)]
pub struct VolatileBytes {
    inode: Arc<Inode>,
    /// Kept also because what the last handle leaves is given to the system.
    disk: VolatileDisk,
}

#[derive(Debug)]
struct Shared {
    real: OsDisk,
    /// Locked before any file, and never by a sync of a file: that may take long.
    names: Mutex<Names>,
    leaks: Mutex<Leaks>,
}

impl VolatileDisk {
    /// The directory `dir`, which must exist. `seed` decides what becomes durable early.
    pub fn new(dir: &Path, seed: u64) -> VolatileDisk {
        VolatileDisk::with(dir, Leaks::new(seed))
    }

    /// One of which nothing becomes durable early.
    #[cfg(test)]
    pub(crate) fn quiet(dir: &Path) -> VolatileDisk {
        VolatileDisk::with(dir, Leaks::never())
    }

    fn with(dir: &Path, leaks: Leaks) -> VolatileDisk {
        let real = OsDisk::new(dir);
        let shared = Shared {
            names: Mutex::new(Names::new(real.clone())),
            real,
            leaks: Mutex::new(leaks),
        };
        VolatileDisk {
            shared: Arc::new(shared),
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.shared.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After an operation: perhaps a name becomes durable, perhaps some of `written`.
    fn leak(&self, written: Option<&Inode>) -> io::Result<()> {
        let chance = self
            .shared
            .leaks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .chance();
        let Some(mut dice) = chance else {
            return Ok(());
        };
        match written {
            Some(inode) if dice.one_in(2) => inode.leak(&mut dice),
            Some(_) | None => self.names().leak(&mut dice),
        }
    }
}

impl Disk for VolatileDisk {
    type File = VolatileFile;

    fn create(&self, name: &str) -> io::Result<VolatileFile> {
        let inode = self.names().create(name);
        self.leak(None)?;
        Ok(AppendFile::new(VolatileBytes {
            inode,
            disk: self.clone(),
        }))
    }

    fn reuse(&self, name: &str, len: u64) -> io::Result<Option<VolatileFile>> {
        let Some(inode) = self.names().only(name)? else {
            return Ok(None);
        };
        if inode.len()? > len {
            inode.set_len(len);
        }
        Ok(Some(AppendFile::new(VolatileBytes {
            inode,
            disk: self.clone(),
        })))
    }

    fn reuses(&self) -> bool {
        true
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let ours = self.names().ours(name)?;
        match ours {
            Some(inode) => inode.content(),
            None => self.shared.real.read(name),
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        let ours = self.names().ours(name)?;
        match ours {
            Some(inode) => Ok(Box::new(io::Cursor::new(inode.content()?))),
            None => self.shared.real.open(name),
        }
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.names().exists(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.names().rename(from, to)?;
        self.leak(None)
    }

    fn link(&self, name: &str, link: &str) -> io::Result<()> {
        self.names().link(name, link)?;
        self.leak(None)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.names().remove(name)?;
        self.leak(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.names().list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.names().settle()?;
        self.shared.real.sync_dir()
    }

    fn free_space(&self) -> io::Result<u64> {
        let waiting = self.names().inodes().map(|inode| inode.waiting()).sum();
        Ok(self.shared.real.free_space()?.saturating_sub(waiting))
    }

    fn display(&self, name: &str) -> String {
        self.shared.real.display(name)
    }
}

impl Bytes for VolatileBytes {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inode.write(offset, bytes);
        self.disk.leak(Some(&self.inode))
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.inode.set_len(len);
        self.disk.leak(Some(&self.inode))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inode.sync()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // As good as killed.
        }
        let names = self.names.get_mut().unwrap_or_else(PoisonError::into_inner);
        let settled = names
            .settle()
            .and_then(|()| names.inodes().try_for_each(|inode| inode.settle()));
        if let Err(error) = settled {
            log::warn!("what was written and not synced is lost: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem;

    use super::*;
    use crate::dice::Dice;
    use crate::disk::DiskFile;

    /// A disk of which nothing becomes durable early, and what a process that starts after this one's death finds.
    fn quiet() -> (tempfile::TempDir, VolatileDisk, OsDisk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = VolatileDisk::quiet(dir.path());
        let found = OsDisk::new(dir.path());
        (dir, disk, found)
    }

    #[test]
    fn what_was_not_synced_dies_with_the_process_although_it_saw_it() {
        let (_dir, disk, found) = quiet();
        let mut file = disk.create("a").unwrap();
        file.append(b"one").unwrap();
        file.sync().unwrap();
        assert!(!found.exists("a").unwrap(), "data without a name is lost");
        file.append(b"two").unwrap();
        assert_eq!(
            (disk.read("a").unwrap(), disk.list().unwrap()),
            (b"onetwo".to_vec(), vec!["a".to_owned()])
        );
        disk.sync_dir().unwrap();
        assert_eq!(found.read("a").unwrap(), b"one", "a name without its data");
        file.sync().unwrap();
        file.append(b"three").unwrap();
        assert_eq!(found.read("a").unwrap(), b"onetwo");
        assert_eq!(disk.read("a").unwrap(), b"onetwothree");
        mem::forget(disk.clone()); // As kill -9 does.
        drop((file, disk));
        assert_eq!(found.read("a").unwrap(), b"onetwo");
    }

    #[test]
    fn a_file_that_is_written_over_keeps_what_no_sync_has_covered() {
        let (_dir, disk, found) = quiet();
        found.create("old").unwrap().append(b"once upon").unwrap();
        disk.link("old", "twin").unwrap();
        assert!(disk.reuse("old", u64::MAX).unwrap().is_none(), "it has two names");
        disk.remove("twin").unwrap();
        let mut file = disk.reuse("old", 6).unwrap().unwrap();
        assert_eq!(disk.read("old").unwrap(), b"once u");
        file.append(b"new").unwrap();
        assert_eq!(disk.read("old").unwrap(), b"newe u");
        assert_eq!(found.read("old").unwrap(), b"once upon");
        file.sync().unwrap();
        assert_eq!(found.read("old").unwrap(), b"newe u");
        file.trim().unwrap();
        file.sync().unwrap();
        assert_eq!(found.read("old").unwrap(), b"new");
    }

    #[test]
    fn a_process_that_ends_by_itself_leaves_everything_behind() {
        let (_dir, disk, found) = quiet();
        let mut file = disk.create("a.tmp").unwrap();
        file.append(b"one").unwrap();
        file.fill_ahead(8).unwrap();
        disk.rename("a.tmp", "a").unwrap();
        drop(disk);
        file.trim().unwrap();
        assert!(found.list().unwrap().is_empty());
        drop(file);
        assert_eq!(found.list().unwrap(), ["a"]);
        assert_eq!(found.read("a").unwrap(), b"one");
    }

    #[test]
    fn names_change_for_the_process_at_once_and_for_good_with_the_directory() {
        let (_dir, disk, found) = quiet();
        for (name, text) in [("state", "old"), ("log", "records")] {
            found.create(name).unwrap().append(text.as_bytes()).unwrap();
        }
        let mut new = disk.create("aside").unwrap();
        new.append(b"new").unwrap();
        new.sync().unwrap();
        disk.link("state", "previous").unwrap();
        assert_eq!(
            disk.link("log", "previous").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        disk.rename("aside", "state").unwrap();
        disk.remove("log").unwrap();
        let seen = |disk: &dyn Fn(&str) -> io::Result<Vec<u8>>| {
            ["state", "previous", "log", "aside"].map(|name| {
                disk(name).map_or_else(|_| "-".to_owned(), |text| String::from_utf8(text).unwrap())
            })
        };
        let ours = |name: &str| disk.read(name);
        let theirs = |name: &str| found.read(name);
        assert_eq!(seen(&ours), ["new", "old", "-", "-"]);
        assert_eq!(seen(&theirs), ["old", "-", "records", "-"]);
        assert!(disk.exists("previous").unwrap() && !disk.exists("log").unwrap());
        assert_eq!(disk.remove("log").unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.sync_dir().unwrap();
        assert_eq!(seen(&theirs), ["new", "old", "-", "-"]);

        // Two names of one file stay as they are, also of one that was there before.
        found.link("previous", "twin").unwrap();
        disk.rename("twin", "previous").unwrap();
        assert!(disk.exists("twin").unwrap());
        disk.rename("twin", "state").unwrap();
        assert_eq!(seen(&ours), ["old", "old", "-", "-"]);
    }

    #[test]
    fn early_names_never_change_what_a_sync_leaves() {
        for seed in 0..200 {
            let (_dir, disk, found) = quiet();
            found.create("b").unwrap().append(b"b").unwrap();
            let mut dice = Dice::new(seed);
            let mut file = disk.create("a").unwrap();
            file.append(b"a").unwrap();
            file.sync().unwrap();
            disk.rename("b", "c").unwrap();
            disk.names().leak(&mut dice).unwrap();
            disk.rename("a", "b").unwrap();
            disk.names().leak(&mut dice).unwrap();
            disk.create("d").unwrap();
            disk.remove("c").unwrap();
            disk.link("b", "e").unwrap();
            disk.names().leak(&mut dice).unwrap();
            disk.sync_dir().unwrap();
            assert_eq!(found.list().unwrap(), ["b", "d", "e"], "seed {seed}");
            assert_eq!(found.read("e").unwrap(), b"a", "seed {seed}");
        }
    }

    #[test]
    fn early_data_is_torn_anywhere_and_a_sync_makes_up_for_it() {
        let mut kinds = BTreeSet::new();
        for seed in 0..300 {
            let (_dir, disk, found) = quiet();
            let mut file = disk.create("a").unwrap();
            disk.sync_dir().unwrap();
            file.append(b"one").unwrap();
            file.append(b"two").unwrap();
            let inode = disk.names().ours("a").unwrap().unwrap();
            inode.leak(&mut Dice::new(seed)).unwrap();
            let text = String::from_utf8(found.read("a").unwrap()).unwrap();
            assert!(
                ["onetwo", "\0\0\0two"]
                    .iter()
                    .any(|whole| whole.starts_with(&text)),
                "seed {seed}: {text:?}"
            );
            kinds.insert(text);
            file.sync().unwrap();
            assert_eq!(found.read("a").unwrap(), b"onetwo");
        }
        assert_eq!(kinds.len(), 7 + 3, "{kinds:?}");
    }
}
