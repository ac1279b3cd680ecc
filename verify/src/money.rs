//! Whether all the money is there (V1).

use std::collections::BTreeSet;

use protocol::id::NodeId;
use protocol::message::OperatorWord;

use crate::book::net;
use crate::decided::{Cluster, Decided};
use crate::findings::{At, Findings, Store, Why};
use crate::report::{Invariant, Sum};

/// Adds up all balances of all nodes, what is in doubt as it was decided, and what operators changed about that.
pub(crate) fn check(
    cluster: &Cluster<'_>,
    decided: &Decided,
    missing: &BTreeSet<NodeId>,
    findings: &mut Findings,
) -> Sum {
    let mut sum = Sum::default();
    for node in cluster.nodes.values() {
        sum.found += node.book.sum();
        sum.brought_in += node.book.brought_in();
        let happened = node
            .book
            .prepared
            .iter()
            .filter(|(txn, _)| decided.happened(**txn));
        let parts = happened.map(|(_, promise)| net(promise.operations));
        sum.in_doubt += parts.sum::<i128>();
    }
    let mut is_known = true;
    for &(txn, node, word) in &decided.against {
        let story = cluster.nodes.get(&node).and_then(|node| node.stories.get(&txn));
        match (story.and_then(|story| story.operations), word) {
            (Some(operations), OperatorWord::Abort) => sum.forced += net(operations),
            (Some(operations), OperatorWord::Commit) => sum.forced -= net(operations),
            (None, OperatorWord::Commit | OperatorWord::Abort) => {
                findings.unchecked(Invariant::V1, Why::NoOperations(node));
                is_known = false;
            }
        }
    }
    for &node in missing {
        findings.unchecked(Invariant::V1, Why::NoNode(node));
        is_known = false;
    }
    if is_known && sum.total() != 0 {
        let found = format_args!("{:+}", sum.total());
        let expected = "balances that add up to 0, @world included";
        findings.violation(Invariant::V1, At::store(Store::All), expected, found);
    }
    sum
}
