//! One file of a [`VolatileDisk`](super::VolatileDisk): what would survive a power cut, and the writes that would not.

use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;

/// A file, by whatever names.
#[derive(Debug)]
pub(super) struct Inode {
    data: Mutex<Data>,
}

#[derive(Debug)]
struct Data {
    durable: Durable,
    /// What no sync has covered, in order.
    pending: Vec<Change>,
}

/// Where the durable bytes are.
#[derive(Debug)]
enum Durable {
    /// In memory as long as no durable name leads to them: they would be lost with the power.
    Nameless(Vec<u8>),
    /// In the real file.
    Real(File),
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Inode {
    /// A new, empty file without a durable name.
    pub(super) fn new() -> Arc<Inode> {
        Inode::with(Durable::Nameless(Vec::new()))
    }

    /// A file that was there before.
    pub(super) fn real(file: File) -> Arc<Inode> {
        Inode::with(Durable::Real(file))
    }

    fn with(durable: Durable) -> Arc<Inode> {
        let data = Data {
            durable,
            pending: Vec::new(),
        };
        Arc::new(Inode {
            data: Mutex::new(data),
        })
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        self.data().pending.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn set_len(&self, len: u64) {
        self.data().pending.push(Change::SetLen(len));
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut data = self.data();
        data.settle()?;
        match &data.durable {
            Durable::Nameless(_) => Ok(()),
            Durable::Real(file) => file.sync_data(),
        }
    }

    /// Gives the bytes to the real file without syncing it, as the system does sooner or later.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.data().settle()
    }

    /// The content as this process sees it.
    pub(super) fn content(&self) -> io::Result<Vec<u8>> {
        let data = self.data();
        let mut content = data.durable.content()?;
        for change in &data.pending {
            change.apply(&mut content);
        }
        Ok(content)
    }

    /// It gets its first durable name: `put` makes the real file, with the bytes that are durable so far.
    pub(super) fn appear(&self, put: impl FnOnce(&[u8]) -> io::Result<File>) -> io::Result<()> {
        let mut data = self.data();
        let Durable::Nameless(content) = &data.durable else {
            unreachable!("a file gets its first name once")
        };
        data.durable = Durable::Real(put(content)?);
        Ok(())
    }

    /// Whether both are one file.
    pub(super) fn is(self: &Arc<Inode>, other: &Arc<Inode>) -> io::Result<bool> {
        if Arc::ptr_eq(self, other) {
            return Ok(true);
        }
        let number = |inode: &Inode| match &inode.data().durable {
            Durable::Nameless(_) => Ok(None),
            Durable::Real(file) => file.metadata().map(|data| Some((data.dev(), data.ino()))),
        };
        let (ours, theirs) = (number(self)?, number(other)?);
        Ok(ours.is_some() && ours == theirs)
    }

    /// Bytes that wait for a sync.
    pub(super) fn pending(&self) -> u64 {
        self.data().pending.iter().map(Change::len).sum()
    }

    /// Makes some of what waits durable, although nobody asked for it. It stays listed: the next sync writes all of it.
    pub(super) fn leak(&self, dice: &mut Dice) -> io::Result<()> {
        let Data { durable, pending } = &mut *self.data();
        let bytes = pending.iter().map(Change::len).sum::<u64>();
        let (mut left, changes) = if dice.one_in(4) && !pending.is_empty() {
            // One write alone: what came before it is not there.
            let count = u64::try_from(pending.len()).expect("memory fits in 64 bits");
            let one = usize::try_from(dice.below(count)).expect("an index");
            let change = &pending[one..=one];
            (dice.below(change[0].len() + 1), change)
        } else {
            // All of them up to somewhere, in the middle of a write most likely.
            (dice.below(bytes + 1), pending.as_slice())
        };
        for change in changes {
            match change {
                Change::Write { offset, bytes } => {
                    let kept = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    durable.write(*offset, &bytes[..kept])?;
                    left -= u64::try_from(kept).expect("memory fits in 64 bits");
                }
                Change::SetLen(len) => durable.set_len(*len)?,
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Data {
    fn settle(&mut self) -> io::Result<()> {
        // After a failure everything stays listed: it may or may not be durable.
        for change in &self.pending {
            match change {
                Change::Write { offset, bytes } => self.durable.write(*offset, bytes)?,
                Change::SetLen(len) => self.durable.set_len(*len)?,
            }
        }
        mem::take(&mut self.pending);
        Ok(())
    }
}

impl Durable {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Durable::Nameless(content) => {
                write(content, offset, bytes);
                Ok(())
            }
            Durable::Real(file) => file.write_all_at(bytes, offset),
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        match self {
            Durable::Nameless(content) => {
                content.resize(index(len), 0);
                Ok(())
            }
            Durable::Real(file) => file.set_len(len),
        }
    }

    fn content(&self) -> io::Result<Vec<u8>> {
        match self {
            Durable::Nameless(content) => Ok(content.clone()),
            Durable::Real(file) => {
                let mut content = vec![0; index(file.metadata()?.len())];
                file.read_exact_at(&mut content, 0)?;
                Ok(content)
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(content, *offset, bytes),
            Change::SetLen(len) => content.resize(index(*len), 0),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Change::Write { bytes, .. } => u64::try_from(bytes.len()).expect("memory fits in 64 bits"),
            Change::SetLen(_) => 0,
        }
    }
}

fn write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = index(offset);
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("what a test writes fits in memory")
}
