//! The sled backend from outside: what it keeps, what it refuses, and what a crash leaves.

#![expect(clippy::unwrap_used, reason = "everything here is a test or serves one")]

mod crash;
mod damage;
mod keeps;
mod power_cut;
mod toy;
mod trace;
