//! What people ask about: audits, status, single transactions.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{CoordinatorId, Epoch, NodeId, RequestId, StoreId, TxnId};
use crate::leg::Operation;
use crate::message::client::Reference;
use crate::reason::Reason;

/// Whether all the money is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AuditReport {
    /// What the audit says.
    pub verdict: AuditVerdict,
    /// Money in accounts, over all nodes, committed transactions in full.
    pub in_accounts: i128,
    /// Money brought in by deposits: what must be in accounts.
    pub brought_in: i128,
    /// Prepared transactions that the cut found and counted as committed or not.
    pub prepared: u64,
}

/// What an audit says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AuditVerdict {
    /// What came in is what is there.
    Exact,
    /// Money was created or lost: the invariant is violated.
    Violated,
    /// The audit could not see everything; try again. Nothing is known to be wrong.
    Incomplete(String),
}

impl fmt::Display for AuditVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditVerdict::Exact => f.write_str("exact"),
            AuditVerdict::Violated => f.write_str("violated"),
            AuditVerdict::Incomplete(why) => write!(f, "incomplete: {why}"),
        }
    }
}

/// The cluster as one coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The coordinator itself.
    pub coordinator: CoordinatorStatus,
    /// Its nodes, in name order.
    pub nodes: Vec<LinkState>,
}

/// Numbers about a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CoordinatorStatus {
    /// Its identity: that of its log.
    pub id: CoordinatorId,
    /// Its start counter.
    pub epoch: Epoch,
    /// Its newest record.
    pub sequence: Seq,
    /// Transactions that have not ended.
    pub open: u64,
    /// Of those, decided COMMIT and not yet acknowledged by all.
    pub unacknowledged: u64,
    /// Audits, reads and questions under way.
    pub asking: u64,
    /// What its store has done since the process started.
    pub work: Work,
}

/// A node as a coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LinkState {
    /// It answered.
    Up(NodeId, NodeStatus),
    /// It is connected but quarantined: why.
    Quarantined(NodeId, String),
    /// It cannot be reached or did not answer in time.
    Down(NodeId),
}

impl LinkState {
    /// Which node.
    pub fn node(&self) -> NodeId {
        match self {
            LinkState::Up(node, _) | LinkState::Quarantined(node, _) | LinkState::Down(node) => *node,
        }
    }
}

/// Numbers about a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its store.
    pub store: StoreId,
    /// The backend, `json` or `sled`.
    pub kind: String,
    /// Its conflict policy.
    pub locking: String,
    /// Its newest record.
    pub sequence: Seq,
    /// How many accounts it has, without `@world`.
    pub accounts: u64,
    /// Transactions it has voted YES on and not heard the end of.
    pub prepared: u64,
    /// Request ids it remembers as home.
    pub requests: u64,
    /// How many finished ones it keeps at the least; a retry from beyond may run again.
    pub request_window: u64,
    /// The oldest finished request it remembers ended with this record; 0 if none.
    pub request_horizon: Seq,
    /// Whether it has disk space for new promises.
    pub has_room: bool,
    /// What its store has done since the process started.
    pub work: Work,
}

/// What a store has done since its process started. Machines know nothing of it: their drivers fill it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Work {
    /// Records appended.
    pub records: u64,
    /// Syncs that made something durable.
    pub syncs: u64,
    /// Bytes appended.
    pub bytes: u64,
    /// Checkpoints finished.
    pub checkpoints: u64,
}

/// Everything known about one transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TxnReport {
    /// What was asked for.
    pub reference: Reference,
    /// The transaction, if anyone knows it.
    pub txn: Option<TxnId>,
    /// What the asked coordinator holds.
    pub coordinator: CoordinatorView,
    /// What each node holds; `None` for a node that did not answer.
    pub nodes: Vec<(NodeId, Option<NodeView>)>,
}

/// What a coordinator holds of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CoordinatorView {
    /// Still collecting votes.
    Collecting {
        /// Everyone asked.
        participants: Vec<NodeId>,
    },
    /// COMMIT is on disk.
    Committed {
        /// Who has not acknowledged.
        unacknowledged: Vec<NodeId>,
    },
    /// Its one participant decides.
    Delegated {
        /// The participant.
        to: NodeId,
    },
    /// Nothing in an unbroken log: by presumed abort it did not commit, or it has ended everywhere.
    NoRecord,
    /// It belongs to another coordinator's log.
    NotMine,
}

/// What a node holds of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeView {
    /// The transaction; `None` if a request was asked for and is not known here.
    pub txn: Option<TxnId>,
    /// The request, where this node is its home and still remembers it.
    pub request: Option<RequestId>,
    /// Its state.
    pub state: TxnState,
    /// Set if an operator forced this state: why.
    pub forced: Option<String>,
    /// What it does or would do here, while prepared.
    pub operations: Vec<Operation>,
    /// Who takes part, while prepared.
    pub participants: Vec<NodeId>,
    /// Whether the transaction's coordinator is connected to this node.
    pub coordinator_connected: bool,
}

/// A transaction's state at one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TxnState {
    /// Not known here.
    Unknown,
    /// It ended here; how is no longer kept.
    Forgotten,
    /// Voted YES, waiting for the decision.
    Prepared,
    /// It happened.
    Committed,
    /// It did not happen.
    Aborted(Reason),
}

impl fmt::Display for TxnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TxnState::Unknown => f.write_str("unknown"),
            TxnState::Forgotten => f.write_str("ended (details no longer kept)"),
            TxnState::Prepared => f.write_str("prepared"),
            TxnState::Committed => f.write_str("committed"),
            TxnState::Aborted(reason) => write!(f, "aborted ({reason})"),
        }
    }
}

/// One prepared transaction at one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeLine {
    /// The transaction.
    pub txn: TxnId,
    /// What committing it would do here.
    pub operations: Vec<Operation>,
    /// Who takes part.
    pub participants: Vec<NodeId>,
    /// Seconds since this process prepared it or found it prepared.
    pub age_s: u64,
    /// Whether its coordinator is connected to this node.
    pub coordinator_connected: bool,
}

/// A transaction that has not ended somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InDoubt {
    /// The transaction.
    pub txn: TxnId,
    /// Seconds since the first node that has it learned of it.
    pub age_s: u64,
    /// Who takes part.
    pub participants: Vec<NodeId>,
    /// Where it is prepared, and what it would do there.
    pub prepared: Vec<(NodeId, Vec<Operation>)>,
    /// What the asked coordinator holds.
    pub coordinator: CoordinatorView,
    /// Whether its own coordinator is connected to every node that has it prepared: then it will end by itself.
    pub freshness: Freshness,
}

/// Who will end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Freshness {
    /// Its coordinator is connected and will.
    Deciding,
    /// Its coordinator is gone; it waits for its return or for an operator.
    InDoubt,
}
