//! A store's log for people, read beside the process that owns it.

use std::path::Path;

use protocol::fold::Fold;

use crate::disk::OsDisk;
use crate::{Error, Owner, json};

pub use crate::json::{LogAsk, LogLine, LogPage, LogPlace};

/// Reads a page of `owner`'s json log in the directory `dir`, whether or not a process has it open.
///
/// # Errors
/// [`Error::Mismatch`] if there is none, [`Error::Io`].
pub fn peek<S: Fold>(dir: &Path, owner: Owner, ask: &LogAsk) -> Result<LogPage, Error> {
    json::peek::<S, OsDisk>(&OsDisk::new(dir), owner, ask)
}
