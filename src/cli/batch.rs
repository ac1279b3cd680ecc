//! Commands that move money line by line: what to read, how much at a time, and where the results go.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ConnectArgs;

/// Finished requests that a home certainly remembers (`--request-window`): no more may be on the way at a time.
const IN_FLIGHT_MAX: usize = 1_000_000;

/// Many transactions, one a line: each happens by itself, wholly or not at all
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A line holds the legs of one transaction, as `submit` takes them. They must add up to 0:
  N1/A:-30 N2/B:+10 N3/C:+20
JSONL works too: {\"legs\": [\"N1/A:-30\", \"N2/B:+30\"], \"request_id\": \"…\"}, or from, to and amount.

Examples:
  twopence submit-batch legs.txt --batch-id may --results may.jsonl
  generate | twopence submit-batch - --batch-id may --results may.jsonl

Interrupted, killed, or some outcomes unknown? Run the same command again: lines that have a result are skipped, \
the others are sent under the ids that they had. Everything else as for `transfer --stdin`; see its help.")]
pub(crate) struct SubmitBatchArgs {
    /// The file to read, or - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) bulk: BulkArgs,

    /// Lines on their way at a time
    #[arg(long, value_name = "N", default_value = "8192", value_parser = in_flight)]
    pub(crate) in_flight: NonZeroUsize,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How lines are read and where their results go.
#[derive(Args, Clone, Debug)]
#[group(id = "bulk", multiple = true)]
#[command(next_help_heading = "Many lines")]
pub(crate) struct BulkArgs {
    /// What the lines are; without it, the first character tells
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<LineFormat>,

    /// Name of this batch, for lines without a request_id: their ids are made of it and of the line's number, so a
    /// line keeps its id when the command is run again. Without it the batch gets a fresh name, which is printed
    #[arg(long, value_name = "NAME", value_parser = batch_id)]
    pub(crate) batch_id: Option<String>,

    /// Append results to this file instead of printing them, and skip lines that have one there
    #[arg(long, value_name = "FILE")]
    pub(crate) results: Option<PathBuf>,

    /// Go on behind a line that makes no sense, instead of stopping there
    #[arg(long)]
    pub(crate) skip_bad_lines: bool,

    /// Send lines that touch the same account at the same time, in any order. For nodes with --locking escrow or wait;
    /// with no-wait such lines abort each other
    #[arg(long)]
    pub(crate) unordered: bool,

    /// Show progress on stderr, even if it is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

/// What the lines of a batch look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// One JSON object a line
    Jsonl,
    /// from,to,amount and perhaps request_id
    Csv,
    /// Legs, as submit takes them
    Legs,
}

/// How many lines may be on their way.
pub(crate) fn in_flight(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse::<NonZeroUsize>().ok();
    let number = number.filter(|number| number.get() < IN_FLIGHT_MAX);
    number.ok_or_else(|| format!("use a number from 1 to {}", IN_FLIGHT_MAX - 1))
}

fn batch_id(text: &str) -> Result<String, String> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    if good {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 64 letters, digits, '_', '.', ':' or '-'".to_owned())
    }
}
