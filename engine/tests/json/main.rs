//! Stores from outside: what every backend promises, and what the json backend does about crashes, damage and bad disks.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod adoption;
mod bank;
mod conformance;
mod crash;
mod damage;
mod golden;
mod inspect;
mod peek;
mod power_cut;
mod reuse;
mod surgery;
mod write_ahead;
