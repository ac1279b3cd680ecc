//! How a store is opened: lock, manifest, the backend's own recovery, and only then the end of a first start (R22).

use std::path::Path;

use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::disk::{Disk, OsDisk};
use crate::guard::Guard;
use crate::lock::Lock;
use crate::manifest;
use crate::{Engine, Error, Opened, Owner, StoreConfig, StoreKind, sled};

/// What a backend's own `open` returns: itself, the recovered state, and what recovery has to say.
///
/// A backend is told whether this is a first start. If so, files may be there all the same, left by a first start that
/// was interrupted: they hold no promise and are made anew.
pub(crate) type Recovered<S> = (Box<dyn Engine<S>>, S, Vec<String>);

/// Opens the store that `config` names: takes its lock, checks its manifest and recovers its state; makes it at the
/// first start.
///
/// # Errors
/// [`Error`]. Apart from the lock file, a store that is refused is left as it was.
pub fn open<S: Fold>(config: &StoreConfig) -> Result<Opened<S>, Error> {
    let lock = Lock::take(&config.dir, config.owner)?;
    let disk = OsDisk::new(&config.dir);
    open_with(
        &disk,
        config,
        mint()?,
        Some(lock),
        |store, first_start| match config.kind {
            StoreKind::Json => Err(Error::Mismatch(format!("no json yet {store} {first_start}"))),
            StoreKind::Sled => sled::open(config, store, first_start),
        },
    )
}

/// Whether a process holds the lock of `owner`'s store in `dir` right now.
///
/// # Errors
/// [`Error::Io`] if that cannot be found out.
pub fn is_locked(dir: &Path, owner: Owner) -> Result<bool, Error> {
    Lock::is_held(dir, owner)
}

fn open_with<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    fresh: StoreId,
    lock: Option<Lock>,
    backend: impl FnOnce(StoreId, bool) -> Result<Recovered<S>, Error>,
) -> Result<Opened<S>, Error> {
    let mut manifest = manifest::check_or_begin(disk, config, fresh)?;
    let first_start = !manifest.complete;
    let (engine, state, notices) = backend(manifest.store, first_start)?;
    if first_start {
        manifest.finish(disk)?;
    }
    Ok(Opened {
        engine: Box::new(Guard::new(engine, lock)),
        state,
        store: manifest.store,
        notices,
        first_start,
    })
}

fn mint() -> Result<StoreId, Error> {
    let random = getrandom::u64().map_err(|error| {
        Error::io(
            "no randomness for the store's identity",
            std::io::Error::other(error),
        )
    })?;
    Ok(StoreId(random))
}
