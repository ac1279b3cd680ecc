//! Long files go little by little.
//!
//! There are disks that are told at once which blocks have become free (`mount -o discard`), and stand still until they have
//! taken note: for a tenth of a second after a file of 100 MiB, in which no log can be synced. In small pieces it takes
//! as long in all, and nobody notices.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Bytes freed at once.
const STEP: u64 = 1024 * 1024;

/// Between two steps others have the disk.
const PAUSE: Duration = Duration::from_millis(2);

/// Removes a file, the end of it first. One that has a second name only loses this one. For files that mean nothing any
/// more, by a name that says so durably: a crash leaves any part of it.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn dissolve(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let metadata = file.metadata()?;
    if metadata.nlink() == 1 {
        let mut len = metadata.len();
        while len > STEP {
            len -= STEP;
            file.set_len(len)?;
            thread::sleep(PAUSE);
        }
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_gone_whatever_its_length_and_no_second_name_loses_anything() {
        let dir = tempfile::tempdir().unwrap();
        let (path, second) = (dir.path().join("a"), dir.path().join("b"));
        for len in [0, 1, STEP, STEP + 1, 5 * STEP] {
            let content = vec![7; usize::try_from(len).unwrap()];
            fs::write(&path, &content).unwrap();
            fs::hard_link(&path, &second).unwrap();
            dissolve(&path).unwrap();
            assert!(!path.exists());
            assert_eq!(fs::read(&second).unwrap(), content);
            dissolve(&second).unwrap();
            assert!(!second.exists());
        }
        let missing = dissolve(&path).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
