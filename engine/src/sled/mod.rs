//! The sled backend.

use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::open::Recovered;
use crate::{Error, StoreConfig};

/// Opens or makes the sled store of `config.owner`.
///
/// # Errors
/// [`Error`].
pub(crate) fn open<S: Fold>(
    config: &StoreConfig,
    _store: StoreId,
    _first_start: bool,
) -> Result<Recovered<S>, Error> {
    Err(Error::Mismatch(format!("{} has no sled store", config.owner)))
}
