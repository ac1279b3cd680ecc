//! What a node writes to its log.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{AccountId, CoordinatorId, Epoch, Incarnation, TxnId, TxnPoint};
use crate::ledger::HoldKind;
use crate::leg::{Nodes, Operations, few};
use crate::message::{Home, OperatorWord};
use crate::money::Balance;
use crate::plain::plain_records;
use crate::reason::Reason;

/// One line of a node's log. `action` is the tag; the words are those of the original description.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum NodeRecord {
    /// A hand-written balance file became this store's first state.
    AdoptBalances {
        /// Every account in the file.
        accounts: Vec<(AccountId, Balance)>,
        /// CRC-32 of the file.
        file_digest: u32,
    },
    /// A coordinator's new life was seen; lower epochs are refused from here on (R12). Forced.
    Coordinator {
        /// Whose.
        coordinator: CoordinatorId,
        /// Its start counter.
        epoch: Epoch,
        /// What that start calls itself.
        #[serde(with = "crate::id::hex")]
        incarnation: Incarnation,
    },
    /// The vote is YES (R2, R3). Forced.
    PrepareOk {
        /// The transaction.
        txn: TxnId,
        /// What commit will do here, one operation per account.
        #[serde(deserialize_with = "few")]
        operations: Operations,
        /// Whether a credited account is opened.
        opens: bool,
        /// All participants.
        #[serde(deserialize_with = "few")]
        participants: Nodes,
        /// Set at the request's home.
        home: Option<Home>,
        /// The hold it was granted; kept over restarts.
        hold: HoldKind,
    },
    /// The vote is NO: a tombstone, so that a late repeat cannot be prepared. Lazy.
    PrepareFailed {
        /// The transaction.
        txn: TxnId,
        /// Why.
        reason: Reason,
        /// Who held the account, if that was why.
        holder: Option<TxnId>,
        /// Set at the request's home: the request has ended with this.
        home: Option<Home>,
    },
    /// A prepared transaction is applied. Lazy: the decision is durable at the coordinator, the acknowledgement waits.
    Commit {
        /// The transaction.
        txn: TxnId,
    },
    /// A one-participant transaction is validated and applied in one step (R18). Forced.
    CommitOnePhase {
        /// The transaction.
        txn: TxnId,
        /// What it does.
        #[serde(deserialize_with = "few")]
        operations: Operations,
        /// Whether a credited account is opened.
        opens: bool,
        /// Its request.
        home: Home,
    },
    /// A prepared transaction is released, or an unknown one gets a tombstone (R10).
    Abort {
        /// The transaction.
        txn: TxnId,
        /// Why.
        reason: Reason,
        /// A request to bind to this abort, unless another attempt has it.
        bind: Option<Home>,
    },
    /// A coordinator's low-water mark: its transactions below have ended here.
    Mark {
        /// Whose.
        coordinator: CoordinatorId,
        /// The point.
        below: TxnPoint,
    },
    /// A coordinator's log has proved durable up to here (R22). Lazy.
    Proved {
        /// Whose.
        coordinator: CoordinatorId,
        /// The newest record of its log that it proved.
        through: Seq,
    },
    /// A coordinator's log has lost what it had proved: not trusted until an operator accepts it, however it grows.
    /// Forced.
    Quarantine {
        /// Whose.
        coordinator: CoordinatorId,
    },
    /// An operator accepted a coordinator's log as it is (R22). Forced.
    AcceptLog {
        /// Whose.
        coordinator: CoordinatorId,
        /// What it proves now.
        through: Seq,
    },
    /// An operator forced an outcome (R21). Forced.
    Resolve {
        /// The transaction.
        txn: TxnId,
        /// How.
        word: OperatorWord,
        /// Why, in the operator's words.
        why: String,
    },
    /// The truth about a forced outcome arrived. Forced.
    Truth {
        /// The transaction.
        txn: TxnId,
        /// What the coordinator had decided.
        truth: OperatorWord,
    },
    /// How many finished requests are remembered from here on.
    RequestWindow {
        /// At least this many.
        requests: u64,
    },
}

plain_records!(NodeRecord {
    "prepare_ok" PrepareOk { txn, operations, opens, participants, home, hold }
    "prepare_failed" PrepareFailed { txn, reason, holder, home }
    "commit" Commit { txn }
    "commit_one_phase" CommitOnePhase { txn, operations, opens, home }
    "abort" Abort { txn, reason, bind }
    "mark" Mark { coordinator, below }
    "proved" Proved { coordinator, through }
});

impl fmt::Display for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeRecord::AdoptBalances { accounts, .. } => {
                write!(f, "adopt_balances {} accounts", accounts.len())
            }
            NodeRecord::Coordinator {
                coordinator, epoch, ..
            } => write!(f, "coordinator {coordinator} epoch {epoch}"),
            NodeRecord::PrepareOk { txn, operations, .. } => {
                write!(f, "prepare_ok {txn}")?;
                operations
                    .iter()
                    .try_for_each(|operation| write!(f, " {operation}"))
            }
            NodeRecord::PrepareFailed { txn, reason, .. } => write!(f, "prepare_failed {txn} {reason}"),
            NodeRecord::Commit { txn } => write!(f, "commit {txn}"),
            NodeRecord::CommitOnePhase { txn, operations, .. } => {
                write!(f, "commit_one_phase {txn}")?;
                operations
                    .iter()
                    .try_for_each(|operation| write!(f, " {operation}"))
            }
            NodeRecord::Abort { txn, reason, .. } => write!(f, "abort {txn} {reason}"),
            NodeRecord::Mark { coordinator, below } => {
                write!(f, "mark {coordinator} {}-{}", below.epoch, below.sequence)
            }
            NodeRecord::Proved { coordinator, through } => write!(f, "proved {coordinator} {through}"),
            NodeRecord::Quarantine { coordinator } => write!(f, "quarantine {coordinator}"),
            NodeRecord::AcceptLog { coordinator, through } => write!(f, "accept_log {coordinator} {through}"),
            NodeRecord::Resolve { txn, word, why } => write!(f, "resolve {txn} {word}: {why}"),
            NodeRecord::Truth { txn, truth } => write!(f, "truth {txn} {truth}"),
            NodeRecord::RequestWindow { requests } => write!(f, "request_window {requests}"),
        }
    }
}
