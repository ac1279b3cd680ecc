//! The HTTP server in front of a cluster of real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod events;
mod foreign;
mod gateway;
mod http;
mod money;
mod world;
