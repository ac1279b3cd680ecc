//! A note beside the store of how far it was synced: how a tail that sled dropped without a word is noticed.
//!
//! It is written after each sync and not synced itself: it may be lost or old (a power cut), and then proves nothing.
//! But it is never ahead of the store, so a store that is older than its mark has lost something that was promised.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use protocol::fold::Seq;
use protocol::id::StoreId;
use xxhash_rust::xxh3::xxh3_64;

const LEN: usize = 24;

/// The mark's file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    store: StoreId,
}

impl Mark {
    /// Opens or makes the mark of `store`.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(super) fn open(path: &Path, store: StoreId) -> io::Result<Mark> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        Ok(Mark { file, store })
    }

    /// Notes that everything up to `seq` is synced. Overwrites in place, so that it needs no space.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(super) fn write(&self, seq: Seq) -> io::Result<()> {
        self.file.write_all_at(&render(self.store, seq), 0)
    }
}

/// The sequence number that `store`'s mark at `path` proves; `None` if it proves nothing.
///
/// # Errors
/// Whatever the system reports, apart from there being no file.
pub(super) fn read(path: &Path, store: StoreId) -> io::Result<Option<Seq>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let seq = bytes
        .get(8..16)
        .and_then(|seq| seq.try_into().ok())
        .map(Seq::from_le_bytes);
    Ok(seq.filter(|seq| bytes == render(store, *seq)))
}

fn render(store: StoreId, seq: Seq) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&store.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&seq.to_le_bytes());
    let seal = xxh3_64(&bytes[..16]);
    bytes[16..].copy_from_slice(&seal.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_is_lost_cut_or_flipped_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node_N1.synced");
        assert_eq!(read(&path, StoreId(3)).unwrap(), None);
        let mark = Mark::open(&path, StoreId(3)).unwrap();
        mark.write(77).unwrap();
        assert_eq!(read(&path, StoreId(3)).unwrap(), Some(77));
        assert_eq!(read(&path, StoreId(4)).unwrap(), None, "another store's mark");
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            assert_eq!(read(&path, StoreId(3)).unwrap(), None, "bit {bit}");
        }
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            assert_eq!(read(&path, StoreId(3)).unwrap(), None, "{len} bytes");
        }
    }
}
