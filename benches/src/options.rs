//! What is to be measured, and how.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::ClientConfig;

use crate::pace::Pace;
use crate::workload::Dist;

/// What is to be measured, and how. Parsed and checked by whoever makes it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `twopence` binary of clusters that are started.
    pub binary: PathBuf,
    /// A cluster that runs already, to be used instead.
    pub running: Option<ClientConfig>,
    /// On which disk: stores are kept in a temporary directory in this one.
    pub dir: PathBuf,
    /// Conflict policy.
    pub locking: String,
    /// Accounts over all nodes.
    pub accounts: u64,
    /// How accounts are chosen.
    pub dist: Dist,
    /// Legs of each transaction.
    pub legs: usize,
    /// Transactions in each frame.
    pub batch: usize,
    /// Nodes of clusters that are started.
    pub nodes: u16,
    /// Coordinators of clusters that are started.
    pub coordinators: u16,
    /// More arguments for nodes of clusters that are started.
    pub node_args: Vec<String>,
    /// Connections.
    pub clients: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
    /// Transactions a second; as fast as answers come if `None`.
    pub rate: Option<f64>,
    /// Time before anything counts.
    pub warmup: Duration,
    /// Time that counts.
    pub time: Duration,
    /// What decides which accounts are chosen.
    pub seed: u64,
    /// Set from elsewhere to stop.
    pub interrupt: Arc<AtomicBool>,
}

impl Options {
    /// Three json nodes under 64 clients with one transfer each, for ten seconds.
    pub fn new(binary: PathBuf, dir: PathBuf) -> Options {
        Options {
            binary,
            running: None,
            dir,
            locking: "no-wait".to_owned(),
            accounts: 100_000,
            dist: Dist::Uniform,
            legs: 2,
            batch: 1,
            nodes: 3,
            coordinators: 1,
            node_args: Vec::new(),
            clients: 64,
            in_flight: 1,
            rate: None,
            warmup: Duration::from_secs(2),
            time: Duration::from_secs(10),
            seed: 1,
            interrupt: Arc::default(),
        }
    }

    /// When frames are due.
    pub fn pace(&self) -> Pace {
        match (self.rate, u32::try_from(self.batch)) {
            (Some(rate), Ok(batch)) => Pace::fixed(rate / f64::from(batch)),
            (Some(_), Err(_)) | (None, _) => Pace::Closed,
        }
    }

    /// Whether somebody asked to stop.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// [`Options::interrupted`] as an error.
    pub(crate) fn check_interrupt(&self) -> Result<(), String> {
        if self.interrupted() {
            Err("interrupted".to_owned())
        } else {
            Ok(())
        }
    }
}
