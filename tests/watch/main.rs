//! Looking on from outside: real processes, each watched over a connection of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod counted;
mod followed;
mod receipts;
mod stepped;
mod world;
