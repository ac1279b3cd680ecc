//! What can a person do about a transaction that aborted?

use client::report::place;
use client::{Order, Reason, RequestId};

use crate::up::invocation::own_name;

/// What to do next: `again` is the command that asks for the same under a fresh id, `flags` are what reaches the same
/// cluster.
pub(super) fn next(reason: &Reason, order: &Order, request: RequestId, again: &str, flags: &str) -> String {
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
