//! What the disk alone takes: 128 bytes written into a file that is already filled, and made durable.
//!
//! That is what a store does at its best, so every figure is printed beside it, measured in the same run.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::latency::Latencies;

/// Bytes in one write.
const WRITE_LEN: usize = 128;

/// Length of the file. A sync into it changes no length, so the file system has nothing to write but the bytes.
const FILE_LEN: usize = 1024 * 1024;

/// Syncs at a time, before a load and after it.
const ROUND: usize = 200;

/// A filled file, and how long the syncs in it took.
#[derive(Debug)]
pub struct Calibration {
    file: File,
    at: usize,
    times: Latencies,
}

impl Calibration {
    /// Fills a file in `dir`.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn new(dir: &Path) -> io::Result<Calibration> {
        let mut file = File::create(dir.join("calibration"))?;
        file.write_all(&vec![b'\n'; FILE_LEN])?;
        file.sync_all()?;
        Ok(Calibration {
            file,
            at: FILE_LEN,
            times: Latencies::new(),
        })
    }

    /// Writes and syncs once, and says how long that took.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync_once(&mut self) -> io::Result<Duration> {
        if self.at + WRITE_LEN > FILE_LEN {
            self.file.seek(SeekFrom::Start(0))?;
            self.at = 0;
        }
        let begin = Instant::now();
        self.file.write_all(&[b'x'; WRITE_LEN])?;
        self.file.sync_data()?;
        let took = begin.elapsed();
        self.at += WRITE_LEN;
        self.times.record(took, 1);
        Ok(took)
    }

    /// A round of syncs.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn round(&mut self) -> io::Result<()> {
        for _ in 0..ROUND {
            self.sync_once()?;
        }
        Ok(())
    }

    /// How long all syncs so far took.
    pub fn times(&self) -> &Latencies {
        &self.times
    }
}
