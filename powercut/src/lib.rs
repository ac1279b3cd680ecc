//! A library to preload (`LD_PRELOAD`) under which kill -9 of a process is a power cut. For Linux, and for tests alone.
//!
//! sled writes its files itself, so its unsynced writes can only be caught below it. Bytes written to regular files
//! under one directory stay in this process's memory until an fsync or fdatasync of that very file; reads and sizes show
//! them. Now and then some become durable early, as a seed says: [`engine::Unsynced`] decides. A process that ends by itself
//! leaves everything it wrote to the system. Two variables say where and how; without them nothing is caught. More
//! of them make it worse than that:
//!
//! | variable | |
//! |---|---|
//! | `TWOPENCE_POWER_CUT_DIR` | the directory, without symbolic links in its path |
//! | `TWOPENCE_POWER_CUT_SEED` | what becomes durable early |
//! | `TWOPENCE_POWER_CUT_LIES_AFTER` | a number of syncs: each later one says that it is done and does nothing |
//! | `TWOPENCE_POWER_CUT_HALVES` | if set, a write takes half of it, and every other write or sync is interrupted first |
//! | `TWOPENCE_POWER_CUT_CLOCK` | if set, the wall clock jumps by 30 hours, forth and back, with every look at it |
//!
//! Caught are the calls that sled 0.34.7 and Rust's standard library make: `read`, `write`, `writev`, `pread64`, `pwrite64`,
//! `ftruncate64`, `fsync`, `fdatasync`, `sync_file_range`, `statx`, and `clock_gettime`. Not imitated: names are durable as soon as they change, a
//! file that is truncated by opening it is so at once, and mapped memory is not seen.

#![cfg(target_os = "linux")]

mod calls;
mod moods;
mod overlay;
