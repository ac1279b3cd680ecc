//! Which faults Twopence has to survive, and where each of them was fired.
//!
//! Whoever injects a fault calls [`fired`] at that very point. With `TWOPENCE_FAULTS` set to a file, every call adds a
//! line to it; without, calls cost nothing. The table of faults and tests is made from that file.

mod catalogue;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

pub use catalogue::{CATALOGUE, Fault, find};

/// Names the file that [`fired`] adds to.
pub const TALLY_VARIABLE: &str = "TWOPENCE_FAULTS";

/// Notes that fault `id` is injected now, by the test on this thread.
///
/// # Panics
/// If the catalogue has no such fault.
pub fn fired(id: &str) {
    let thread = std::thread::current();
    fired_by(thread.name().unwrap_or("unnamed"), id, 1);
}

/// Notes that `vehicle` has injected fault `id` that many times.
///
/// # Panics
/// If the catalogue has no such fault, or the tally cannot be written.
pub fn fired_by(vehicle: &str, id: &str, times: u64) {
    let fault = find(id).unwrap_or_else(|| panic!("fault {id} is not in the catalogue"));
    if times == 0 {
        return;
    }
    if let Some(path) = tally() {
        let line = format!("{}\t{vehicle}\t{times}\n", fault.id);
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("cannot add to the tally {}: {error}", path.display()));
    }
}

fn tally() -> Option<&'static PathBuf> {
    static TALLY: OnceLock<Option<PathBuf>> = OnceLock::new();
    TALLY
        .get_or_init(|| std::env::var_os(TALLY_VARIABLE).map(PathBuf::from))
        .as_ref()
}
