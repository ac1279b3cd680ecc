//! What does the control panel need of the program around it?
//!
//! This crate knows clients and processes. Which files a cluster has, and what is in them, the program knows.

use std::fmt::Debug;
use std::path::Path;

use client::{Target, TxnId};
use cluster::Keeper;
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

    /// Every named point at which a process can be made to die.
    fn failpoints(&self) -> Vec<Failpoint>;
}

/// What a store held at one moment.
pub trait Stored: Send {
    /// What is known of a transaction there.
    fn about(&self, txn: TxnId) -> OnDisk;
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
