//! Commands about single transactions, and what only an operator may do.

use clap::{Args, Subcommand, ValueEnum};
use protocol::id::{NodeId, TxnId};
use protocol::message::{OperatorWord, Reference};

use super::ConnectArgs;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TxCommand {
    Show(ShowArgs),
    List(ListArgs),
    Resolve(ResolveArgs),
}

/// Show everything known about one transaction
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence tx show 9f3c2a71b0d4e655-1-7               by transaction id
  twopence tx show 5f0c9d2e8a7b4c61b3f2d1e0a9887766   by request id
  twopence tx show 9f3c2a71b0d4e655-1-7 --diagram     with all messages, records and syncs, while they are kept")]
pub(crate) struct ShowArgs {
    /// A transaction id or a request id
    #[arg(value_name = "ID")]
    pub(crate) reference: Reference,

    /// Its receipt: what every process saw of it, as a sequence diagram. Processes keep the newest transactions only
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    pub(crate) diagram: Option<DiagramForm>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How a diagram is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiagramForm {
    /// For a terminal
    Text,
    /// For tools that draw mermaid
    Mermaid,
}

/// List transactions that have not ended
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence tx list
  twopence tx list --in-doubt")]
pub(crate) struct ListArgs {
    /// Only those whose coordinator is gone: nobody is about to end them
    #[arg(long)]
    pub(crate) in_doubt: bool,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Force the outcome of an in-doubt transaction whose coordinator will not come back
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence tx resolve 9f3c2a71b0d4e655-1-7 abort --reason 'coordinator disk lost, ticket 4711'

Only for a coordinator that is gone for good: if it comes back with the other decision, the two sides of \
the transfer disagree, and that is reported. Look first, with tx show.")]
pub(crate) struct ResolveArgs {
    /// The transaction
    #[arg(value_name = "TXN")]
    pub(crate) txn: TxnId,

    /// How it ends
    #[arg(value_enum, value_name = "commit|abort")]
    pub(crate) word: Word,

    /// Why: kept with the decision
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// An operator's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Word {
    /// All legs happen
    Commit,
    /// None happens
    Abort,
}

impl From<Word> for OperatorWord {
    fn from(word: Word) -> OperatorWord {
        match word {
            Word::Commit => OperatorWord::Commit,
            Word::Abort => OperatorWord::Abort,
        }
    }
}

/// Accept a node's present store after its disk was replaced or restored
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence adopt N2

A node whose store changed, or went backwards, is quarantined: what it had promised may be lost. \
Find out what is missing first (status, tx list, audit), then adopt it. Asks one coordinator, the first that answers.")]
pub(crate) struct AdoptArgs {
    /// The node
    #[arg(value_name = "NODE")]
    pub(crate) node: NodeId,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

const REASON_LEN_MAX: usize = 200;

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("say why: it is kept with the decision".to_owned())
    } else if text.chars().count() > REASON_LEN_MAX || text.chars().any(char::is_control) {
        Err(format!("use one line of at most {REASON_LEN_MAX} characters"))
    } else {
        Ok(text.to_owned())
    }
}
