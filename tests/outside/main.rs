//! Does the real program stay whole whatever is thrown at it from outside?
//!
//! Everything here goes through the binary: words on the command line, bytes on its ports, files in its data
//! directory. Each case checks what the user is told, the exit code, and that afterwards no money is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod batches;
mod doubles;
mod files;
mod identity;
mod lines;
mod locking;
mod money;
mod overload;
mod owners;
mod prepared;
mod second;
mod several;
mod strange;
mod wire;
mod world;
