//! How fast is it? The load generator behind `twopence bench`, and what it takes to believe its figures.
//!
//! [`measure`] is one measurement: a [`site`] (a cluster and its accounts), a [`load`] on it with the transactions of
//! a [`workload`] at some [`pace`], a [`calibrate`]d disk, and an audit at the end. [`summary`] prints what it found.

mod alarm;
pub mod calibrate;
pub mod cost;
pub mod latency;
mod line;
pub mod load;
pub mod measure;
pub mod names;
pub mod options;
pub mod pace;
mod places;
pub mod progress;
pub mod site;
pub mod summary;
pub mod tally;
pub mod usage;
pub mod wire;
pub mod workload;
