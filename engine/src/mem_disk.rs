//! A disk that forgets what was not synced, for tests and the simulator.
//!
//! Per file it keeps the bytes that are durable and the writes that no sync has covered; per directory the names and the
//! changes that no directory sync has covered. [`MemDisk::crash`] makes the disk that a power cut would leave: the caller chooses the
//! fate of each pending operation, data and names independently. Errors can be injected at the n-th operation.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::append_file::{AppendFile, Bytes};
use crate::disk::{Disk, DiskFile};
use crate::failpoint::Fault;

/// What a crash makes of one pending operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It happened.
    Keep,
    /// It did not happen. An append that was dropped before one that was kept leaves zeros, or what stood there before.
    Drop,
    /// Only that many bytes of an append happened. Anything else is dropped.
    Torn(usize),
    /// An append grew the file, but left zeros. Anything else is dropped.
    Zeros,
}

/// An operation that no sync has covered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// An append of that many bytes.
    Append(usize),
    /// A file was made shorter.
    Cut,
    /// A name that was given, moved or removed.
    Name,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads a file, a name or all names, or asks for free space.
    Look,
    /// Makes a file.
    Create,
    /// Appends to a file.
    Append,
    /// Makes a file's content durable.
    Sync,
    /// Moves, adds or removes a name.
    Name,
    /// Makes all names durable.
    SyncDir,
}

/// A directory in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    inner: Arc<Mutex<Inner>>,
}

/// A file of [`MemDisk`].
#[derive(Debug)]
pub struct MemFile {
    file: AppendFile<MemBytes>,
    /// Whether line breaks go ahead of its end. Where no file is written over nothing is gained by it, and every test would
    /// have to look behind the filler.
    fills: bool,
}

/// The bytes of a file of [`MemDisk`].
#[derive(Debug)]
struct MemBytes {
    disk: MemDisk,
    inode: usize,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    inodes: Vec<Inode>,
    /// As the process sees them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    /// Operations so far.
    operations: u64,
    inject: Option<Injection>,
    /// The first operation that an injected fault has met.
    struck: Option<Operation>,
    /// Syncs say that they have worked, and do nothing.
    lies: bool,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    /// Whether files are written over.
    reuses: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    /// Its length as the process sees it.
    len: usize,
    pending: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    what: Written,
    /// A sync failed over it: the system believes it clean, so that no later sync writes it.
    lost: bool,
}

#[derive(Clone, Debug)]
enum Written {
    /// These bytes, from there on.
    Bytes(usize, Vec<u8>),
    /// Only so many bytes are left.
    Cut(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Give { name: String, inode: usize },
    Move { from: String, to: String, inode: usize },
    Remove { name: String, inode: usize },
}

#[derive(Clone, Copy, Debug)]
struct Injection {
    at: u64,
    fault: Fault,
    for_ever: bool,
}

impl MemDisk {
    /// An empty directory.
    pub fn new() -> MemDisk {
        MemDisk::default()
    }

    /// Operations so far, reads included.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets the operation after the next `n` fail, once. A failing append writes half of its bytes; a failing sync makes
    /// nothing durable, and no later sync makes up for it.
    pub fn fail_after(&self, n: u64, fault: Fault) {
        let mut inner = self.lock();
        let at = inner.operations + n;
        inner.inject = Some(Injection {
            at,
            fault,
            for_ever: false,
        });
    }

    /// Lets the process die in the operation after the next `n`: that one may or may not happen, nothing after it does.
    pub fn stop_after(&self, n: u64) {
        let mut inner = self.lock();
        let at = inner.operations + n;
        inner.inject = Some(Injection {
            at,
            fault: Fault::Broken,
            for_ever: true,
        });
    }

    /// Takes back what [`MemDisk::fail_after`] and [`MemDisk::stop_after`] have set up. Says which operation they met
    /// first, if any.
    pub fn calm(&self) -> Option<Operation> {
        let mut inner = self.lock();
        inner.inject = None;
        inner.struck.take()
    }

    /// Lets syncs of files and names lie from now on: they say that they have worked, and do nothing.
    pub fn set_lies(&self, lies: bool) {
        self.lock().lies = lies;
    }

    /// Bytes in all files together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Lets files that are of no more use be written over from now on, as on a real disk, with line breaks ahead of a log's
    /// end.
    pub fn set_reuses(&self, reuses: bool) {
        self.lock().reuses = reuses;
    }

    /// Limits what all files together may hold, in bytes.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// The disk after a power cut, as `fate` decides for each pending operation. This one stays as it is.
    pub fn crash(&self, fate: &mut dyn FnMut(Pending) -> Fate) -> MemDisk {
        let inner = self.lock();
        let mut names = inner.durable_names.clone();
        for change in &inner.name_changes {
            if fate(Pending::Name) == Fate::Keep {
                change.apply(&mut names);
            }
        }
        let mut inodes: Vec<Inode> = inner.inodes.iter().map(|inode| inode.crash(fate)).collect();
        for (inode, gone) in inodes.iter_mut().enumerate() {
            if !names.values().any(|&named| named == inode) {
                *gone = Inode::default();
            }
        }
        let after = Inner {
            inodes,
            durable_names: names.clone(),
            names,
            capacity: inner.capacity,
            reuses: inner.reuses,
            ..Inner::default()
        };
        MemDisk {
            inner: Arc::new(Mutex::new(after)),
        }
    }

    /// Puts a file there, durable, whatever was there before.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut inner = self.lock();
        inner.inodes.push(Inode::whole(content.to_vec()));
        let inode = inner.inodes.len() - 1;
        inner.names.insert(name.to_owned(), inode);
        inner.durable_names.insert(name.to_owned(), inode);
    }

    /// A copy that shares nothing with this one.
    pub fn snapshot(&self) -> MemDisk {
        MemDisk {
            inner: Arc::new(Mutex::new(self.lock().clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inode: usize, fills: bool) -> MemFile {
        let disk = self.clone();
        MemFile {
            file: AppendFile::new(MemBytes { disk, inode }),
            fills,
        }
    }

    /// Counts an operation that reads or changes names at once; a process that dies in it has done nothing.
    fn operate(&self, operation: Operation) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.lock();
        inner.step(operation)?;
        Ok(inner)
    }
}

impl Inner {
    fn step(&mut self, operation: Operation) -> io::Result<()> {
        let this = self.operations;
        self.operations += 1;
        match self.inject {
            Some(Injection { at, fault, for_ever }) if this == at || (for_ever && this > at) => {
                self.struck.get_or_insert(operation);
                Err(fault.into_error())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn dies_now(&self) -> bool {
        self.inject
            .is_some_and(|inject| inject.for_ever && inject.at + 1 == self.operations)
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn used(&self) -> u64 {
        let lens = self.names.values().map(|&inode| self.inodes[inode].len);
        u64::try_from(lens.sum::<usize>()).expect("memory fits in 64 bits")
    }
}

impl Inode {
    /// One that is durable as a whole.
    fn whole(content: Vec<u8>) -> Inode {
        Inode {
            len: content.len(),
            durable: content,
            pending: Vec::new(),
        }
    }

    /// As the process sees it.
    fn content(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        for write in &self.pending {
            write.what.apply(&mut content);
        }
        content
    }

    fn write(&mut self, what: Written) {
        self.len = match &what {
            Written::Bytes(start, bytes) => self.len.max(start + bytes.len()),
            Written::Cut(len) => self.len.min(*len),
        };
        self.pending.push(Write { what, lost: false });
    }

    /// Whatever comes before the first lost write becomes durable. What follows does so too, but stays listed with it, so
    /// that a crash may still tear the file there.
    fn sync(&mut self) {
        let lost = self.pending.iter().position(|write| write.lost);
        for write in self.pending.drain(..lost.unwrap_or(self.pending.len())) {
            write.what.apply(&mut self.durable);
        }
    }

    fn crash(&self, fate: &mut dyn FnMut(Pending) -> Fate) -> Inode {
        let mut content = self.durable.clone();
        for write in &self.pending {
            match (&write.what, fate(write.what.pending())) {
                (what, Fate::Keep) => what.apply(&mut content),
                (Written::Bytes(start, bytes), Fate::Torn(len)) => {
                    let torn = bytes[..len.min(bytes.len())].to_vec();
                    Written::Bytes(*start, torn).apply(&mut content);
                }
                (Written::Bytes(start, bytes), Fate::Zeros) => {
                    let end = start + bytes.len();
                    if end > content.len() {
                        content.resize(end, 0);
                    }
                }
                (Written::Bytes(..), Fate::Drop) | (Written::Cut(_), _) => {}
            }
        }
        Inode::whole(content)
    }
}

impl Written {
    fn pending(&self) -> Pending {
        match self {
            Written::Bytes(_, bytes) => Pending::Append(bytes.len()),
            Written::Cut(_) => Pending::Cut,
        }
    }

    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Written::Bytes(start, bytes) => {
                let end = start + bytes.len();
                if end > content.len() {
                    content.resize(end, 0);
                }
                content[*start..end].copy_from_slice(bytes);
            }
            Written::Cut(len) => content.truncate(*len),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Give { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Move { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove { name, inode } => {
                if names.get(name) == Some(inode) {
                    names.remove(name);
                }
            }
        }
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn create(&self, name: &str) -> io::Result<MemFile> {
        let mut inner = self.operate(Operation::Create)?;
        inner.inodes.push(Inode::default());
        let inode = inner.inodes.len() - 1;
        inner.change(NameChange::Give {
            name: name.to_owned(),
            inode,
        });
        Ok(self.file(inode, inner.reuses))
    }

    fn reuse(&self, name: &str, len: u64) -> io::Result<Option<MemFile>> {
        let mut inner = self.operate(Operation::Look)?;
        let inode = inner.inode(name)?;
        if inner.names.values().filter(|&&named| named == inode).count() > 1 {
            return Ok(None);
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if inner.inodes[inode].len > len {
            inner.inodes[inode].write(Written::Cut(len));
        }
        Ok(Some(self.file(inode, true)))
    }

    fn reuses(&self) -> bool {
        self.lock().reuses
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let inner = self.operate(Operation::Look)?;
        let inode = inner.inode(name)?;
        Ok(inner.inodes[inode].content())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.operate(Operation::Look)?.names.contains_key(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.lock();
        let stepped = inner.step(Operation::Name);
        if stepped.is_ok() || inner.dies_now() {
            let inode = inner.inode(from)?;
            // As POSIX has it: two names of one file stay as they are.
            if inner.names.get(to) != Some(&inode) {
                inner.change(NameChange::Move {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    inode,
                });
            }
        }
        stepped
    }

    fn link(&self, name: &str, link: &str) -> io::Result<()> {
        let mut inner = self.operate(Operation::Name)?;
        let inode = inner.inode(name)?;
        if inner.names.contains_key(link) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.change(NameChange::Give {
            name: link.to_owned(),
            inode,
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        let stepped = inner.step(Operation::Name);
        if stepped.is_ok() || inner.dies_now() {
            let inode = inner.inode(name)?;
            inner.change(NameChange::Remove {
                name: name.to_owned(),
                inode,
            });
        }
        stepped
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.operate(Operation::Look)?.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.operate(Operation::SyncDir)?;
        if inner.lies {
            return Ok(());
        }
        for change in std::mem::take(&mut inner.name_changes) {
            change.apply(&mut inner.durable_names);
        }
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let inner = self.operate(Operation::Look)?;
        Ok(inner
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(inner.used())))
    }

    fn display(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl DiskFile for MemFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn fill_ahead(&mut self, len: u64) -> io::Result<()> {
        if self.fills {
            self.file.fill_ahead(len)
        } else {
            Ok(())
        }
    }

    fn trim(&mut self) -> io::Result<()> {
        if self.fills { self.file.trim() } else { Ok(()) }
    }
}

impl Bytes for MemBytes {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).expect("files fit in memory");
        let mut inner = self.disk.lock();
        let mut result = inner.step(Operation::Append);
        let room = inner
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(inner.used()));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let inode_len = inner.inodes[self.inode].len;
        // What is written over takes no room.
        let fits = inode_len
            .saturating_sub(start)
            .saturating_add(room)
            .min(bytes.len());
        let written = if result.is_ok() {
            fits
        } else if inner.dies_now() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        if result.is_ok() && fits < bytes.len() {
            result = Err(Fault::NoSpace.into_error());
        }
        inner.inodes[self.inode].write(Written::Bytes(start, bytes[..written].to_vec()));
        result
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).expect("files fit in memory");
        let mut inner = self.disk.lock();
        let stepped = inner.step(Operation::Append);
        if (stepped.is_ok() || inner.dies_now()) && inner.inodes[self.inode].len > len {
            inner.inodes[self.inode].write(Written::Cut(len));
        }
        stepped
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let result = inner.step(Operation::Sync);
        if inner.lies {
            return result;
        }
        let inode = &mut inner.inodes[self.inode];
        match &result {
            Ok(()) => inode.sync(),
            Err(_) => inode.pending.iter_mut().for_each(|write| write.lost = true),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(disk: &MemDisk) -> MemFile {
        let mut file = disk.create("a").unwrap();
        file.append(b"one").unwrap();
        file.sync().unwrap();
        disk.sync_dir().unwrap();
        file.append(b"two").unwrap();
        file.append(b"three").unwrap();
        file
    }

    #[test]
    fn only_what_was_synced_is_sure_to_survive() {
        let disk = MemDisk::new();
        let _file = written(&disk);
        let content = |fates: &[Fate]| {
            let mut fates = fates.iter();
            disk.crash(&mut |_| *fates.next().unwrap()).read("a").unwrap()
        };
        assert_eq!(content(&[Fate::Drop, Fate::Drop]), b"one");
        assert_eq!(content(&[Fate::Keep, Fate::Torn(2)]), b"onetwoth");
        assert_eq!(content(&[Fate::Drop, Fate::Keep]), b"one\0\0\0three");
        assert_eq!(content(&[Fate::Keep, Fate::Zeros]), b"onetwo\0\0\0\0\0");
    }

    #[test]
    fn a_failed_sync_is_not_made_up_for_by_the_next() {
        let disk = MemDisk::new();
        let mut file = written(&disk);
        disk.fail_after(0, Fault::Broken);
        file.sync().unwrap_err();
        file.sync().unwrap();
        assert_eq!(disk.crash(&mut |_| Fate::Drop).read("a").unwrap(), b"one");
    }

    #[test]
    fn a_disk_that_lies_keeps_nothing_it_says_it_has_synced() {
        let disk = MemDisk::new();
        let mut file = written(&disk);
        disk.set_lies(true);
        file.sync().unwrap();
        assert_eq!(disk.crash(&mut |_| Fate::Drop).read("a").unwrap(), b"one");
    }

    #[test]
    fn a_calmed_disk_says_what_was_struck() {
        let disk = MemDisk::new();
        let mut file = written(&disk);
        disk.stop_after(1);
        file.append(b"last").unwrap();
        file.sync().unwrap_err();
        disk.list().unwrap_err();
        assert_eq!(disk.calm(), Some(Operation::Sync));
        assert_eq!(disk.calm(), None);
        file.sync().unwrap();
    }

    #[test]
    fn names_are_durable_only_with_their_directory() {
        let disk = MemDisk::new();
        let _file = written(&disk);
        disk.link("a", "b").unwrap();
        disk.rename("a", "c").unwrap();
        assert_eq!(disk.crash(&mut |_| Fate::Drop).list().unwrap(), ["a"]);
        assert_eq!(disk.crash(&mut |_| Fate::Keep).list().unwrap(), ["b", "c"]);
        disk.sync_dir().unwrap();
        assert_eq!(disk.crash(&mut |_| Fate::Drop).list().unwrap(), ["b", "c"]);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = MemDisk::new();
        disk.set_capacity(Some(5));
        let mut file = disk.create("a").unwrap();
        assert!(file.append(b"1234567").is_err());
        assert_eq!(disk.read("a").unwrap(), b"12345");
        assert_eq!(disk.free_space().unwrap(), 0);
    }

    #[test]
    fn what_is_written_over_stays_until_a_sync_and_grows_nothing() {
        let disk = MemDisk::new();
        disk.set_reuses(true);
        disk.put("kept", b"promised");
        disk.set_capacity(Some(8));
        let mut file = disk.reuse("kept", 6).unwrap().unwrap();
        file.append(b"on").unwrap();
        file.fill_ahead(4).unwrap();
        let content = |fate: Fate| disk.crash(&mut |_| fate).read("kept").unwrap();
        assert_eq!(content(Fate::Drop), b"promised");
        assert_eq!(content(Fate::Keep), b"on\n\n\n\n");
        assert_eq!(content(Fate::Torn(1)), b"or\nmised", "the cut is dropped, too");
        assert_eq!(content(Fate::Zeros), b"promised");
        file.sync().unwrap();
        assert_eq!(content(Fate::Drop), b"on\n\n\n\n");
        file.append(b"e").unwrap();
        assert_eq!(disk.read("kept").unwrap(), b"one\n\n\n");
        assert_eq!(disk.used(), 6);
        disk.link("kept", "also").unwrap();
        assert!(disk.reuse("kept", 6).unwrap().is_none(), "it has two names");
    }
}
