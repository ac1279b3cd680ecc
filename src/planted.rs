//! In a build that can have planted bugs: which one it has, said so loudly that nobody takes it for the real program.

use protocol::planted::{VARIABLE, from_environment};

use crate::exit::Exit;
use crate::output::explain;

/// Says on stderr which bug this process has. Returns how to end if there is no such bug.
pub(crate) fn announce() -> Option<Exit> {
    match from_environment() {
        Ok(None) => {
            explain(&format!(
                "This build can have planted bugs; {VARIABLE} names none, so it has none."
            ));
            None
        }
        Ok(Some(bug)) => {
            explain(&format!(
                "THIS PROCESS HAS A PLANTED BUG AND LOSES MONEY: {} ({}): {}",
                bug.name(),
                bug.breaks(),
                bug.what()
            ));
            None
        }
        Err(unknown) => {
            explain(&format!("{VARIABLE}: {unknown}. Nothing was started."));
            Some(Exit::Usage)
        }
    }
}
