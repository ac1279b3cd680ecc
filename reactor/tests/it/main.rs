//! The loop over real sockets on this machine: every server has a port of its own and ends with its test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batches;
mod frames;
mod peers;
mod process;
mod toy;
mod turns;
mod watchers;
mod wire;
