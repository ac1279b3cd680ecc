//! `bench`: how fast it is on this machine.

use std::path::PathBuf;
use std::time::Duration;

use benches::workload::Dist;
use clap::{Args, ValueEnum};
use engine::StoreKind;
use log::LevelFilter;
use protocol::id::ClusterName;
use protocol::locking::Locking;

use super::address::Address;
use super::connect::log_level;
use super::crash_test::time;
use super::serve::{locking, store_kind};

/// Measure how fast a cluster moves money on this machine, beside the disk it runs on
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence bench                                      64 clients, one transfer each in flight
  twopence bench --clients 1                          one transfer after the other: how long does it take?
  twopence bench --clients 4 --in-flight 256          1,024 in flight
  twopence bench --store json,sled --rate 5000        both stores at a fixed rate
  twopence bench --dist hot:1 --locking escrow        one account takes part in every transfer
  twopence bench --clients 8 --batch 8192             batches: how much can it move?
  twopence bench --watched-pairs 10                   what does it cost to be watched?
  twopence bench --suite plots --store json,sled --locking no-wait,wait,escrow --report bench.html

It starts a coordinator and nodes as processes of their own on free ports, with their stores in a temporary directory \
on the disk that --dir names, opens accounts, and drives transfers from one thread. --coord measures a cluster that \
runs already instead, and adds accounts to it.
In a closed loop each place in flight sends its next transfer when the last one is answered. With --rate transfers are \
sent when they are due, and a latency counts from then, however late it was sent: a pause counts for every transfer \
that fell into it.
Every run ends with an audit. Aborts are not tried again; only commits count as throughput.

Exit codes: 0 measured, 2 usage, 5 could not be measured, 6 the audit could not see everything, 8 money was made or \
lost.")]
pub(crate) struct BenchArgs {
    /// Durability backends, measured one after the other
    #[arg(long, value_name = "KIND[,…]", value_delimiter = ',', default_value = "json", value_parser = store_kind())]
    pub(crate) store: Vec<StoreKind>,

    /// Conflict policies, measured one after the other
    #[arg(
        long,
        value_name = "POLICY[,…]",
        value_delimiter = ',',
        default_value = "no-wait",
        value_parser = locking()
    )]
    pub(crate) locking: Vec<Locking>,

    /// How many clients, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub(crate) clients: u16,

    /// How many requests each client keeps in flight
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(crate) in_flight: u16,

    /// Transfers a second to send, whatever becomes of them; as fast as answers come if left out
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,

    /// How many accounts, over all nodes
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(16..=99_999_999))]
    pub(crate) accounts: u64,

    /// Which accounts: uniform; zipf:S, rank k as often as 1/k^S; hot:F, a share F of transfers touches one account
    #[arg(long, value_name = "DIST", default_value = "uniform")]
    pub(crate) dist: Dist,

    /// Legs of each transaction: one debit, and credits on other nodes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub(crate) legs: u8,

    /// Transactions in each request: one frame, each with an outcome of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8192))]
    pub(crate) batch: u16,

    /// How many nodes to start
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) nodes: u16,

    /// How many coordinators to start; clients are spread over them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) coordinators: u16,

    /// How long to measure, such as 10s or 5m; 10s if left out, in a suite or a pair 2s for each figure
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,

    /// How long to run before anything counts; 2s if left out, in a suite or a pair 1s
    #[arg(long, value_name = "TIME", value_parser = time)]
    warmup: Option<Duration>,

    /// What decides which accounts are chosen
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,

    /// A directory on the disk to measure on; the system's temporary one if left out
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Measure a cluster that runs already: its coordinators
    #[arg(long, value_name = "HOST:PORT[,…]", value_delimiter = ',', conflicts_with_all = ["store", "locking", "nodes", "coordinators", "dir"])]
    pub(crate) coord: Vec<Address>,

    /// The cluster that --coord must belong to
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub(crate) cluster: ClusterName,

    /// Also write everything that was measured there, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Also write a page with plots there: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Measure many settings in a row instead
    #[arg(long, value_enum, value_name = "SUITE", conflicts_with_all = ["coord", "rate"])]
    pub(crate) suite: Option<BenchSuite>,

    /// Instead run so many pairs in turns, with and without somebody who follows every process, and compare them
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1000),
        conflicts_with_all = ["coord", "suite", "report"]
    )]
    pub(crate) watched_pairs: Option<u16>,

    /// What to log on stderr
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}

/// Settings that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchSuite {
    /// What the plots of a report need: clients by store, a hot account by policy, nodes, restarts by length of log
    Plots,
    /// A load, and a node that is killed with kill -9 in the middle of another: how long until it is back?
    Restart,
    /// 1,000 accounts up to --accounts (and 10,000,000) with a restart each, 3 to 12 nodes, 1 to 4 coordinators
    Scale,
}

impl BenchArgs {
    /// How long to measure.
    pub(crate) fn time(&self) -> Duration {
        let seconds = if self.is_short() { 2 } else { 10 };
        self.time.unwrap_or(Duration::from_secs(seconds))
    }

    /// How long to run before anything counts.
    pub(crate) fn warmup(&self) -> Duration {
        let seconds = if self.is_short() { 1 } else { 2 };
        self.warmup.unwrap_or(Duration::from_secs(seconds))
    }

    /// Whether there are many runs.
    fn is_short(&self) -> bool {
        self.suite.is_some() || self.watched_pairs.is_some()
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let good = |rate: &f64| (0.1..=10_000_000.0).contains(rate);
    let rate = text.parse().ok().filter(good);
    rate.ok_or_else(|| format!("{text:?} is not a rate: write transfers a second, from 0.1 to 10000000"))
}
