//! How a server gives memory back that it has used for a while: the program starts itself again with two settings of glibc.
//!
//! By itself, glibc gives a large block back when it is freed, but takes that as a reason to give no others of that size
//! back. What a table leaves behind each time it grows, or a file that was read, then stays for good: with a million
//! accounts and a full request window 186 MiB instead of 147. The settings have to be there before a process
//! begins, and could otherwise be changed by unsafe code alone.

use std::env;

use crate::again;

/// Says that a process has become another one already. The settings themselves may not arrive: a privileged process gets none.
const SETTLED: &str = "TWOPENCE_MEMORY_SETTLED";

/// Blocks from 4 MiB on are taken from the system, and given back, each by itself. Smaller ones, among them the parts of a
/// snapshot, which come and go by the second, are used again, and up to 32 MiB are kept for that.
const SETTINGS: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "4194304"),
    ("MALLOC_TRIM_THRESHOLD_", "33554432"),
];

/// Sees to it that this process has the settings, by becoming another one. One that somebody has made stays as it is. Where
/// that fails, memory is all there is to lose.
pub(crate) fn settle() {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || env::var_os(SETTLED).is_some() {
        return;
    }
    let missing = SETTINGS
        .into_iter()
        .filter(|(name, _)| env::var_os(name).is_none());
    let error = again::start(missing.chain([(SETTLED, "1")]));
    log::debug!("cannot start again with {}: {error}", SETTINGS[0].0);
}
