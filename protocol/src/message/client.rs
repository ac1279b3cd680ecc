//! Client ↔ coordinator: a call has a number, its reply carries the same.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, BadName, NodeId, Place, RequestId, TxnId};
use crate::leg::Order;
use crate::message::node::OperatorWord;
use crate::message::report::{AuditReport, ClusterStatus, InDoubt, TxnReport};
use crate::money::Balance;
use crate::reason::Refusal;

/// Client → coordinator. Calls on one connection may overlap, and many may share a frame: a batch. Each is answered by
/// itself, as soon as it can be; replies come in any order, and those of one moment share frames too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the client; unique among the open calls of its connection.
    pub id: u64,
    /// The question.
    pub ask: Ask,
}

/// Coordinator → client: the answer to the call of the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The call's number.
    pub id: u64,
    /// The answer.
    pub answer: Answer,
}

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Make this happen, at most once under this id. Answered by [`Answer::Outcome`].
    Submit {
        /// The client's name for the request.
        request: RequestId,
        /// Whether it may have been sent before, by anybody to any coordinator. If so, "aborted" is answered only
        /// when the home node durably refuses every other attempt.
        repeated: bool,
        /// What to do.
        order: Order,
    },
    /// What does the account hold? Waits for the holds present when it arrives. Answered by [`Answer::Balance`].
    Balance {
        /// The account.
        place: Place,
        /// How long to wait for holds to end, in milliseconds; then the answer names them.
        wait_ms: u32,
    },
    /// A page of a node's accounts in name order. Answered by [`Answer::Accounts`].
    Accounts {
        /// The node.
        node: NodeId,
        /// Start behind this account; from the first if `None`.
        after: Option<AccountId>,
    },
    /// Does all the money add up? Answered by [`Answer::Audit`].
    Audit,
    /// How is everyone? Answered by [`Answer::Status`].
    Status,
    /// Everything known about one transaction. Answered by [`Answer::Txn`].
    Show(Reference),
    /// Transactions that are not finished, or only those in doubt. Answered by [`Answer::List`].
    List {
        /// Leave out those whose coordinator is connected and deciding.
        in_doubt: bool,
    },
    /// Force the outcome of an in-doubt transaction (R21). Answered by [`Answer::Done`].
    Resolve {
        /// Which.
        txn: TxnId,
        /// How.
        word: OperatorWord,
        /// Why, in the operator's words.
        why: String,
    },
    /// Accept a node's present store, and make it accept this coordinator's log (R22). Answered by [`Answer::Done`].
    Adopt {
        /// The node.
        node: NodeId,
    },
    /// Arm a named failpoint in a process started with `--enable-failpoints`. Answered by [`Answer::Done`].
    Arm {
        /// Where.
        target: Target,
        /// `name=action`.
        failpoint: String,
    },
}

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The coordinator that is asked.
    Coordinator,
    /// A node.
    Node(NodeId),
}

/// A transaction by either of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reference {
    /// By transaction id.
    Txn(TxnId),
    /// By the request that asked for it.
    Request(RequestId),
}

impl FromStr for Reference {
    type Err = BadName;

    /// A UUID has four dashes, a transaction id two, a plain request id none.
    fn from_str(text: &str) -> Result<Reference, BadName> {
        if text.matches('-').count() == 2 {
            text.parse().map(Reference::Txn)
        } else {
            text.parse().map(Reference::Request)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Txn(txn) => txn.fmt(f),
            Reference::Request(request) => request.fmt(f),
        }
    }
}

/// What a client can be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// How a request ended.
    Outcome(Outcome),
    /// A point read.
    Balance(BalanceAnswer),
    /// A page of accounts.
    Accounts(Page),
    /// An audit.
    Audit(AuditReport),
    /// The cluster.
    Status(ClusterStatus),
    /// One transaction.
    Txn(TxnReport),
    /// Open transactions.
    List(Vec<InDoubt>),
    /// It was done; a line that says what.
    Done(String),
    /// It was not done; a line that says why and what to do. No money moved because of this call.
    Failed(String),
}

/// How a request ended, as far as this coordinator can tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It happened, durably, exactly once.
    Committed {
        /// The transaction that did it.
        txn: TxnId,
    },
    /// It did not happen and never will under this request id.
    Aborted {
        /// The transaction that tried; `None` if none was begun.
        txn: Option<TxnId>,
        /// Why.
        refusal: Refusal,
    },
    /// It may or may not have happened: send the same request again under its id.
    Unknown {
        /// What is missing.
        why: String,
    },
    /// The request id was used before with another body. Nothing ran.
    Reused,
    /// The request makes no sense. Nothing ran.
    Rejected {
        /// Why.
        why: String,
    },
}

/// The answer to a point read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BalanceAnswer {
    /// The balance of one moment after the question arrived.
    Is(Balance),
    /// The account is held by transactions whose outcome did not become known in time.
    InDoubt {
        /// The transactions, oldest first.
        holders: Vec<TxnId>,
        /// The lowest balance that their outcomes allow.
        lowest: Balance,
        /// The highest.
        highest: Balance,
    },
    /// The node has no such account.
    NoSuchAccount,
}

/// A page of accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Page {
    /// Accounts and committed balances, in name order.
    pub accounts: Vec<(AccountId, Balance)>,
    /// Whether there are more behind the last.
    pub more: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ask.fmt(f)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Submit {
                request,
                repeated,
                order,
            } => {
                let repeated = if *repeated { " (repeated)" } else { "" };
                write!(f, "submit {request}{repeated} {order}")
            }
            Ask::Balance { place, .. } => write!(f, "balance {place}"),
            Ask::Accounts { node, after: None } => write!(f, "accounts {node}"),
            Ask::Accounts {
                node,
                after: Some(after),
            } => write!(f, "accounts {node} after {after}"),
            Ask::Audit => f.write_str("audit"),
            Ask::Status => f.write_str("status"),
            Ask::Show(reference) => write!(f, "show {reference}"),
            Ask::List { in_doubt: true } => f.write_str("list in-doubt"),
            Ask::List { in_doubt: false } => f.write_str("list"),
            Ask::Resolve { txn, word, .. } => write!(f, "resolve {txn} {word}"),
            Ask::Adopt { node } => write!(f, "adopt {node}"),
            Ask::Arm {
                target: Target::Coordinator,
                failpoint,
            } => write!(f, "arm coordinator {failpoint}"),
            Ask::Arm {
                target: Target::Node(node),
                failpoint,
            } => write!(f, "arm {node} {failpoint}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Outcome(outcome) => write!(f, "outcome {outcome}"),
            Answer::Balance(BalanceAnswer::Is(balance)) => write!(f, "balance {balance}"),
            Answer::Balance(BalanceAnswer::InDoubt {
                holders,
                lowest,
                highest,
            }) => {
                write!(
                    f,
                    "balance in-doubt {lowest} to {highest}, {} holders",
                    holders.len()
                )
            }
            Answer::Balance(BalanceAnswer::NoSuchAccount) => f.write_str("balance no such account"),
            Answer::Accounts(page) => write!(f, "accounts {}", page.accounts.len()),
            Answer::Audit(report) => write!(f, "audit {}", report.verdict),
            Answer::Status(_) => f.write_str("status"),
            Answer::Txn(report) => write!(f, "txn {}", report.reference),
            Answer::List(list) => write!(f, "list {}", list.len()),
            Answer::Done(text) => write!(f, "done {text}"),
            Answer::Failed(text) => write!(f, "failed {text}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Committed { txn } => write!(f, "committed {txn}"),
            Outcome::Aborted {
                txn: Some(txn),
                refusal,
            } => write!(f, "aborted {txn} {refusal}"),
            Outcome::Aborted { txn: None, refusal } => write!(f, "aborted {refusal}"),
            Outcome::Unknown { why } => write!(f, "unknown {why}"),
            Outcome::Reused => f.write_str("request id reused"),
            Outcome::Rejected { why } => write!(f, "rejected {why}"),
        }
    }
}
