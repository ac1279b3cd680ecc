//! Demonstrations that assert their own result.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use engine::StoreKind;
use log::LevelFilter;
use protocol::id::ClusterName;

use super::address::Address;
use super::connect::log_level;
use super::serve::store_kind;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Three transfers at once over three nodes: all commit, and the sums come out exactly
    Concurrent(DemoArgs),
    /// Two transfers want one account: one commits, the other aborts with lock_contention_on_B
    Conflict(DemoArgs),
    /// A node is killed in the middle of a transfer; it recovers and both sides agree
    NodeCrash {
        /// Where it is killed; all four in turn if left out
        #[arg(long, value_enum, value_name = "POINT")]
        at: Option<NodeCrashPoint>,
        #[command(flatten)]
        args: DemoArgs,
    },
    /// Everything is stopped, then everything is killed; after each start the balances are the same
    Restart(DemoArgs),
    /// The coordinator is killed in the middle of a transfer; it recovers and finishes what it had decided
    CoordinatorCrash {
        /// Where it is killed; all three in turn if left out
        #[arg(long, value_enum, value_name = "POINT")]
        at: Option<CoordinatorCrashPoint>,
        #[command(flatten)]
        args: DemoArgs,
    },
    /// All of the above
    All(DemoArgs),
}

/// Where a demonstration runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// A running cluster to use, started by `twopence up`; a fresh one of its own if left out
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) coord: Option<Address>,

    /// The name of the running cluster
    #[arg(long, value_name = "NAME", default_value = "local", requires = "coord")]
    pub(crate) cluster: ClusterName,

    /// Durability backend of its own cluster
    #[arg(long, value_name = "KIND", default_value = "json", value_parser = store_kind(), conflicts_with = "coord")]
    pub(crate) store: StoreKind,

    /// Write what was seen, and what is in the files afterwards, as Markdown
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "RESULTS.md")]
    pub(crate) report: Option<PathBuf>,

    /// What to log on stderr
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}

/// Where in a transaction a node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NodeCrashPoint {
    /// Asked to prepare, has not voted: the transfer aborts
    BeforeVote,
    /// Voted YES: the transfer commits
    AfterVote,
    /// Told to commit, has not recorded it: the transfer commits
    BeforeApply,
    /// Recorded the commit, has not acknowledged it: the transfer commits
    AfterApply,
}

/// Where in a transaction the coordinator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoordinatorCrashPoint {
    /// After it asked the nodes to prepare: the transfer aborts
    Prepare,
    /// All voted YES, the decision is not recorded: the transfer aborts
    BeforeCommit,
    /// The decision is recorded, nobody knows it: the transfer commits
    AfterCommit,
}
