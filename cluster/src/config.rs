//! What a local cluster consists of and how its processes are started.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::id::{ClusterName, NodeId};

/// A cluster of coordinators, mostly one, and nodes `N1..Nn`, all on 127.0.0.1 and all in one data directory.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The `twopence` binary.
    pub binary: PathBuf,
    /// The data directory; made if missing.
    pub dir: PathBuf,
    /// How many nodes: 1 to [`ClusterConfig::NODES_MAX`].
    pub nodes: u16,
    /// How many coordinators, at least one. Those beside the first cannot be broken on purpose; each has its store in a
    /// directory of its own in [`ClusterConfig::dir`].
    pub coordinators: u16,
    /// Passed on as `--store`.
    pub store: String,
    /// Passed on to the nodes as `--locking`.
    pub locking: String,
    /// Passed on as `--cluster`.
    pub cluster: ClusterName,
    /// Where the processes listen.
    pub ports: Ports,
    /// Whether failpoints can be armed in the processes.
    pub enable_failpoints: bool,
    /// Whether kill -9 of a process is a power cut. Every start gets a seed of its own, counted from this one.
    pub power_cut: Option<u64>,
    /// Whether the coordinator reaches the nodes, and clients of [`crate::Cluster::client_config_through_link`] the
    /// coordinator, through proxies that can be told to go wrong: [`crate::Cluster::links`].
    pub proxied: bool,
    /// Where their log lines go.
    pub log: Log,
    /// Passed on as `--log-level`.
    pub log_level: String,
    /// Passed on to the coordinator as `--prepare-timeout-ms`.
    pub prepare_timeout_ms: u64,
    /// More arguments for every node.
    pub node_args: Vec<String>,
    /// More arguments for the coordinator.
    pub coordinator_args: Vec<String>,
    /// Set from elsewhere to end a wait for readiness with [`crate::Error::Interrupted`].
    pub interrupt: Arc<AtomicBool>,
}

impl ClusterConfig {
    /// Most nodes of a local cluster.
    pub const NODES_MAX: u16 = 100;

    /// Three json nodes on free ports with failpoints enabled and logs kept for [`crate::Cluster::log_lines`] only:
    /// what tests and demos start from.
    pub fn new(binary: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> ClusterConfig {
        ClusterConfig {
            binary: binary.into(),
            dir: dir.into(),
            nodes: 3,
            coordinators: 1,
            store: "json".to_owned(),
            locking: "no-wait".to_owned(),
            cluster: "local".parse().expect("a good cluster name"),
            ports: Ports::Free,
            enable_failpoints: true,
            power_cut: None,
            proxied: false,
            log: Log::Kept,
            log_level: "info".to_owned(),
            prepare_timeout_ms: 2000,
            node_args: Vec::new(),
            coordinator_args: Vec::new(),
            interrupt: Arc::default(),
        }
    }

    /// The names of the nodes: `N1..Nn`.
    pub fn node_ids(&self) -> Vec<NodeId> {
        (1..=self.nodes).map(node_id).collect()
    }
}

/// The name of the n-th node, from 1.
pub(crate) fn node_id(number: u16) -> NodeId {
    format!("N{number}").parse().expect("N and a number is a node id")
}

/// What a proxied cluster's proxies stand between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Clients and the coordinator.
    Clients,
    /// The coordinator and that node.
    Node(NodeId),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Clients => f.write_str("clients-coordinator"),
            Link::Node(node) => write!(f, "coordinator-{node}"),
        }
    }
}

/// Where the processes listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// On ports that nobody uses; chosen at start, kept over restarts of single processes.
    Free,
    /// On these: the coordinator on one, the nodes on consecutive ones.
    Fixed {
        /// The coordinator's port.
        coordinator: u16,
        /// N1's port; N2 takes the next one, and so on.
        nodes_from: u16,
    },
}

/// Takes the name of a process and one of its log lines.
pub type TakeLine = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What happens with each log line of a process, besides being kept for [`crate::Cluster::log_lines`].
#[derive(Clone)]
pub enum Log {
    /// Nothing.
    Kept,
    /// It is handed on with the name of its process, from a thread of that process.
    To(TakeLine),
    /// It is appended to `<name>.log` in this directory.
    Files(PathBuf),
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Log::Kept => f.write_str("Kept"),
            Log::To(_) => f.write_str("To(..)"),
            Log::Files(dir) => f.debug_tuple("Files").field(dir).finish(),
        }
    }
}
