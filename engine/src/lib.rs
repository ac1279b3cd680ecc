//! Durability: what a node or a coordinator has promised stays promised.
//!
//! A store is the durable half of a machine: [`open`] recovers a [`Fold`](protocol::fold::Fold) state and returns the
//! [`Engine`] that keeps it from then on. Two backends stand behind that trait: `json` (a readable state file and a
//! JSONL write-ahead log) and `sled`. [`WriteAhead`] holds every message back until what it shows is durable; [`Turn`] is
//! the order in which a driver steps, appends, syncs and sends.

mod append_file;
mod config;
mod contract;
mod dice;
mod disk;
mod dissolve;
mod error;
pub mod failpoint;
mod guard;
mod inspect;
mod json;
mod lock;
mod manifest;
mod mem_disk;
mod open;
mod peek;
mod seal;
mod sled;
mod timers;
mod turn;
mod unsynced;
mod volatile_disk;
mod write_ahead;

pub use append_file::{AppendFile, Bytes};
pub use config::{Owner, StoreConfig, StoreKind};
pub use contract::{Engine, Opened, Stats};
pub use dice::Dice;
pub use disk::{Disk, DiskFile, OsDisk, OsFile};
pub use dissolve::Held;
pub use error::Error;
pub use inspect::{Content, Inspection, inspect, inspect_on, owners, owners_on};
pub use json::Clock;
pub use mem_disk::{Fate, MemDisk, MemFile, Operation, Pending};
pub use open::{is_locked, open, open_on};
pub use peek::{LogAsk, LogLine, LogPage, LogPlace, peek};
pub use timers::{Mark, Timers};
pub use turn::{Halt, Turn};
pub use unsynced::{Durable, Leaks, Unsynced};
pub use volatile_disk::{VolatileBytes, VolatileDisk, VolatileFile};
pub use write_ahead::WriteAhead;
