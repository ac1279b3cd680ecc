//! What a load cost each process: processor time, memory, syncs.

use std::time::Duration;

use client::ClusterStatus;
use protocol::message::{LinkState, Work};
use serde::Serialize;

use crate::measure::ratio;
use crate::site::Site;
use crate::usage::Usage;

/// What one process used from the begin of a load to its end, the warm-up included.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// `coordinator`, `N1`, `bench`.
    pub name: String,
    /// What the system tells of it; nothing about a cluster that was running already.
    pub usage: Option<Used>,
    /// What it tells of its store.
    pub store: Option<Stored>,
}

/// Processor time and memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Used {
    /// Microseconds of processor time for each transaction of the load that came to an end.
    pub cpu_us_per_txn: f64,
    /// Its share of one processor.
    pub cpu_share: f64,
    /// The most memory it had, in mebibytes.
    pub memory_peak_mib: f64,
}

/// What a store was given.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stored {
    /// Syncs.
    pub syncs: u64,
    /// Transactions of the load for each of them.
    pub txns_per_sync: f64,
    /// Records for each of them: its group size.
    pub records_per_sync: f64,
    /// Bytes in its log for each transaction of the load.
    pub bytes_per_txn: f64,
    /// Checkpoints.
    pub checkpoints: u64,
}

/// All processes at one moment.
#[derive(Debug)]
pub(crate) struct Moment(Vec<(String, Option<Usage>, Option<Work>)>);

impl Moment {
    /// This moment, of the processes of `site` and of this one.
    pub(crate) fn now(site: &Site) -> Result<Moment, String> {
        let status = site.status()?;
        let mut all: Vec<(String, Option<Usage>, Option<Work>)> = Vec::new();
        for (name, usage) in site.usages() {
            let work = work(&status, &name);
            all.push((name, Some(usage), work));
        }
        if all.is_empty() {
            for name in names(&status) {
                let work = work(&status, &name);
                all.push((name, None, work));
            }
        }
        all.push(("bench".to_owned(), Usage::of(std::process::id()), None));
        Ok(Moment(all))
    }

    /// What happened between this moment and `later`, with so many transactions in so much time.
    pub(crate) fn until(self, later: Moment, txns: u64, lasted: Duration) -> Vec<Process> {
        let txns = ratio(txns.max(1), 1);
        let pairs = self.0.into_iter().zip(later.0);
        pairs
            .map(|((_, usage_before, work_before), (name, usage, work))| Process {
                name,
                usage: usage_before.zip(usage).map(|(before, after)| {
                    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
                    Used {
                        cpu_us_per_txn: cpu * 1e6 / txns,
                        cpu_share: cpu / lasted.as_secs_f64().max(0.001),
                        memory_peak_mib: ratio(after.memory_peak, 1024 * 1024),
                    }
                }),
                store: work_before.zip(work).map(|(before, after)| {
                    let since = |after: u64, before: u64| after.saturating_sub(before);
                    let syncs = since(after.syncs, before.syncs);
                    let each = ratio(syncs.max(1), 1);
                    Stored {
                        syncs,
                        txns_per_sync: txns / each,
                        records_per_sync: ratio(since(after.records, before.records), 1) / each,
                        bytes_per_txn: ratio(since(after.bytes, before.bytes), 1) / txns,
                        checkpoints: since(after.checkpoints, before.checkpoints),
                    }
                }),
            })
            .collect()
    }
}

fn names(status: &ClusterStatus) -> Vec<String> {
    let nodes = status.nodes.iter().map(|link| link.node().to_string());
    std::iter::once("coordinator".to_owned()).chain(nodes).collect()
}

/// What the process of that name tells of its store.
fn work(status: &ClusterStatus, name: &str) -> Option<Work> {
    if name == "coordinator" {
        return Some(status.coordinator.work);
    }
    status.nodes.iter().find_map(|link| match link {
        LinkState::Up(node, status) if node.as_str() == name => Some(status.work),
        LinkState::Up(..) | LinkState::Quarantined(..) | LinkState::Down(_) => None,
    })
}
