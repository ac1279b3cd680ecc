//! What is checked while everything goes wrong: audits, and whether a store was caught having lost something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use client::{AuditVerdict, Client, ClientConfig};
use protocol::message::LinkState;
use serde::Serialize;

use super::finding::{Findings, Rule};
use super::load::Counters;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// Audits, by how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Audits {
    pub(super) exact: u64,
    pub(super) incomplete: u64,
    pub(super) unanswered: u64,
    pub(super) violated: u64,
}

impl Audits {
    /// Adds those of another watcher.
    pub(super) fn add(&mut self, other: &Audits) {
        self.exact += other.exact;
        self.incomplete += other.incomplete;
        self.unanswered += other.unanswered;
        self.violated += other.violated;
    }

    /// Takes what one audit said.
    pub(super) fn count(&mut self, client: &mut Client, counters: &Counters, findings: &Findings) {
        let Ok(report) = client.audit() else {
            self.unanswered += 1;
            return;
        };
        match report.verdict {
            AuditVerdict::Exact => {
                self.exact += 1;
                counters.audits.fetch_add(1, Ordering::Relaxed);
            }
            AuditVerdict::Incomplete(_) => self.incomplete += 1,
            AuditVerdict::Violated => {
                self.violated += 1;
                let (came, is) = (report.brought_in, report.in_accounts);
                let what = format!("an audit found {is} in accounts where {came} was brought in");
                findings.add(
                    Rule::V8,
                    what,
                    "the balances of all accounts, and the logs of the nodes",
                );
            }
        }
    }
}

/// Looks again and again until it is told to stop, or until something is found: then all else only follows from it.
pub(super) fn watch(
    config: &ClientConfig,
    stop: &AtomicBool,
    counters: &Counters,
    findings: &Findings,
) -> Audits {
    let config = ClientConfig {
        timeout: PATIENCE,
        ..config.clone()
    };
    let mut client = Client::new(config).expect("it names a coordinator and a timeout");
    let mut audits = Audits::default();
    while !stop.load(Ordering::Relaxed) && !findings.any() {
        audits.count(&mut client, counters, findings);
        look_for_quarantine(&mut client, findings);
        thread::sleep(PAUSE);
    }
    audits
}

/// A node or coordinator whose store went backwards has lost something that it had proved durable.
pub(super) fn look_for_quarantine(client: &mut Client, findings: &Findings) {
    let Ok(status) = client.status() else {
        return;
    };
    for link in status.nodes {
        match link {
            LinkState::Quarantined(node, why) => {
                let what = format!("{node} is quarantined, as after a loss of its store: {why}");
                findings.add(
                    Rule::V4,
                    what,
                    format!("the log of {node} and of the coordinator"),
                );
            }
            LinkState::Up(..) | LinkState::Down(_) => {}
        }
    }
}
