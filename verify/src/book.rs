//! One node's records, added up by our own hand, and what each of them must not do.

use std::collections::BTreeMap;

use protocol::fold::{Fold, Seq};
use protocol::id::{AccountId, CoordinatorId, NodeId, TxnId, TxnPoint};
use protocol::ledger::HoldKind;
use protocol::leg::Operation;
use protocol::message::{Home, OperatorWord};
use protocol::participant::{CoordinatorSeen, NodeRecord, NodeState};

use crate::findings::{At, Findings, Store};
use crate::holds::Holds;
use crate::report::Invariant;
use crate::requests::Requests;

const WORLD: &str = "@world";

/// An account. Wide enough that nothing overflows before it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: i128,
    pub(crate) version: u64,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise<'a> {
    pub(crate) operations: &'a [Operation],
    pub(crate) participants: &'a [NodeId],
    pub(crate) home: Option<Home>,
    pub(crate) hold: HoldKind,
    pub(crate) seq: Seq,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) word: OperatorWord,
    pub(crate) seq: Seq,
    /// Whether an operator ended it, and the truth about that, once it is known.
    pub(crate) forced: Option<Option<OperatorWord>>,
}

/// A node's state, as far as money hangs on it.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    node: NodeId,
    pub(crate) seq: Seq,
    pub(crate) accounts: BTreeMap<&'a str, Account>,
    pub(crate) prepared: BTreeMap<TxnId, Promise<'a>>,
    pub(crate) finished: BTreeMap<TxnId, Ended>,
    pub(crate) requests: Requests,
    pub(crate) seen: BTreeMap<CoordinatorId, CoordinatorSeen>,
    holds: Holds<'a>,
}

impl<'a> Book<'a> {
    /// Opens the book at a checkpoint.
    pub(crate) fn at(node: NodeId, state: &'a NodeState) -> Book<'a> {
        let mut book = Book {
            node,
            seq: state.seq(),
            accounts: accounts_of(state).collect(),
            prepared: BTreeMap::new(),
            finished: finished_of(state).collect(),
            requests: Requests::from_state(state.requests()),
            seen: state.coordinators().clone(),
            holds: Holds::default(),
        };
        for (txn, promise) in prepared_of(state) {
            book.holds.hold(txn, promise.operations, promise.hold);
            book.prepared.insert(txn, promise);
        }
        book
    }

    /// All balances, `@world` included.
    pub(crate) fn sum(&self) -> i128 {
        self.accounts.values().map(|account| account.balance).sum()
    }

    /// What deposits have brought in.
    pub(crate) fn brought_in(&self) -> i128 {
        self.accounts.get(WORLD).map_or(0, |world| -world.balance)
    }

    /// Whether a transaction lies below its coordinator's mark, so that its end may be forgotten.
    pub(crate) fn is_below_mark(&self, txn: TxnId) -> bool {
        self.seen
            .get(&txn.coordinator)
            .is_some_and(|seen| txn.at < seen.mark)
    }

    /// Adds the next record.
    pub(crate) fn apply(&mut self, seq: Seq, record: &'a NodeRecord, findings: &mut Findings) {
        self.seq = seq;
        let at = At::store(Store::Node(self.node)).seq(seq);
        match record {
            NodeRecord::AdoptBalances { accounts, .. } => self.adopt(at, accounts, findings),
            NodeRecord::Coordinator {
                coordinator,
                epoch,
                incarnation,
            } => {
                let seen = self.seen.entry(*coordinator).or_default();
                if *epoch <= seen.epoch {
                    let expected = format_args!("an epoch of {coordinator} above {}", seen.epoch);
                    findings.violation(Invariant::V6, at, expected, epoch);
                }
                (seen.epoch, seen.incarnation) = (*epoch, *incarnation);
            }
            NodeRecord::PrepareOk {
                txn,
                operations,
                participants,
                home,
                hold,
                ..
            } => {
                let promise = Promise {
                    operations,
                    participants,
                    home: *home,
                    hold: *hold,
                    seq,
                };
                self.promise(at.txn(*txn), *txn, promise, findings);
            }
            NodeRecord::PrepareFailed { txn, home, .. } => {
                self.end(*txn, OperatorWord::Abort, seq, home.as_ref());
            }
            NodeRecord::Commit { txn } => {
                self.release(at.txn(*txn), *txn, OperatorWord::Commit, findings);
                self.end(*txn, OperatorWord::Commit, seq, None);
            }
            NodeRecord::CommitOnePhase {
                txn,
                operations,
                home,
                ..
            } => self.commit_alone(at.txn(*txn), *txn, operations, home, findings),
            NodeRecord::Abort { txn, bind, .. } => {
                if self.prepared.contains_key(txn) {
                    self.release(at.txn(*txn), *txn, OperatorWord::Abort, findings);
                }
                self.end(*txn, OperatorWord::Abort, seq, bind.as_ref());
            }
            NodeRecord::Mark { coordinator, below } => self.pass_mark(*coordinator, *below),
            NodeRecord::Proved { coordinator, through } => {
                let seen = self.seen.entry(*coordinator).or_default();
                seen.proved = seen.proved.max(*through);
            }
            NodeRecord::Quarantine { coordinator } => {
                self.seen.entry(*coordinator).or_default().quarantined = true;
            }
            NodeRecord::AcceptLog { coordinator, through } => {
                let seen = self.seen.entry(*coordinator).or_default();
                (seen.proved, seen.quarantined) = (*through, false);
            }
            NodeRecord::Resolve { txn, word, .. } => {
                self.release(at.txn(*txn), *txn, *word, findings);
                let ended = Ended {
                    word: *word,
                    seq,
                    forced: Some(None),
                };
                self.finished.insert(*txn, ended);
            }
            NodeRecord::Truth { txn, truth } => match self.finished.get_mut(txn) {
                Some(ended) if ended.forced.is_some() => {
                    (ended.seq, ended.forced) = (seq, Some(Some(*truth)));
                }
                Some(_) | None => {
                    let expected = "an outcome that an operator forced";
                    findings.violation(Invariant::V3, at.txn(*txn), expected, "the truth about none");
                }
            },
            NodeRecord::RequestWindow { requests } => self.requests.set_window(*requests),
        }
    }

    fn adopt(
        &mut self,
        at: At,
        accounts: &'a [(AccountId, protocol::money::Balance)],
        findings: &mut Findings,
    ) {
        if !self.accounts.is_empty() {
            let found = format_args!("{} accounts are there", self.accounts.len());
            findings.violation(Invariant::V6, at, "balances adopted into an empty store", found);
        }
        let mut sum = 0;
        for (id, balance) in accounts {
            let balance = i128::from(*balance);
            sum += balance;
            self.accounts.insert(id.as_str(), Account { balance, version: 1 });
        }
        let world = Account {
            balance: -sum,
            version: 1,
        };
        self.accounts.insert(WORLD, world);
    }

    fn promise(&mut self, at: At, txn: TxnId, promise: Promise<'a>, findings: &mut Findings) {
        if let Some(ended) = self.finished.get(&txn) {
            let found = format_args!("prepared again, though {} in record {}", ended.word, ended.seq);
            findings.violation(Invariant::V3, at, "an ended transaction is never prepared", found);
        }
        if let Some(before) = self.prepared.get(&txn) {
            let found = format_args!("prepared again, though promised in record {}", before.seq);
            findings.violation(Invariant::V3, at, "a transaction is prepared once", found);
            return;
        }
        check_merged(at, promise.operations, findings);
        if let Some(home) = &promise.home {
            self.check_first_attempt(at, home, txn, findings);
            self.requests.open(home, txn);
        }
        self.check_free(at, promise.operations, Some(promise.hold), findings);
        self.holds.hold(txn, promise.operations, promise.hold);
        self.prepared.insert(txn, promise);
        for operation in promise
            .operations
            .iter()
            .filter(|operation| operation.delta.is_debit())
        {
            self.check_covered(at, operation.account.as_str(), findings);
        }
    }

    fn commit_alone(
        &mut self,
        at: At,
        txn: TxnId,
        operations: &'a [Operation],
        home: &Home,
        findings: &mut Findings,
    ) {
        let net = net(operations);
        if net != 0 {
            findings.violation(
                Invariant::V1,
                at,
                "operations that add up to 0",
                format_args!("{net:+}"),
            );
        }
        if let Some(ended) = self.finished.get(&txn) {
            let found = format_args!("committed, though {} in record {}", ended.word, ended.seq);
            findings.violation(
                Invariant::V3,
                at,
                "an ended transaction is never committed",
                found,
            );
        }
        check_merged(at, operations, findings);
        self.check_first_attempt(at, home, txn, findings);
        self.check_free(at, operations, None, findings);
        self.change(at, operations, findings);
        self.end(txn, OperatorWord::Commit, self.seq, Some(home));
    }

    /// Takes a promise back and, on commit, keeps it.
    fn release(&mut self, at: At, txn: TxnId, word: OperatorWord, findings: &mut Findings) {
        let Some(promise) = self.prepared.remove(&txn) else {
            let found = format_args!("{word} of what is not");
            findings.violation(Invariant::V3, at, "only what is prepared is decided", found);
            return;
        };
        self.holds.release(txn, promise.operations);
        if word == OperatorWord::Commit {
            self.change(at, promise.operations, findings);
        }
        if let Some(home) = &promise.home {
            self.requests.end(home, txn, word, self.seq);
        }
    }

    fn end(&mut self, txn: TxnId, word: OperatorWord, seq: Seq, home: Option<&Home>) {
        if let Some(home) = home {
            self.requests.end(home, txn, word, seq);
        }
        let ended = Ended {
            word,
            seq,
            forced: None,
        };
        self.finished.insert(txn, ended);
    }

    fn change(&mut self, at: At, operations: &'a [Operation], findings: &mut Findings) {
        for operation in operations {
            let id = operation.account.as_str();
            let account = self.accounts.entry(id).or_default();
            account.balance += i128::from(operation.delta.get());
            account.version += 1;
            if account.balance > i128::from(i64::MAX) {
                let found = format_args!("{id} holds {}", account.balance);
                findings.violation(Invariant::V2, at, "no more than an account can hold", found);
            }
            self.check_covered(at, id, findings);
        }
    }

    /// An account holds what it owes, and all that is promised from it.
    fn check_covered(&self, at: At, id: &str, findings: &mut Findings) {
        if id == WORLD {
            return;
        }
        let balance = self.accounts.get(id).map_or(0, |account| account.balance);
        let debits = self.holds.debits(id);
        if balance < 0 {
            let found = format_args!("{id} holds {balance}");
            findings.violation(Invariant::V2, at, "no balance below 0", found);
        } else if balance + debits < 0 {
            let found = format_args!("{id} holds {balance} and has promised {}", -debits);
            findings.violation(Invariant::V2, at, "no promise beyond what is there", found);
        }
    }

    /// Nobody else holds these accounts in a way that keeps others out; `None` is for a change without a hold.
    fn check_free(&self, at: At, operations: &[Operation], hold: Option<HoldKind>, findings: &mut Findings) {
        for operation in operations {
            if let Some(holder) = self.holds.clash(operation.account.as_str(), hold) {
                let expected = format_args!("{} is held by {holder}", operation.account);
                findings.violation(Invariant::V9, at, expected, "it is given away a second time");
            }
        }
    }

    fn check_first_attempt(&self, at: At, home: &Home, txn: TxnId, findings: &mut Findings) {
        if let Some(before) = self.requests.get(&home.request) {
            let expected = format_args!("request {} belongs to {}", home.request, before.txn);
            findings.violation(Invariant::V5, at, expected, format_args!("{txn} carries it too"));
        }
    }

    /// Forgets what ended below a mark, but for what an operator ended and nobody knows the truth about.
    fn pass_mark(&mut self, coordinator: CoordinatorId, below: TxnPoint) {
        let seen = self.seen.entry(coordinator).or_default();
        seen.mark = seen.mark.max(below);
        let point = |at| TxnId { coordinator, at };
        let passed = self.finished.range(point(TxnPoint::default())..point(below));
        let gone = passed.filter(|(_, ended)| ended.forced != Some(None));
        let gone: Vec<TxnId> = gone.map(|(&txn, _)| txn).collect();
        for txn in gone {
            self.finished.remove(&txn);
        }
    }
}

/// A state's accounts as a book has them.
pub(crate) fn accounts_of(state: &NodeState) -> impl Iterator<Item = (&str, Account)> {
    state.ledger().accounts().map(|(id, account)| {
        let balance = i128::from(account.balance);
        let version = account.version;
        (id.as_str(), Account { balance, version })
    })
}

/// A state's promises as a book has them.
pub(crate) fn prepared_of(state: &NodeState) -> impl Iterator<Item = (TxnId, Promise<'_>)> {
    state.prepared().iter().map(|(&txn, prepared)| {
        let promise = Promise {
            operations: &prepared.operations,
            participants: &prepared.participants,
            home: prepared.home,
            hold: prepared.hold,
            seq: prepared.seq,
        };
        (txn, promise)
    })
}

/// What has ended in a state as a book has it.
pub(crate) fn finished_of(state: &NodeState) -> impl Iterator<Item = (TxnId, Ended)> {
    state.ended().iter().map(|(&txn, finished)| {
        let ended = Ended {
            word: finished.word(),
            seq: finished.seq,
            forced: finished.forced.as_ref().map(|forced| forced.truth),
        };
        (txn, ended)
    })
}

/// What these operations add to the node's total.
pub(crate) fn net(operations: &[Operation]) -> i128 {
    let deltas = operations
        .iter()
        .map(|operation| i128::from(operation.delta.get()));
    deltas.sum()
}

fn check_merged(at: At, operations: &[Operation], findings: &mut Findings) {
    let ascending = operations
        .windows(2)
        .all(|pair| pair[0].account < pair[1].account);
    if !ascending || operations.is_empty() {
        let found = format_args!("{} of them, repeated or out of order", operations.len());
        findings.violation(Invariant::V6, at, "one operation for each account", found);
    }
}
