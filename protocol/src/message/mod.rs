//! What travels between processes. Every message has a one-line notation (`Display`), shared by logs, transcripts
//! and traces; its first word names the kind of message.

mod client;
mod node;
mod report;
pub mod watch;

pub use client::{Answer, Ask, BalanceAnswer, Call, Outcome, Page, Reference, Reply, Target};
pub use node::{
    Executed, FromNode, Home, Knowledge, NodeAnswer, NodeQuestion, OperatorWord, Prepare, ToNode, Vote,
};
pub use report::{
    AuditReport, AuditVerdict, ClusterStatus, CoordinatorStatus, CoordinatorView, Freshness, InDoubt,
    LinkState, NodeLine, NodeStatus, NodeView, TxnReport, TxnState, Work,
};
