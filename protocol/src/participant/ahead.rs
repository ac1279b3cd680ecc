//! Memory that the next steps will need, asked for all at once.
//!
//! The accounts and requests of a busy node are in no cache of the processor: finding one is two or three reads, each of
//! which has to wait for the one before it, and takes as long as a hundred instructions. The reads of one transaction have
//! nothing to do with those of another, so here they are done for a handful of transactions side by side, step by step:
//! first the indexes, then what those name. The steps that follow find everything at hand. (Group prefetching: Chen,
//! Ailamaki, Gibbons and Mowry, "Improving Hash Join Performance through Prefetching", ICDE 2004.) What takes long without
//! memory, such as the hashes of names, is computed before: a processor looks a few hundred instructions ahead, and the fewer
//! there are between two reads, the more of those are under way at once.
//!
//! What is read here is not used: nothing depends on it, and a step that was not foreseen just takes longer.

use core::hint::black_box;

use smallvec::SmallVec;

use super::record::NodeRecord;
use super::state::NodeState;
use crate::accounts;
use crate::id::{RequestId, TxnId};
use crate::leg::Operation;
use crate::message::{Home, ToNode};

/// A handful of transactions, and what their steps will need.
pub(super) struct Ahead<'a> {
    state: &'a NodeState,
    beginning: SmallVec<[TxnId; 32]>,
    ending: SmallVec<[TxnId; 32]>,
    /// Where the index has the accounts of those that begin.
    accounts: Numbers,
    /// Requests of those that are to be prepared.
    asked: SmallVec<[RequestId; 32]>,
    /// Requests that end.
    answered: SmallVec<[RequestId; 32]>,
    /// How many are to be prepared.
    promises: usize,
    /// On how many accounts.
    holds: usize,
    /// How many that begin end at once.
    ends: usize,
}

/// Places in a table, or in its index.
type Numbers = SmallVec<[u32; 64]>;

impl<'a> Ahead<'a> {
    pub(super) fn of(state: &'a NodeState) -> Ahead<'a> {
        Ahead {
            state,
            beginning: SmallVec::new(),
            ending: SmallVec::new(),
            accounts: SmallVec::new(),
            asked: SmallVec::new(),
            answered: SmallVec::new(),
            promises: 0,
            holds: 0,
            ends: 0,
        }
    }

    /// A message that has arrived.
    pub(super) fn message(&mut self, message: &ToNode) {
        match message {
            ToNode::Prepare(prepare) => self.promises(prepare.txn, &prepare.operations, prepare.home),
            ToNode::Execute(prepare) => self.ends_at_once(prepare.txn, &prepare.operations, prepare.home),
            ToNode::Decide { txn, .. } => self.ending.push(*txn),
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
            NodeRecord::PrepareOk {
                txn,
                operations,
                home,
                ..
            } => self.promises(*txn, operations, *home),
            NodeRecord::CommitOnePhase {
                txn,
                operations,
                home,
                ..
            } => self.ends_at_once(*txn, operations, Some(*home)),
            NodeRecord::PrepareFailed { txn, home, .. } => self.ends_at_once(*txn, &[], *home),
            NodeRecord::Commit { txn } | NodeRecord::Abort { txn, .. } => self.ending.push(*txn),
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

    fn promises(&mut self, txn: TxnId, operations: &[Operation], home: Option<Home>) {
        self.begins(txn, operations);
        self.asked.extend(home.map(|home| home.request));
        self.promises += 1;
        self.holds += operations.len();
    }

    fn ends_at_once(&mut self, txn: TxnId, operations: &[Operation], home: Option<Home>) {
        self.begins(txn, operations);
        self.answered.extend(home.map(|home| home.request));
        self.ends += 1;
    }

    fn begins(&mut self, txn: TxnId, operations: &[Operation]) {
        self.beginning.push(txn);
        let names = operations.iter().map(|operation| &operation.account);
        self.accounts.extend(names.map(accounts::bucket));
    }

    /// Looks at all of it.
    pub(super) fn look(mut self) {
        let (ledger, requests) = (self.state.ledger(), self.state.requests());
        let (prepared, ended) = (self.state.prepared(), self.state.ended());
        // A transaction that ends has its accounts and its request written down.
        let places: Numbers = self
            .ending
            .iter()
            .filter_map(|txn| prepared.likely(txn))
            .collect();
        let mut found = Numbers::new();
        for prepared in places.iter().filter_map(|&place| prepared.at(place)) {
            found.extend(prepared.slots.known());
            self.answered.extend(prepared.home.map(|home| home.request));
        }
        // What the indexes say.
        let holds: Numbers = found
            .iter()
            .filter_map(|&slot| ledger.likely_hold(slot))
            .collect();
        found.extend(self.accounts.iter().filter_map(|&bucket| ledger.likely(bucket)));
        let known = self.asked.iter().chain(&self.answered);
        let known: Numbers = known.filter_map(|request| requests.likely(*request)).collect();
        for txn in self.beginning.iter().chain(&self.ending) {
            black_box(ended.likely(txn));
        }
        // And what stands there.
        found.iter().for_each(|&slot| ledger.look_at(slot));
        holds.iter().for_each(|&place| ledger.look_at_hold(place));
        known.iter().for_each(|&place| requests.look_at(place));
        self.answered
            .iter()
            .for_each(|request| requests.look_at_open(request));
        requests.look_at_oldest(self.answered.len());
        prepared.look_at_free(self.promises);
        ledger.look_at_free_holds(self.holds);
        ended.look_at_free(self.ends + self.ending.len());
    }
}
