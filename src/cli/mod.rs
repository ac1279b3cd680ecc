//! What can be typed: one file of clap types for each group of commands. Parsing checks every name and number, so
//! that nothing malformed is ever sent.

mod address;
mod batch;
mod bench;
mod connect;
mod crash_test;
mod demo;
mod gateway;
mod pay;
mod read;
mod serve;
mod tx;
mod up;
mod verify;

use clap::{Parser, Subcommand};

pub(crate) use address::Address;
pub(crate) use batch::{BulkArgs, LineFormat, SubmitBatchArgs};
pub(crate) use bench::{BenchArgs, BenchSuite};
pub(crate) use connect::{ConnectArgs, OutputFormat};
pub(crate) use crash_test::CrashTestArgs;
pub(crate) use demo::{CoordinatorCrashPoint, DemoArgs, DemoCommand, NodeCrashPoint};
pub(crate) use gateway::GatewayArgs;
pub(crate) use pay::{DepositArgs, RequestArgs, SubmitArgs, TransferArgs};
pub(crate) use read::{AccountsArgs, AuditArgs, BalanceArgs, StatusArgs};
pub(crate) use serve::{CoordinatorArgs, NodeArgs, ServerArgs};
pub(crate) use tx::{AdoptArgs, DiagramForm, ListArgs, ResolveArgs, ShowArgs, TxCommand};
pub(crate) use up::{UP_NODES_MAX, UpArgs};
pub(crate) use verify::VerifyArgs;

/// Moves money between accounts on different nodes: both sides happen, or neither does.
#[derive(Debug, Parser)]
#[command(
    name = "twopence",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Try it, in two terminals:
  twopence up                       three nodes; N1/A, N2/B, N3/C hold 1000 each
  twopence transfer N1/A N2/B 10    moves 10
  twopence balance N2/B             prints 1010
  twopence audit                    checks that no money was made or lost

Exit codes of client commands:
  0   committed, or done
  2   usage: nothing was sent
  3   aborted: insufficient funds
  4   aborted: conflict, try again
  5   aborted or failed for another reason
  6   outcome unknown, or answer incomplete
  7   no coordinator can be reached
  8   an invariant is violated
  9   corrupt store
  10  request id reused with another body"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArgs),
    Gateway(GatewayArgs),
    Node(NodeArgs),
    Coordinator(CoordinatorArgs),
    Transfer(Box<TransferArgs>),
    Submit(SubmitArgs),
    SubmitBatch(SubmitBatchArgs),
    Deposit(DepositArgs),
    Balance(BalanceArgs),
    Accounts(AccountsArgs),
    Audit(AuditArgs),
    Status(StatusArgs),
    Verify(VerifyArgs),
    /// Look at single transactions, and end those in doubt
    #[command(subcommand)]
    Tx(TxCommand),
    Adopt(AdoptArgs),
    /// Watch the protocol at work: concurrent transfers, conflicts, crashes and recovery
    #[command(subcommand)]
    Demo(DemoCommand),
    CrashTest(CrashTestArgs),
    Bench(BenchArgs),
}
