//! Why a transaction aborted. A reason has one spelling everywhere: `lock_contention_on_B`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{AccountId, NodeId, TxnId};

/// Why a transaction did not happen. Every reason is final for its request id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The debit is larger than what the account can spend.
    InsufficientFunds(AccountId),
    /// Another transaction holds the account.
    LockContention(AccountId),
    /// No such account; a transfer never opens one.
    UnknownAccount(AccountId),
    /// The credit would take the balance beyond what an account can hold.
    CreditOverflow(AccountId),
    /// The request names a node that this coordinator does not have.
    UnknownNode(NodeId),
    /// The node could not be reached before the decision.
    Unreachable(NodeId),
    /// The node did not vote in time.
    VoteTimeout(NodeId),
    /// The node's or the coordinator's identity changed; an operator has to `adopt` it first.
    Quarantined(NodeId),
    /// The node keeps its last free disk space for decisions already promised.
    DiskFull(NodeId),
    /// The coordinator keeps its last free disk space for decisions already promised.
    CoordinatorDiskFull,
    /// An audit holds new transactions back for a moment.
    AuditInProgress,
    /// The prepare came after its transaction had ended.
    Stale,
    /// The coordinator stopped before it decided.
    CoordinatorRestarted,
    /// The coordinator's unbroken log has no record of it, which means abort.
    PresumedAbort,
    /// Another attempt of the same request is the one that counts.
    Duplicate,
    /// An operator decided so.
    OperatorDecision,
}

/// What a client can do about a reason; each class has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// Not enough money: the same request cannot succeed before a credit.
    Funds,
    /// Somebody was in the way: a new request may succeed at once.
    Conflict,
    /// Anything else.
    Other,
}

impl Reason {
    /// What a client can do about it.
    pub fn class(&self) -> ReasonClass {
        match self {
            Reason::InsufficientFunds(_) => ReasonClass::Funds,
            Reason::LockContention(_) | Reason::AuditInProgress => ReasonClass::Conflict,
            Reason::UnknownAccount(_)
            | Reason::CreditOverflow(_)
            | Reason::UnknownNode(_)
            | Reason::Unreachable(_)
            | Reason::VoteTimeout(_)
            | Reason::Quarantined(_)
            | Reason::DiskFull(_)
            | Reason::CoordinatorDiskFull
            | Reason::Stale
            | Reason::CoordinatorRestarted
            | Reason::PresumedAbort
            | Reason::Duplicate
            | Reason::OperatorDecision => ReasonClass::Other,
        }
    }

    /// Whether a new request with the same legs may succeed without anyone changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Reason::LockContention(_)
            | Reason::AuditInProgress
            | Reason::Unreachable(_)
            | Reason::VoteTimeout(_)
            | Reason::Stale
            | Reason::CoordinatorRestarted
            | Reason::PresumedAbort => true,
            Reason::InsufficientFunds(_)
            | Reason::UnknownAccount(_)
            | Reason::CreditOverflow(_)
            | Reason::UnknownNode(_)
            | Reason::Quarantined(_)
            | Reason::DiskFull(_)
            | Reason::CoordinatorDiskFull
            | Reason::Duplicate
            | Reason::OperatorDecision => false,
        }
    }
}

impl Reason {
    /// The reason without what it is about, for counters: `lock_contention`.
    pub fn word(&self) -> &'static str {
        match self {
            Reason::InsufficientFunds(_) => "insufficient_funds",
            Reason::LockContention(_) => "lock_contention",
            Reason::UnknownAccount(_) => "unknown_account",
            Reason::CreditOverflow(_) => "credit_overflow",
            Reason::UnknownNode(_) => "unknown_node",
            Reason::Unreachable(_) => "cannot_reach",
            Reason::VoteTimeout(_) => "no_vote_in_time",
            Reason::Quarantined(_) => "quarantined",
            Reason::DiskFull(_) => "disk_full",
            Reason::CoordinatorDiskFull => "coordinator_disk_full",
            Reason::AuditInProgress => "audit_in_progress",
            Reason::Stale => "stale_prepare",
            Reason::CoordinatorRestarted => "coordinator_restarted",
            Reason::PresumedAbort => "presumed_abort",
            Reason::Duplicate => "duplicate_attempt",
            Reason::OperatorDecision => "operator_decision",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::InsufficientFunds(account) => write!(f, "insufficient_funds_on_{account}"),
            Reason::LockContention(account) => write!(f, "lock_contention_on_{account}"),
            Reason::UnknownAccount(account) => write!(f, "unknown_account_{account}"),
            Reason::CreditOverflow(account) => write!(f, "credit_overflow_on_{account}"),
            Reason::UnknownNode(node) => write!(f, "unknown_node_{node}"),
            Reason::Unreachable(node) => write!(f, "cannot_reach_{node}"),
            Reason::VoteTimeout(node) => write!(f, "no_vote_in_time_from_{node}"),
            Reason::Quarantined(node) => write!(f, "quarantined_{node}"),
            Reason::DiskFull(node) => write!(f, "disk_full_on_{node}"),
            Reason::CoordinatorDiskFull => f.write_str("coordinator_disk_full"),
            Reason::AuditInProgress => f.write_str("audit_in_progress"),
            Reason::Stale => f.write_str("stale_prepare"),
            Reason::CoordinatorRestarted => f.write_str("coordinator_restarted"),
            Reason::PresumedAbort => f.write_str("presumed_abort"),
            Reason::Duplicate => f.write_str("duplicate_attempt"),
            Reason::OperatorDecision => f.write_str("operator_decision"),
        }
    }
}

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Reason, &'static str> {
        const UNKNOWN: &str = "not a reason this version knows";
        let account = |name: &str| {
            if name == AccountId::world().as_str() {
                Ok(AccountId::world())
            } else {
                name.parse()
            }
            .map_err(|_| UNKNOWN)
        };
        let node = |name: &str| name.parse::<NodeId>().map_err(|_| UNKNOWN);
        let with = |prefix: &str| text.strip_prefix(prefix);
        if let Some(name) = with("insufficient_funds_on_") {
            account(name).map(Reason::InsufficientFunds)
        } else if let Some(name) = with("lock_contention_on_") {
            account(name).map(Reason::LockContention)
        } else if let Some(name) = with("unknown_account_") {
            account(name).map(Reason::UnknownAccount)
        } else if let Some(name) = with("credit_overflow_on_") {
            account(name).map(Reason::CreditOverflow)
        } else if let Some(name) = with("unknown_node_") {
            node(name).map(Reason::UnknownNode)
        } else if let Some(name) = with("cannot_reach_") {
            node(name).map(Reason::Unreachable)
        } else if let Some(name) = with("no_vote_in_time_from_") {
            node(name).map(Reason::VoteTimeout)
        } else if let Some(name) = with("quarantined_") {
            node(name).map(Reason::Quarantined)
        } else if let Some(name) = with("disk_full_on_") {
            node(name).map(Reason::DiskFull)
        } else {
            match text {
                "coordinator_disk_full" => Ok(Reason::CoordinatorDiskFull),
                "audit_in_progress" => Ok(Reason::AuditInProgress),
                "stale_prepare" => Ok(Reason::Stale),
                "coordinator_restarted" => Ok(Reason::CoordinatorRestarted),
                "presumed_abort" => Ok(Reason::PresumedAbort),
                "duplicate_attempt" => Ok(Reason::Duplicate),
                "operator_decision" => Ok(Reason::OperatorDecision),
                _ => Err(UNKNOWN),
            }
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
        crate::id::deserialize_text(deserializer)
    }
}

/// A NO with what stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Who holds the account, if that is why.
    pub holder: Option<Holder>,
}

/// A transaction in somebody's way, and for how long it has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The transaction.
    pub txn: TxnId,
    /// Whole seconds since the node promised it, or found it prepared at its start.
    pub held_s: u64,
}

impl Holder {
    /// One that has come just now.
    pub fn now(txn: TxnId) -> Holder {
        Holder { txn, held_s: 0 }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.txn.fmt(f)?;
        match self.held_s {
            0 => Ok(()),
            seconds => write!(f, " for {seconds} s"),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { reason, holder: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holder {
            Some(holder) => write!(f, "{} (held by {holder})", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

/// What the operator's word or a decision may be, without a reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// All legs happen.
    Commit,
    /// None happens.
    Abort(Reason),
}

impl Decision {
    /// Whether the legs happen.
    pub fn is_commit(&self) -> bool {
        matches!(self, Decision::Commit)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Commit => f.write_str("commit"),
            Decision::Abort(reason) => write!(f, "abort {reason}"),
        }
    }
}

/// A free text that crosses the wire: bounded, one line.
pub fn one_line(text: &str, len_max: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(len_max)
        .collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_own_text() {
        let account = || "a_on_b:1".parse::<AccountId>().unwrap();
        let node: NodeId = "N1".parse().unwrap();
        for reason in [
            Reason::InsufficientFunds(account()),
            Reason::LockContention(account()),
            Reason::UnknownAccount(account()),
            Reason::CreditOverflow(AccountId::world()),
            Reason::UnknownNode(node),
            Reason::Unreachable(node),
            Reason::VoteTimeout(node),
            Reason::Quarantined(node),
            Reason::DiskFull(node),
            Reason::CoordinatorDiskFull,
            Reason::AuditInProgress,
            Reason::Stale,
            Reason::CoordinatorRestarted,
            Reason::PresumedAbort,
            Reason::Duplicate,
            Reason::OperatorDecision,
        ] {
            assert!(reason.to_string().starts_with(reason.word()));
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!("lock_contention_on_".parse::<Reason>().is_err());
    }
}
