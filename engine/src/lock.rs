//! One process per store: an operating system lock on `<prefix>.lock`, taken before any other file is touched and
//! held for as long as the store is open (R12). The system drops it when the process dies, however it dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Owner};

/// How long a process that was just killed may go on holding the lock before we believe in a live owner.
const DYING_OWNER: Duration = Duration::from_secs(2);

const RETRY: Duration = Duration::from_millis(20);

/// The lock; dropping it lets the next process in.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes `dir` if needed and takes the owner's lock.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process still holds it after two seconds, [`Error::Io`] if the directory or the
    /// file cannot be made.
    pub(crate) fn take(dir: &Path, owner: Owner) -> Result<Lock, Error> {
        fs::create_dir_all(dir)
            .map_err(|error| Error::io(format!("cannot make the data directory {}", dir.display()), error))?;
        let path = dir.join(format!("{}.lock", owner.prefix()));
        let io = |error| Error::io(format!("cannot lock {}", path.display()), error);
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io)?;
        wait(file, path)
    }

    /// Keeps the owner's lock from everyone else without making it: `None` if no process has ever taken it.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub(crate) fn borrow(dir: &Path, owner: Owner) -> Result<Option<Lock>, Error> {
        let path = dir.join(format!("{}.lock", owner.prefix()));
        match File::open(&path) {
            Ok(file) => wait(file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot lock {}", path.display()), error)),
        }
    }

    /// Whether some process holds the owner's lock right now.
    ///
    /// # Errors
    /// If the lock file exists but cannot be asked.
    pub(crate) fn is_held(dir: &Path, owner: Owner) -> Result<bool, Error> {
        let path = dir.join(format!("{}.lock", owner.prefix()));
        let io = |error| Error::io(format!("cannot ask for the lock {}", path.display()), error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io(error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }
}

fn wait(file: File, path: PathBuf) -> Result<Lock, Error> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if began.elapsed() < DYING_OWNER => thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
            Err(TryLockError::Error(error)) => {
                return Err(Error::io(format!("cannot lock {}", path.display()), error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_a_dying_one_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(dir.path(), Owner::Coordinator).unwrap());
        let first = Lock::take(dir.path(), Owner::Coordinator).unwrap();
        assert!(Lock::is_held(dir.path(), Owner::Coordinator).unwrap());
        let other = Owner::Node("N1".parse().unwrap());
        let _independent = Lock::take(dir.path(), other).unwrap();
        let refused = Lock::take(dir.path(), Owner::Coordinator).unwrap_err();
        assert!(matches!(&refused, Error::Locked { .. }), "{refused}");

        thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::take(dir.path(), Owner::Coordinator).map(|_| ()));
            drop(first);
            waiting.join().unwrap().unwrap();
        });
    }
}
