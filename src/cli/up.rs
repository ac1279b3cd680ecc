//! A whole cluster on this machine.

use std::path::PathBuf;

use clap::Args;
use engine::StoreKind;
use log::LevelFilter;
use protocol::id::ClusterName;
use protocol::locking::Locking;

use super::connect::log_level;
use super::serve::{locking, store_kind};

/// Most nodes of a cluster on this machine.
pub(crate) const UP_NODES_MAX: u16 = 64;

/// Start nodes and a coordinator on this machine; Ctrl-C stops them all cleanly
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence up            N1, N2, N3 and a coordinator; N1/A, N2/B, N3/C get 1000
  twopence up --nodes 5 --store sled --data-dir /tmp/bank
  twopence up --fresh    starts over: deletes what is in the data directory

Everything is kept in the data directory: stop it, start it again, and the balances are the same.")]
pub(crate) struct UpArgs {
    /// How many nodes: N1, N2, …
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(UP_NODES_MAX)))]
    pub(crate) nodes: u16,

    /// Durability backend; fixed at the first start
    #[arg(long, value_name = "KIND", default_value = "json", value_parser = store_kind())]
    pub(crate) store: StoreKind,

    /// Where the stores are
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data_dir: PathBuf,

    /// The coordinator's port
    #[arg(long, value_name = "PORT", default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) coord_port: u16,

    /// The first node's port; the others take the ports behind it
    #[arg(long, value_name = "PORT", default_value_t = 6001, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: u16,

    /// Port of the control panel and the HTTP API; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,

    /// What happens when two transactions want the same account
    #[arg(long, value_name = "POLICY", default_value = "no-wait", value_parser = locking())]
    pub(crate) locking: Locking,

    /// Open no accounts on a new data directory
    #[arg(long)]
    pub(crate) empty: bool,

    /// Delete the cluster's files first; refused while any process uses them
    #[arg(long)]
    pub(crate) fresh: bool,

    /// The cluster's name; fixed at the first start
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub(crate) cluster: ClusterName,

    /// What the processes log on stderr; under load info tells of some 200 transactions a second, debug of all
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}
