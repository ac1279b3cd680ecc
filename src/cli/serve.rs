//! The two server processes.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use engine::{StoreConfig, StoreKind};
use log::LevelFilter;
use protocol::id::{ClusterName, NodeId};
use protocol::locking::Locking;

use super::address::{Host, NodeList};
use super::connect::log_level;

/// Run one node: it keeps accounts and takes part in transactions
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence node --node-id N1 --port 6001 --data-dir data

A node waits for its coordinator to connect. Its store and what it was started for are remembered in the data \
directory: another --store, --cluster or --node-id is refused there.
Exit codes: 0 stopped cleanly, 2 usage, 5 cannot start or had to stop, 9 corrupt store.")]
pub(crate) struct NodeArgs {
    /// The node's name: 1 to 16 letters, digits or '-'
    #[arg(long, value_name = "NAME")]
    pub(crate) node_id: NodeId,

    /// Port to listen on
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// What happens when two transactions want the same account. It may change with every start; what is prepared
    /// keeps the hold it was granted
    #[arg(long, value_name = "POLICY", default_value = "no-wait", value_parser = locking())]
    pub(crate) locking: Locking,

    /// Finished request ids to remember at least; a retry from further back may run again
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) request_window: u64,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Run a coordinator: it decides transactions and answers clients
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence coordinator --port 5000 --nodes N1:127.0.0.1:6001,N2:127.0.0.1:6002,N3:127.0.0.1:6003

Exit codes: 0 stopped cleanly, 2 usage, 5 cannot start or had to stop, 9 corrupt store.")]
pub(crate) struct CoordinatorArgs {
    /// Port to listen on
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,

    /// All nodes and their addresses
    #[arg(long, value_name = "NAME:HOST:PORT,…")]
    pub(crate) nodes: NodeList,

    /// How long nodes may take to vote before the transaction aborts
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prepare_timeout_ms: u32,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What both kinds of server can be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Host to listen on; 0.0.0.0 listens everywhere, and there is no encryption or authentication yet
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) listen: Host,

    /// Where the store is; several processes may share a directory
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data_dir: PathBuf,

    /// Durability backend; fixed at the first start
    #[arg(long, value_name = "KIND", default_value = "json", value_parser = store_kind())]
    pub(crate) store: StoreKind,

    /// The cluster; fixed at the first start, and checked whenever processes meet
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub(crate) cluster: ClusterName,

    /// json: close the log's active segment and cut a checkpoint when it reaches this size
    #[arg(long, value_name = "BYTES", default_value_t = StoreConfig::SEGMENT_LEN_MAX, value_parser = clap::value_parser!(u64).range(4096..))]
    pub(crate) segment_bytes: u64,

    /// What to log on stderr; under load info tells of some 200 transactions a second, debug of all
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,

    /// Let failpoints be armed, here or later by a client: for demos and tests
    #[arg(long, help_heading = "Testing")]
    pub(crate) enable_failpoints: bool,

    /// Arm a failpoint: kill, stop, sleep:MS, panic, error:enospc, error:eio or torn:BYTES at a named point
    #[arg(
        long = "failpoint",
        value_name = "NAME=ACTION",
        requires = "enable_failpoints",
        help_heading = "Testing"
    )]
    pub(crate) failpoints: Vec<String>,

    /// Make kill -9 a power cut: what is not synced is kept in memory only. The number decides what survives all the same
    #[arg(
        long,
        value_name = "SEED",
        requires = "enable_failpoints",
        help_heading = "Testing"
    )]
    pub(crate) power_cut: Option<u64>,

    /// Stop when the pipe inherited as this file descriptor closes, that is when its other end's process is gone
    #[arg(long, value_name = "FD", help_heading = "Testing", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) parent_pipe: Option<i32>,
}

/// Parses a store kind, and lists them all in the help.
pub(crate) fn store_kind() -> impl TypedValueParser<Value = StoreKind> {
    PossibleValuesParser::new(["json", "sled"]).try_map(|kind| kind.parse::<StoreKind>())
}

/// Parses a conflict policy, and lists them all in the help.
pub(crate) fn locking() -> impl TypedValueParser<Value = Locking> {
    let named = |locking: Locking, help: &'static str| PossibleValue::new(locking.name()).help(help);
    PossibleValuesParser::new([
        named(Locking::NoWait, "The second transaction aborts at once"),
        named(
            Locking::Wait,
            "The second transaction waits if it is older, else it aborts at once",
        ),
        named(
            Locking::Escrow,
            "Debits reserve what they take, credits never conflict",
        ),
    ])
    .try_map(|locking| locking.parse::<Locking>())
}
