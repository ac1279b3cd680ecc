//! How fast is it? The load generator behind `twopence bench`, and what it takes to believe its figures.
//!
//! [`measure`] is one measurement: a [`site`] (a cluster and its accounts), a [`load`] on it with the transactions of
//! a [`workload`] at some [`pace`], a [`calibrate`]d disk, what it [`cost`], and an audit at the end. A [`suite`] is many
//! of them; [`watched`] compares runs with and without somebody who looks on. [`summary`], [`table`] and [`report`] show what was found.

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
mod pulse;
pub mod recovery;
pub mod report;
pub mod site;
pub mod suite;
pub mod summary;
pub mod table;
pub mod tally;
pub mod turns;
pub mod usage;
pub mod watched;
pub mod wire;
pub mod workload;
