//! Which store to open: where, whose, of which kind.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use protocol::id::{ClusterName, NodeId};

/// The durability backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A readable state file and a JSONL write-ahead log.
    Json,
    /// sled, with our own sync of its file.
    Sled,
}

impl StoreKind {
    /// Every kind there is.
    pub const ALL: [StoreKind; 2] = [StoreKind::Json, StoreKind::Sled];
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StoreKind::Json => "json",
            StoreKind::Sled => "sled",
        })
    }
}

impl FromStr for StoreKind {
    type Err = String;

    fn from_str(text: &str) -> Result<StoreKind, String> {
        let known = StoreKind::ALL.into_iter().find(|kind| kind.to_string() == text);
        known.ok_or_else(|| format!("{text:?} is not a store kind: use json or sled"))
    }
}

/// The process a store belongs to. Several share one data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A node.
    Node(NodeId),
    /// The coordinator.
    Coordinator,
}

impl Owner {
    /// What the owner's lock and sled folder start with: `node_N1` or `coordinator`.
    pub fn prefix(&self) -> String {
        match self {
            Owner::Node(node) => format!("node_{node}"),
            Owner::Coordinator => "coordinator".to_owned(),
        }
    }

    /// What the owner's log files start with: `node_N1_log` or `coordinator_tx_log`.
    pub fn log_stem(&self) -> String {
        match self {
            Owner::Node(node) => format!("node_{node}_log"),
            Owner::Coordinator => "coordinator_tx_log".to_owned(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Node(node) => write!(f, "node {node}"),
            Owner::Coordinator => f.write_str("coordinator"),
        }
    }
}

/// Which store to open and how.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory; made if missing.
    pub dir: PathBuf,
    /// Whose store.
    pub owner: Owner,
    /// The backend. Fixed at first start; another kind later is refused.
    pub kind: StoreKind,
    /// The cluster. Fixed at first start; another name later is refused.
    pub cluster: ClusterName,
    /// json: close the active log segment and cut a checkpoint when the segment reaches this many bytes.
    pub segment_len_max: u64,
    /// For tests, with its seed: kill -9 is a power cut. Only json: sled writes by itself, so its process has to be started
    /// under the library of the package `twopence-powercut`.
    pub power_cut: Option<u64>,
}

impl StoreConfig {
    /// Default of [`StoreConfig::segment_len_max`]: 16 MiB.
    pub const SEGMENT_LEN_MAX: u64 = 16 * 1024 * 1024;
}
