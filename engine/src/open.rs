//! How a store is opened: lock, manifest, the backend's own recovery, and only then the end of a first start (R22).

use std::path::Path;

use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::disk::{Disk, OsDisk};
use crate::guard::Guard;
use crate::json::Clock;
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::volatile_disk::VolatileDisk;
use crate::{Engine, Error, Opened, Owner, StoreConfig, StoreKind, json, sled};

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
    // Given back only when everything below has let go of its files.
    let lock = Lock::take(&config.dir, config.owner)?;
    let fresh = mint()?;
    let found = match (config.kind, config.power_cut) {
        (StoreKind::Json, None) => open_json(&OsDisk::new(&config.dir), config, fresh),
        (StoreKind::Json, Some(seed)) => open_json(&VolatileDisk::new(&config.dir, seed), config, fresh),
        (StoreKind::Sled, _) => open_sled(config, fresh),
    }?;
    Ok(guard(found, Some(lock)))
}

fn open_json<S: Fold, D: Disk>(disk: &D, config: &StoreConfig, fresh: StoreId) -> Result<Opened<S>, Error> {
    let manifest = find_or_begin::<S, D>(disk, config, fresh)?;
    finish(disk, manifest, |store, first_start| {
        json::open(disk, config, store, first_start)
    })
}

fn open_sled<S: Fold>(config: &StoreConfig, fresh: StoreId) -> Result<Opened<S>, Error> {
    let disk = OsDisk::new(&config.dir);
    let manifest = find_or_begin::<S, OsDisk>(&disk, config, fresh)?;
    finish(&disk, manifest, |store, first_start| {
        sled::open(config, store, first_start)
    })
}

/// Opens a json store on any disk, such as a [`MemDisk`](crate::MemDisk), without a lock. A store that is made gets the
/// identity `fresh`; checkpoints are cut within [`Engine::tend`], and `clock` tells the time, so that a run can be
/// repeated exactly.
///
/// # Errors
/// [`Error`].
pub fn open_on<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    fresh: StoreId,
    clock: Clock,
) -> Result<Opened<S>, Error> {
    let manifest = find_or_begin::<S, D>(disk, config, fresh)?;
    let found = finish(disk, manifest, |store, first_start| {
        json::open_on(disk, config, clock, store, first_start)
    })?;
    Ok(guard(found, None))
}

/// Whether a process holds the lock of `owner`'s store in `dir` right now.
///
/// # Errors
/// [`Error::Io`] if that cannot be found out.
pub fn is_locked(dir: &Path, owner: Owner) -> Result<bool, Error> {
    Lock::is_held(dir, owner)
}

fn find_or_begin<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    fresh: StoreId,
) -> Result<Manifest, Error> {
    match Manifest::find(disk, config)? {
        Some(manifest) => Ok(manifest),
        None => {
            // A hand-written file that is refused must not leave a store begun beside it.
            match config.kind {
                StoreKind::Json => json::check_first_start::<S, D>(disk, config, fresh)?,
                StoreKind::Sled => manifest::refuse_by_hand(disk, config)?,
            }
            Manifest::begin(disk, config, fresh)
        }
    }
}

fn finish<S: Fold, D: Disk>(
    disk: &D,
    mut manifest: Manifest,
    backend: impl FnOnce(StoreId, bool) -> Result<Recovered<S>, Error>,
) -> Result<Opened<S>, Error> {
    let first_start = !manifest.complete;
    let (engine, state, notices) = backend(manifest.store, first_start)?;
    if first_start {
        manifest.finish(disk)?;
    }
    Ok(Opened {
        engine,
        state,
        store: manifest.store,
        notices,
        first_start,
    })
}

fn guard<S: Fold>(found: Opened<S>, lock: Option<Lock>) -> Opened<S> {
    Opened {
        engine: Box::new(Guard::new(found.engine, lock)),
        ..found
    }
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
