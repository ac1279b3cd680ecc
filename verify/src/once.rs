//! Whether each request happened at most once (V5).

use std::collections::BTreeMap;

use protocol::id::{NodeId, RequestId, TxnId};
use protocol::leg::BodyDigest;
use protocol::message::OperatorWord;

use crate::decided::{Cluster, Decided};
use crate::findings::{At, Findings, Store, Why};
use crate::report::Invariant;

/// A transaction that happened for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) txn: TxnId,
    home: NodeId,
    digest: BodyDigest,
}

/// Every request that happened, and by which transactions.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    by_request: BTreeMap<RequestId, Vec<Run>>,
}

impl Runs {
    /// What homes, logs and coordinators tell together.
    pub(crate) fn of(cluster: &Cluster<'_>, decided: &Decided) -> Runs {
        let mut runs = Runs::default();
        for (&node, its) in &cluster.nodes {
            for (request, attempt) in its.book.requests.iter() {
                let committed = attempt
                    .ended
                    .is_some_and(|(word, _)| word == OperatorWord::Commit);
                if committed || decided.happened(attempt.txn) {
                    runs.add(request, attempt.txn, node, attempt.digest);
                }
            }
            for (txn, story) in its.stories.iter() {
                if let Some(home) = story.home.filter(|_| decided.happened(txn)) {
                    runs.add(home.request, txn, node, home.digest);
                }
            }
        }
        for coordinator in cluster.coordinators.values() {
            for (&txn, decision) in &coordinator.decisions {
                if let (Some(request), Some(order)) = (decision.request, decision.order)
                    && decided.happened(txn)
                {
                    runs.add(request, txn, order.home(), order.digest());
                }
            }
        }
        runs
    }

    /// The transactions that happened for one request: none or one.
    pub(crate) fn of_request(&self, request: &RequestId) -> &[Run] {
        self.by_request.get(request).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, request: RequestId, txn: TxnId, home: NodeId, digest: BodyDigest) {
        let runs = self.by_request.entry(request).or_default();
        if runs.iter().all(|run| run.txn != txn) {
            runs.push(Run { txn, home, digest });
        }
    }

    /// Reports every request that happened twice, and every one that is not kept where it belongs.
    pub(crate) fn check(&self, cluster: &Cluster<'_>, findings: &mut Findings) {
        check_homes(cluster, findings);
        for (&request, runs) in &self.by_request {
            let Some((first, others)) = runs.split_first() else {
                continue;
            };
            for other in others {
                let home = cluster.nodes.get(&first.home);
                if first.home != other.home && first.digest != other.digest {
                    findings.unchecked(Invariant::V5, Why::Reused(request));
                } else if home.is_some_and(|home| home.book.requests.has_forgotten) {
                    findings.unchecked(Invariant::V5, Why::BeyondWindow(first.home));
                } else {
                    let at = At::store(Store::Node(first.home)).txn(other.txn);
                    let expected = format_args!("request {request} happens once, as {}", first.txn);
                    findings.violation(Invariant::V5, at, expected, format_args!("and as {}", other.txn));
                }
            }
        }
    }
}

/// The home of a request keeps it, and nobody else does.
fn check_homes(cluster: &Cluster<'_>, findings: &mut Findings) {
    let coordinators = cluster.coordinators.values();
    for (&txn, decision) in coordinators.flat_map(|coordinator| &coordinator.decisions) {
        let (Some(request), Some(order)) = (decision.request, decision.order) else {
            continue;
        };
        let home = order.home();
        for &node in &decision.participants {
            let its = cluster.nodes.get(&node);
            let story = its.and_then(|its| its.stories.get(&txn));
            let Some(story) = story.filter(|story| story.operations.is_some()) else {
                continue;
            };
            let kept = story.home.map(|home| (home.request, home.digest));
            let is_right = match kept {
                Some(kept) => node == home && kept == (request, order.digest()),
                None => node != home,
            };
            if !is_right {
                let at = At::store(Store::Node(node)).txn(txn);
                let expected = format_args!("request {request} is kept at {home} and nowhere else");
                let kept = kept.map(|(request, _)| request.to_string());
                let found = kept.unwrap_or_else(|| "no request".to_owned());
                findings.violation(Invariant::V5, at, expected, found);
            }
        }
    }
}
