//! What a message or a record means to those who look on. Services translate; the tap counts and keeps.

use protocol::id::TxnId;

/// What an input, a message or a record has to do with transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The transaction, if it has an id yet.
    pub txn: Option<TxnId>,
    /// What it means for the transaction.
    pub moment: Moment,
}

/// A point in a transaction's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Somebody asks for a transaction, which gets its id from a record of the same step.
    Asked {
        /// Whether the request may have been sent before.
        repeated: bool,
    },
    /// A coordinator begins it: it comes here, and is under way.
    Begins,
    /// It comes to a node.
    Comes,
    /// A node promises it: it is under way here.
    UnderWay,
    /// It ends: a coordinator tells its client, a node writes it down.
    Ends(End),
    /// Something in between.
    Passes,
}

/// How a transaction ended, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It happened.
    Committed,
    /// It did not: the reason's word.
    Aborted(&'static str),
    /// Somebody was told that nobody knows.
    Unknown,
}

impl Meaning {
    /// Something about `txn`.
    pub fn of(txn: TxnId, moment: Moment) -> Meaning {
        Meaning {
            txn: Some(txn),
            moment,
        }
    }
}
