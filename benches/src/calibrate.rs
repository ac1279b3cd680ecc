//! What the disk alone takes: appending 128 bytes to a growing file and making them durable.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes in one append.
const APPEND_LEN: usize = 128;

/// A file that grows by one synced append at a time.
#[derive(Debug)]
pub struct Calibration {
    file: File,
}

impl Calibration {
    /// Begins with an empty file in `dir`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(dir: &Path) -> io::Result<Calibration> {
        Ok(Calibration {
            file: File::create(dir.join("calibration"))?,
        })
    }

    /// Appends, syncs, and says how long that took.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync_once(&mut self) -> io::Result<Duration> {
        let begin = Instant::now();
        self.file.write_all(&[b'x'; APPEND_LEN])?;
        self.file.sync_data()?;
        Ok(begin.elapsed())
    }
}
