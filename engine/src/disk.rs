//! What the json backend and the manifest need of a disk: one directory, files that only grow, names that move.
//!
//! Two implementations: [`OsDisk`] is the operating system, [`MemDisk`](crate::MemDisk) forgets whatever was not
//! synced. Data and names are durable separately: [`DiskFile::sync`] makes a file's bytes durable, only
//! [`Disk::sync_dir`] makes the names durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory.
pub trait Disk: Clone + Send + 'static {
    /// A file open for appending.
    type File: DiskFile;

    /// A new, empty file. One that has the name already loses it.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Whether a file has this name.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Moves a name; one that is in the way is replaced, atomically.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives the file `name` the second name `link`, which must be free.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn link(&self, name: &str, link: &str) -> io::Result<()>;

    /// Removes a name.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// All names, sorted.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes all names durable.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes that this process may still write.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn free_space(&self) -> io::Result<u64>;

    /// How a person finds the file.
    fn display(&self, name: &str) -> String;
}

/// A file open for appending.
pub trait DiskFile: Send + 'static {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// Whatever the system reports; some of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable, with a real fsync.
    ///
    /// # Errors
    /// Whatever the system reports; what was written since the last sync is undefined.
    fn sync(&mut self) -> io::Result<()>;

    /// Writes line breaks behind the end from now on, at least a quarter of `len` bytes ahead of it, which later appends
    /// write over. A sync that does not grow the file has less to do. Does nothing where there is no room for it, or
    /// where the disk gains nothing by it.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn fill_ahead(&mut self, len: u64) -> io::Result<()>;

    /// Takes away what [`DiskFile::fill_ahead`] left, and fills no more.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn trim(&mut self) -> io::Result<()>;
}

/// The operating system's disk.
#[derive(Clone, Debug)]
pub struct OsDisk {
    dir: Arc<PathBuf>,
}

impl OsDisk {
    /// The directory `dir`, which must exist.
    pub fn new(dir: &Path) -> OsDisk {
        OsDisk {
            dir: Arc::new(dir.to_owned()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Disk for OsDisk {
    type File = OsFile;

    fn create(&self, name: &str) -> io::Result<OsFile> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(OsFile {
            file,
            end: 0,
            filled: 0,
            ahead: 0,
        })
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path(name).try_exists()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&self, name: &str, link: &str) -> io::Result<()> {
        fs::hard_link(self.path(name), self.path(link))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.dir.as_path())? {
            // Names that are not UTF-8 are not ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(self.dir.as_path())?.sync_all()
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(self.dir.as_path())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn display(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// A file of [`OsDisk`].
#[derive(Debug)]
pub struct OsFile {
    file: File,
    /// Where the next append goes.
    end: u64,
    /// How long the file is: line breaks stand behind `end`.
    filled: u64,
    /// How far to fill ahead; 0 for not at all.
    ahead: u64,
}

impl OsFile {
    fn fill(&mut self) -> io::Result<()> {
        if self.filled >= self.end + self.ahead / 4 {
            return Ok(());
        }
        let from = self.filled.max(self.end);
        let to = self.end + self.ahead;
        let filler = vec![b'\n'; usize::try_from(to - from).expect("a filler fits in memory")];
        match self.file.write_all_at(&filler, from) {
            Ok(()) => self.filled = to,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // Without the filler nothing is lost but speed; what was written of it is filler all the same.
                self.ahead = 0;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl DiskFile for OsFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Goes on after short and interrupted writes.
        self.file.write_all_at(bytes, self.end)?;
        self.end += u64::try_from(bytes.len()).expect("memory fits in 64 bits");
        self.filled = self.filled.max(self.end);
        if self.ahead > 0 { self.fill() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        loop {
            match self.file.sync_data() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn fill_ahead(&mut self, len: u64) -> io::Result<()> {
        self.ahead = len;
        if len > 0 { self.fill() } else { Ok(()) }
    }

    fn trim(&mut self) -> io::Result<()> {
        self.ahead = 0;
        self.filled = self.end;
        self.file.set_len(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_ahead_is_written_over_and_can_be_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(dir.path());
        let mut file = disk.create("log").unwrap();
        file.append(b"one\n").unwrap();
        file.fill_ahead(16).unwrap();
        assert_eq!(disk.read("log").unwrap(), [&b"one\n"[..], &[b'\n'; 16]].concat());
        file.append(b"two\n").unwrap();
        assert_eq!(
            disk.read("log").unwrap().len(),
            20,
            "an append into the filler does not grow the file"
        );
        file.append(&[b'x'; 40]).unwrap();
        assert_eq!(
            disk.read("log").unwrap().len(),
            48 + 16,
            "the end moves, and the filler with it"
        );
        file.trim().unwrap();
        assert_eq!(
            disk.read("log").unwrap(),
            [&b"one\ntwo\n"[..], &[b'x'; 40]].concat()
        );
        file.append(b"end").unwrap();
        assert_eq!(
            disk.read("log").unwrap().len(),
            51,
            "after a trim nothing is filled any more"
        );
    }
}
