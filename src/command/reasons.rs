//! Why a transaction aborted, in words for people, and what to do next.

use client::{AccountId, Holder, Order, Reason, Refusal, RequestId};

use crate::up::invocation::own_name;

/// What happened, that no money moved, and what to do: `again` is the command that asks for the same under a fresh
/// id, `flags` are what reaches the same cluster.
pub(super) fn explain(
    refusal: &Refusal,
    order: &Order,
    request: RequestId,
    again: &str,
    flags: &str,
) -> String {
    let what = what(refusal, order);
    let next = next(&refusal.reason, order, request, again, flags);
    format!("Aborted: {what}. No money moved. {next}")
}

fn what(refusal: &Refusal, order: &Order) -> String {
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

fn next(reason: &Reason, order: &Order, request: RequestId, again: &str, flags: &str) -> String {
    let program = own_name();
    match reason {
        Reason::InsufficientFunds(account) => {
            format!(
                "See what is there:\n  {program} balance {}{flags}",
                place(order, account)
            )
        }
        // Whoever keeps its age waits in the end, where nodes let it wait.
        Reason::LockContention(_) => format!("Try again:\n  {again} --retry-of {request}"),
        Reason::AuditInProgress
        | Reason::Unreachable(_)
        | Reason::VoteTimeout(_)
        | Reason::Stale
        | Reason::CoordinatorRestarted
        | Reason::PresumedAbort => format!("Try again:\n  {again}"),
        Reason::UnknownAccount(account) => {
            format!(
                "A deposit opens it:\n  {program} deposit {} AMOUNT{flags}",
                place(order, account)
            )
        }
        Reason::CreditOverflow(_) => "Use another account.".to_owned(),
        Reason::UnknownNode(_) => format!("See which nodes there are:\n  {program} status{flags}"),
        Reason::Quarantined(node) => {
            format!(
                "An operator has to find out what was lost, and then accept the store:\n  {program} adopt {node}{flags}"
            )
        }
        Reason::DiskFull(_) | Reason::CoordinatorDiskFull => format!("Free some, then try again:\n  {again}"),
        Reason::Duplicate | Reason::OperatorDecision => {
            format!("See what is known of it:\n  {program} tx show {request}{flags}")
        }
    }
}

/// The account with its node, as far as the order tells it.
fn place(order: &Order, account: &AccountId) -> String {
    let leg = order.legs().iter().find(|leg| leg.place.account == *account);
    leg.map_or_else(|| account.to_string(), |leg| leg.place.to_string())
}
