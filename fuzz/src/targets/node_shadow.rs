//! A shadow of a node: what its records say of money, transactions, requests and coordinators, added up by somebody who
//! has never seen the state they are folded into.

use std::collections::{BTreeMap, BTreeSet};

use protocol::fold::Seq;
use protocol::id::{AccountId, Epoch, Incarnation, RequestId, StoreId, TxnId};
use protocol::leg::Operation;
use protocol::message::{Home, OperatorWord};
use protocol::participant::{NodeRecord, NodeState};

/// What the records say of money, told by somebody who has never seen the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shadow {
    balances: BTreeMap<AccountId, i128>,
    pub(super) prepared: BTreeMap<TxnId, Vec<Operation>>,
    /// Whether it committed, and the record that says so.
    pub(super) ended: BTreeMap<TxnId, (bool, Seq)>,
    /// Every attempt that a home has written down under a request, in order; whether it committed is in `ended`.
    attempts: BTreeMap<RequestId, Vec<TxnId>>,
    /// The newest life of each coordinator.
    pub(super) lives: BTreeMap<StoreId, (Epoch, Incarnation)>,
    pub(super) proved: BTreeMap<StoreId, Seq>,
    pub(super) quarantined: BTreeSet<StoreId>,
}

impl Shadow {
    pub(super) fn of(records: &[(Seq, NodeRecord)]) -> Shadow {
        let mut shadow = Shadow::default();
        records.iter().for_each(|(seq, record)| shadow.note(*seq, record));
        shadow
    }

    /// The end of a transaction that has committed.
    pub(super) fn committed(&self, txn: &TxnId) -> Option<Seq> {
        self.ended
            .get(txn)
            .and_then(|(committed, seq)| committed.then_some(*seq))
    }

    /// A request happens once, and a refused one never.
    pub(super) fn once_each(&self) {
        for (request, attempts) in &self.attempts {
            let begun = attempts
                .iter()
                .filter(|txn| self.prepared.contains_key(txn) || self.committed(txn).is_some());
            assert!(
                begun.count() <= 1,
                "request {request} happens twice: {attempts:?}"
            );
        }
    }

    fn attempt(&mut self, home: Option<&Home>, txn: TxnId) {
        if let Some(home) = home {
            self.attempts.entry(home.request).or_default().push(txn);
        }
    }

    pub(super) fn note(&mut self, seq: Seq, record: &NodeRecord) {
        match record {
            NodeRecord::PrepareOk {
                txn,
                operations,
                home,
                ..
            } => {
                self.attempt(home.as_ref(), *txn);
                assert!(
                    !self.ended.contains_key(txn),
                    "{txn} has ended and is prepared again"
                );
                let before = self.prepared.insert(*txn, operations.to_vec());
                assert_eq!(before, None, "{txn} is prepared twice");
            }
            NodeRecord::Commit { txn } => self.end_prepared(*txn, true, seq),
            NodeRecord::Resolve { txn, word, .. } => {
                self.end_prepared(*txn, *word == OperatorWord::Commit, seq)
            }
            NodeRecord::CommitOnePhase {
                txn,
                operations,
                home,
                ..
            } => {
                self.attempt(Some(home), *txn);
                let net: i128 = operations
                    .iter()
                    .map(|operation| i128::from(operation.delta.get()))
                    .sum();
                assert_eq!(net, 0, "{txn} makes money");
                self.end(*txn, true, seq);
                self.apply(operations);
            }
            NodeRecord::PrepareFailed { txn, .. } => self.end(*txn, false, seq),
            NodeRecord::Abort { txn, .. } => {
                self.prepared.remove(txn);
                let before = self.ended.insert(*txn, (false, seq));
                assert!(
                    before.is_none_or(|(committed, _)| !committed),
                    "{txn} has committed and aborts"
                );
            }
            NodeRecord::AdoptBalances { accounts, .. } => {
                assert_eq!(seq, 1, "a file is adopted at the very first start");
                for (account, balance) in accounts {
                    self.balances.insert(account.clone(), i128::from(*balance));
                }
                let total: i128 = self.balances.values().sum();
                self.balances.insert(AccountId::world(), -total);
            }
            NodeRecord::Coordinator {
                coordinator,
                epoch,
                incarnation,
            } => {
                let before = self.lives.insert(*coordinator, (*epoch, *incarnation));
                assert!(
                    before.is_none_or(|(before, _)| before < *epoch),
                    "an epoch comes back"
                );
            }
            NodeRecord::Proved { coordinator, through } => {
                let proved = self.proved.entry(*coordinator).or_default();
                *proved = (*proved).max(*through);
            }
            NodeRecord::Quarantine { coordinator } => {
                self.quarantined.insert(*coordinator);
            }
            NodeRecord::AcceptLog { coordinator, through } => {
                self.quarantined.remove(coordinator);
                self.proved.insert(*coordinator, *through);
            }
            NodeRecord::Mark { .. } | NodeRecord::Truth { .. } | NodeRecord::RequestWindow { .. } => {}
        }
    }

    fn end_prepared(&mut self, txn: TxnId, committed: bool, seq: Seq) {
        let operations = self
            .prepared
            .remove(&txn)
            .expect("only what is prepared is decided");
        self.end(txn, committed, seq);
        if committed {
            self.apply(&operations);
        }
    }

    fn end(&mut self, txn: TxnId, committed: bool, seq: Seq) {
        assert_eq!(self.ended.insert(txn, (committed, seq)), None, "{txn} ends twice");
    }

    fn apply(&mut self, operations: &[Operation]) {
        for Operation { account, delta } in operations {
            let balance = self.balances.entry(account.clone()).or_default();
            *balance += i128::from(delta.get());
            assert!(
                *balance >= 0 || account.is_world(),
                "{account} falls to {balance}"
            );
            assert!(i64::try_from(*balance).is_ok(), "{account} holds {balance}");
        }
    }

    /// The accounts hold what the records say, and whatever is prepared can still be paid.
    pub(super) fn compare(&self, state: &NodeState) {
        let found: BTreeMap<AccountId, i128> = state
            .ledger()
            .accounts()
            .map(|(id, account)| (id.clone(), account.balance.into()))
            .collect();
        assert_eq!(found, self.balances);
        assert_eq!(state.ledger().total(), self.balances.values().sum::<i128>());
        assert!(
            state.prepared().keys().eq(self.prepared.keys()),
            "{:?}",
            state.prepared()
        );
        for account in found.keys().filter(|account| !account.is_world()) {
            let held: i128 = state
                .ledger()
                .holds(account)
                .map(|(_, delta)| i128::from(delta.get().min(0)))
                .sum();
            assert!(
                found[account] + held >= 0,
                "more is promised of {account} than it has"
            );
        }
    }
}
