//! The Rust client: ask a Twopence cluster to move money, and know what became of it.
//!
//! A [`Client`] keeps one connection and asks one thing at a time. It decides nothing itself: whom to ask, when to ask
//! again and what is known in the end is the work of [`protocol::request`]; this crate gives it sockets and a clock.
//! A [`Pipeline`] keeps many requests in flight on one connection, one by one or in batches, and leaves retries to its
//! user. A [`Watch`] looks into one process while it works.
//!
//! ```no_run
//! use client::{Client, ClientConfig, Order, Outcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::new(ClientConfig::at(["127.0.0.1:5000"]))?;
//! let order = Order::transfer("N1/A".parse()?, "N2/B".parse()?, "10".parse()?)?;
//! let submission = client.submit(None, order.clone())?; // `None`: under a fresh request id
//! match submission.outcome {
//!     Outcome::Committed { txn } => println!("moved by {txn}"),
//!     Outcome::Aborted { refusal, .. } => println!("nothing moved: {refusal}"),
//!     // Nobody can tell yet. Asking again under the same id moves the money at most once.
//!     Outcome::Unknown { .. } => {
//!         client.submit(Some(submission.request), order)?;
//!     }
//!     Outcome::Reused | Outcome::Rejected { .. } => unreachable!("a fresh id, a checked order"),
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod config;
mod connection;
mod driver;
mod error;
mod pipeline;
pub mod receipt;
pub mod report;
mod watch;

pub use client::{Client, Submission};
pub use config::{ClientConfig, fresh_request_id, retried_request_id};
pub use error::Error;
pub use pipeline::{BATCH_MAX, Pipeline};
pub use protocol::histogram::Histogram;
pub use protocol::id::{AccountId, ClusterName, NodeId, Place, RequestId, TxnId};
pub use protocol::leg::{Leg, Order};
pub use protocol::message::watch::{
    Held, Holding, Numbers, Party, Seen, Sight, Sighting, StateEntry, StatePage, Traffic,
};
pub use protocol::message::{
    Answer, Ask, AuditReport, AuditVerdict, BalanceAnswer, ClusterStatus, InDoubt, OperatorWord, Outcome,
    Page, Reference, Target, TxnReport,
};
pub use protocol::money::{Amount, Balance};
pub use protocol::reason::{Holder, Reason, ReasonClass, Refusal};
pub use watch::Watch;
