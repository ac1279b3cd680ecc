//! Everything that happened to one transaction: gathered from all processes, told as one story.
//!
//! Three sources: what clients may ask ([`TxnReport`]) is durable and always there; what processes still have in their
//! rings ([`Watch::recall`](crate::Watch::recall)) tells messages, records and syncs with their times; how it ended
//! follows from both. What a ring no longer has, or never kept, is said in [`Receipt::note`].

mod diagram;
mod event;
mod gather;
mod order;
mod story;

use protocol::message::TxnReport;
use serde::Serialize;

use crate::report::TxnLine;

pub use diagram::{Diagram, Row, Step};
pub use event::Event;
pub use gather::{Found, Source, gather};
pub use order::in_order;

/// A transaction's receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// What was asked for.
    pub id: String,
    /// The transaction, if anyone knows it.
    pub txn: Option<String>,
    /// The request, if it is still remembered somewhere.
    pub request_id: Option<String>,
    /// `committed`, `aborted`, `open`, or `unknown` if nobody can tell any more.
    pub outcome: &'static str,
    /// Why it aborted.
    pub reason: Option<String>,
    /// Who held the account, if that was why.
    pub holder: Option<String>,
    /// What it does, as far as is known.
    pub legs: Vec<LegLine>,
    /// What happened, in an order in which nothing comes before its cause.
    pub events: Vec<Event>,
    /// Whether all of its life is in `events`.
    pub complete: bool,
    /// What is missing, and why; `null` if nothing is.
    pub note: Option<String>,
    /// What is durable.
    pub durable: TxnLine,
}

/// One account's part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegLine {
    /// The node.
    pub node: String,
    /// The account there.
    pub account: String,
    /// What it gains or loses.
    pub delta: i64,
}

impl Receipt {
    /// Of what clients may ask, and what the processes still had.
    pub fn of(report: &TxnReport, found: Vec<Found>) -> Receipt {
        story::tell(report, found)
    }

    /// The drawing of its events.
    pub fn diagram(&self) -> Diagram {
        Diagram::of(&self.events)
    }
}
