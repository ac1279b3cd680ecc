//! The loop over real sockets on this machine: every server has a port of its own and ends with its test.

mod frames;
mod toy;
mod wire;
