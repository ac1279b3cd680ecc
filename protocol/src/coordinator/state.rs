//! A coordinator's durable state: the fold of its records.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};

use super::record::CoordinatorRecord;
use crate::fold::{AccountLine, Fold, Seq, Table};
use crate::id::{AccountId, Epoch, Incarnation, NodeId, RequestId, StoreId, TxnId, TxnPoint};
use crate::leg::{BodyDigest, LEGS_MAX, Nodes, few};
use crate::message::Home;
use crate::money::Balance;
use crate::numbers::{Log, Numbered, Visit};
use crate::plain::Plain;
use crate::planted;
use crate::table::Keyed;

/// How far an open transaction has come, as far as the log knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Begun; without a decision it aborts.
    Started,
    /// COMMIT is on disk, in this record: it is driven to its end for ever (R6).
    Committed(Seq),
}

/// A transaction without an end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenTxn {
    /// The request.
    pub request: RequestId,
    /// Digest of its legs.
    pub digest: BodyDigest,
    /// The request's home.
    pub home: NodeId,
    /// Everyone who takes part, sorted. A single one decides by itself (R18).
    #[serde(deserialize_with = "few")]
    pub participants: Nodes,
    /// How far it has come.
    pub phase: Phase,
}

impl OpenTxn {
    /// The request as its home is asked about it. After a restart nobody knows any more whether it was a first send.
    pub fn home_key(&self) -> Home {
        Home {
            request: self.request,
            digest: self.digest,
            repeated: true,
        }
    }
}

/// What a coordinator remembers of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSeen {
    /// The store behind its name; `None` before the first meeting.
    pub store: Option<StoreId>,
    /// The newest record that store has proved durable.
    pub proved: Seq,
    /// The low-water mark for this node.
    pub mark: TxnPoint,
    /// It has lost promises, and no operator has adopted it since.
    pub quarantined: bool,
    /// What it has lost of transactions below this point is given up.
    pub forgiven: TxnPoint,
}

/// Epochs whose incarnation is remembered, for nodes to compare.
const HISTORY_LEN: usize = 64;

/// Everything a coordinator has decided and not yet finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CoordinatorState {
    seq: Seq,
    epoch: Epoch,
    /// What the newest epochs called themselves.
    history: BTreeMap<Epoch, Incarnation>,
    suspect: bool,
    open: Keyed<TxnId, OpenTxn>,
    nodes: BTreeMap<NodeId, NodeSeen>,
}

/// Names an entry of a coordinator's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CoordinatorKey {
    /// An open transaction.
    Open(TxnId),
    /// A node.
    Node(NodeId),
    /// The epoch.
    Epoch,
}

/// An entry of a coordinator's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinatorEntry {
    /// An open transaction.
    Open(TxnId, OpenTxn),
    /// A node.
    Node(NodeId, NodeSeen),
    /// The epoch, what the newest ones called themselves, and whether the log is suspect.
    Epoch(Epoch, Vec<(Epoch, Incarnation)>, bool),
}

/// There are few of them.
impl Plain for CoordinatorEntry {}

impl CoordinatorState {
    /// The newest epoch in the log; 0 before the first start.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What the newest epochs called themselves, oldest first.
    pub fn history(&self) -> Vec<(Epoch, Incarnation)> {
        self.history
            .iter()
            .map(|(&epoch, &incarnation)| (epoch, incarnation))
            .collect()
    }

    /// Whether a node has shown that this log lost what it had proved, so that nothing may be presumed from it (R5).
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Transactions without an end.
    pub fn open(&self) -> &Keyed<TxnId, OpenTxn> {
        &self.open
    }

    /// The nodes met so far.
    pub fn nodes(&self) -> &BTreeMap<NodeId, NodeSeen> {
        &self.nodes
    }

    /// One node; all empty if it was never met.
    pub fn node(&self, node: NodeId) -> NodeSeen {
        self.nodes.get(&node).copied().unwrap_or_default()
    }

    fn node_mut(&mut self, node: NodeId, touched: &mut Vec<CoordinatorKey>) -> &mut NodeSeen {
        touched.push(CoordinatorKey::Node(node));
        self.nodes.entry(node).or_default()
    }

    fn end(&mut self, txn: &TxnId, touched: &mut Vec<CoordinatorKey>) -> OpenTxn {
        touched.push(CoordinatorKey::Open(*txn));
        self.open.remove(txn).expect("only an open transaction ends")
    }
}

impl Fold for CoordinatorState {
    type Record = CoordinatorRecord;
    type Key = CoordinatorKey;
    type Entry = CoordinatorEntry;

    fn is_housekeeping(record: &CoordinatorRecord) -> bool {
        matches!(
            record,
            CoordinatorRecord::Mark { .. } | CoordinatorRecord::Proved { .. }
        )
    }

    fn empty() -> CoordinatorState {
        CoordinatorState::default()
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn size(&self) -> usize {
        self.open.len() + self.nodes.len()
    }

    fn apply(&mut self, seq: Seq, record: &CoordinatorRecord, touched: &mut Vec<CoordinatorKey>) {
        assert_eq!(seq, self.seq + 1, "records follow each other without a gap");
        self.seq = seq;
        match record {
            CoordinatorRecord::Epoch { epoch, incarnation } => {
                assert!(*epoch > self.epoch, "epochs only rise");
                self.epoch = *epoch;
                self.history.insert(*epoch, *incarnation);
                while self.history.len() > HISTORY_LEN {
                    self.history.pop_first();
                }
                touched.push(CoordinatorKey::Epoch);
            }
            CoordinatorRecord::Start { txn, request, order } => {
                let open = OpenTxn {
                    request: *request,
                    digest: order.digest(),
                    home: order.home(),
                    participants: order.participants(),
                    phase: Phase::Started,
                };
                let before = self.open.insert(*txn, open);
                assert!(before.is_none(), "{txn} begins once");
                touched.push(CoordinatorKey::Open(*txn));
            }
            CoordinatorRecord::Prepare { .. } => {} // Tells the reader of the log; changes nothing.
            CoordinatorRecord::Commit { txn } => {
                let open = self.open.get_mut(txn).expect("only an open transaction commits");
                assert_eq!(open.phase, Phase::Started, "{txn} is decided once");
                assert!(
                    open.participants.len() > 1,
                    "{txn} has one participant, which decides by itself (R18)"
                );
                open.phase = Phase::Committed(seq);
                touched.push(CoordinatorKey::Open(*txn));
            }
            CoordinatorRecord::Abort { txn, .. } => {
                let open = self.end(txn, touched);
                assert_eq!(open.phase, Phase::Started, "{txn} has committed and cannot abort");
            }
            CoordinatorRecord::Complete { txn } => {
                self.end(txn, touched);
            }
            CoordinatorRecord::Mark { node, below } => {
                let node = self.node_mut(*node, touched);
                assert!(*below >= node.mark, "marks only rise");
                node.mark = *below;
            }
            CoordinatorRecord::Node {
                node,
                store,
                proved,
                forgives,
            } => {
                let node = self.node_mut(*node, touched);
                node.store = Some(*store);
                node.proved = *proved;
                node.forgiven = *forgives;
                node.quarantined = false;
            }
            CoordinatorRecord::Quarantine { node } => self.node_mut(*node, touched).quarantined = true,
            CoordinatorRecord::Suspect { .. } | CoordinatorRecord::Trust { .. } => {
                self.suspect = matches!(record, CoordinatorRecord::Suspect { .. });
                touched.push(CoordinatorKey::Epoch);
            }
            CoordinatorRecord::Proved { node, through } => {
                let node = self.node_mut(*node, touched);
                node.proved = node.proved.max(*through);
            }
        }
    }

    fn entry(&self, key: &CoordinatorKey) -> Option<CoordinatorEntry> {
        match key {
            CoordinatorKey::Open(txn) => self
                .open
                .get(txn)
                .map(|open| CoordinatorEntry::Open(*txn, open.clone())),
            CoordinatorKey::Node(node) => self
                .nodes
                .get(node)
                .map(|seen| CoordinatorEntry::Node(*node, *seen)),
            CoordinatorKey::Epoch => Some(CoordinatorEntry::Epoch(self.epoch, self.history(), self.suspect)),
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = CoordinatorEntry> + '_> {
        let open = self
            .open
            .iter()
            .filter(|_| !planted!(DecisionsNotKept))
            .map(|(txn, open)| CoordinatorEntry::Open(*txn, open.clone()));
        let nodes = self
            .nodes
            .iter()
            .map(|(node, seen)| CoordinatorEntry::Node(*node, *seen));
        let epoch = self.entry(&CoordinatorKey::Epoch).into_iter();
        Box::new(open.chain(nodes).chain(epoch))
    }

    fn restore(
        seq: Seq,
        entries: &mut dyn Iterator<Item = CoordinatorEntry>,
    ) -> Result<CoordinatorState, String> {
        let mut state = CoordinatorState {
            seq,
            ..CoordinatorState::default()
        };
        let mut epoch_seen = false;
        for entry in entries {
            let key = CoordinatorState::key(&entry);
            if let CoordinatorEntry::Open(_, open) = &entry
                && let Phase::Committed(newer) = open.phase
                && newer > seq
            {
                return Err(format!("{key:?}: names record {newer}, but the newest is {seq}"));
            }
            if let CoordinatorEntry::Open(_, open) = &entry
                && !is_set(&open.participants)
            {
                return Err(format!("{key:?}: its participants are no set of nodes"));
            }
            let twice = match entry {
                CoordinatorEntry::Open(txn, open) => state.open.insert(txn, open).is_some(),
                CoordinatorEntry::Node(node, seen) => state.nodes.insert(node, seen).is_some(),
                CoordinatorEntry::Epoch(epoch, history, suspect) => {
                    (state.epoch, state.suspect) = (epoch, suspect);
                    state.history = history.into_iter().collect();
                    mem::replace(&mut epoch_seen, true)
                }
            };
            if twice {
                return Err(format!("{key:?}: an entry twice"));
            }
        }
        Ok(state)
    }

    fn key(entry: &CoordinatorEntry) -> CoordinatorKey {
        match entry {
            CoordinatorEntry::Open(txn, _) => CoordinatorKey::Open(*txn),
            CoordinatorEntry::Node(node, _) => CoordinatorKey::Node(*node),
            CoordinatorEntry::Epoch(..) => CoordinatorKey::Epoch,
        }
    }

    fn table(key: &CoordinatorKey) -> Table {
        match key {
            CoordinatorKey::Open(_) => Table::Prepared,
            CoordinatorKey::Node(_) | CoordinatorKey::Epoch => Table::Meta,
        }
    }

    fn as_account(_: &CoordinatorEntry) -> Option<AccountLine> {
        None
    }

    fn from_account(_: AccountLine) -> Option<CoordinatorEntry> {
        None
    }

    fn adoption(_: Vec<(AccountId, Balance)>, _: u32) -> Option<CoordinatorRecord> {
        None
    }
}

/// Whether these are participants as an order names them: somebody, nobody twice, not more than there can be legs.
fn is_set(participants: &[NodeId]) -> bool {
    (1..=LEGS_MAX).contains(&participants.len()) && participants.is_sorted_by(|one, next| one < next)
}

impl Numbered for CoordinatorState {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        let CoordinatorState {
            seq,
            epoch: _,
            history: _,
            suspect: _,
            open,
            nodes,
        } = self;
        visit(own, seq);
        open.each_value(|open| match &mut open.phase {
            Phase::Started => {}
            Phase::Committed(seq) => visit(own, seq),
        });
        for (&node, seen) in nodes {
            visit(Log::Node(node), &mut seen.proved);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_decision_in_a_record_that_is_not_there_is_refused() {
        let open = |phase| OpenTxn {
            request: RequestId(1),
            digest: BodyDigest(1),
            home: "N1".parse().unwrap(),
            participants: vec!["N1".parse().unwrap(), "N2".parse().unwrap()].into(),
            phase,
        };
        let restore = |phase| {
            let entry = CoordinatorEntry::Open(TxnId::new(StoreId(12), 1, 1), open(phase));
            CoordinatorState::restore(9, &mut [entry].into_iter())
        };
        assert!(restore(Phase::Started).is_ok());
        assert!(restore(Phase::Committed(9)).is_ok());
        assert!(restore(Phase::Committed(10)).unwrap_err().contains("record 10"));
    }

    #[test]
    fn an_entry_that_is_there_twice_is_refused() {
        let node = CoordinatorEntry::Node("N1".parse().unwrap(), NodeSeen::default());
        for entry in [node, CoordinatorEntry::Epoch(1, Vec::new(), false)] {
            let refused = CoordinatorState::restore(9, &mut [entry.clone(), entry].into_iter()).unwrap_err();
            assert!(refused.contains("twice"), "{refused}");
        }
    }

    #[test]
    fn a_transaction_whose_participants_no_order_can_have_named_is_refused() {
        let restore = |nodes: &[&str]| {
            let open = OpenTxn {
                request: RequestId(1),
                digest: BodyDigest(1),
                home: "N1".parse().unwrap(),
                participants: nodes.iter().map(|node| node.parse().unwrap()).collect(),
                phase: Phase::Started,
            };
            let entry = CoordinatorEntry::Open(TxnId::new(StoreId(12), 1, 1), open);
            CoordinatorState::restore(3, &mut [entry].into_iter())
        };
        assert!(restore(&["N1", "N2"]).is_ok());
        let many: Vec<String> = (0..=LEGS_MAX).map(|n| format!("N{n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for nodes in [&[][..], &["N1", "N1"], &["N2", "N1"], &many] {
            assert!(restore(nodes).unwrap_err().contains("no set"), "{nodes:?}");
        }
    }
}
