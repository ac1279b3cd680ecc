//! What clients were told, as far as somebody wrote it down: the other half of what the stores are held against.

use protocol::id::{RequestId, TxnId};
use protocol::leg::Order;

/// What is known from outside. Without any of it the stores are only held against each other.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What clients were told, in the order in which they heard it.
    pub told: Vec<Told>,
    /// Whether `told` names every request that was ever sent to this cluster. If so, the balances must be what the
    /// committed ones add up to.
    pub complete: bool,
    /// Whether everything has come to rest: all processes were up and connected for long enough. If so, nothing may be
    /// in doubt or open any more.
    pub settled: bool,
}

/// A request and what its client was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The request.
    pub request: RequestId,
    /// What it was to do.
    pub order: Order,
    /// The answer.
    pub word: Word,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It happened, by this transaction.
    Committed(TxnId),
    /// It did not.
    Aborted {
        /// The attempt that aborted, if one was begun.
        txn: Option<TxnId>,
        /// Whether the request was marked as repeated when this was said, so that no later attempt may succeed either.
        is_final: bool,
    },
    /// There was no answer: it happened or it did not.
    Unknown,
}
