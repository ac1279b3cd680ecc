//! Commands that look and change nothing.

use clap::Args;
use protocol::id::{NodeId, Place};

use super::ConnectArgs;

/// Print what an account holds
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence balance N1/A

Prints the number alone. Waits for transactions that hold the account; one that stays in doubt for longer than \
half of --timeout-ms makes it exit with 6 and name the transaction and the possible balances.")]
pub(crate) struct BalanceArgs {
    /// The account, such as N1/A
    #[arg(value_name = "ACCOUNT")]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// List accounts and their committed balances
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence accounts              of all nodes
  twopence accounts N1           of one

Balances are read page by page, each page of its own moment: use audit to check a sum.")]
pub(crate) struct AccountsArgs {
    /// A node; all of them if left out
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<NodeId>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Check over all nodes that no money was made or lost, while transfers go on
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence audit

Exit codes: 0 all the money is there, 6 incomplete (a node is away or something is in doubt: try again), \
8 money was made or lost.")]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Show the coordinators and nodes: who is up, what is open or in doubt, how far back request ids reach
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence status
  twopence status --coord 127.0.0.1:5000,127.0.0.1:5001   asks each of them")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
