//! How a server gives memory back that it has used for a while: the program starts itself again with two settings of glibc.
//!
//! By itself, glibc gives a large block back when it is freed, but takes that as a reason to give no others of that size
//! back. What a table leaves behind each time it grows, or a file that was read, then stays for good: with a million
//! accounts and a full request window 186 MiB instead of 147. The settings have to be there before a process
//! begins, and could otherwise be changed by unsafe code alone.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Blocks from 4 MiB on are taken from the system, and given back, each by itself. Smaller ones, among them the parts of a
/// snapshot, which come and go by the second, are used again, and up to 32 MiB are kept for that.
const SETTINGS: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "4194304"),
    ("MALLOC_TRIM_THRESHOLD_", "33554432"),
];

/// Sees to it that this process has the settings, by becoming another one; one that somebody has made stays as it is. Where
/// that fails, memory is all there is to lose.
pub(crate) fn settle() {
    let is_set = |(name, _): &(&str, &str)| env::var_os(name).is_some();
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || SETTINGS.iter().any(is_set) {
        return;
    }
    let again = || -> io::Result<io::Error> {
        let mut command = Command::new(env::current_exe()?);
        let mut args = env::args_os();
        if let Some(name) = args.next() {
            command.arg0(name);
        }
        Ok(command.args(args).envs(SETTINGS).exec())
    };
    let error = again().unwrap_or_else(|error| error);
    log::debug!("cannot start again with {}: {error}", SETTINGS[0].0);
}
