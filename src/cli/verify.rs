//! `verify`: the stores of a cluster that stands still.

use std::path::PathBuf;

use clap::Args;
use log::LevelFilter;

use super::OutputFormat;
use super::connect::log_level;

/// Check the data directories of a stopped cluster: is all the money there, did everything happen once?
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence verify data                       everything that `up` keeps in one directory
  twopence verify /mnt/n1 /mnt/n2 /mnt/co    nodes and coordinators from several machines

Reads every store in the directories, checksums included, and changes none; a process that has one open has to stop \
first. Adds up by itself what the records say, and holds all stores against each other:
  V1  all balances add up to 0, @world and what is in doubt included
  V2  no account was ever below 0, or promised more than it held
  V3  no transaction ended in two ways; nothing was acted on before it was decided on disk
  V5  no request happened twice
  V6  the state files are what the records add up to
  V9  nothing that is held for one transaction was given to another
Transactions in doubt are listed: they end when their coordinator and nodes are running again. Logs reach back as far \
as the checkpoint before the last one, and sled stores keep no history: what cannot be checked is said. A sled store is \
copied to the system's temporary directory first, since opening it writes.

Exit codes: 0 nothing is wrong, 2 usage, 5 cannot read (a process has a store open), 6 incomplete (the store of some \
node is not in these directories, so its money cannot be counted), 8 an invariant is violated, 9 corrupt store.")]
pub(crate) struct VerifyArgs {
    /// The data directories of all nodes and coordinators of one cluster
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dirs: Vec<PathBuf>,

    /// How to print results on stdout
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,

    /// What to log on stderr
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}
