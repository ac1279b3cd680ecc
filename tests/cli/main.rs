//! What people and scripts meet at the command line: result lines, explanations and exit codes, against a coordinator
//! that answers whatever a test wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod fake;
mod network;
mod operate;
mod pay;
mod read;
mod run;
mod usage;
