//! `twopence verify` on the data directories of real clusters: sound ones, however they ended, and damaged ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod damaged;
mod forged;
mod sound;
mod stopped;
