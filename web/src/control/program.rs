//! What does the control panel need of the program around it?
//!
//! This crate knows clients and processes. Which files a cluster has, and what is in them, the program knows.

use std::fmt::Debug;
use std::path::Path;

use client::{Target, TxnId};
use cluster::Keeper;
use protocol::message::watch::StatePage;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// What the program around the panel does for it.
pub trait Program: Debug + Send + Sync + 'static {
    /// How people call this program, for command lines that they can paste.
    fn name(&self) -> String;

    /// Stops everything, deletes the cluster's files, and starts a cluster of another shape with fresh accounts. Returns
    /// the accounts that were opened.
    ///
    /// # Errors
    /// If the shape makes no sense or its ports are taken: then the present cluster goes on with all that it has. If the
    /// new one does not start.
    fn renew(&self, keeper: &Keeper, shape: &Shape) -> Result<Vec<String>, Problem>;

    /// What the store of a process that does not run holds, read without changing it.
    ///
    /// # Errors
    /// If the process runs after all, has no store, or it is damaged.
    fn stored(&self, dir: &Path, owner: Target) -> Result<Box<dyn Stored>, Problem>;

    /// A page of the log of a json store, whether or not its process runs.
    ///
    /// # Errors
    /// If there is no such log, or the place to go on from is none.
    fn log(&self, dir: &Path, owner: Target, ask: &LogAsk) -> Result<LogPage, Problem>;

    /// Every named point at which a process can be made to die.
    fn failpoints(&self) -> Vec<Failpoint>;
}

/// What a store held at one moment.
pub trait Stored: Send {
    /// What is known of a transaction there.
    fn about(&self, txn: TxnId) -> OnDisk;

    /// A page of its entries, as a watch shows those of a process that runs.
    fn page(&self, after: Option<&str>) -> StatePage;

    /// How many entries each of its trees has.
    fn trees(&self) -> Vec<TreeLine>;
}

/// A group of entries, which a sled store keeps in a tree of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeLine {
    /// Its name.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
}

/// Which lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAsk {
    /// Those before this place, as [`LogPage::next`] said it; the newest if `None`.
    pub before: Option<String>,
    /// Those that name this transaction or request.
    pub naming: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Lines of a log, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<WalLine>,
    /// Where to go on; `None` at the log's beginning.
    pub next: Option<String>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WalLine {
    /// Where it stands: the segment's number, and how many bytes of it come before.
    pub at: String,
    /// Its record's sequence, if it is a record.
    pub seq: Option<u64>,
    /// The checksum as it is written there.
    pub crc: String,
    /// Whether that is right.
    pub crc_ok: bool,
    /// The record's action; `segment`, `synced` or `damaged` for other lines.
    pub action: String,
    /// The transaction that it is about.
    pub txn: Option<String>,
    /// What it says.
    pub text: String,
    /// The line.
    pub raw: String,
}

/// What a store says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisk {
    /// There is no record of it, or none any more.
    Nothing,
    /// A coordinator has begun it, and not decided.
    Begun,
    /// A node has promised it and waits for the decision.
    Promised,
    /// It commits: decided by a coordinator, applied by a node.
    Committed,
    /// It does not commit.
    Aborted,
    /// A coordinator has heard from all that they have applied it.
    Complete,
}

/// A named point in the work of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failpoint {
    /// `coordinator` or `node`; `any` for points of the stores.
    pub process: &'static str,
    /// The store that it is a point of, if it is one of a store: `json` or `sled`.
    pub store: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// What it means to die there.
    pub what: &'static str,
}

/// What a new cluster is made of; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// How many nodes.
    pub nodes: Option<u16>,
    /// The durability backend: `json` or `sled`.
    pub store: Option<String>,
    /// The conflict policy: `no-wait`, `wait` or `escrow`.
    pub locking: Option<String>,
    /// The coordinator's port.
    pub coord_port: Option<u16>,
    /// The first node's port.
    pub base_port: Option<u16>,
    /// Whether all that the present cluster has may be deleted. Nothing is done without.
    #[serde(default)]
    pub erase: bool,
}
