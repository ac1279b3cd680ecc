//! Which transaction is a message or a record about? For those who look on; the machines never ask.
//!
//! Questions and their answers are about none, also where they name one: they change nothing, and nobody who steps
//! through a transaction wants to wait for them.

use crate::coordinator::{CoordinatorMessage, CoordinatorRecord};
use crate::id::TxnId;
use crate::message::{Answer, FromNode, Outcome, Reply, ToNode};
use crate::participant::NodeRecord;

impl ToNode {
    /// The transaction that this is about.
    pub fn txn(&self) -> Option<TxnId> {
        match self {
            ToNode::Prepare(prepare) | ToNode::Execute(prepare) => Some(prepare.txn),
            ToNode::Decide { txn, .. }
            | ToNode::Query { txn, .. }
            | ToNode::Recall { txn, .. }
            | ToNode::Pending { txn }
            | ToNode::NotMine { txn } => Some(*txn),
            ToNode::Join { .. } | ToNode::Mark { .. } | ToNode::Ask { .. } => None,
        }
    }
}

impl FromNode {
    /// The transaction that this is about.
    pub fn txn(&self) -> Option<TxnId> {
        match self {
            FromNode::Vote { txn, .. }
            | FromNode::Ack { txn, .. }
            | FromNode::Aborted { txn, .. }
            | FromNode::Executed { txn, .. }
            | FromNode::Inquiry { txn }
            | FromNode::Unmatched { txn }
            | FromNode::Mixed { txn, .. }
            | FromNode::Recalled { txn, .. } => Some(*txn),
            FromNode::Welcome { .. } | FromNode::Refuse { .. } | FromNode::Answer { .. } => None,
        }
    }
}

impl Reply {
    /// The transaction whose end this tells.
    pub fn txn(&self) -> Option<TxnId> {
        let Answer::Outcome(outcome) = &self.answer else {
            return None;
        };
        match outcome {
            Outcome::Committed { txn } => Some(*txn),
            Outcome::Aborted { txn, .. } => *txn,
            Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => None,
        }
    }
}

impl CoordinatorMessage {
    /// The transaction that this is about.
    pub fn txn(&self) -> Option<TxnId> {
        match self {
            CoordinatorMessage::Node(message) => message.txn(),
            CoordinatorMessage::Client(reply) => reply.txn(),
        }
    }
}

impl CoordinatorRecord {
    /// The transaction that this is about.
    pub fn txn(&self) -> Option<TxnId> {
        match self {
            CoordinatorRecord::Start { txn, .. }
            | CoordinatorRecord::Prepare { txn, .. }
            | CoordinatorRecord::Commit { txn }
            | CoordinatorRecord::Abort { txn, .. }
            | CoordinatorRecord::Complete { txn } => Some(*txn),
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => None,
        }
    }
}

impl NodeRecord {
    /// The transaction that this is about.
    pub fn txn(&self) -> Option<TxnId> {
        match self {
            NodeRecord::PrepareOk { txn, .. }
            | NodeRecord::PrepareFailed { txn, .. }
            | NodeRecord::Commit { txn }
            | NodeRecord::CommitOnePhase { txn, .. }
            | NodeRecord::Abort { txn, .. }
            | NodeRecord::Resolve { txn, .. }
            | NodeRecord::Truth { txn, .. } => Some(*txn),
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::RequestWindow { .. } => None,
        }
    }
}
