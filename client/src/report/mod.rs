//! What do answers look like to programs? One JSON object for each kind, the same on the command line and over HTTP;
//! and what happened in words for people, without the advice what to do next, which depends on where they are.

mod money;
mod payment;
mod status;
mod txn;

pub use money::{AccountLine, AuditLine, BalanceLine};
pub use payment::{PaymentReport, place, refusal_in_words};
pub use status::{CoordinatorLine, NodeLine};
pub use txn::{DoneLine, OpenLine, PreparedLine, TxnLine, TxnNodeLine, coordinator_in_words};

/// The text as the beginning of a sentence, without a full stop at its end.
pub fn capitalised(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    first.to_uppercase().chain(chars).collect()
}
