//! The store's folder on disk, and why it is never opened where it lies.
//!
//! Opening a sled folder writes to it: it zeroes what it does not recognise, and cuts the log where it stops making
//! sense. So the folder is copied, one of the two is opened and checked in full, synced, and only then swapped in. (Of
//! the large file it is the original that is opened, and the copy that lies in the store meanwhile: see [aside].) That
//! closes three holes at once: a store that is refused stays as it was, for inspection; what recovery read from a page
//! cache that a failed fsync may have left out of step with the disk is durable before anything is built on it (R23);
//! and the leftover of a snapshot that sled was writing when it died, which it would take for a corrupt one, stays
//! behind. The price is space for one copy, which `has_room` keeps free, and a store that is written twice. The
//! old one of the two is removed when the new one is at work already, unless its space is needed at once.
//!
//! ```text
//! node_N1.sled           the store
//! node_N1.sled.trial     what is being checked; without meaning after a crash
//! node_N1.sled.retired   the store as it was before the swap, soon removed; the store itself if there is no other
//! node_N1.synced         how far it was synced (see mark.rs)
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::dissolve::Held;
use crate::error::is_no_space;
use crate::sled::aside;
use crate::{Error, Owner};

/// How long a process that was just killed, or a thread of sled that has not noticed, may go on holding a lock.
pub(super) const DYING_OWNER: Duration = Duration::from_secs(2);

/// How long to wait before asking for a lock again.
pub(super) const RETRY: Duration = Duration::from_millis(10);

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    dir: PathBuf,
    /// The store.
    pub(super) live: PathBuf,
    /// What is being opened.
    pub(super) trial: PathBuf,
    retired: PathBuf,
    /// The mark's file.
    pub(super) mark: PathBuf,
}

impl Folders {
    /// The folders of `owner`'s store in `dir`.
    pub(super) fn of(dir: &Path, owner: Owner) -> Folders {
        let prefix = owner.prefix();
        let path = |suffix: &str| dir.join(format!("{prefix}.{suffix}"));
        Folders {
            dir: dir.to_owned(),
            live: path("sled"),
            trial: path("sled.trial"),
            retired: path("sled.retired"),
            mark: path("synced"),
        }
    }

    /// The folders of `owner`'s store in `dir` for one who only reads: the copy goes into `aside`, and a swap that was
    /// interrupted is not finished, but looked through.
    pub(super) fn to_read(dir: &Path, owner: Owner, aside: &Path) -> Folders {
        let mut folders = Folders::of(dir, owner);
        if !folders.live.exists() && folders.retired.exists() {
            folders.live.clone_from(&folders.retired);
        }
        folders.trial = aside.join("copy.sled");
        folders
    }

    /// Removes whatever an interrupted first start left.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn clear(&self) -> Result<(), Error> {
        for folder in [&self.live, &self.trial, &self.retired] {
            remove(folder)?;
        }
        match fs::remove_file(&self.mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("cannot remove", &self.mark)(error))
            }
            Ok(()) | Err(_) => sync(&self.dir),
        }
    }

    /// Finishes a swap that was interrupted and removes leftovers.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no store, [`Error::Io`].
    pub(super) fn settle(&self) -> Result<(), Error> {
        if !self.live.exists() {
            if !self.retired.exists() {
                return Err(Error::Corrupt(format!(
                    "{} is gone, though this store was started before. Nothing was changed. Restore the whole data \
                     directory from a backup that is not older than the last transaction",
                    self.live.display()
                )));
            }
            rename(&self.retired, &self.live)?;
            sync(&self.dir)?;
        }
        remove(&self.trial)?;
        remove(&self.retired)
    }

    /// Copies the store to [`Folders::trial`], all but its `conf`, which sled makes anew. Returns that.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the store does not have exactly the files of one, [`Error::Locked`], [`Error::Io`].
    pub(super) fn copy(&self) -> Result<Vec<u8>, Error> {
        self.copy_with(copy_file)
    }

    /// The same; but where that can be, the database's file itself goes to [`Folders::trial`], and its copy, durable by then,
    /// becomes the store's: see [aside].
    ///
    /// # Errors
    /// As [`Folders::copy`].
    pub(super) fn set_aside(&self) -> Result<Vec<u8>, Error> {
        self.copy_with(|live, trial| {
            if !aside::is_alone(live).map_err(io_error("cannot look at", live))? {
                return copy_file(live, trial);
            }
            aside::copy(live, trial).map_err(cannot_copy(live))?;
            let exchange = || aside::exchange(live, trial).map_err(io_error("cannot put in place", trial));
            if !exchange()? {
                return Ok(());
            }
            match aside::write_over(trial) {
                Ok(()) => Ok(()),
                Err(error) if exchange()? => {
                    log::debug!("{} is not written over: {error}", live.display());
                    Ok(())
                }
                Err(error) => Err(io_error("cannot write over", trial)(error)),
            }
        })
    }

    fn copy_with(&self, copy_database: impl Fn(&Path, &Path) -> Result<(), Error>) -> Result<Vec<u8>, Error> {
        let _lock = self.lock()?;
        fs::create_dir(&self.trial).map_err(io_error("cannot make", &self.trial))?;
        let (mut conf, mut db) = (None, false);
        for name in names(&self.live)? {
            let path = self.live.join(&name);
            match name.as_str() {
                "conf" => conf = Some(fs::read(&path).map_err(io_error("cannot read", &path))?),
                "blobs" => self.expect_no_blobs()?,
                "db" => {
                    copy_database(&path, &self.trial.join(&name))?;
                    db = true;
                }
                other if is_snapshot(other) => copy_file(&path, &self.trial.join(&name))?,
                other if other.ends_with(".generating") => {} // A snapshot that sled was writing when it died.
                _ => {
                    return Err(Error::Corrupt(format!(
                        "{} does not belong into a store's folder. Nothing was changed. Move it elsewhere and start again",
                        path.display()
                    )));
                }
            }
        }
        match conf {
            Some(conf) if db => Ok(conf),
            Some(_) | None => Err(Error::Corrupt(format!(
                "{} lacks {}. Nothing was changed. Restore the whole data directory from a backup that is not older \
                 than the last transaction",
                self.live.display(),
                if db { "its conf file" } else { "its db file" }
            ))),
        }
    }

    /// Puts the checked copy in the store's place, durably. What was there before remains aside for
    /// [`Folders::remove_retired`].
    ///
    /// # Errors
    /// [`Error::Io`]; the next start then finishes or undoes it.
    pub(super) fn swap(&self) -> Result<(), Error> {
        if self.live.exists() {
            rename(&self.live, &self.retired)?;
            sync(&self.dir)?;
        }
        rename(&self.trial, &self.live)?;
        sync(&self.dir)
    }

    /// Removes what [`Folders::swap`] left aside while the caller goes on: the file system takes a moment to free a
    /// gigabyte.
    pub(super) fn remove_retired(&self) -> Removal {
        let retired = self.retired.clone();
        Removal::begin(move |hurry| {
            let database = Held::file(&retired.join("db"));
            if let Err(error) = remove(&retired) {
                log::warn!("{error}; it only takes up space, but the next start needs it gone");
            }
            database.free(hurry);
        })
    }

    /// Makes the bulk of the copy durable, so that there is little left for [`Folders::sync_trial`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn sync_copy(&self) -> Result<(), Error> {
        sync(&self.trial.join("db"))
    }

    /// Makes everything in [`Folders::trial`] durable.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn sync_trial(&self) -> Result<(), Error> {
        for name in names(&self.trial)? {
            sync(&self.trial.join(name))?;
        }
        sync(&self.trial)?;
        sync(&self.dir)
    }

    /// Waits until nobody holds sled's own lock on the store, and keeps it.
    ///
    /// # Errors
    /// [`Error::Locked`] if somebody still holds it after two seconds, [`Error::Corrupt`] if there is no db file.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.live.join("db");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Corrupt(format!(
                    "{} is gone. Nothing was changed. Restore the whole data directory from a backup that is not older \
                     than the last transaction",
                    path.display()
                )));
            }
            Err(error) => return Err(io_error("cannot open", &path)(error)),
        };
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if began.elapsed() < DYING_OWNER => thread::sleep(RETRY),
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
                Err(TryLockError::Error(error)) => return Err(io_error("cannot lock", &path)(error)),
            }
        }
    }

    /// sled never syncs what it keeps in `blobs/`, so nothing may ever be there; rows are kept too small for it.
    fn expect_no_blobs(&self) -> Result<(), Error> {
        let path = self.live.join("blobs");
        match names(&path)?.first() {
            None => Ok(()),
            Some(name) => Err(Error::Corrupt(format!(
                "{} must be empty but holds {name}. Nothing was changed. Restore the whole data directory from a backup \
                 that is not older than the last transaction",
                path.display()
            ))),
        }
    }
}

/// A removal that may still be under way. Whoever drops it waits for it.
#[derive(Debug)]
pub(super) struct Removal {
    thread: Option<JoinHandle<()>>,
    /// Somebody waits for it.
    hurry: Arc<AtomicBool>,
}

impl Removal {
    /// Without a thread to be had it is over at once.
    fn begin(remove: impl FnOnce(&AtomicBool) + Clone + Send + 'static) -> Removal {
        let hurry: Arc<AtomicBool> = Arc::default();
        let thread = thread::Builder::new().name("remove".to_owned()).spawn({
            let (remove, hurry) = (remove.clone(), Arc::clone(&hurry));
            move || remove(&hurry)
        });
        if thread.is_err() {
            remove(&AtomicBool::new(true));
        }
        Removal {
            thread: thread.ok(),
            hurry,
        }
    }

    /// Waits until it is over, which is soon. Returns whether it was not before.
    pub(super) fn finish(&mut self) -> bool {
        let Some(thread) = self.thread.take() else {
            return false;
        };
        self.hurry.store(true, Ordering::Relaxed);
        drop(thread.join()); // It has said what there is to say.
        true
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// An [`Error::Io`] about `path`.
pub(super) fn io_error(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::io(format!("{what} {}", path.display()), error)
}

/// The refusal of a damaged `folder`.
pub(super) fn corrupt(folder: &Path, text: &str) -> Error {
    Error::Corrupt(format!(
        "{} is damaged: {text}. Nothing was changed. Restore the whole data directory from a backup that is not older \
         than the last transaction, or keep this one for inspection",
        folder.display()
    ))
}

fn is_snapshot(name: &str) -> bool {
    let number = name.strip_prefix("snap.");
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(io_error("cannot list", folder))?;
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Bytes copied at a time: they should still be in the second-level cache when they are written. With 1 MiB it takes twice
/// as long.
const COPY_CHUNK: usize = 256 * 1024;

/// Copies the bytes themselves: a shared extent would not make what is only in the page cache durable.
fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let mut source = File::open(from).map_err(io_error("cannot open", from))?;
    let mut copy = File::create_new(to).map_err(io_error("cannot make", to))?;
    let mut buffer = vec![0; COPY_CHUNK];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => copy.write_all(&buffer[..len]).map_err(cannot_copy(from))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("cannot read", from)(error)),
        }
    }
}

fn cannot_copy(from: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| {
        let hint = if is_no_space(&error) {
            ": free some space and start again"
        } else {
            ""
        };
        let what = format!(
            "cannot copy {}, which opening it needs; nothing was changed{hint}",
            from.display()
        );
        Error::io(what, error)
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("cannot remove", folder)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(io_error("cannot rename", from))
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error("cannot sync", path))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    #[test]
    fn a_removal_goes_on_behind_its_caller_who_can_wait_for_it_once() {
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let begun = Arc::new(Mutex::new(begun));
        let mut removal = Removal::begin(move |_: &AtomicBool| {
            begun.lock().unwrap().recv().unwrap();
            end.send(()).unwrap();
        });
        assert!(ended.try_recv().is_err(), "nobody has waited for it");
        begin.send(()).unwrap();
        assert!(removal.finish());
        ended.try_recv().expect("over, because it was waited for");
        assert!(!removal.finish());
    }
}
