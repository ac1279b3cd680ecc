//! Model check.

mod action;
mod canonical;
mod check;
mod client;
mod last_words;
mod link;
mod model;
mod money;
mod perform;
mod process;
mod property;
mod scenario;
mod settle;
mod shared;
mod state;
mod transcript;
mod watch;
mod word;
mod world;

pub use action::Action;
pub use check::{Limits, Report, Verdict, Violation, check};
pub use last_words::tell_last_words;
pub use model::Model;
pub use scenario::{Budget, COORDINATORS_MAX, NODES_MAX, Scenario, Wish};
pub use watch::Sight;
