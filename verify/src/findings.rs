//! Where checks write down what they find. Texts are made only for what is wrong.

use std::collections::BTreeMap;
use std::fmt;

use protocol::fold::Seq;
use protocol::id::{CoordinatorId, NodeId, RequestId, TxnId};

use crate::report::{Forced, Invariant, Unchecked, Violation};

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<Violation>,
    pub(crate) forced: Vec<Forced>,
    unchecked: BTreeMap<(Invariant, Why), u64>,
}

/// Whose store something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Node(NodeId),
    Coordinator(CoordinatorId),
    All,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Store::Node(node) => node.fmt(f),
            Store::Coordinator(id) => write!(f, "coordinator {id}"),
            Store::All => f.write_str("all nodes"),
        }
    }
}

/// The place of a finding: which store, transaction and record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) store: Store,
    pub(crate) txn: Option<TxnId>,
    pub(crate) seq: Option<Seq>,
}

impl At {
    pub(crate) fn store(store: Store) -> At {
        At {
            store,
            txn: None,
            seq: None,
        }
    }

    pub(crate) fn txn(self, txn: TxnId) -> At {
        At {
            txn: Some(txn),
            ..self
        }
    }

    pub(crate) fn seq(self, seq: Seq) -> At {
        At {
            seq: Some(seq),
            ..self
        }
    }
}

/// Why something could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A node's store is not among the images.
    NoNode(NodeId),
    /// A coordinator's store is not.
    NoCoordinator(CoordinatorId),
    /// The node has forgotten how a transaction ended, as it may once the mark has passed it.
    NodeForgot(NodeId),
    /// The coordinator's log no longer reaches back to a transaction.
    CoordinatorForgot(CoordinatorId),
    /// The store keeps states only.
    NoHistory(NodeId),
    /// The operations of a forced transaction are not known any more.
    NoOperations(NodeId),
    /// An operator forced an outcome at the node against the decision.
    Forced(NodeId),
    /// The node began with balances written by hand that its log no longer has.
    Adopted(NodeId),
    /// The node keeps how a transaction ended, but no longer what it was.
    OnlyTheEnd(NodeId),
    /// The home no longer remembers all of its finished requests.
    BeyondWindow(NodeId),
    /// The request id was used with another body, at another home.
    Reused(RequestId),
    /// The request has no known outcome.
    NoOutcome(RequestId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoNode(node) => write!(f, "the store of {node} is not among those that were read"),
            Why::NoCoordinator(id) => {
                write!(
                    f,
                    "the store of coordinator {id} is not among those that were read"
                )
            }
            Why::NodeForgot(node) => write!(
                f,
                "{node} no longer keeps how they ended: everyone had acknowledged them"
            ),
            Why::CoordinatorForgot(id) => write!(
                f,
                "the log of coordinator {id} no longer reaches back to them: everyone had acknowledged them"
            ),
            Why::NoHistory(node) => write!(f, "{node} is a sled store, which keeps no history"),
            Why::NoOperations(node) => write!(
                f,
                "an operator forced an outcome at {node}, whose log no longer says what it was about"
            ),
            Why::Forced(node) => write!(f, "an operator forced an outcome at {node} against the decision"),
            Why::Adopted(node) => write!(
                f,
                "{node} began with balances written by hand, and its log no longer says which"
            ),
            Why::OnlyTheEnd(node) => write!(
                f,
                "{node} keeps that they committed, but not whether others took part, and their coordinator has no record"
            ),
            Why::BeyondWindow(node) => write!(
                f,
                "{node} no longer remembers all finished requests: its window is full, and one from beyond it may run again"
            ),
            Why::Reused(request) => write!(
                f,
                "request id {request} was used for different bodies with different homes, which cannot know of each other"
            ),
            Why::NoOutcome(request) => write!(f, "nobody knows any more how request {request} ended"),
        }
    }
}

impl Findings {
    pub(crate) fn violation(
        &mut self,
        invariant: Invariant,
        at: At,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.violations.push(Violation {
            invariant,
            store: at.store.to_string(),
            txn: at.txn,
            seq: at.seq,
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }

    pub(crate) fn unchecked(&mut self, invariant: Invariant, why: Why) {
        *self.unchecked.entry((invariant, why)).or_default() += 1;
    }

    pub(crate) fn take_unchecked(&mut self) -> Vec<Unchecked> {
        let all = std::mem::take(&mut self.unchecked).into_iter();
        all.map(|((invariant, why), count)| Unchecked {
            invariant,
            why: why.to_string(),
            count,
        })
        .collect()
    }
}
