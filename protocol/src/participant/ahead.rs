//! Memory that the next steps will need, asked for all at once.
//!
//! The accounts and requests of a busy node are in no cache of the processor: finding one is three or four reads, each of
//! which has to wait for the one before it, and takes as long as a hundred instructions. The reads of one transaction have
//! nothing to do with those of another, so here they are done for a handful of transactions side by side, step by step:
//! first the indexes, then what those name. The steps that follow find everything at hand. (Group prefetching: Chen,
//! Ailamaki, Gibbons and Mowry, "Improving Hash Join Performance through Prefetching", ICDE 2004.)
//!
//! What is read here is not used: nothing depends on it, and a step that was not foreseen just takes longer.

use smallvec::SmallVec;

use super::record::NodeRecord;
use super::state::NodeState;
use crate::accounts::Slot;
use crate::id::TxnId;
use crate::leg::Operation;
use crate::message::{Home, ToNode};

/// A handful of transactions, and what their steps will need.
pub(super) struct Ahead<'a> {
    state: &'a NodeState,
    accounts: SmallVec<[Slot; 32]>,
    requests: SmallVec<[u32; 16]>,
    /// How many of them end.
    ending: usize,
}

impl<'a> Ahead<'a> {
    pub(super) fn of(state: &'a NodeState) -> Ahead<'a> {
        Ahead {
            state,
            accounts: SmallVec::new(),
            requests: SmallVec::new(),
            ending: 0,
        }
    }

    /// A message that has arrived.
    pub(super) fn message(&mut self, message: &ToNode) {
        match message {
            ToNode::Prepare(prepare) => self.begins(&prepare.operations, prepare.home.as_ref()),
            ToNode::Execute(prepare) => {
                self.begins(&prepare.operations, prepare.home.as_ref());
                self.ending += 1;
            }
            ToNode::Decide { txn, .. } => self.ends(txn),
            ToNode::Join { .. }
            | ToNode::Query { .. }
            | ToNode::Recall { .. }
            | ToNode::Pending { .. }
            | ToNode::NotMine { .. }
            | ToNode::Mark { .. }
            | ToNode::Ask { .. } => {}
        }
    }

    /// A record that is to be applied again.
    pub(super) fn record(&mut self, record: &NodeRecord) {
        match record {
            NodeRecord::PrepareOk { operations, home, .. } => self.begins(operations, home.as_ref()),
            NodeRecord::CommitOnePhase { operations, home, .. } => {
                self.begins(operations, Some(home));
                self.ending += 1;
            }
            NodeRecord::PrepareFailed { home, .. } => {
                self.begins(&[], home.as_ref());
                self.ending += usize::from(home.is_some());
            }
            NodeRecord::Commit { txn } | NodeRecord::Abort { txn, .. } => self.ends(txn),
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Resolve { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => {}
        }
    }

    fn begins(&mut self, operations: &[Operation], home: Option<&Home>) {
        let accounts = operations.iter().map(|operation| &operation.account);
        self.accounts
            .extend(accounts.filter_map(|account| self.state.ledger().likely(account)));
        let request = home.and_then(|home| self.state.requests().likely(home.request));
        self.requests.extend(request);
    }

    fn ends(&mut self, txn: &TxnId) {
        if let Some(prepared) = self.state.prepared().get(txn) {
            self.accounts.extend(prepared.slots.known());
            let request = prepared
                .home
                .and_then(|home| self.state.requests().likely(home.request));
            self.requests.extend(request);
            self.ending += usize::from(prepared.home.is_some());
        }
    }

    /// Now that the indexes have said where it is: reads it.
    pub(super) fn look(self) {
        let ledger = self.state.ledger();
        self.accounts.iter().for_each(|&slot| ledger.look_at(slot));
        let requests = self.state.requests();
        self.requests.iter().for_each(|&place| requests.look_at(place));
        requests.look_at_oldest(self.ending);
    }
}
