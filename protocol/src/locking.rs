//! What happens when two transactions want the same account: a node's policy for what it prepares from now on.
//!
//! The policy is chosen at each start. What was promised under another one keeps the kind of hold it was granted.

use core::fmt;
use core::str::FromStr;

use crate::id::{Birth, TxnId};
use crate::ledger::HoldKind;
use crate::message::Prepare;

/// A conflict policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locking {
    /// Whoever comes second aborts at once.
    #[default]
    NoWait,
    /// Whoever comes second waits if it is older, and aborts at once if it is younger.
    Wait,
    /// Debits reserve what they take, credits never conflict: only money that is really short stands in the way.
    Escrow,
}

impl Locking {
    /// All of them.
    pub const ALL: [Locking; 3] = [Locking::NoWait, Locking::Wait, Locking::Escrow];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Locking::NoWait => "no-wait",
            Locking::Wait => "wait",
            Locking::Escrow => "escrow",
        }
    }

    /// The kind of hold that it grants.
    pub fn hold(self) -> HoldKind {
        match self {
            Locking::NoWait | Locking::Wait => HoldKind::Exclusive,
            Locking::Escrow => HoldKind::Escrow,
        }
    }
}

impl fmt::Display for Locking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Locking {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Locking, &'static str> {
        let named = |locking: &Locking| locking.name() == text;
        let found = Locking::ALL.into_iter().find(named);
        found.ok_or("not a conflict policy: no-wait, wait or escrow")
    }
}

/// How old a transaction is, the same at every node: who is smaller is older. No two transactions have the same age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age {
    /// When its request was born. It stays, however often the request is tried again.
    pub birth: Birth,
    /// Tells apart what was born at the same time.
    pub txn: TxnId,
}

impl Age {
    /// The age of a transaction that asks to be prepared.
    pub fn of(prepare: &Prepare) -> Age {
        Age {
            birth: prepare.birth,
            txn: prepare.txn,
        }
    }
}
