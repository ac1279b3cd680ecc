//! The order of things: each store for itself, then all of them together, then what clients were told.

use std::collections::BTreeSet;

use engine::Owner;
use protocol::coordinator::{CoordinatorState, Phase};
use protocol::fold::Fold;
use protocol::id::{NodeId, TxnId};
use protocol::message::OperatorWord;
use protocol::participant::NodeState;

use crate::claims::Claims;
use crate::coordinator::Coordinator;
use crate::decided::{Cluster, Decided, decide};
use crate::findings::{At, Findings, Store};
use crate::images::Images;
use crate::money;
use crate::node::Node;
use crate::once::Runs;
use crate::report::{CoordinatorWord, InDoubt, Invariant, Open, Report};
use crate::told::{self, Stores};

/// Holds the stores against each other and against what clients were told.
pub fn check(images: &Images, claims: &Claims) -> Report {
    let (empty_node, empty_coordinator) = (NodeState::empty(), CoordinatorState::empty());
    let mut findings = Findings::default();
    let nodes = images.nodes.iter().map(|image| {
        let node = Node::new(image, &empty_node, &mut findings);
        (node.node, node)
    });
    let nodes = nodes.collect();
    let coordinators = images.coordinators.iter().map(|image| {
        let coordinator = Coordinator::new(image, &empty_coordinator, &mut findings);
        (coordinator.id, coordinator)
    });
    let coordinators = coordinators.collect();
    let cluster = Cluster { nodes, coordinators };
    let decided = decide(&cluster, &mut findings);
    let missing = missing(images, &cluster);
    let sum = money::check(&cluster, &decided, &missing, &mut findings);
    let runs = Runs::of(&cluster, &decided);
    runs.check(&cluster, &mut findings);
    let stores = Stores {
        cluster: &cluster,
        decided: &decided,
        runs: &runs,
    };
    told::check(claims, &stores, &mut findings);
    let (in_doubt, open) = (in_doubt(&cluster, &decided), open(&cluster));
    if claims.settled {
        check_settled(&in_doubt, &open, &mut findings);
    }
    let lines = cluster.nodes.values().map(|node| node.line.clone());
    let lines = lines.chain(
        cluster
            .coordinators
            .values()
            .map(|coordinator| coordinator.line.clone()),
    );
    let unchecked = findings.take_unchecked();
    Report {
        violations: findings.violations,
        stores: lines.collect(),
        sum,
        transactions: decided.len(),
        committed: decided.committed(),
        in_doubt,
        open,
        forced: findings.forced,
        unchecked,
    }
}

/// Nodes that somebody speaks of and that are not there.
fn missing(images: &Images, cluster: &Cluster<'_>) -> BTreeSet<NodeId> {
    let refused = images.refused.iter().filter_map(|refused| match refused.owner {
        Owner::Node(node) => Some(node),
        Owner::Coordinator => None,
    });
    let stories = cluster.nodes.values().flat_map(|node| node.stories.iter());
    let told = stories.flat_map(|(_, story)| story.participants).copied();
    let coordinators = cluster.coordinators.values();
    let decisions = coordinators
        .clone()
        .flat_map(|coordinator| coordinator.decisions.values());
    let decided = decisions.flat_map(|decision| &decision.participants).copied();
    let met = coordinators
        .flat_map(|coordinator| coordinator.nodes.keys())
        .copied();
    let mut known: BTreeSet<NodeId> = refused.chain(told).chain(decided).chain(met).collect();
    known.retain(|node| !cluster.nodes.contains_key(node));
    known
}

fn in_doubt(cluster: &Cluster<'_>, decided: &Decided) -> Vec<InDoubt> {
    let mut all = Vec::new();
    for (&node, its) in &cluster.nodes {
        for (&txn, promise) in &its.book.prepared {
            all.push(InDoubt {
                txn,
                node,
                since: promise.seq,
                operations: promise.operations.to_vec(),
                participants: promise.participants.to_vec(),
                coordinator: word(cluster, txn),
                counts_as: if decided.happened(txn) {
                    OperatorWord::Commit
                } else {
                    OperatorWord::Abort
                },
            });
        }
    }
    all.sort_by_key(|doubt| (doubt.txn, doubt.node));
    all
}

fn word(cluster: &Cluster<'_>, txn: TxnId) -> CoordinatorWord {
    let coordinator = cluster.coordinators.get(&txn.coordinator);
    coordinator.map_or(CoordinatorWord::Unknown, |coordinator| coordinator.word(txn))
}

fn open(cluster: &Cluster<'_>) -> Vec<Open> {
    let open = cluster
        .coordinators
        .values()
        .flat_map(|coordinator| &coordinator.open);
    open.map(|(&txn, open)| Open {
        txn,
        request: open.request,
        participants: open.participants.to_vec(),
        committed: match open.phase {
            Phase::Started => None,
            Phase::Committed(seq) => Some(seq),
        },
    })
    .collect()
}

fn check_settled(in_doubt: &[InDoubt], open: &[Open], findings: &mut Findings) {
    for doubt in in_doubt {
        let at = At::store(Store::Node(doubt.node)).txn(doubt.txn).seq(doubt.since);
        findings.violation(
            Invariant::V9,
            at,
            "nothing in doubt when all has come to rest",
            "prepared",
        );
    }
    for open in open {
        let at = At::store(Store::Coordinator(open.txn.coordinator)).txn(open.txn);
        findings.violation(
            Invariant::V9,
            at,
            "nothing open when all has come to rest",
            "not finished",
        );
    }
}
