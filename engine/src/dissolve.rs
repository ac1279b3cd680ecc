//! Long files go little by little.
//!
//! There are disks that are told at once which blocks have become free (`mount -o discard`), and stand still until they have
//! taken note: for a tenth of a second after a file of 100 MiB, in which no log can be synced. In small pieces it takes
//! as long in all, and nobody notices.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes freed at once.
const STEP: u64 = 1024 * 1024;

/// Between two steps others have the disk.
const PAUSE: Duration = Duration::from_millis(1);

/// A file that is about to lose its name, kept open so that this does not free it. It is a courtesy to others on the same
/// disk: where it cannot be had, or if this is just dropped, the file is freed at once.
#[derive(Debug)]
pub struct Held(Option<File>);

impl Held {
    /// None.
    pub(crate) fn nothing() -> Held {
        Held(None)
    }

    /// The file at `path`, if there is one.
    pub(crate) fn file(path: &Path) -> Held {
        Held(OpenOptions::new().write(true).open(path).ok())
    }

    /// Frees it from its end, or all at once as soon as there is `hurry`. One that has a name, whichever, is left alone.
    pub(crate) fn free(self, hurry: &AtomicBool) {
        let Some(file) = self.0 else {
            return;
        };
        let nameless = file.metadata().ok().filter(|metadata| metadata.nlink() == 0);
        let mut len = nameless.map_or(0, |metadata| metadata.len());
        while len > STEP && !hurry.load(Ordering::Relaxed) {
            len -= STEP;
            if file.set_len(len).is_err() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LEN: u64 = 3 * STEP + 5;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![7; usize::try_from(LEN).unwrap()]).unwrap();
        (dir, path)
    }

    fn free(held: Held, hurry: bool) {
        held.free(&AtomicBool::new(hurry));
    }

    #[test]
    fn a_file_without_a_name_is_cut_and_not_if_there_is_hurry() {
        for (hurry, left) in [(false, 5), (true, LEN)] {
            let (_dir, path) = file();
            let held = Held::file(&path);
            let other = File::open(&path).unwrap();
            fs::remove_file(&path).unwrap();
            free(held, hurry);
            assert_eq!(other.metadata().unwrap().len(), left);
        }
    }

    #[test]
    fn a_file_that_has_a_name_is_left_alone() {
        let (dir, path) = file();
        let second = dir.path().join("b");
        let len = |path: &Path| fs::metadata(path).unwrap().len();
        free(Held::file(&path), false);
        assert_eq!(len(&path), LEN);
        fs::hard_link(&path, &second).unwrap();
        let held = Held::file(&path);
        fs::remove_file(&path).unwrap();
        free(held, false);
        assert_eq!(len(&second), LEN);
        std::os::unix::fs::symlink(&second, &path).unwrap();
        let held = Held::file(&path);
        fs::remove_file(&path).unwrap();
        free(held, false);
        assert_eq!(len(&second), LEN, "what a symbolic link names has a name");
        free(Held::file(&path), false);
    }
}
