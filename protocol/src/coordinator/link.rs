//! Links to nodes: joining, quarantine, and what is said again when a link comes up.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::decide::{commit, presumed_abort};
use super::{Coordinator, CoordinatorConfig, CoordinatorRecord, Phase, Stage};
use crate::effects::{Effects, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::{NodeId, StoreId, TxnId};
use crate::message::ToNode;
use crate::planted;

/// A node's connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    /// No connection.
    Down,
    /// Connected, not welcomed.
    Joining,
    /// Usable.
    Up {
        /// The newest record the node has proved durable on this connection.
        proved: Seq,
    },
    /// Connected, but one side lost what it had promised. Only questions are asked.
    Quarantined {
        why: String,
        store: StoreId,
        durable: Seq,
    },
}

impl Coordinator {
    /// A link for every configured node, all down.
    pub(super) fn links_of(config: &CoordinatorConfig) -> alloc::collections::BTreeMap<NodeId, Link> {
        config.nodes.iter().map(|&node| (node, Link::Down)).collect()
    }

    pub(super) fn is_up(&self, node: NodeId) -> bool {
        matches!(self.links.get(&node), Some(Link::Up { .. }))
    }

    /// Whether an operator has given up what this node lost of the transaction.
    pub(super) fn is_forgiven(&self, node: NodeId, txn: TxnId) -> bool {
        txn.at < self.state.node(node).forgiven
    }

    pub(super) fn on_connected(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let epoch = self.state.epoch();
        let incarnation = self.config.incarnation;
        let seen = self.state.node(node);
        let proved = seen.store.map(|store| (store, seen.proved));
        let durable = planted!(EpochNotSynced: self.durable_now(effects) => self.state.seq());
        self.links.insert(node, Link::Joining);
        self.tell(
            node,
            ToNode::Join {
                epoch,
                incarnation,
                history: self.state.history(),
                durable,
                proved,
            },
            planted!(EpochNotSynced: durable => 0),
            effects,
        );
    }

    pub(super) fn on_disconnected(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        self.note_proof(node, effects);
        self.links.insert(node, Link::Down);
        self.abort_waiting_for(node, effects);
        self.asks_lost(node, effects);
    }

    pub(super) fn on_welcome(
        &mut self,
        node: NodeId,
        store: StoreId,
        durable: Seq,
        quarantine: Option<String>,
        effects: &mut Effects<Coordinator>,
    ) {
        let seen = self.state.node(node);
        if quarantine.is_some() && !self.state.is_suspect() {
            self.append(CoordinatorRecord::Suspect { node }, Urgency::Forced, effects);
        }
        let why = match seen.store {
            Some(known) if known != store && self.is_needed(node) => Some(format!(
                "{node} has another store ({store}) than the one that holds open transactions ({known}): its disk was \
                 replaced. Bring the old data back, or give those transactions up with `twopence adopt {node}`"
            )),
            Some(known)
                if known == store
                    && (seen.quarantined || durable < seen.proved)
                    && !planted!(ShortStoreTrusted) =>
            {
                if !seen.quarantined {
                    self.append(CoordinatorRecord::Quarantine { node }, Urgency::Forced, effects);
                }
                Some(format!(
                    "{node}'s store has lost promises: it ends at record {durable} and had proved record {} durable (an \
                     old backup?). Bring the newer data back if you can; then, or to give them up, run `twopence adopt {node}`",
                    seen.proved
                ))
            }
            Some(_) | None => quarantine,
        };
        if let Some(why) = why {
            effects.alarm(format!("quarantined {node}: {why}"));
            self.links.insert(node, Link::Quarantined { why, store, durable });
            return;
        }
        if seen.store != Some(store) {
            if let Some(known) = seen.store {
                effects.warning(format!(
                    "{node} has a new store {store} instead of {known}; nothing was open there"
                ));
            }
            self.append(
                CoordinatorRecord::Node {
                    node,
                    store,
                    proved: durable,
                    forgives: seen.forgiven,
                },
                Urgency::Lazy,
                effects,
            );
        }
        self.links.insert(node, Link::Up { proved: durable });
        effects.info(format!("{node} joined"));
        self.say_again(node, effects);
    }

    /// Whether a transaction that has not ended needs this node's present store.
    fn is_needed(&self, node: NodeId) -> bool {
        self.live.count(|live| live.participants.contains(&node)) > 0
    }

    /// Sends again what the node may not have heard.
    pub(super) fn say_again(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let waiting = self.live.that(|_, live| live.participants.contains(&node));
        let waiting: Vec<TxnId> = waiting.map(|(&txn, _)| txn).collect();
        for txn in waiting {
            self.say_again_about(txn, node, effects);
        }
        let mark = self.state.node(node).mark;
        let durable = self.forced;
        self.tell(
            node,
            ToNode::Mark { below: mark, durable },
            self.state.seq(),
            effects,
        );
    }

    pub(super) fn say_again_about(&mut self, txn: TxnId, node: NodeId, effects: &mut Effects<Coordinator>) {
        let live = self.live.get(&txn).expect("the caller looked it up");
        match &live.stage {
            Stage::Collecting(_) => {}
            Stage::Delegated => self.tell(node, ToNode::Query { txn, home: live.home }, 0, effects),
            Stage::Committed(unacknowledged) => {
                if live
                    .place_of(node)
                    .is_some_and(|place| unacknowledged.contains(place))
                    && let Some(Phase::Committed(seq)) = self.state.open().get(&txn).map(|open| open.phase)
                {
                    let again = planted!(GivesUpCommit: commit(txn, seq) => presumed_abort(txn));
                    self.tell(node, again, seq, effects);
                }
            }
            Stage::Binding(_) => {
                if node == live.home_node {
                    self.bind(txn, effects);
                }
            }
            Stage::Recalling => {
                if node == live.home_node {
                    self.recall(txn, effects);
                }
            }
        }
    }

    /// The node has shown that its log is durable up to here.
    pub(super) fn on_proof(&mut self, node: NodeId, durable: Seq) {
        if let Some(Link::Up { proved, .. }) = self.links.get_mut(&node) {
            *proved = durable.max(*proved);
        }
    }

    /// Writes down what a node has proved since the last time; lazily, since a lost proof only detects less.
    pub(super) fn note_proof(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        if let Some(&Link::Up { proved: through, .. }) = self.links.get(&node)
            && through > self.state.node(node).proved
        {
            self.append(
                CoordinatorRecord::Proved { node, through },
                Urgency::Lazy,
                effects,
            );
        }
    }

    /// A connected node turns out to have lost promises.
    pub(super) fn quarantine(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let Some(&Link::Up { proved: durable, .. }) = self.links.get(&node) else {
            return;
        };
        let Some(store) = self.state.node(node).store else {
            return;
        };
        self.append(CoordinatorRecord::Quarantine { node }, Urgency::Forced, effects);
        let why = format!(
            "{node} does not know a transaction that it had promised. Bring its data back if you can; then, or to give \
             it up, run `twopence adopt {node}`"
        );
        effects.alarm(format!("quarantined {node}: {why}"));
        self.links.insert(node, Link::Quarantined { why, store, durable });
        self.abort_waiting_for(node, effects);
    }

    /// An operator accepts a node as it is: what it lost is given up.
    pub(super) fn adopt(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        if self.state.is_suspect() {
            self.append(CoordinatorRecord::Trust { node }, Urgency::Forced, effects);
        }
        let Some(Link::Quarantined { store, durable, .. }) = self.links.get(&node) else {
            return;
        };
        let (store, proved) = (*store, *durable);
        let replaced = self.state.node(node).store != Some(store);
        self.append(
            CoordinatorRecord::Node {
                node,
                store,
                proved,
                forgives: self.next_point(),
            },
            Urgency::Forced,
            effects,
        );
        self.links.insert(node, Link::Up { proved });
        effects.alarm(format!(
            "an operator adopted {node} with store {store} at record {proved}"
        ));
        if replaced {
            let lost = |live: &super::Live| match &live.stage {
                Stage::Committed(unacknowledged) => live
                    .place_of(node)
                    .is_some_and(|place| unacknowledged.contains(place)),
                Stage::Collecting(_) | Stage::Delegated | Stage::Binding(_) | Stage::Recalling => false,
            };
            let lost: Vec<TxnId> = self
                .live
                .that(|_, live| lost(live))
                .map(|(&txn, _)| txn)
                .collect();
            for txn in lost {
                self.on_unmatched(node, txn, effects);
            }
        }
    }
}
