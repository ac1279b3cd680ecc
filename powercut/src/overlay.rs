//! The files that have unsynced writes, by inode, and what the process sees of them.
//!
//! System calls go through rustix, which makes them itself: to go through libc would lead back here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::moods::Moods;
use engine::{Durable, Leaks, Unsynced};
use rustix::fs::{FileType, Mode, OFlags};

const DIR: &str = "TWOPENCE_POWER_CUT_DIR";
const SEED: &str = "TWOPENCE_POWER_CUT_SEED";

/// A file, whatever it is called and however often it is open: device and inode.
type Inode = (u64, u64);

/// See the head of this file.
pub(crate) struct Overlay {
    /// What the path of a caught file begins with.
    dir: Vec<u8>,
    leaks: Leaks,
    moods: Moods,
    files: BTreeMap<Inode, File>,
}

struct File {
    handle: Handle,
    unsynced: Unsynced,
}

/// An open file description of our own: to keep the process's would keep its locks.
struct Handle(OwnedFd);

impl Overlay {
    /// The one of this process, if the variables ask for it.
    pub(crate) fn lock() -> Option<MutexGuard<'static, Overlay>> {
        static OVERLAY: OnceLock<Option<Mutex<Overlay>>> = OnceLock::new();
        let overlay = OVERLAY
            .get_or_init(|| Overlay::from_env().map(Mutex::new))
            .as_ref()?;
        Some(overlay.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn from_env() -> Option<Overlay> {
        let mut dir = env::var_os(DIR)?.into_vec();
        dir.push(b'/');
        let seed = env::var(SEED).ok()?.parse().ok()?;
        Some(Overlay {
            dir,
            leaks: Leaks::new(seed),
            moods: Moods::from_env(),
            files: BTreeMap::new(),
        })
    }

    /// Takes a write, or the part of it that it says. `None` if the file is none of ours.
    pub(crate) fn write(
        &mut self,
        fd: BorrowedFd<'_>,
        bytes: &[u8],
        offset: u64,
    ) -> Option<io::Result<usize>> {
        let inode = self.caught(fd)?;
        if let Err(interrupted) = self.moods.interrupted() {
            return Some(Err(interrupted));
        }
        let taken = self.moods.taken(bytes);
        let result = self.change(fd, inode, |unsynced| unsynced.write(offset, taken));
        Some(result.map(|()| taken.len()))
    }

    /// Takes a change of the length. `None` if the file is none of ours.
    pub(crate) fn set_len(&mut self, fd: BorrowedFd<'_>, len: u64) -> Option<io::Result<()>> {
        let inode = self.caught(fd)?;
        Some(self.change(fd, inode, |unsynced| unsynced.set_len(len)))
    }

    fn change(
        &mut self,
        fd: BorrowedFd<'_>,
        inode: Inode,
        change: impl FnOnce(&mut Unsynced),
    ) -> io::Result<()> {
        let file = match self.files.entry(inode) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(File {
                handle: Handle::reopen(fd)?,
                unsynced: Unsynced::default(),
            }),
        };
        change(&mut file.unsynced);
        match self.leaks.chance() {
            Some(mut dice) => file.unsynced.leak(&mut dice, &mut file.handle),
            None => Ok(()),
        }
    }

    /// Reads into `buffer`, which must be zeros. `None` if the file has no unsynced writes.
    pub(crate) fn read(
        &self,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
        offset: u64,
    ) -> Option<io::Result<usize>> {
        let (_, file) = self.dirty(fd)?;
        Some(file.read(buffer, offset))
    }

    /// Gives the unsynced writes to the system, which then has something to sync.
    pub(crate) fn settle(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some((inode, _)) = self.dirty(fd) else {
            return Ok(());
        };
        self.moods.interrupted()?;
        if self.moods.lies() {
            return Ok(());
        }
        let file = self.files.get_mut(&inode).expect("it was just found");
        file.unsynced.settle(&mut file.handle)?;
        self.files.remove(&inode);
        Ok(())
    }

    /// [`Overlay::settle`] for every file: the process ends by itself.
    pub(crate) fn settle_all(&mut self) {
        for file in self.files.values_mut() {
            // There is nobody left to tell.
            let _ = file.unsynced.settle(&mut file.handle);
        }
    }

    /// How long the process sees a file that is `durable` bytes long on disk.
    pub(crate) fn len(&self, device: u64, inode: u64, durable: u64) -> u64 {
        match self.files.get(&(device, inode)) {
            Some(file) => file.unsynced.len_over(durable),
            None => durable,
        }
    }

    /// [`Overlay::len`] of an open file; `None` if it has no unsynced writes.
    pub(crate) fn len_of(&self, fd: BorrowedFd<'_>) -> Option<io::Result<u64>> {
        let (_, file) = self.dirty(fd)?;
        Some(file.len())
    }

    /// The file if it has unsynced writes.
    fn dirty(&self, fd: BorrowedFd<'_>) -> Option<(Inode, &File)> {
        let inode = regular(fd)?;
        self.files.get(&inode).map(|file| (inode, file))
    }

    /// The file if its writes are to be caught.
    fn caught(&self, fd: BorrowedFd<'_>) -> Option<Inode> {
        let inode = regular(fd)?;
        let ours = self.files.contains_key(&inode) || path(fd)?.starts_with(&self.dir);
        ours.then_some(inode)
    }
}

impl File {
    fn len(&self) -> io::Result<u64> {
        let durable = rustix::fs::fstat(&self.handle.0)?.st_size;
        Ok(self.unsynced.len_over(u64::try_from(durable).expect("a length")))
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.len()?.saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut done = 0;
        while done < len {
            let at = offset + u64::try_from(done).expect("memory fits in 64 bits");
            match rustix::io::pread(&self.handle.0, &mut buffer[done..len], at) {
                Ok(0) => break, // Behind the end on disk are zeros, as far as there is anything.
                Ok(read) => done += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unsynced.lay_over(&mut buffer[..len], offset);
        Ok(len)
    }
}

impl Handle {
    fn reopen(fd: BorrowedFd<'_>) -> io::Result<Handle> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Handle(rustix::fs::open(link(fd), flags, Mode::empty())?))
    }
}

impl Durable for Handle {
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.0, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += u64::try_from(written).expect("memory fits in 64 bits");
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn set_size(&mut self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&self.0, len)?)
    }
}

fn regular(fd: BorrowedFd<'_>) -> Option<Inode> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
    is_file.then_some((stat.st_dev, stat.st_ino))
}

fn path(fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let path = rustix::fs::readlink(link(fd), Vec::new()).ok()?;
    Some(path.into_bytes())
}

fn link(fd: BorrowedFd<'_>) -> OsString {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}
