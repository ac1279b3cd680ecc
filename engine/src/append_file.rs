//! A file that grows at its end, and the filler behind that end, over whatever really takes the bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::disk::DiskFile;

/// What takes the bytes of an [`AppendFile`].
pub trait Bytes: Send + 'static {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Whatever the system reports; some of the bytes may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file `len` bytes long.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    /// Whatever the system reports; what was written since the last sync is undefined.
    fn sync(&mut self) -> io::Result<()>;
}

impl Bytes for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Goes on after short and interrupted writes.
        self.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        loop {
            match self.sync_data() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A file open for appending.
#[derive(Debug)]
pub struct AppendFile<B> {
    bytes: B,
    /// Where the next append goes.
    end: u64,
    /// How long the file is: line breaks stand behind `end`.
    filled: u64,
    /// How far to fill ahead; 0 for not at all.
    ahead: u64,
}

impl<B: Bytes> AppendFile<B> {
    /// An empty file.
    pub(crate) fn new(bytes: B) -> AppendFile<B> {
        AppendFile {
            bytes,
            end: 0,
            filled: 0,
            ahead: 0,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let from = self.filled.max(self.end);
        let to = self.end + self.ahead;
        let filler = vec![b'\n'; usize::try_from(to - from).expect("a filler fits in memory")];
        match self.bytes.write_at(&filler, from) {
            Ok(()) => self.filled = to,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // Without the filler nothing is lost but speed. What stands behind it in a file that is used again is no filler.
                self.ahead = 0;
                self.bytes.set_len(from)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<B: Bytes> DiskFile for AppendFile<B> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.write_at(bytes, self.end)?;
        self.end += u64::try_from(bytes.len()).expect("memory fits in 64 bits");
        self.filled = self.filled.max(self.end);
        if self.ahead > 0 && self.filled < self.end + self.ahead / 4 {
            self.fill()
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.bytes.sync()
    }

    fn fill_ahead(&mut self, len: u64) -> io::Result<()> {
        self.ahead = len;
        if self.filled < self.end + len {
            self.fill()
        } else {
            Ok(())
        }
    }

    fn trim(&mut self) -> io::Result<()> {
        self.ahead = 0;
        self.filled = self.end;
        self.bytes.set_len(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, OsDisk};

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
