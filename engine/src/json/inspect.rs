//! What a json store holds, read as recovery reads it, with nothing written.

use std::io;

use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::disk::Disk;
use crate::inspect::Content;
use crate::json::recovery::{self, Active, Home, Logged, Walk};
use crate::json::{home, state_file};
use crate::{Error, Owner};

/// Reads the state files and every record of the log.
///
/// # Errors
/// As recovery: [`Error::Corrupt`] if anything that was promised may be gone, [`Error::Io`].
pub(crate) fn inspect<S: Fold, D: Disk>(disk: &D, owner: Owner, store: StoreId) -> Result<Content<S>, Error> {
    let home = home(disk, owner, store);
    let newest = recovery::read_checkpoint::<S, D>(&home)?;
    let mut records = Vec::new();
    let mut keep = |logged: Logged<'_>| {
        records.push((logged.seq, logged.record()?));
        Ok(())
    };
    let listed = home.list()?;
    let mut walk = Walk::begin(&home, newest.state.seq(), newest.previous);
    walk.closed(&home.names.closed_among(&listed), &mut keep)?;
    let Active { notices, .. } = walk.active(&listed, &mut keep)?;
    let (mut checkpoints, mut damage) = (Vec::new(), Vec::new());
    match previous(&home) {
        Ok(previous) => checkpoints.extend(previous),
        Err(Error::Corrupt(text)) => damage.push(text),
        Err(other) => return Err(other),
    }
    checkpoints.push(newest.state);
    Ok(Content {
        checkpoints,
        records,
        notices,
        damage,
    })
}

/// The checkpoint before the newest one. Recovery needs it only to repair the newest one by hand.
fn previous<S: Fold, D: Disk>(home: &Home<D>) -> Result<Option<S>, Error> {
    let name = &home.names.previous;
    let bytes = match home.disk.read(name) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(home.io("read", name)(error)),
    };
    match state_file::read_any::<S>(home.store, &bytes) {
        Ok(checkpoint) => Ok(Some(checkpoint.state)),
        Err(why) => Err(Error::Corrupt(format!(
            "{} is damaged: {why}. Nothing was changed. The store does not need it to start, and the next checkpoint \
             replaces it; until then there is nothing to repair a damaged {} with",
            home.disk.display(name),
            home.disk.display(&home.names.state),
        ))),
    }
}
