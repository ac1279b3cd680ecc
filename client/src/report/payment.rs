//! How did a request to move money end?

use protocol::id::{AccountId, RequestId};
use protocol::leg::Order;
use protocol::message::Outcome;
use protocol::reason::{Holder, Reason, Refusal};
use serde::Serialize;

use super::capitalised;
use crate::client::Submission;
use crate::error::Error;

/// The result of a request to move money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentReport {
    /// `committed`, `aborted`, `unknown`, `reused`, `rejected`, `failed` or `not_sent`.
    pub outcome: &'static str,
    /// `null` while nobody can tell.
    pub success: Option<bool>,
    /// Why it did not commit.
    pub reason: Option<String>,
    /// Whether a new request may succeed without anyone changing anything.
    pub retryable: bool,
    /// The transaction that holds the account, if that is the reason.
    pub holder: Option<String>,
    /// For how many seconds it has held it.
    pub held_s: Option<u64>,
    /// The transaction, if one was begun.
    pub txn: Option<String>,
    /// Send the same again under this id if the outcome is unknown.
    pub request_id: Option<String>,
    /// What happened and whether money moved, in words.
    pub message: String,
}

impl PaymentReport {
    /// Of an answer.
    pub fn of(submission: &Submission, order: &Order) -> PaymentReport {
        let request = submission.request;
        let report = PaymentReport {
            request_id: Some(request.to_string()),
            success: Some(false),
            ..PaymentReport::empty()
        };
        match &submission.outcome {
            Outcome::Committed { txn } => PaymentReport {
                outcome: "committed",
                success: Some(true),
                txn: Some(txn.to_string()),
                message: format!("Committed: {order}."),
                ..report
            },
            Outcome::Aborted { txn, refusal } => PaymentReport {
                outcome: "aborted",
                reason: Some(refusal.reason.to_string()),
                retryable: refusal.reason.retryable(),
                holder: refusal.holder.map(|holder| holder.txn.to_string()),
                held_s: refusal.holder.map(|holder| holder.held_s),
                txn: txn.map(|txn| txn.to_string()),
                message: format!("Aborted: {}. No money moved.", refusal_in_words(refusal, order)),
                ..report
            },
            Outcome::Unknown { why } => PaymentReport {
                outcome: "unknown",
                success: None,
                retryable: true,
                message: format!("Outcome unknown: {why}. The money moved once or not at all."),
                ..report
            },
            Outcome::Reused => PaymentReport {
                outcome: "reused",
                reason: Some("request_id_reused".to_owned()),
                message: format!(
                    "Refused: request id {request} was used before for something else. Nothing ran now, no money moved."
                ),
                ..report
            },
            Outcome::Rejected { why } => PaymentReport {
                outcome: "rejected",
                reason: Some("rejected".to_owned()),
                message: format!("Rejected: {why}. Nothing ran, no money moved."),
                ..report
            },
        }
    }

    /// Of a call without an answer. Nothing ran now, but an id that was `given` may have been sent before.
    pub fn of_error(error: &Error, given: Option<RequestId>) -> PaymentReport {
        let (outcome, reason) = match error {
            Error::Config(_) => ("rejected", "usage"),
            Error::NoCoordinator(_) => ("not_sent", "no_coordinator"),
            // Not for a submit: it becomes an unknown outcome.
            Error::NoAnswer(_) => ("unknown", "no_answer"),
            Error::Failed(_) => ("failed", "failed"),
        };
        let text = capitalised(&error.to_string());
        PaymentReport {
            outcome,
            success: given.is_none().then_some(false),
            reason: Some(reason.to_owned()),
            request_id: given.map(|request| request.to_string()),
            message: match given {
                None => format!("{text}. No money moved."),
                Some(request) => format!(
                    "{text}. No money moved now; whether it did when request {request} was sent before is unknown."
                ),
            },
            ..PaymentReport::empty()
        }
    }

    fn empty() -> PaymentReport {
        PaymentReport {
            outcome: "",
            success: None,
            reason: None,
            retryable: false,
            holder: None,
            held_s: None,
            txn: None,
            request_id: None,
            message: String::new(),
        }
    }
}

/// Why a transaction aborted, in words for people: the middle of a sentence.
pub fn refusal_in_words(refusal: &Refusal, order: &Order) -> String {
    match &refusal.reason {
        Reason::InsufficientFunds(account) => {
            format!("{} holds less than what would be taken", place(order, account))
        }
        Reason::LockContention(account) => {
            let place = place(order, account);
            match refusal.holder {
                None => format!("another transaction holds {place}"),
                Some(Holder { txn, held_s: 0 }) => {
                    format!("another transaction ({txn}) holds {place}, for less than a second so far")
                }
                Some(Holder { txn, held_s }) => {
                    format!("another transaction ({txn}) holds {place}, for {held_s} s so far")
                }
            }
        }
        Reason::UnknownAccount(account) => format!("there is no account {}", place(order, account)),
        Reason::CreditOverflow(account) => {
            format!("{} would hold more than an account can", place(order, account))
        }
        Reason::UnknownNode(node) => format!("the coordinator knows no node {node}"),
        Reason::Unreachable(node) => format!("node {node} could not be reached before the decision"),
        Reason::VoteTimeout(node) => format!("node {node} did not vote in time"),
        Reason::Quarantined(node) => {
            format!("node {node} is quarantined, because its store is not the one that the coordinator knows")
        }
        Reason::DiskFull(node) => format!("node {node} has no disk space for new promises"),
        Reason::CoordinatorDiskFull => "the coordinator has no disk space for new decisions".to_owned(),
        Reason::AuditInProgress => "an audit holds new transactions back for a moment".to_owned(),
        Reason::Stale => "it reached a node after it had ended".to_owned(),
        Reason::CoordinatorRestarted => "the coordinator stopped before it decided".to_owned(),
        Reason::PresumedAbort => "its coordinator has no record of a decision, which means abort".to_owned(),
        Reason::Duplicate => "another attempt of this request is the one that counts".to_owned(),
        Reason::OperatorDecision => "an operator decided so".to_owned(),
    }
}

/// The account with its node, as far as the order tells it.
pub fn place(order: &Order, account: &AccountId) -> String {
    let leg = order.legs().iter().find(|leg| leg.place.account == *account);
    leg.map_or_else(|| account.to_string(), |leg| leg.place.to_string())
}
