//! What the json backend and the manifest need of a disk: one directory, files that only grow, names that move.
//!
//! Three implementations: [`OsDisk`] is the operating system, [`MemDisk`](crate::MemDisk) forgets whatever was not
//! synced, for the simulator, and [`VolatileDisk`](crate::VolatileDisk) does so for a real process that is killed. Data
//! and names are durable separately: [`DiskFile::sync`] makes a file's bytes durable, only [`Disk::sync_dir`] makes the
//! names durable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::append_file::AppendFile;
use crate::dissolve::Held;

/// One directory.
pub trait Disk: Clone + Send + 'static {
    /// A file open for appending.
    type File: DiskFile;

    /// A new, empty file. One that has the name already loses it.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to be filled anew from its start, with its blocks and at most its first `len` bytes kept until they are
    /// written over. `None` where that gains nothing over [`Disk::create`], and for a file that has another name as well or
    /// is none of its own.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn reuse(&self, name: &str, len: u64) -> io::Result<Option<Self::File>> {
        let _ = (name, len);
        Ok(None)
    }

    /// Whether [`Disk::reuse`] gains something.
    fn reuses(&self) -> bool {
        false
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// A file, to be read from its beginning.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.read(name)?)))
    }

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

    /// Keeps a file that is about to be replaced or removed, so that it can be freed little by little afterwards.
    fn hold(&self, name: &str) -> Held {
        let _ = name;
        Held::nothing()
    }

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

    /// Writes line breaks behind the end, `len` bytes at once and from now on at least a quarter of that, which later
    /// appends write over. A sync that does not grow the file has less to do. Does nothing where there is no room for it, or
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

    /// A file that appears under its name with its whole content at once.
    pub(crate) fn put_file(&self, name: &str, content: &[u8]) -> io::Result<File> {
        let aside = self.path(&format!("{name}.aside.tmp"));
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&aside)?;
        file.write_all_at(content, 0)?;
        fs::rename(aside, self.path(name))?;
        Ok(file)
    }

    /// A file that is there, for reading.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        File::open(self.path(name))
    }

    /// A file that is there, also for writing if that may be.
    pub(crate) fn open_file_to_write(&self, name: &str) -> io::Result<File> {
        let opened = OpenOptions::new().read(true).write(true).open(self.path(name));
        opened.or_else(|_| self.open_file(name))
    }
}

/// A file of [`OsDisk`].
pub type OsFile = AppendFile<File>;

impl Disk for OsDisk {
    type File = OsFile;

    fn create(&self, name: &str) -> io::Result<OsFile> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(AppendFile::new(file))
    }

    fn reuse(&self, name: &str, len: u64) -> io::Result<Option<OsFile>> {
        let metadata = fs::symlink_metadata(self.path(name))?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Ok(None);
        }
        let file = OpenOptions::new().write(true).open(self.path(name))?;
        if metadata.len() > len {
            file.set_len(len)?;
        }
        Ok(Some(AppendFile::new(file)))
    }

    fn reuses(&self) -> bool {
        true
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(self.open_file(name)?))
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

    fn hold(&self, name: &str) -> Held {
        Held::file(&self.path(name))
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
