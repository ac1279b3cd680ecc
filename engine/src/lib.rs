//! Durability: what a node or a coordinator has promised stays promised.
//!
//! A store is the durable half of a machine: [`open`] recovers a [`Fold`](protocol::fold::Fold) state and returns the
//! [`Engine`] that keeps it from then on. Two backends stand behind that trait: `json` (a readable state file and a
//! JSONL write-ahead log) and `sled`.

mod config;
mod contract;
mod error;

pub use config::{Owner, StoreConfig, StoreKind};
pub use contract::{Engine, Opened, Stats};
pub use error::Error;
