//! Coordinator ↔ node: two-phase commit itself, and the questions a coordinator passes on for its clients.
//!
//! Nodes never dial: the coordinator connects, joins, and from then on either side may speak.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{AccountId, Birth, Epoch, Incarnation, RequestId, StoreId, TxnId, TxnPoint};
use crate::leg::{BodyDigest, Nodes, Operations, few};
use crate::message::client::{BalanceAnswer, Page, Reference};
use crate::message::report::{NodeLine, NodeStatus, NodeView};
use crate::money::Balance;
use crate::reason::{Decision, Reason, Refusal};

/// What the home node needs to keep a request exactly-once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// The client's name for the request.
    pub request: RequestId,
    /// Digest of its legs.
    pub digest: BodyDigest,
    /// Whether the request may have been sent before.
    pub repeated: bool,
}

/// One node's share of a transaction, and all that a vote has to remember.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prepare {
    /// The transaction.
    pub txn: TxnId,
    /// What this node has to do; one operation per account, sorted.
    #[serde(deserialize_with = "few")]
    pub operations: Operations,
    /// Whether a credited account is opened if missing.
    pub opens: bool,
    /// All nodes that take part, sorted.
    #[serde(deserialize_with = "few")]
    pub participants: Nodes,
    /// When its request was born: with its id, its age.
    pub birth: Birth,
    /// Set at the request's home node only.
    pub home: Option<Home>,
}

/// Coordinator → node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ToNode {
    /// First message on a connection: who speaks, in which life, and what each has proved to the other so far (R12,
    /// R22). Answered by `Welcome` or `Refuse`.
    Join {
        /// The coordinator's start counter.
        epoch: Epoch,
        /// What this start calls itself.
        incarnation: Incarnation,
        /// The coordinator's log is durable up to here.
        durable: Seq,
        /// What its newest epochs called themselves: a log that was restored and went on differs here.
        history: Vec<(Epoch, Incarnation)>,
        /// The store the coordinator knows under this node's name, and the newest record that store proved durable.
        proved: Option<(StoreId, Seq)>,
    },
    /// Can you do this? Hold what it needs and promise (R1–R3). If lost, the vote times out into an abort.
    Prepare(Prepare),
    /// You are the only participant: do it or refuse, you decide (R18). If lost, the coordinator asks by `Query`.
    Execute(Prepare),
    /// Apply or release what you prepared. Resent until acknowledged; repeats are harmless. If lost, the participant
    /// stays in-doubt and its inquiry timer asks again.
    Decide {
        /// The transaction.
        txn: TxnId,
        /// Its end.
        decision: Decision,
        /// At the home of a repeated request: bind its id to the abort, durably, and answer `Aborted`.
        bind: Option<Home>,
        /// The coordinator's log is durable up to here.
        durable: Seq,
    },
    /// How did this one-participant transaction end? "Never seen" is answered only after a durable tombstone.
    Query {
        /// The transaction.
        txn: TxnId,
        /// Its request.
        home: Home,
    },
    /// What do you, its home, know of this request? Answered by `Recalled`.
    Recall {
        /// The asking attempt.
        txn: TxnId,
        /// The request.
        home: Home,
    },
    /// An inquiry cannot be answered yet: not decided, ask again. Never means abort.
    Pending {
        /// The transaction.
        txn: TxnId,
    },
    /// An inquiry about a transaction of another log: never means abort (R5).
    NotMine {
        /// The transaction.
        txn: TxnId,
    },
    /// Every transaction of mine below this point that you take part in has ended (R9b): forget outcomes, refuse ids.
    Mark {
        /// The low-water mark.
        below: TxnPoint,
        /// The coordinator's log is durable up to here.
        durable: Seq,
    },
    /// A question on a client's behalf. Answered by `Answer`.
    Ask {
        /// The coordinator's number for it.
        ask: u64,
        /// The question.
        question: NodeQuestion,
    },
}

/// Node → coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FromNode {
    /// You may speak.
    Welcome {
        /// The node's store.
        store: StoreId,
        /// The node's log is durable up to here.
        durable: Seq,
        /// Set when the node cannot trust this coordinator's log any more: why. Only questions are answered then.
        quarantine: Option<String>,
    },
    /// You may not. A coordinator refused as outdated must stop (R12).
    Refuse {
        /// Why.
        why: String,
    },
    /// The vote, durable if YES (R2).
    Vote {
        /// The transaction.
        txn: TxnId,
        /// Yes, no, or another attempt of the request came first.
        vote: Vote,
        /// The node's log is durable up to here.
        durable: Seq,
    },
    /// The commit is durable here (R13).
    Ack {
        /// The transaction.
        txn: TxnId,
        /// The node's log is durable up to here.
        durable: Seq,
    },
    /// The home durably knows the end of a repeated request whose attempt was aborted.
    Aborted {
        /// The attempt.
        txn: TxnId,
        /// What the home holds under the request id.
        knows: Knowledge,
    },
    /// How a one-participant transaction ended.
    Executed {
        /// The transaction.
        txn: TxnId,
        /// Its end.
        executed: Executed,
        /// The node's log is durable up to here.
        durable: Seq,
    },
    /// I am prepared and in-doubt: how did it end (R20)?
    Inquiry {
        /// The transaction.
        txn: TxnId,
    },
    /// You sent COMMIT for something I neither prepared nor know as finished: an alarm, never an acknowledgement.
    Unmatched {
        /// The transaction.
        txn: TxnId,
    },
    /// An operator had forced the other outcome here: acknowledged, but the two sides disagree (R21).
    Mixed {
        /// The transaction.
        txn: TxnId,
        /// What was forced.
        forced: OperatorWord,
    },
    /// What the home knows of a request.
    Recalled {
        /// The asking attempt.
        txn: TxnId,
        /// What it knows.
        knows: Knowledge,
    },
    /// The answer to a question.
    Answer {
        /// The coordinator's number for it.
        ask: u64,
        /// The answer.
        answer: Box<NodeAnswer>,
    },
}

/// A participant's vote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Vote {
    /// Everything COMMIT needs is reserved and on disk.
    Yes,
    /// It cannot be done.
    No(Refusal),
    /// The home knows the request from another attempt.
    Duplicate(Knowledge),
}

/// What a home holds under a request id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Knowledge {
    /// Nothing.
    Nothing,
    /// The id with another body.
    Reused,
    /// An attempt that has not ended.
    Open(TxnId),
    /// It happened.
    Committed(TxnId),
    /// It did not happen and never will.
    Aborted(TxnId, Reason),
}

/// How a one-participant transaction ended at its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Executed {
    /// It happened, durably.
    Committed,
    /// It did not happen.
    Refused(Refusal),
    /// Another attempt of the request came first.
    Duplicate(Knowledge),
}

/// What an operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorWord {
    /// Apply it.
    Commit,
    /// Release it.
    Abort,
}

/// A question that a coordinator passes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeQuestion {
    /// A point read.
    Balance {
        /// The account.
        account: AccountId,
        /// How long to wait for holds to end, in milliseconds.
        wait_ms: u32,
    },
    /// A page of accounts behind this one.
    Accounts(Option<AccountId>),
    /// Sum the balances now and list what is prepared: one side of a consistent cut.
    Cut,
    /// Refuse new prepares for at most a second, and answer [`NodeAnswer::Cut`] once nothing is prepared.
    Freeze,
    /// End a freeze, and say whether it had held until now.
    Thaw {
        /// The question that began it.
        freeze: u64,
    },
    /// Numbers about the node.
    Status,
    /// What is known of a transaction.
    Show(Reference),
    /// What is prepared.
    List,
    /// Force an outcome.
    Resolve {
        /// Which.
        txn: TxnId,
        /// How.
        word: OperatorWord,
        /// Why.
        why: String,
    },
    /// Accept this coordinator's log as it is now.
    Adopt {
        /// The coordinator's log is durable up to here.
        durable: Seq,
    },
    /// Arm a failpoint.
    Arm(String),
}

/// A node's answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeAnswer {
    /// A point read.
    Balance(BalanceAnswer),
    /// A page of accounts.
    Accounts(Page),
    /// One side of a cut.
    Cut {
        /// Sum of all balances, `@world` among them.
        sum: i128,
        /// `@world` alone.
        world: Balance,
        /// Every prepared transaction and what committing it would add to the sum.
        prepared: Vec<(TxnId, i128)>,
        /// Whether other coordinators have been seen here: their transactions may straddle this cut.
        others: bool,
    },
    /// Whether the freeze had held until it was ended.
    Thawed {
        /// It had.
        held: bool,
    },
    /// Numbers about the node.
    Status(NodeStatus),
    /// What is known of a transaction.
    Show(NodeView),
    /// What is prepared.
    List(Vec<NodeLine>),
    /// Done; a line that says what.
    Done(String),
    /// Not done; a line that says why.
    Failed(String),
}

impl fmt::Display for Prepare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.txn.fmt(f)?;
        for operation in &self.operations {
            write!(f, " {operation}")?;
        }
        if self.home.is_some_and(|home| home.repeated) {
            f.write_str(" (repeated)")?;
        }
        Ok(())
    }
}

impl fmt::Display for ToNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToNode::Join { epoch, durable, .. } => write!(f, "join epoch {epoch} durable {durable}"),
            ToNode::Prepare(prepare) => write!(f, "prepare {prepare}"),
            ToNode::Execute(prepare) => write!(f, "execute {prepare}"),
            ToNode::Decide {
                txn,
                decision: Decision::Commit,
                ..
            } => write!(f, "commit {txn}"),
            ToNode::Decide {
                txn,
                decision: Decision::Abort(reason),
                bind,
                ..
            } => {
                let bind = if bind.is_some() { " (bind request)" } else { "" };
                write!(f, "abort {txn} {reason}{bind}")
            }
            ToNode::Query { txn, .. } => write!(f, "query {txn}"),
            ToNode::Recall { txn, home } => write!(f, "recall {txn} request {}", home.request),
            ToNode::Pending { txn } => write!(f, "pending {txn}"),
            ToNode::NotMine { txn } => write!(f, "not-mine {txn}"),
            ToNode::Mark { below, .. } => write!(f, "mark {}-{}", below.epoch, below.sequence),
            ToNode::Ask { question, .. } => write!(f, "ask {question}"),
        }
    }
}

impl fmt::Display for FromNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FromNode::Welcome {
                store,
                durable,
                quarantine: None,
            } => {
                write!(f, "welcome store {store} durable {durable}")
            }
            FromNode::Welcome {
                quarantine: Some(why),
                ..
            } => write!(f, "welcome quarantined: {why}"),
            FromNode::Refuse { why } => write!(f, "refuse {why}"),
            FromNode::Vote {
                txn, vote: Vote::Yes, ..
            } => write!(f, "vote {txn} yes"),
            FromNode::Vote {
                txn,
                vote: Vote::No(refusal),
                ..
            } => write!(f, "vote {txn} no {refusal}"),
            FromNode::Vote {
                txn,
                vote: Vote::Duplicate(knows),
                ..
            } => {
                write!(f, "vote {txn} no duplicate, {knows}")
            }
            FromNode::Ack { txn, .. } => write!(f, "ack {txn}"),
            FromNode::Aborted { txn, knows } => write!(f, "aborted {txn} home knows {knows}"),
            FromNode::Executed {
                txn,
                executed: Executed::Committed,
                ..
            } => write!(f, "executed {txn} committed"),
            FromNode::Executed {
                txn,
                executed: Executed::Refused(refusal),
                ..
            } => {
                write!(f, "executed {txn} refused {refusal}")
            }
            FromNode::Executed {
                txn,
                executed: Executed::Duplicate(knows),
                ..
            } => {
                write!(f, "executed {txn} duplicate, {knows}")
            }
            FromNode::Inquiry { txn } => write!(f, "inquiry {txn}"),
            FromNode::Unmatched { txn } => write!(f, "unmatched {txn}"),
            FromNode::Mixed { txn, forced } => write!(f, "mixed {txn} forced {forced}"),
            FromNode::Recalled { txn, knows } => write!(f, "recalled {txn} {knows}"),
            FromNode::Answer { answer, .. } => write!(f, "answer {answer}"),
        }
    }
}

impl fmt::Display for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Knowledge::Nothing => f.write_str("nothing"),
            Knowledge::Reused => f.write_str("another body"),
            Knowledge::Open(txn) => write!(f, "open {txn}"),
            Knowledge::Committed(txn) => write!(f, "committed {txn}"),
            Knowledge::Aborted(txn, reason) => write!(f, "aborted {txn} {reason}"),
        }
    }
}

impl fmt::Display for OperatorWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OperatorWord::Commit => "commit",
            OperatorWord::Abort => "abort",
        })
    }
}

impl fmt::Display for NodeQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeQuestion::Balance { account, .. } => write!(f, "balance {account}"),
            NodeQuestion::Accounts(_) => f.write_str("accounts"),
            NodeQuestion::Cut => f.write_str("cut"),
            NodeQuestion::Freeze => f.write_str("freeze"),
            NodeQuestion::Thaw { .. } => f.write_str("thaw"),
            NodeQuestion::Status => f.write_str("status"),
            NodeQuestion::Show(reference) => write!(f, "show {reference}"),
            NodeQuestion::List => f.write_str("list"),
            NodeQuestion::Resolve { txn, word, .. } => write!(f, "resolve {txn} {word}"),
            NodeQuestion::Adopt { .. } => f.write_str("adopt"),
            NodeQuestion::Arm(failpoint) => write!(f, "arm {failpoint}"),
        }
    }
}

impl fmt::Display for NodeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeAnswer::Balance(BalanceAnswer::Is(balance)) => write!(f, "balance {balance}"),
            NodeAnswer::Balance(BalanceAnswer::InDoubt { lowest, highest, .. }) => {
                write!(f, "balance in-doubt {lowest} to {highest}")
            }
            NodeAnswer::Balance(BalanceAnswer::NoSuchAccount) => f.write_str("balance no such account"),
            NodeAnswer::Accounts(page) => write!(f, "accounts {}", page.accounts.len()),
            NodeAnswer::Cut { sum, prepared, .. } => write!(f, "cut sum {sum} prepared {}", prepared.len()),
            NodeAnswer::Thawed { held } => write!(f, "thawed held {held}"),
            NodeAnswer::Status(_) => f.write_str("status"),
            NodeAnswer::Show(view) => write!(f, "show {}", view.state),
            NodeAnswer::List(lines) => write!(f, "list {}", lines.len()),
            NodeAnswer::Done(text) => write!(f, "done {text}"),
            NodeAnswer::Failed(text) => write!(f, "failed {text}"),
        }
    }
}
