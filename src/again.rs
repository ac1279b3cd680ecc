//! How the program becomes itself again, with variables that have to be there before a process begins.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts again in this very process, with the same arguments and these variables besides. Returns only if that fails, with
/// the reason.
pub(crate) fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    variables: impl IntoIterator<Item = (K, V)>,
) -> io::Error {
    let again = || -> io::Result<io::Error> {
        let mut command = Command::new(env::current_exe()?);
        let mut args = env::args_os();
        if let Some(name) = args.next() {
            command.arg0(name);
        }
        Ok(command.args(args).envs(variables).exec())
    };
    again().unwrap_or_else(|error| error)
}
