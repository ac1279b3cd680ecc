//! Explores every schedule of small worlds: the real [`Coordinator`](protocol::coordinator::Coordinator),
//! [`Participant`](protocol::participant::Participant) and client [`Request`](protocol::request::Request), with faults
//! at every point.
//!
//! Nothing is mirrored. A state holds the machines themselves, what of each log is synced, the records behind that, the
//! messages that wait for a sync or are on their way, the timers that run, and what clients were told. The checker
//! (`stateright`, breadth first) takes every step that is possible from every state there is. Where the simulator draws
//! long runs of large worlds at random, this looks at all runs of small ones.
//!
//! ```text
//! cargo run --release -p twopence-model              # all scenarios
//! cargo run --release -p twopence-model -- --list
//! cargo run --release -p twopence-model -- two --for 60
//! ```
//!
//! # What can happen
//!
//! - Messages arrive in any order between connections, in their own order on one; calls of clients arrive at any time,
//!   also after their client has turned to another coordinator.
//! - Timers fire at any time. A tick is two of them, since the first one leaves alone what has just begun.
//! - A connection breaks, one side notices first, and what is on its way to the other may still arrive; a message is
//!   lost without that; a second copy of a message arrives at any later time on the same connection.
//! - A process crashes between any two steps and in the middle of a turn, after its records were written and before
//!   they are synced. Any first few of the unsynced records survive. It starts again from the rest.
//! - Syncs of lazy records happen at any time, and clients repeat their requests at any time.
//!
//! Each scenario bounds how many faults one run may have; a timer that fires counts as one. Everything else is free.
//!
//! # What must not happen
//!
//! All money is there, in memory and on disk, with what is prepared counted as it is decided; no account is overdrawn;
//! no transaction ends in two ways; a request happens at most once; whoever is told committed can rely on the disk, and
//! what anybody is told stays true; no COMMIT reaches a node that does not know its transaction; no alarm and no
//! quarantine without a reason; no audit misses money. From every state in which nothing is on its way, a fair
//! continuation without faults ends everything: no transaction open, no account held, every client told the truth,
//! every outcome below a mark, the last audit exact. And no assertion of the machines fails: the panic tells its run.
//!
//! Each scenario also names what some run has to show, so that it cannot pass by doing nothing.
//!
//! # How far
//!
//! The table that the command ends with. `two` is the largest: after ten minutes it is stopped where others need both
//! cores.
//!
//! ```text
#![doc = include_str!("../figures.txt")]
//! ```
//!
//! # What makes it small enough
//!
//! Without losing a run: a turn of one process is not interrupted by others (see `perform.rs`); a sync that releases
//! nothing is no step of its own; record numbers are renamed to their order (see `canonical.rs`); once all faults are
//! spent, it is forgotten which.
//!
//! Losing some, on purpose:
//! - All scenarios but `proofs` take all durable record numbers for one, so that nobody ever proves more of its log
//!   than before (R22).
//! - Making a connection, up to and with the welcome, is one step, and so is starting again after a crash.
//! - A process whose connection is broken and that has nothing more to hear on it notices at once.
//! - Copies stay on their connection, and an audit's questions are not copied: audits lean on the order of the links.
//! - Disks lose what was not synced, nothing else. Torn records, failed syncs and lost logs are the simulator's.
//! - Reads, `tx resolve` and `adopt` are not asked for here.
//!
//! States are told apart by 64 bits of hash, as is usual for checkers of this kind: with ten million states the chance
//! that two are taken for one is about 1 in 300,000.

mod action;
mod canonical;
mod check;
mod client;
mod last_words;
mod link;
mod model;
mod money;
mod perform;
mod process;
mod property;
mod scenario;
mod settle;
mod shared;
mod state;
mod transcript;
mod watch;
mod word;
mod world;

pub use action::Action;
pub use check::{Limits, Report, Verdict, Violation, check};
pub use last_words::tell_last_words;
pub use model::Model;
pub use scenario::{Budget, COORDINATORS_MAX, NODES_MAX, Numbers, Scenario, Wish};
pub use state::State;
pub use watch::Sight;
