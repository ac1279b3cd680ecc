//! What a coordinator writes to its log.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{Epoch, Incarnation, NodeId, RequestId, StoreId, TxnId, TxnPoint};
use crate::leg::Order;
use crate::plain::plain_records;
use crate::reason::Reason;

/// One line of a coordinator's log. `action` is the tag; the words are those of the original description.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum CoordinatorRecord {
    /// A new life begins (R11). Forced.
    Epoch {
        /// Start counter.
        epoch: Epoch,
        /// What this start calls itself.
        #[serde(with = "crate::id::hex")]
        incarnation: Incarnation,
    },
    /// A transaction begins. Lazy: if it is lost, presumed abort says the right thing.
    Start {
        /// The transaction.
        txn: TxnId,
        /// The request.
        request: RequestId,
        /// What it does.
        order: Order,
    },
    /// A node is asked to prepare (or, alone, to execute). Lazy.
    Prepare {
        /// The transaction.
        txn: TxnId,
        /// The node.
        node: NodeId,
    },
    /// All voted YES: it commits (R4). Forced.
    Commit {
        /// The transaction.
        txn: TxnId,
    },
    /// It does not commit. Lazy.
    Abort {
        /// The transaction.
        txn: TxnId,
        /// Why.
        reason: Reason,
    },
    /// Every participant has acknowledged, or the only one has decided (R13). Lazy.
    Complete {
        /// The transaction.
        txn: TxnId,
    },
    /// Every transaction that a node takes part in has ended below this point (R9b). Sent only once durable.
    Mark {
        /// The node.
        node: NodeId,
        /// The point.
        below: TxnPoint,
    },
    /// The store that stands behind a node's name, accepted at its first sight or by an operator.
    Node {
        /// The node.
        node: NodeId,
        /// Its store.
        store: StoreId,
        /// The newest record it has proved durable.
        proved: Seq,
        /// What it has lost of transactions below this point is given up.
        forgives: TxnPoint,
    },
    /// A node has lost what it had promised: unusable until an operator adopts it, however its log grows. Forced.
    Quarantine {
        /// The node.
        node: NodeId,
    },
    /// A node says that this log has lost what it had proved: nothing is presumed from it any more. Forced.
    Suspect {
        /// The node.
        node: NodeId,
    },
    /// An operator accepts this log as it is. Forced.
    Trust {
        /// The node whose word had made it suspect.
        node: NodeId,
    },
    /// A node's store has proved durable up to here (R22). Lazy.
    Proved {
        /// The node.
        node: NodeId,
        /// The newest record it has proved durable.
        through: Seq,
    },
}

plain_records!(CoordinatorRecord {
    "START" Start { txn, request, order }
    "PREPARE" Prepare { txn, node }
    "COMMIT" Commit { txn }
    "ABORT" Abort { txn, reason }
    "COMPLETE" Complete { txn }
    "MARK" Mark { node, below }
    "PROVED" Proved { node, through }
});

impl fmt::Display for CoordinatorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordinatorRecord::Epoch { epoch, .. } => write!(f, "EPOCH {epoch}"),
            CoordinatorRecord::Start { txn, order, .. } => write!(f, "START {txn} {order}"),
            CoordinatorRecord::Prepare { txn, node } => write!(f, "PREPARE {txn} {node}"),
            CoordinatorRecord::Commit { txn } => write!(f, "COMMIT {txn}"),
            CoordinatorRecord::Abort { txn, reason } => write!(f, "ABORT {txn} {reason}"),
            CoordinatorRecord::Complete { txn } => write!(f, "COMPLETE {txn}"),
            CoordinatorRecord::Mark { node, below } => {
                write!(f, "MARK {node} {}-{}", below.epoch, below.sequence)
            }
            CoordinatorRecord::Node { node, store, .. } => write!(f, "NODE {node} store {store}"),
            CoordinatorRecord::Quarantine { node } => write!(f, "QUARANTINE {node}"),
            CoordinatorRecord::Suspect { node } => write!(f, "SUSPECT {node}"),
            CoordinatorRecord::Trust { node } => write!(f, "TRUST {node}"),
            CoordinatorRecord::Proved { node, through } => write!(f, "PROVED {node} {through}"),
        }
    }
}
