//! What a store holds, for those who check it from outside: read without changing anything on disk.
//!
//! The readers are those of recovery, so what is found here is what a start would find, and what a start would refuse is
//! refused here in the same words. Unlike a start, this also hands over what the state is made from: the checkpoints
//! and every record in the log.

use std::path::Path;

use protocol::fold::{Fold, Seq};
use protocol::id::{ClusterName, StoreId};

use crate::disk::{Disk, OsDisk};
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::{Error, Owner, StoreKind, json, sled};

/// A store as it lies on disk.
#[derive(Clone, Debug)]
pub struct Inspection<S: Fold> {
    /// Whose it is.
    pub owner: Owner,
    /// Its backend.
    pub kind: StoreKind,
    /// Its identity.
    pub store: StoreId,
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// What it holds.
    pub content: Content<S>,
}

/// What a store holds.
#[derive(Clone, Debug)]
pub struct Content<S: Fold> {
    /// The states on disk, the newest last; never none. json: the previous checkpoint and the newest one. sled: its
    /// state.
    pub checkpoints: Vec<S>,
    /// json: every record in the log with its sequence, also those that the checkpoints contain. Sequences ascend; a
    /// gap is only possible below the previous checkpoint, where segments were being removed. sled keeps no history.
    pub records: Vec<(Seq, S::Record)>,
    /// What recovery would say: a dropped tail. One line each.
    pub notices: Vec<String>,
    /// Damage in files that a start does not need. One text each.
    pub damage: Vec<String>,
}

impl<S: Fold> Content<S> {
    /// A store whose first start did not come to its end: nobody has been promised anything.
    fn unfinished() -> Content<S> {
        Content {
            checkpoints: vec![S::empty()],
            records: Vec::new(),
            notices: vec!["its first start was interrupted; it holds nothing yet".to_owned()],
            damage: Vec::new(),
        }
    }

    /// The state a start would recover: the newest checkpoint and every record behind it.
    ///
    /// # Panics
    /// As [`Fold::apply`], if the records cannot follow the checkpoint.
    pub fn recover(&self) -> S {
        let mut state = self.checkpoints.last().expect("there is always a state").clone();
        let mut touched = Vec::new();
        for (seq, record) in &self.records {
            if *seq > state.seq() {
                touched.clear();
                state.apply(*seq, record, &mut touched);
            }
        }
        state
    }
}

/// Reads `owner`'s store in the directory `dir` while no process has it open. sled writes when it opens a store, so it
/// is given a copy in the system's temporary directory.
///
/// # Errors
/// [`Error::Locked`] if a process has it open, [`Error::Mismatch`] if there is none, [`Error::Corrupt`] as a start
/// would, [`Error::Io`].
pub fn inspect<S: Fold>(dir: &Path, owner: Owner) -> Result<Inspection<S>, Error> {
    let _lock = Lock::borrow(dir, owner)?;
    let disk = OsDisk::new(dir);
    read(&disk, owner, |manifest| match manifest.kind {
        StoreKind::Json => json::inspect(&disk, owner, manifest.store),
        StoreKind::Sled => sled::inspect(dir, owner, manifest.store),
    })
}

/// [`inspect`] for a store on any disk, such as a [`MemDisk`](crate::MemDisk) right after its crash. It must be of kind
/// json, since no other can be there.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_on<S: Fold, D: Disk>(disk: &D, owner: Owner) -> Result<Inspection<S>, Error> {
    read(disk, owner, |manifest| json::inspect(disk, owner, manifest.store))
}

/// Whose stores are in `dir`: nodes by name, then the coordinator. What only its manifest is missing of counts as one.
///
/// # Errors
/// [`Error::Io`].
pub fn owners(dir: &Path) -> Result<Vec<Owner>, Error> {
    owners_on(&OsDisk::new(dir))
}

/// [`owners`] on any disk.
///
/// # Errors
/// [`Error::Io`].
pub fn owners_on<D: Disk>(disk: &D) -> Result<Vec<Owner>, Error> {
    manifest::owners(disk)
}

fn read<S: Fold, D: Disk>(
    disk: &D,
    owner: Owner,
    content: impl FnOnce(&Manifest) -> Result<Content<S>, Error>,
) -> Result<Inspection<S>, Error> {
    let manifest = Manifest::read(disk, owner)?.ok_or_else(|| {
        let path = disk.display(&manifest::file_name(owner));
        Error::Mismatch(format!(
            "{path} is not there: {owner} has no store here. Nothing was changed"
        ))
    })?;
    let content = if manifest.complete {
        content(&manifest)?
    } else {
        Content::unfinished()
    };
    Ok(Inspection {
        owner,
        kind: manifest.kind,
        store: manifest.store,
        cluster: manifest.cluster,
        content,
    })
}
