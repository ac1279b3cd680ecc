//! The world that goes wrong: real coordinators, participants, clients and the real json engine in one thread, under virtual
//! time, with a network that delays, loses, repeats and cuts, disks that forget what was not synced, and processes that
//! die anywhere.
//!
//! One seed is one story, the same every time ([`run::seed`]). What goes wrong, and how often, is drawn from the seed
//! ([`weather`]); then everything heals, and the oracle compares what clients were told with what is on the disks.
//! Nothing here is a model of the protocol: the machines come from `protocol`, the order in which they are driven from
//! `engine::Turn`, the log format and its recovery from `engine`.

mod autopsy;
pub mod campaign;
mod client;
mod dice;
mod history;
pub mod mermaid;
mod nemesis;
mod network;
mod oracle;
mod process;
mod role;
mod rot;
pub mod run;
pub mod sweep;
mod tally;
pub mod time;
pub mod trace;
pub mod weather;
pub mod who;
mod workload;
mod world;

pub use dice::{Dice, Permille};
pub use role::{Cast, Policies};
pub use tally::Tally;
