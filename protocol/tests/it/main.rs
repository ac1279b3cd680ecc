//! The machines against each other: what they say step by step, and what is left after anything that can go wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bytes;
mod liars;
mod oracle;
mod plain;
mod random;
mod short;
mod snapshot;
mod stored;
mod table;
mod transcripts;
mod waiting;
mod world;
