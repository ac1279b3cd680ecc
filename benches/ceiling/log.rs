//! The mock's log: a file filled once and written over and over, so that a sync never grows it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a record, about as many as a line of a json store has.
const RECORD_LEN: usize = 128;

/// Bytes of the file.
const FILE_LEN: usize = 64 * 1024 * 1024;

/// A log. Nothing ever reads it.
pub(crate) struct Log {
    file: File,
    at: usize,
    /// Records that the system has not been given yet.
    waiting: Vec<u8>,
}

impl Log {
    /// Makes it.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn create(path: &Path) -> io::Result<Log> {
        let file = File::create(path)?;
        file.write_all_at(&vec![b'\n'; FILE_LEN], 0)?;
        file.sync_all()?;
        Ok(Log {
            file,
            at: 0,
            waiting: Vec::new(),
        })
    }

    /// Adds so many records.
    pub(crate) fn add(&mut self, records: usize) {
        let len = self.waiting.len() + records * RECORD_LEN;
        self.waiting.resize(len, b'x');
    }

    /// Makes all of them durable.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.at + self.waiting.len() > FILE_LEN {
            self.at = 0;
        }
        let at = u64::try_from(self.at).expect("a file's length fits");
        self.file.write_all_at(&self.waiting, at)?;
        self.at += self.waiting.len();
        self.waiting.clear();
        self.file.sync_data()
    }
}
