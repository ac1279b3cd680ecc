//! Commands that move money.

use std::num::NonZeroUsize;

use clap::Args;
use protocol::id::{AccountId, NodeId, Place, RequestId};
use protocol::leg::{BadOrder, Leg, Order};
use protocol::money::Amount;

use super::ConnectArgs;
use super::batch::{BulkArgs, in_flight};

/// Move money from one account to another: both sides happen, or neither does
#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "\
twopence transfer [OPTIONS] <FROM> <TO> <AMOUNT>
       twopence transfer [OPTIONS] --stdin
       twopence transfer [OPTIONS] --from-node <NODE> --from-account <ACCOUNT> --to-node <NODE> \
                --to-account <ACCOUNT> --amount <AMOUNT>",
    after_help = "\
Examples:
  twopence transfer N1/A N2/B 10
  twopence transfer --from-node N1 --from-account A --to-node N2 --to-account B --amount 10
  twopence transfer --stdin --batch-id may --results may.jsonl < may.csv

Prints TRANSFER_RESULT(success=true, …), or success=false with the reason, or success=unknown. \
After success=unknown repeat the command with --request-id and the id that was printed: the money moves at most once.

With --stdin each line of stdin is a transfer: CSV (from,to,amount and perhaps request_id; a first line may name the \
columns) or JSONL ({\"from\": \"N1/A\", \"to\": \"N2/B\", \"amount\": 10, \"request_id\": \"…\"}). Each has a line of \
JSON as its result, in the order in which they end: line, request_id, order, outcome, and txn or reason. Lines that \
touch the same account go one after the other, as they stand; others go at the same time.

Interrupted, killed, or some outcomes unknown? Run the same command again. Lines that have a result in --results are \
skipped; the others are sent under the ids that they had, and nothing moves twice. Without --results all lines are sent \
again, which is safe as long as their homes remember them: the last 1,000,000 requests of each node (--request-window). \
A line without a request_id has the id XXH3-128(batch-id, line break, line number), so keep the input as it is and use a \
--batch-id for one input only. --timeout-ms is how long one line may take; without an outcome by then it has no result.

The first line that makes no sense is named and ends the reading: neither it nor anything behind it is sent, what was read \
before is finished, and the exit code is 2. With --skip-bad-lines the rest goes on.

Exit codes: 0 committed, 3 insufficient funds, 4 conflict (try again), 5 aborted for another reason, \
6 unknown, 7 no coordinator, 10 request id reused with another body. With --stdin, of all lines together: 6 if any \
is unknown, else 2 if any makes no sense, else 10 if an id was reused, else 3, 4 or 5 if any aborted (5 if for several \
reasons), else 0."
)]
pub(crate) struct TransferArgs {
    /// Account to take from, such as N1/A
    #[arg(value_name = "FROM", required_unless_present_any = ["from_node", "stdin"], requires = "to",
          conflicts_with_all = ["from_node", "from_account", "to_node", "to_account", "amount_flag", "stdin", "bulk", "in_flight"])]
    from: Option<Place>,

    /// Account to give to, such as N2/B
    #[arg(value_name = "TO", requires = "amount")]
    to: Option<Place>,

    /// How much, in minor units: a whole number above 0
    #[arg(value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: Option<Amount>,

    /// Node to take from
    #[arg(long, value_name = "NODE", requires_all = ["from_account", "to_node", "to_account", "amount_flag"],
          conflicts_with_all = ["bulk", "in_flight"])]
    from_node: Option<NodeId>,

    /// Account to take from, on that node
    #[arg(long, value_name = "ACCOUNT", requires = "from_node")]
    from_account: Option<AccountId>,

    /// Node to give to
    #[arg(long, value_name = "NODE", requires = "from_node")]
    to_node: Option<NodeId>,

    /// Account to give to, on that node
    #[arg(long, value_name = "ACCOUNT", requires = "from_node")]
    to_account: Option<AccountId>,

    /// How much, in minor units: a whole number above 0
    #[arg(
        id = "amount_flag",
        long = "amount",
        value_name = "AMOUNT",
        allow_hyphen_values = true,
        requires = "from_node"
    )]
    amount_flag: Option<Amount>,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// Read transfers from stdin, one a line
    #[arg(long, conflicts_with_all = ["from_node", "request_id"])]
    pub(crate) stdin: bool,

    #[command(flatten)]
    pub(crate) bulk: BulkArgs,

    /// Lines on their way at a time
    #[arg(long, value_name = "N", default_value = "1024", value_parser = in_flight,
          help_heading = "Many lines")]
    pub(crate) in_flight: NonZeroUsize,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

impl TransferArgs {
    /// From, to, and how much, whichever way they were typed.
    pub(crate) fn parts(&self) -> (Place, Place, Amount) {
        let flags = || {
            let from = Place {
                node: self.from_node?,
                account: self.from_account.clone()?,
            };
            let to = Place {
                node: self.to_node?,
                account: self.to_account.clone()?,
            };
            Some((from, to, self.amount_flag?))
        };
        let positional = || Some((self.from.clone()?, self.to.clone()?, self.amount?));
        positional()
            .or_else(flags)
            .expect("clap accepts only one of the two forms, whole")
    }
}

/// Move money between any number of accounts: all legs happen, or none does
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence submit N1/A:-30 N2/B:+10 N3/C:+20   A pays B and C
  twopence submit N1/A:-5 N2/B:-5 N3/C:10      A and B pay C

The legs must add up to 0. Prints SUBMIT_RESULT(…); otherwise as transfer, the exit codes too.")]
pub(crate) struct SubmitArgs {
    /// Legs node/account:delta in minor units; negative takes, positive gives
    #[arg(value_name = "NODE/ACCOUNT:±DELTA", required = true, num_args = 1..)]
    pub(crate) legs: Vec<Leg>,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

impl SubmitArgs {
    /// The legs, merged per account and balanced.
    pub(crate) fn order(&self) -> Result<Order, BadOrder> {
        Order::new(&self.legs)
    }
}

/// Bring money in from outside; opens the account if there is none
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example:
  twopence deposit N1/A 100

The money is balanced against the node's own @world account, so that everything always adds up to 0. \
Prints DEPOSIT_RESULT(…); otherwise as transfer, the exit codes too.")]
pub(crate) struct DepositArgs {
    /// Account to give to, such as N1/A
    #[arg(value_name = "TO")]
    pub(crate) to: Place,

    /// How much, in minor units: a whole number above 0
    #[arg(value_name = "AMOUNT", allow_hyphen_values = true)]
    pub(crate) amount: Amount,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What makes a repeated request safe.
#[derive(Args, Clone, Debug)]
pub(crate) struct RequestArgs {
    /// Repeat a request whose outcome is unknown: 1 to 32 hexadecimal digits, a UUID is fine. Whatever is sent under
    /// one id happens at most once. Without it the request gets a fresh id
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,

    /// Make a new request that is as old as this one, which aborted: with --locking wait the oldest wins in the end
    #[arg(long, value_name = "ID", conflicts_with = "request_id")]
    pub(crate) retry_of: Option<RequestId>,
}
