//! What a check found, for people ([`Display`](std::fmt::Display)) and for programs ([`Serialize`]).

use protocol::fold::Seq;
use protocol::id::{CoordinatorId, NodeId, RequestId, StoreId, TxnId};
use protocol::leg::Operation;
use protocol::message::OperatorWord;
use serde::Serialize;

/// What must always hold. The numbers are those of the head of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Invariant {
    /// Conservation.
    V1,
    /// No overdraft.
    V2,
    /// All or nothing.
    V3,
    /// Told is true.
    V4,
    /// Exactly once.
    V5,
    /// Version chain.
    V6,
    /// Holds.
    V9,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What is violated.
    pub invariant: Invariant,
    /// Where it shows: a node's name, `coordinator` and its id, or `all nodes`.
    pub store: String,
    /// The transaction.
    pub txn: Option<TxnId>,
    /// The record.
    pub seq: Option<Seq>,
    /// What should be there.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// Something that could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unchecked {
    /// What would have been.
    pub invariant: Invariant,
    /// Why not.
    pub why: String,
    /// In how many cases.
    pub count: u64,
}

/// A store that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreLine {
    /// A node's name, or `coordinator` and its id.
    pub name: String,
    /// Its backend.
    pub kind: String,
    /// Its identity.
    pub store: StoreId,
    /// The newest record.
    pub through: Seq,
    /// The record from which on every state was checked; `None` where there is no history.
    pub checked_from: Option<Seq>,
    /// Records of the log that were read.
    pub records: usize,
    /// Accounts, without `@world`.
    pub accounts: usize,
    /// What recovery would say.
    pub notices: Vec<String>,
    /// Damage in files that a start does not need.
    pub damage: Vec<String>,
}

/// What a transaction's coordinator has on disk about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinatorWord {
    /// COMMIT: it will be applied.
    Commit,
    /// ABORT, or nothing, which means the same: it will be released.
    Abort,
    /// It was not decided: a restarted coordinator aborts it.
    Undecided,
    /// It is not known: the coordinator's store is not there, or no longer says.
    Unknown,
}

/// A promise whose outcome the node does not know yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InDoubt {
    /// The transaction.
    pub txn: TxnId,
    /// The node that holds accounts for it.
    pub node: NodeId,
    /// The record of the promise.
    pub since: Seq,
    /// What it holds, and what commit would do.
    pub operations: Vec<Operation>,
    /// Everyone who takes part.
    pub participants: Vec<NodeId>,
    /// What the coordinator has on disk.
    pub coordinator: CoordinatorWord,
    /// How it counts in [`Sum::in_doubt`].
    pub counts_as: OperatorWord,
}

/// A transaction that its coordinator has not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The transaction.
    pub txn: TxnId,
    /// Its request.
    pub request: RequestId,
    /// Everyone who takes part.
    pub participants: Vec<NodeId>,
    /// The record with COMMIT, if that is decided.
    pub committed: Option<Seq>,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Forced {
    /// Ended a transaction that was in doubt.
    Outcome {
        /// The transaction.
        txn: TxnId,
        /// At which node.
        node: NodeId,
        /// The record.
        seq: Seq,
        /// How.
        word: OperatorWord,
        /// Why, in the operator's words, where that is still known.
        why: Option<String>,
        /// How it ended elsewhere, if that is known; money is wrong by this node's part if that differs.
        elsewhere: Option<OperatorWord>,
    },
    /// Accepted the store of a node that had lost this transaction.
    GivenUp {
        /// The transaction.
        txn: TxnId,
        /// Whose store lacks it.
        node: NodeId,
    },
    /// Accepted the log of a coordinator that had lost this transaction's COMMIT.
    LogAccepted {
        /// The transaction.
        txn: TxnId,
        /// Whose log lacks it.
        coordinator: CoordinatorId,
    },
}

/// All balances of all nodes, `@world` included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// As they are: what is in accounts, less what was brought in.
    pub found: i128,
    /// What deposits have brought in, which is what `@world` owes.
    pub brought_in: i128,
    /// What transactions that are decided and still prepared somewhere will add there.
    pub in_doubt: i128,
    /// What operators kept from happening, or made happen, against the decision.
    pub forced: i128,
}

impl Sum {
    /// What has to be 0.
    pub fn total(&self) -> i128 {
        self.found + self.in_doubt + self.forced
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What must not be.
    pub violations: Vec<Violation>,
    /// The stores that were read.
    pub stores: Vec<StoreLine>,
    /// All the money.
    pub sum: Sum,
    /// Transactions that the stores know of.
    pub transactions: usize,
    /// Those of them that happened.
    pub committed: usize,
    /// Promises whose outcome their node does not know.
    pub in_doubt: Vec<InDoubt>,
    /// Transactions that their coordinator has not finished.
    pub open: Vec<Open>,
    /// What operators did.
    pub forced: Vec<Forced>,
    /// What could not be checked.
    pub unchecked: Vec<Unchecked>,
}

impl Report {
    /// Whether all the money could be counted.
    pub fn is_complete(&self) -> bool {
        let money = |unchecked: &Unchecked| unchecked.invariant == Invariant::V1;
        !self.unchecked.iter().any(money)
    }

    /// Whether a file is damaged, if only one that a start does not need.
    pub fn is_damaged(&self) -> bool {
        self.stores.iter().any(|store| !store.damage.is_empty())
    }
}
