//! Asks every process what it still has about a transaction.

use std::time::Duration;

use protocol::id::{ClusterName, TxnId};
use protocol::message::watch::Sighting;

use crate::config::ClientConfig;
use crate::watch::Watch;

/// One process may take as long; a receipt is worth having without it.
const TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// What one process had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `coordinator` or a node's name.
    pub process: String,
    /// What it had, or why it could not be asked.
    pub what: Result<Source, String>,
}

/// What a process that answered had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// What it saw of the transaction.
    pub sightings: Vec<Sighting>,
    /// One transaction in so many is kept there now.
    pub every: u64,
}

/// Asks the coordinators of `config`, and the nodes that they know, what they still have about `txn`. A coordinator that did
/// not begin it has nothing and is left out, unless none did.
pub fn gather(config: &ClientConfig, txn: TxnId) -> Vec<Found> {
    let timeout = config.timeout.min(TIMEOUT_MAX);
    let mut found = Vec::new();
    let mut nodes = Vec::new();
    for address in &config.coordinators {
        let asked = ask(address, &config.cluster, txn, timeout, &mut nodes);
        found.push(Found {
            process: "coordinator".to_owned(),
            what: asked,
        });
    }
    if found.iter().any(Found::has_some) {
        found.retain(Found::has_some);
    }
    found.truncate(1);
    nodes.sort();
    nodes.dedup();
    for (node, address) in nodes {
        found.push(Found {
            process: node.to_string(),
            what: ask(&address, &config.cluster, txn, timeout, &mut Vec::new()),
        });
    }
    found
}

impl Found {
    fn has_some(&self) -> bool {
        self.what
            .as_ref()
            .is_ok_and(|source| !source.sightings.is_empty())
    }
}

fn ask(
    address: &str,
    cluster: &ClusterName,
    txn: TxnId,
    timeout: Duration,
    nodes: &mut Vec<(protocol::id::NodeId, String)>,
) -> Result<Source, String> {
    let mut asked = || {
        let mut watch = Watch::connect(address, cluster, timeout)?;
        nodes.extend(watch.nodes()?);
        let sightings = watch.recall(txn)?;
        let every = watch.numbers()?.every;
        Ok(Source { sightings, every })
    };
    asked().map_err(|error: crate::Error| error.to_string())
}
