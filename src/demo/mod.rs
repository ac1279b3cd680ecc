//! To come.

use crate::cli::DemoCommand;
use crate::exit::Exit;
use crate::output::explain;

/// Runs `twopence demo`.
pub(crate) fn run(_args: &DemoCommand) -> Exit {
    explain("twopence demo is not part of this build. Nothing was started.");
    Exit::Other
}
