//! A shadow of a coordinator: what its records say of transactions and nodes, added up by somebody who has never seen the
//! state they are folded into.

use std::collections::{BTreeMap, BTreeSet};

use protocol::coordinator::CoordinatorRecord;
use protocol::fold::Seq;
use protocol::id::{NodeId, StoreId, TxnId, TxnPoint};

/// How far a transaction has come, by the records alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    Committed(Seq),
    Aborted,
    Complete,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    pub(super) txns: BTreeMap<TxnId, (Vec<NodeId>, Stage)>,
    /// The record that began the newest life.
    pub(super) life: Seq,
    /// The newest mark of each node, and the record that says so.
    pub(super) marks: BTreeMap<NodeId, (TxnPoint, Seq)>,
    /// What each node's store has proved, and which it is.
    pub(super) proved: BTreeMap<NodeId, (StoreId, Seq)>,
    pub(super) quarantined: BTreeSet<NodeId>,
}

impl Shadow {
    pub(super) fn note(&mut self, seq: Seq, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::Start { txn, order, .. } => {
                let net: i128 = order.legs().iter().map(|leg| i128::from(leg.delta.get())).sum();
                assert_eq!(net, 0, "{txn} makes money");
                let before = self
                    .txns
                    .insert(*txn, (order.participants().to_vec(), Stage::Open));
                assert!(before.is_none(), "{txn} begins twice");
            }
            CoordinatorRecord::Commit { txn } => self.go(txn, &[Stage::Open], Stage::Committed(seq)),
            CoordinatorRecord::Abort { txn, .. } => {
                assert!(
                    self.txns[txn].0.len() > 1,
                    "{txn} is its only node's to decide (R18)"
                );
                self.go(txn, &[Stage::Open], Stage::Aborted);
            }
            CoordinatorRecord::Complete { txn } => {
                let (participants, stage) = &self.txns[txn];
                let due = match stage {
                    Stage::Committed(_) => participants.len() > 1,
                    Stage::Open => participants.len() == 1,
                    Stage::Aborted | Stage::Complete => false,
                };
                assert!(due, "{txn} completes at {stage:?}");
                self.txns.get_mut(txn).expect("just looked up").1 = Stage::Complete;
            }
            CoordinatorRecord::Mark { node, below } => {
                let open = |(participants, stage): &(Vec<NodeId>, Stage)| {
                    participants.contains(node) && matches!(stage, Stage::Open | Stage::Committed(_))
                };
                let passed = self
                    .txns
                    .iter()
                    .find(|(txn, entry)| txn.at < *below && open(entry));
                assert!(passed.is_none(), "a mark passes {passed:?}");
                self.marks.insert(*node, (*below, seq));
            }
            CoordinatorRecord::Epoch { .. } => self.life = seq,
            CoordinatorRecord::Node {
                node, store, proved, ..
            } => {
                self.proved.insert(*node, (*store, *proved));
                self.quarantined.remove(node);
            }
            CoordinatorRecord::Proved { node, through } => {
                let (_, proved) = self
                    .proved
                    .get_mut(node)
                    .expect("only a node that was met proves anything");
                *proved = (*proved).max(*through);
            }
            CoordinatorRecord::Quarantine { node } => {
                self.quarantined.insert(*node);
            }
            CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. } => {}
        }
    }

    fn go(&mut self, txn: &TxnId, from: &[Stage], to: Stage) {
        let (_, stage) = self.txns.get_mut(txn).expect("what is decided has begun");
        assert!(from.contains(stage), "{txn} goes from {stage:?} to {to:?}");
        *stage = to;
    }

    pub(super) fn committed(&self, txn: &TxnId) -> Option<Seq> {
        match self.txns.get(txn) {
            Some((_, Stage::Committed(seq))) => Some(*seq),
            Some((_, Stage::Open | Stage::Aborted | Stage::Complete)) | None => None,
        }
    }
}
