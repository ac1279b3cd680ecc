//! A node's durable state: the fold of its records.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::page;
use super::record::NodeRecord;
use super::requests::{RequestEntry, Requests};
use crate::fold::{AccountLine, Fold, Seq, Table};
use crate::id::{AccountId, CoordinatorId, Epoch, Incarnation, RequestId, TxnId, TxnPoint};
use crate::ledger::{Account, HoldKind, Ledger, Slots};
use crate::leg::{Nodes, Operation, Operations, few};
use crate::message::{Home, OperatorWord};
use crate::money::Balance;
use crate::numbers::{Log, Numbered, Visit};
use crate::planted;
use crate::reason::Reason;
use crate::table::Keyed;
use crate::unseen::Unseen;

/// A transaction this node has voted YES on: all that COMMIT needs (R3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// What commit does here.
    #[serde(deserialize_with = "few")]
    pub operations: Operations,
    /// Whether a credited account is opened.
    pub opens: bool,
    /// Who else takes part.
    #[serde(deserialize_with = "few")]
    pub participants: Nodes,
    /// Set at the request's home.
    pub home: Option<Home>,
    /// The hold it was granted.
    pub hold: HoldKind,
    /// The record that made the promise.
    pub seq: Seq,
    /// Where its accounts stand, if that is known.
    #[serde(skip)]
    pub slots: Slots,
}

/// A transaction that has ended here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// `None` for committed, else why not.
    pub aborted: Option<Box<Reason>>,
    /// The record that ended it.
    pub seq: Seq,
    /// Set if an operator ended it.
    pub forced: Option<Box<Forced>>,
}

impl Finished {
    /// How it ended.
    pub fn word(&self) -> OperatorWord {
        if self.aborted.is_none() {
            OperatorWord::Commit
        } else {
            OperatorWord::Abort
        }
    }

    /// Whether the coordinator's own decision is still unknown here.
    pub fn awaits_truth(&self) -> bool {
        self.forced.as_ref().is_some_and(|forced| forced.truth.is_none())
    }
}

/// An operator's decision about a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forced {
    /// Why, in the operator's words.
    pub why: String,
    /// The coordinator's decision, once it is known.
    pub truth: Option<OperatorWord>,
}

/// What a node remembers of one coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorSeen {
    /// The highest epoch seen.
    pub epoch: Epoch,
    /// The incarnation of that epoch.
    #[serde(with = "crate::id::hex")]
    pub incarnation: Incarnation,
    /// Its low-water mark.
    pub mark: TxnPoint,
    /// The newest record of its log that it has proved durable.
    pub proved: Seq,
    /// Its log has lost what it had proved, and no operator has accepted it since.
    pub quarantined: bool,
}

/// Everything a node has promised and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeState {
    seq: Seq,
    ledger: Ledger,
    prepared: Keyed<TxnId, Prepared>,
    finished: Keyed<TxnId, Finished>,
    /// Those of the finished ones whose forced outcome waits for the truth.
    awaiting_truth: BTreeSet<TxnId>,
    requests: Requests,
    coordinators: BTreeMap<CoordinatorId, CoordinatorSeen>,
    adopted: Option<u32>,
    snapshot: Unseen<Option<Snapshot>>,
}

/// How far a copy of the state has come; the parts keep what is theirs.
#[derive(Clone, Debug)]
enum Snapshot {
    /// At the accounts; then come the entries of which there are few, as they were when it began.
    Accounts(Vec<NodeEntry>),
    /// At the finished requests.
    Requests,
}

/// Names an entry of a node's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeKey {
    /// An account.
    Account(AccountId),
    /// A prepared transaction.
    Prepared(TxnId),
    /// A finished transaction.
    Finished(TxnId),
    /// A request id.
    Request(RequestId),
    /// A coordinator.
    Coordinator(CoordinatorId),
    /// Everything there is one of.
    Settings,
}

/// An entry of a node's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeEntry {
    /// An account: id, balance, version.
    Account(AccountId, Balance, u64),
    /// A prepared transaction.
    Prepared(TxnId, Box<Prepared>),
    /// A finished transaction.
    Finished(TxnId, Finished),
    /// A request id.
    Request(RequestId, RequestEntry),
    /// A coordinator.
    Coordinator(CoordinatorId, CoordinatorSeen),
    /// Request window, and the digest of an adopted balance file.
    Settings(u64, Option<u32>),
}

impl NodeState {
    /// The accounts and their holds.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Transactions that are prepared, oldest id first.
    pub fn prepared(&self) -> &Keyed<TxnId, Prepared> {
        &self.prepared
    }

    /// How a transaction ended, where that is still kept.
    pub fn finished(&self, txn: &TxnId) -> Option<&Finished> {
        self.finished.get(txn)
    }

    /// Every transaction whose end is still kept, in id order.
    pub fn ended(&self) -> &Keyed<TxnId, Finished> {
        &self.finished
    }

    /// Finished transactions whose forced outcome still waits for the truth.
    pub fn awaiting_truth(&self) -> impl Iterator<Item = TxnId> {
        self.awaiting_truth.iter().copied()
    }

    /// The request table.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The coordinators seen so far.
    pub fn coordinators(&self) -> &BTreeMap<CoordinatorId, CoordinatorSeen> {
        &self.coordinators
    }

    /// One coordinator; all zero if it was never seen.
    pub fn coordinator(&self, id: CoordinatorId) -> CoordinatorSeen {
        self.coordinators.get(&id).copied().unwrap_or_default()
    }

    /// Whether a transaction lies below its coordinator's low-water mark.
    pub fn is_below_mark(&self, txn: TxnId) -> bool {
        txn.at < self.coordinator(txn.coordinator).mark
    }

    /// CRC-32 of the balance file this store began with, if it began with one.
    pub fn adopted(&self) -> Option<u32> {
        self.adopted
    }

    /// Ends a prepared transaction: releases its holds and, on commit, applies it.
    fn end_prepared(&mut self, txn: TxnId, end: &Finished, touched: &mut Vec<NodeKey>) {
        let prepared = self
            .prepared
            .get(&txn)
            .expect("only a prepared transaction is decided");
        if !planted!(EndNotTold) {
            touched.push(NodeKey::Prepared(txn));
        }
        if end.aborted.is_none() {
            self.ledger.settle(txn, &prepared.operations, &prepared.slots);
            touch_accounts(&prepared.operations, touched);
        } else {
            self.ledger.release(txn, &prepared.operations, &prepared.slots);
        }
        let home = prepared.home;
        self.prepared.discard(&txn);
        if let Some(home) = &home {
            self.end_request(home, txn, end, touched);
        }
    }

    /// Everything but accounts and requests.
    fn few(&self) -> impl Iterator<Item = NodeEntry> {
        let prepared = self
            .prepared
            .iter()
            .filter(|_| !planted!(PreparedNotKept))
            .map(|(txn, prepared)| NodeEntry::Prepared(*txn, Box::new(prepared.clone())));
        let finished = self
            .finished
            .iter()
            .filter(|_| !planted!(OutcomesNotKept))
            .map(|(txn, finished)| NodeEntry::Finished(*txn, finished.clone()));
        let coordinators = self
            .coordinators
            .iter()
            .filter(|_| !planted!(EpochsNotKept))
            .map(|(id, seen)| NodeEntry::Coordinator(*id, *seen));
        let settings = self.entry(&NodeKey::Settings).into_iter();
        prepared.chain(finished).chain(coordinators).chain(settings)
    }

    fn end_request(&mut self, home: &Home, txn: TxnId, end: &Finished, touched: &mut Vec<NodeKey>) {
        touched.push(NodeKey::Request(home.request));
        self.requests
            .end(home, txn, end.seq, end.aborted.clone(), |evicted| {
                touched.push(NodeKey::Request(evicted))
            });
    }

    fn remember(&mut self, txn: TxnId, end: Finished, touched: &mut Vec<NodeKey>) {
        touched.push(NodeKey::Finished(txn));
        if end.awaits_truth() {
            self.awaiting_truth.insert(txn);
        }
        self.finished.insert(txn, end);
    }

    /// Forgets what ended below a mark. A forced outcome stays until the truth about it is known, and a mark never
    /// ends a prepared transaction (R9b).
    fn pass_mark(&mut self, coordinator: CoordinatorId, below: TxnPoint, touched: &mut Vec<NodeKey>) {
        let passed = |txn: &TxnId, finished: &Finished| {
            txn.coordinator == coordinator && txn.at < below && !finished.awaits_truth()
        };
        self.finished
            .remove_that(passed, |txn| touched.push(NodeKey::Finished(txn)));
    }

    fn seen_mut(&mut self, id: CoordinatorId, touched: &mut Vec<NodeKey>) -> &mut CoordinatorSeen {
        touched.push(NodeKey::Coordinator(id));
        self.coordinators.entry(id).or_default()
    }

    fn adopt_balances(&mut self, accounts: &[(AccountId, Balance)], touched: &mut Vec<NodeKey>) {
        assert_eq!(self.ledger.total(), 0, "balances are adopted into an empty store");
        let mut operations: Vec<(AccountId, i64)> = accounts.to_vec();
        let sum: i128 = accounts.iter().map(|(_, balance)| i128::from(*balance)).sum();
        let sum = i64::try_from(sum).expect("the reader of the file checked the sum");
        operations.push((AccountId::world(), -sum));
        for (id, balance) in operations {
            let added = self.ledger.restore(id.clone(), Account { balance, version: 1 });
            added.expect("the reader of the file checked every balance");
            touched.push(NodeKey::Account(id));
        }
    }
}

impl Fold for NodeState {
    type Record = NodeRecord;
    type Key = NodeKey;
    type Entry = NodeEntry;

    fn is_housekeeping(record: &NodeRecord) -> bool {
        matches!(record, NodeRecord::Mark { .. } | NodeRecord::Proved { .. })
    }

    fn empty() -> NodeState {
        NodeState::default()
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn size(&self) -> usize {
        self.ledger.len() + self.prepared.len() + self.finished.len() + self.requests.len()
    }

    fn look_ahead(&self, records: &[(Seq, NodeRecord)]) {
        let mut ahead = Ahead::of(self);
        records.iter().for_each(|(_, record)| ahead.record(record));
        ahead.look();
    }

    fn apply(&mut self, seq: Seq, record: &NodeRecord, touched: &mut Vec<NodeKey>) {
        assert_eq!(seq, self.seq + 1, "records follow each other without a gap");
        self.seq = seq;
        let committed = Finished {
            aborted: None,
            seq,
            forced: None,
        };
        let aborted = |reason: &Reason| Finished {
            aborted: Some(Box::new(reason.clone())),
            seq,
            forced: None,
        };
        match record {
            NodeRecord::AdoptBalances {
                accounts,
                file_digest,
            } => {
                self.adopt_balances(accounts, touched);
                self.adopted = Some(*file_digest);
                touched.push(NodeKey::Settings);
            }
            NodeRecord::Coordinator {
                coordinator,
                epoch,
                incarnation,
            } => {
                let seen = self.seen_mut(*coordinator, touched);
                assert!(*epoch > seen.epoch, "epochs of {coordinator} only rise");
                seen.epoch = *epoch;
                seen.incarnation = *incarnation;
            }
            NodeRecord::PrepareOk {
                txn,
                operations,
                opens,
                participants,
                home,
                hold,
            } => {
                assert!(
                    !self.finished.contains_key(txn),
                    "{txn} has ended and cannot be prepared again (R9)"
                );
                let slots = self.ledger.hold(*txn, operations, *hold);
                if let Some(home) = home
                    && !planted!(OpenRequestForgotten)
                {
                    self.requests.open(home, *txn);
                    touched.push(NodeKey::Request(home.request));
                }
                let prepared = Prepared {
                    operations: operations.clone(),
                    opens: *opens,
                    participants: participants.clone(),
                    home: *home,
                    hold: *hold,
                    seq,
                    slots,
                };
                let before = self.prepared.insert(*txn, prepared);
                assert!(before.is_none(), "{txn} is prepared once");
                touched.push(NodeKey::Prepared(*txn));
            }
            NodeRecord::PrepareFailed {
                txn, reason, home, ..
            } => {
                let end = aborted(reason);
                if let Some(home) = home {
                    self.end_request(home, *txn, &end, touched);
                }
                self.remember(*txn, end, touched);
            }
            NodeRecord::Commit { txn } => {
                self.end_prepared(*txn, &committed, touched);
                if !planted!(OutcomeForgotten) {
                    self.remember(*txn, committed, touched);
                }
            }
            NodeRecord::CommitOnePhase {
                txn,
                operations,
                home,
                ..
            } => {
                assert_eq!(
                    net(operations),
                    0,
                    "transaction {txn} would create or destroy money"
                );
                self.ledger.apply(operations);
                touch_accounts(operations, touched);
                self.end_request(home, *txn, &committed, touched);
                self.remember(*txn, committed, touched);
            }
            NodeRecord::Abort { txn, reason, bind } => {
                let end = aborted(reason);
                if self.prepared.contains_key(txn) {
                    self.end_prepared(*txn, &end, touched);
                }
                if let Some(home) = bind {
                    self.end_request(home, *txn, &end, touched);
                }
                self.remember(*txn, end, touched);
            }
            NodeRecord::Mark { coordinator, below } => {
                self.pass_mark(*coordinator, *below, touched);
                let seen = self.seen_mut(*coordinator, touched);
                seen.mark = seen.mark.max(*below);
            }
            NodeRecord::Proved { coordinator, through } => {
                let seen = self.seen_mut(*coordinator, touched);
                seen.proved = seen.proved.max(*through);
            }
            NodeRecord::Quarantine { coordinator } => {
                self.seen_mut(*coordinator, touched).quarantined = true;
            }
            NodeRecord::AcceptLog { coordinator, through } => {
                let seen = self.seen_mut(*coordinator, touched);
                seen.proved = *through;
                seen.quarantined = false;
            }
            NodeRecord::Resolve { txn, word, why } => {
                let reason = match word {
                    OperatorWord::Commit => None,
                    OperatorWord::Abort => Some(Box::new(Reason::OperatorDecision)),
                };
                let forced = Some(Box::new(Forced {
                    why: why.clone(),
                    truth: None,
                }));
                let end = Finished {
                    aborted: reason,
                    seq,
                    forced,
                };
                self.end_prepared(*txn, &end, touched);
                self.remember(*txn, end, touched);
            }
            NodeRecord::Truth { txn, truth } => {
                let finished = self
                    .finished
                    .get_mut(txn)
                    .expect("a forced outcome is kept until its truth");
                let forced = finished
                    .forced
                    .as_mut()
                    .expect("only a forced outcome waits for the truth");
                forced.truth = Some(*truth);
                finished.seq = seq;
                self.awaiting_truth.remove(txn);
                touched.push(NodeKey::Finished(*txn));
            }
            NodeRecord::RequestWindow { requests } => {
                self.requests.set_window(*requests);
                touched.push(NodeKey::Settings);
            }
        }
    }

    fn entry(&self, key: &NodeKey) -> Option<NodeEntry> {
        match key {
            NodeKey::Account(id) => self
                .ledger
                .account(id)
                .map(|account| NodeEntry::Account(id.clone(), account.balance, account.version)),
            NodeKey::Prepared(txn) => self
                .prepared
                .get(txn)
                .map(|prepared| NodeEntry::Prepared(*txn, Box::new(prepared.clone()))),
            NodeKey::Finished(txn) => self
                .finished
                .get(txn)
                .map(|finished| NodeEntry::Finished(*txn, finished.clone())),
            NodeKey::Request(request) => self
                .requests
                .get(request)
                .map(|entry| NodeEntry::Request(*request, entry)),
            NodeKey::Coordinator(id) => self
                .coordinators
                .get(id)
                .map(|seen| NodeEntry::Coordinator(*id, *seen)),
            NodeKey::Settings => Some(NodeEntry::Settings(self.requests.window(), self.adopted)),
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = NodeEntry> + '_> {
        let accounts = self.ledger.accounts();
        let accounts =
            accounts.map(|(id, account)| NodeEntry::Account(id.clone(), account.balance, account.version));
        let requests = self
            .requests
            .entries()
            .filter(|_| !planted!(RequestsNotKept))
            .map(|(id, entry)| NodeEntry::Request(id, entry));
        Box::new(accounts.chain(self.few()).chain(requests))
    }

    fn page(&self, after: Option<&NodeKey>, len: usize) -> Vec<NodeEntry> {
        page::page(self, after, len)
    }

    fn begin_snapshot(&mut self) -> bool {
        self.ledger.begin_snapshot();
        let open = self.requests.begin_snapshot(self.seq).into_iter();
        let open = open.map(|(id, entry)| NodeEntry::Request(id, entry));
        self.snapshot.0 = Some(Snapshot::Accounts(self.few().chain(open).collect()));
        true
    }

    fn next_part(&mut self, size: usize) -> Option<Vec<NodeEntry>> {
        match self.snapshot.0.as_mut()? {
            Snapshot::Accounts(few) => match self.ledger.next_part(size) {
                Some(part) => {
                    let accounts = part.into_iter();
                    let entry = |(id, account): (AccountId, Account)| {
                        NodeEntry::Account(id, account.balance, account.version)
                    };
                    Some(accounts.map(entry).collect())
                }
                None => {
                    let few = mem::take(few);
                    self.snapshot.0 = Some(Snapshot::Requests);
                    Some(few)
                }
            },
            Snapshot::Requests => match self.requests.next_part(size) {
                Some(part) => {
                    let entries = part.into_iter().filter(|_| !planted!(RequestsNotKept));
                    Some(entries.map(|(id, entry)| NodeEntry::Request(id, entry)).collect())
                }
                None => {
                    self.snapshot.0 = None;
                    None
                }
            },
        }
    }

    fn restore(seq: Seq, entries: &mut dyn Iterator<Item = NodeEntry>) -> Result<NodeState, String> {
        let mut state = NodeState {
            seq,
            ..NodeState::default()
        };
        let mut settings_seen = false;
        for entry in entries {
            let key = NodeState::key(&entry);
            let twice = |replaced: bool| if replaced { Err("an entry twice") } else { Ok(()) };
            if let Some(newer) = newest_named(&entry).filter(|&named| named > seq) {
                return Err(format!("{key:?}: names record {newer}, but the newest is {seq}"));
            }
            let restored = match entry {
                NodeEntry::Account(_, _, version) if version > seq => Err("more changes than records"),
                NodeEntry::Prepared(_, prepared) if !is_merged(&prepared.operations) => {
                    Err("its operations are not merged")
                }
                NodeEntry::Account(id, balance, version) => {
                    state.ledger.restore(id, Account { balance, version })
                }
                NodeEntry::Prepared(txn, mut prepared) => {
                    prepared.slots = Slots::default(); // It may come from a ledger with accounts in other places.
                    twice(state.prepared.insert(txn, *prepared).is_some())
                }
                NodeEntry::Finished(txn, finished) => {
                    if finished.awaits_truth() {
                        state.awaiting_truth.insert(txn);
                    }
                    twice(state.finished.insert(txn, finished).is_some())
                }
                NodeEntry::Request(request, entry) => state.requests.restore(request, entry),
                NodeEntry::Coordinator(id, seen) => twice(state.coordinators.insert(id, seen).is_some()),
                NodeEntry::Settings(window, adopted) => {
                    state.requests.set_window(window);
                    state.adopted = adopted;
                    twice(mem::replace(&mut settings_seen, true))
                }
            };
            restored.map_err(|problem| format!("{key:?}: {problem}"))?;
        }
        state.requests.restored();
        let NodeState { prepared, ledger, .. } = &mut state;
        for (txn, prepared) in prepared.iter().filter(|_| !planted!(HoldsNotRetaken)) {
            let checked = ledger.check(&prepared.operations, prepared.opens, prepared.hold);
            checked.map_err(|refusal| format!("prepared {txn} cannot hold its accounts: {refusal}"))?;
            ledger.hold(*txn, &prepared.operations, prepared.hold);
        }
        Ok(state)
    }

    fn key(entry: &NodeEntry) -> NodeKey {
        match entry {
            NodeEntry::Account(id, ..) => NodeKey::Account(id.clone()),
            NodeEntry::Prepared(txn, _) => NodeKey::Prepared(*txn),
            NodeEntry::Finished(txn, _) => NodeKey::Finished(*txn),
            NodeEntry::Request(request, _) => NodeKey::Request(*request),
            NodeEntry::Coordinator(id, _) => NodeKey::Coordinator(*id),
            NodeEntry::Settings(..) => NodeKey::Settings,
        }
    }

    fn table(key: &NodeKey) -> Table {
        match key {
            NodeKey::Account(_) => Table::Accounts,
            NodeKey::Prepared(_) => Table::Prepared,
            NodeKey::Finished(_) | NodeKey::Request(_) => Table::Outcomes,
            NodeKey::Coordinator(_) | NodeKey::Settings => Table::Meta,
        }
    }

    fn as_account(entry: &NodeEntry) -> Option<AccountLine> {
        match entry {
            NodeEntry::Account(id, balance, version) => Some(AccountLine {
                id: id.clone(),
                balance: *balance,
                version: *version,
            }),
            NodeEntry::Prepared(..)
            | NodeEntry::Finished(..)
            | NodeEntry::Request(..)
            | NodeEntry::Coordinator(..)
            | NodeEntry::Settings(..) => None,
        }
    }

    fn from_account(line: AccountLine) -> Option<NodeEntry> {
        Some(NodeEntry::Account(line.id, line.balance, line.version))
    }

    fn adoption(accounts: Vec<(AccountId, Balance)>, file_digest: u32) -> Option<NodeRecord> {
        Some(NodeRecord::AdoptBalances {
            accounts,
            file_digest,
        })
    }
}

fn touch_accounts(operations: &[Operation], touched: &mut Vec<NodeKey>) {
    let accounts = operations.iter().map(|operation| operation.account.clone());
    touched.extend(accounts.map(NodeKey::Account));
}

/// The newest record that an entry names.
fn newest_named(entry: &NodeEntry) -> Option<Seq> {
    match entry {
        NodeEntry::Prepared(_, prepared) => Some(prepared.seq),
        NodeEntry::Finished(_, finished) => Some(finished.seq),
        NodeEntry::Request(_, entry) => entry.progress.ended(),
        NodeEntry::Account(..) | NodeEntry::Coordinator(..) | NodeEntry::Settings(..) => None,
    }
}

/// Whether there is something to do, and no account is named twice (R19).
pub(super) fn is_merged(operations: &[Operation]) -> bool {
    let ascending = |pair: &[Operation]| pair[0].account < pair[1].account;
    let merged = operations.windows(2).all(ascending) || planted!(LegsNotMerged);
    merged && !operations.is_empty()
}

impl Numbered for NodeState {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        let NodeState {
            seq,
            ledger: _,
            prepared,
            finished,
            awaiting_truth: _,
            requests,
            coordinators,
            adopted: _,
            snapshot: _,
        } = self;
        visit(own, seq);
        prepared.each_value(|prepared| visit(own, &mut prepared.seq));
        finished.each_value(|finished| visit(own, &mut finished.seq));
        requests.each_number(own, visit);
        for (&id, seen) in coordinators {
            visit(Log::Coordinator(id), &mut seen.proved);
        }
    }
}

/// What applying the operations adds to the node's total.
pub(super) fn net(operations: &[Operation]) -> i128 {
    operations
        .iter()
        .map(|operation| i128::from(operation.delta.get()))
        .sum()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::id::StoreId;
    use crate::leg::BodyDigest;
    use crate::participant::requests::Progress;

    fn txn() -> TxnId {
        TxnId::new(StoreId(12), 1, 1)
    }

    fn account(balance: Balance, version: u64) -> NodeEntry {
        NodeEntry::Account("A".parse().unwrap(), balance, version)
    }

    fn prepared(deltas: &[i64], hold: HoldKind, seq: Seq) -> NodeEntry {
        let operation = |&delta: &i64| Operation {
            account: "A".parse().unwrap(),
            delta: delta.try_into().unwrap(),
        };
        let prepared = Prepared {
            operations: deltas.iter().map(operation).collect(),
            opens: false,
            participants: vec!["N1".parse().unwrap()].into(),
            home: None,
            hold,
            seq,
            slots: Slots::default(),
        };
        NodeEntry::Prepared(txn(), Box::new(prepared))
    }

    fn finished(seq: Seq) -> NodeEntry {
        let end = Finished {
            aborted: None,
            seq,
            forced: None,
        };
        NodeEntry::Finished(txn(), end)
    }

    fn request(seq: Seq) -> NodeEntry {
        let entry = RequestEntry {
            digest: BodyDigest(1),
            txn: txn(),
            progress: Progress::Committed(seq),
        };
        NodeEntry::Request(RequestId(1), entry)
    }

    #[test]
    fn entries_that_no_log_can_have_left_are_refused_one_by_one() {
        let restore = |entries: Vec<NodeEntry>| NodeState::restore(9, &mut entries.into_iter());
        for hold in [HoldKind::Exclusive, HoldKind::Escrow] {
            let good = vec![account(10, 9), prepared(&[-5], hold, 9), finished(9), request(9)];
            assert!(restore(good).is_ok());
            for (entry, problem) in [
                (prepared(&[-5, -5], hold, 9), "operations are not merged"),
                (prepared(&[], hold, 9), "operations are not merged"),
                (prepared(&[-11], hold, 9), "insufficient_funds"),
                (prepared(&[-5], hold, 10), "record 10"),
                (finished(10), "record 10"),
                (request(10), "record 10"),
                (account(10, 9), "an account twice"),
            ] {
                let refused = restore(vec![account(10, 1), entry]).unwrap_err();
                assert!(refused.contains(problem), "{refused}");
            }
        }
        assert!(restore(vec![account(10, 10)]).unwrap_err().contains("changes"));
        assert!(restore(vec![account(-1, 1)]).unwrap_err().contains("negative"));
        assert!(
            restore(vec![finished(1), finished(1)])
                .unwrap_err()
                .contains("twice")
        );
    }

    /// Accounts stand where they were opened; in another state made of the same entries they stand in the order of those.
    #[test]
    fn what_another_state_has_prepared_is_ended_on_the_accounts_of_this_one() {
        let operation = |account: &str, delta: i64| Operation {
            account: account.parse().unwrap(),
            delta: delta.try_into().unwrap(),
        };
        let mut state = NodeState::default();
        let adopted = |name: &str| (name.parse().unwrap(), 10);
        let records = [
            NodeRecord::AdoptBalances {
                accounts: vec![adopted("B"), adopted("A")],
                file_digest: 1,
            },
            NodeRecord::PrepareOk {
                txn: txn(),
                operations: vec![operation("A", -3), operation("B", 3)].into(),
                opens: false,
                participants: vec!["N1".parse().unwrap()].into(),
                home: None,
                hold: HoldKind::Exclusive,
            },
        ];
        for (seq, record) in (1..).zip(&records) {
            state.apply(seq, record, &mut Vec::new());
        }
        let mut entries: Vec<NodeEntry> = state.entries().collect();
        let forward = NodeState::restore(2, &mut entries.clone().into_iter()).unwrap();
        entries.reverse();
        let backward = NodeState::restore(2, &mut entries.into_iter()).unwrap();
        for mut restored in [state, forward, backward] {
            restored.apply(3, &NodeRecord::Commit { txn: txn() }, &mut Vec::new());
            let account = |name: &str| restored.ledger().account(&name.parse().unwrap()).unwrap();
            assert_eq!((account("A").balance, account("B").balance), (7, 13));
        }
    }
}
