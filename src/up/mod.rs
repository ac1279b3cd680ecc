//! To come.

use crate::cli::UpArgs;
use crate::exit::Exit;
use crate::output::explain;

/// Runs `twopence up`.
pub(crate) fn run(_args: &UpArgs) -> Exit {
    explain("twopence up is not part of this build. Nothing was started.");
    Exit::Other
}
