//! One file of a [`VolatileDisk`](super::VolatileDisk): what would survive a power cut, and the writes that would not.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;
use crate::unsynced::{Durable, Unsynced};

/// A file, by whatever names.
#[derive(Debug)]
pub(super) struct Inode {
    data: Mutex<Data>,
}

#[derive(Debug)]
struct Data {
    kept: Kept,
    unsynced: Unsynced,
}

/// Where the durable bytes are.
#[derive(Debug)]
enum Kept {
    /// In memory as long as no durable name leads to them: they would be lost with the power.
    Nameless(Vec<u8>),
    /// In the real file.
    Real(File),
}

impl Inode {
    /// A new, empty file without a durable name.
    pub(super) fn new() -> Arc<Inode> {
        Inode::with(Kept::Nameless(Vec::new()))
    }

    /// A file that was there before.
    pub(super) fn real(file: File) -> Arc<Inode> {
        Inode::with(Kept::Real(file))
    }

    fn with(kept: Kept) -> Arc<Inode> {
        let unsynced = Unsynced::default();
        Arc::new(Inode {
            data: Mutex::new(Data { kept, unsynced }),
        })
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        self.data().unsynced.write(offset, bytes);
    }

    pub(super) fn set_len(&self, len: u64) {
        self.data().unsynced.set_len(len);
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        let Data { kept, unsynced } = &mut *self.data();
        unsynced.settle(kept)?;
        match kept {
            Kept::Nameless(_) => Ok(()),
            Kept::Real(file) => file.sync_data(),
        }
    }

    /// Gives the bytes to the real file without syncing it, as the system does sooner or later.
    pub(super) fn settle(&self) -> io::Result<()> {
        let Data { kept, unsynced } = &mut *self.data();
        unsynced.settle(kept)
    }

    /// The content as this process sees it.
    pub(super) fn content(&self) -> io::Result<Vec<u8>> {
        let data = self.data();
        let mut content = match &data.kept {
            Kept::Nameless(content) => content.clone(),
            Kept::Real(file) => read(file)?,
        };
        let durable = u64::try_from(content.len()).expect("memory fits in 64 bits");
        content.set_size(data.unsynced.len_over(durable))?;
        data.unsynced.lay_over(&mut content, 0);
        Ok(content)
    }

    /// How long it is, as this process sees it.
    pub(super) fn len(&self) -> io::Result<u64> {
        let data = self.data();
        let durable = match &data.kept {
            Kept::Nameless(content) => u64::try_from(content.len()).expect("memory fits in 64 bits"),
            Kept::Real(file) => file.metadata()?.len(),
        };
        Ok(data.unsynced.len_over(durable))
    }

    /// It gets its first durable name: `put` makes the real file, with the bytes that are durable so far.
    pub(super) fn appear(&self, put: impl FnOnce(&[u8]) -> io::Result<File>) -> io::Result<()> {
        let mut data = self.data();
        let Kept::Nameless(content) = &data.kept else {
            unreachable!("a file gets its first name once")
        };
        data.kept = Kept::Real(put(content)?);
        Ok(())
    }

    /// Whether both are one file.
    pub(super) fn is(self: &Arc<Inode>, other: &Arc<Inode>) -> io::Result<bool> {
        if Arc::ptr_eq(self, other) {
            return Ok(true);
        }
        let number = |inode: &Inode| match &inode.data().kept {
            Kept::Nameless(_) => Ok(None),
            Kept::Real(file) => file.metadata().map(|data| Some((data.dev(), data.ino()))),
        };
        let (ours, theirs) = (number(self)?, number(other)?);
        Ok(ours.is_some() && ours == theirs)
    }

    /// Bytes that wait for a sync.
    pub(super) fn waiting(&self) -> u64 {
        self.data().unsynced.bytes()
    }

    /// Makes some of what waits durable, although nobody asked for it.
    pub(super) fn leak(&self, dice: &mut Dice) -> io::Result<()> {
        let Data { kept, unsynced } = &mut *self.data();
        unsynced.leak(dice, kept)
    }
}

impl Durable for Kept {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Kept::Nameless(content) => content.write(offset, bytes),
            Kept::Real(file) => file.write_all_at(bytes, offset),
        }
    }

    fn set_size(&mut self, len: u64) -> io::Result<()> {
        match self {
            Kept::Nameless(content) => content.set_size(len),
            Kept::Real(file) => file.set_len(len),
        }
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut content = vec![0; len];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}
