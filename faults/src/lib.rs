//! Which faults Twopence has to survive, and where each of them was fired.
//!
//! Whoever injects a fault calls [`fired`] at that very point. With `TWOPENCE_FAULTS` set to a file, every call adds a
//! line to it ([`Tally`]); without, calls cost nothing. The command `cargo run --release -p twopence-faults -- table`
//! runs the tests that way and makes `docs/faults.md` of it ([`table`]).

mod catalogue;
pub mod table;
mod tally;
mod vehicle;

pub use catalogue::{CATALOGUE, Fault, find};
pub use tally::{TALLY_VARIABLE, Tally};
pub use vehicle::Vehicle;

/// Notes that fault `id` is injected now, by the test on this thread.
///
/// # Panics
/// If the catalogue has no such fault, or on a thread that a test has started: see [`Vehicle::here`].
#[track_caller]
pub fn fired(id: &str) {
    Vehicle::here().fired(id, 1);
}

/// Notes that `vehicle` has injected fault `id` that many times. For whatever is not a test, such as the simulator.
///
/// # Panics
/// If the catalogue has no such fault, or the tally cannot be written.
#[track_caller]
pub fn fired_by(vehicle: &str, id: &str, times: u64) {
    let fault = find(id).unwrap_or_else(|| panic!("fault {id} is not in the catalogue"));
    if times > 0
        && let Some(path) = tally::wanted()
    {
        tally::add(path, fault.id, vehicle, times)
            .unwrap_or_else(|error| panic!("cannot add to the tally {}: {error}", path.display()));
    }
}
