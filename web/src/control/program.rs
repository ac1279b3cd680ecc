//! What does the control panel need of the program around it?
//!
//! This crate knows clients and processes. Which files a cluster has, and what is in them, the program knows.

use std::fmt::Debug;

use cluster::Keeper;
use serde::Deserialize;

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
