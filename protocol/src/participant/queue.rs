//! Who waits for whom at a node: the queue of `--locking wait` (R17).
//!
//! Wait-die (Rosenkrantz, Stearns and Lewis, 1978): a transaction that finds an account taken waits if it is older than
//! everybody in its way, and aborts at once if it is younger than one of them. So waiting points from the old to the
//! young only, at all nodes alike, and can never come round in a circle. In the way are the holders of its accounts and
//! those that wait for one of them already: nobody overtakes, not even to an account that is free.
//!
//! Whoever waits was promised nothing, holds nothing here and is in no log. A place in the queue ends with its turn; with
//! ABORT, or the question how a one-node transaction ended, which is how its coordinator bounds the wait; with its
//! connection; with an audit's freeze; and with the process.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use smallvec::{SmallVec, smallvec};

use super::{Participant, SessionId};
use crate::effects::Effects;
use crate::id::{AccountId, Birth, TxnId};
use crate::leg::Operation;
use crate::locking::Age;
use crate::message::Prepare;
use crate::planted;
use crate::reason::{Holder, Reason, Refusal};
use crate::table::Keyed;

/// Longest queue; whoever finds it full aborts at once. As many as one coordinator may have open.
const QUEUE_LEN_MAX: usize = 16_384;

/// Somebody that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub(super) session: SessionId,
    pub(super) prepare: Prepare,
    /// Whether it is this node's alone.
    pub(super) one_phase: bool,
    /// Of those in its way, the one whose end makes it worth looking again.
    behind: Ahead,
}

/// Somebody in the way, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ahead {
    txn: TxnId,
    account: AccountId,
}

/// Everybody that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    waiters: BTreeMap<TxnId, Waiter>,
    /// Who waits for an account. Whoever came later is older, so that age is order, too: the youngest is first.
    lines: BTreeMap<AccountId, BTreeSet<Age>>,
    /// Whom to look at again when that transaction is out of the way.
    behind: BTreeMap<TxnId, BTreeSet<Age>>,
    /// When the requests of those that others may wait for were born.
    births: Keyed<TxnId, Birth>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn contains(&self, txn: &TxnId) -> bool {
        self.waiters.contains_key(txn)
    }

    /// It is prepared, and others may wait for it.
    pub(super) fn note_birth(&mut self, txn: TxnId, birth: Birth) {
        self.births.insert(txn, birth);
    }

    /// It is not prepared any more.
    pub(super) fn forget_birth(&mut self, txn: &TxnId) {
        self.births.remove(txn);
    }

    /// Everybody for whom `which` is true, in the order in which they came as far as that matters.
    fn those(&self, which: impl Fn(&Waiter) -> bool) -> Vec<TxnId> {
        let these = self.waiters.values().filter(|waiter| which(waiter));
        let mut ages: Vec<Age> = these.map(|waiter| Age::of(&waiter.prepare)).collect();
        ages.sort_unstable_by(|one, other| other.cmp(one));
        ages.into_iter().map(|age| age.txn).collect()
    }

    fn enter(&mut self, waiter: Waiter) {
        let age = Age::of(&waiter.prepare);
        for Operation { account, .. } in &waiter.prepare.operations {
            self.lines.entry(account.clone()).or_default().insert(age);
        }
        self.behind.entry(waiter.behind.txn).or_default().insert(age);
        let twice = self.waiters.insert(age.txn, waiter);
        assert_eq!(twice, None, "{} waits once", age.txn);
    }

    fn leave(&mut self, txn: TxnId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&txn)?;
        let age = Age::of(&waiter.prepare);
        for Operation { account, .. } in &waiter.prepare.operations {
            take_out(&mut self.lines, account, age);
        }
        take_out(&mut self.behind, &waiter.behind.txn, age);
        Some(waiter)
    }
}

/// Takes `age` out of the set under `key`, and the set with its last member.
fn take_out<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<Age>>, key: &K, age: Age) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&age);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

/// For those who check: why somebody would wait for ever at these nodes, whatever else went well. There is never a reason.
pub fn waits_for_ever<'a>(nodes: impl Iterator<Item = &'a Participant>) -> Option<String> {
    let mut waits: BTreeMap<TxnId, BTreeSet<TxnId>> = BTreeMap::new();
    for node in nodes {
        for (&txn, waiter) in &node.queue.waiters {
            let behind = waiter.behind.txn;
            if !node.queue.contains(&behind) && !node.state.prepared().contains_key(&behind) {
                return Some(format!("{txn} waits for {behind}, which is not there"));
            }
            waits.entry(txn).or_default().insert(behind);
        }
    }
    // Whoever waits for nobody that waits goes on by itself, and then it is nobody's reason to wait.
    loop {
        let waiting: BTreeSet<TxnId> = waits.keys().copied().collect();
        waits.retain(|_, behind| behind.iter().any(|txn| waiting.contains(txn)));
        if waits.len() == waiting.len() {
            let first = waits.keys().next()?;
            return Some(format!(
                "{first} waits for one that waits for it, or for such a circle"
            ));
        }
    }
}

impl Participant {
    /// How many transactions wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Who is in the way of a transaction that may have a place in the queue already.
    pub(super) fn ahead_of(&self, prepare: &Prepare) -> Option<Ahead> {
        let age = Age::of(prepare);
        prepare.operations.iter().find_map(|Operation { account, .. }| {
            let line = self.queue.lines.get(account);
            let nearest = line.and_then(|line| line.range(age..).find(|&&other| other != age));
            let holder = || self.state.ledger().holds(account).map(|(txn, _)| txn).next();
            let txn = nearest.map(|other| other.txn).or_else(holder)?;
            let account = account.clone();
            Some(Ahead { txn, account })
        })
    }

    /// Why a transaction that has just come cannot wait, if it cannot: somebody in its way is older. Asked also where
    /// nobody is ahead of it, since those that are older must not be overtaken.
    pub(super) fn outranked(&self, prepare: &Prepare) -> Option<Refusal> {
        if planted!(YoungerWaits) {
            return None;
        }
        let age = Age::of(prepare);
        let full = self.queue.len() >= QUEUE_LEN_MAX;
        prepare.operations.iter().find_map(|Operation { account, .. }| {
            let line = self.queue.lines.get(account);
            let line = line.filter(|_| !planted!(QueueOvertaken));
            let oldest = line.and_then(BTreeSet::first);
            // Several are of another policy, and have no age.
            let holder = self.state.ledger().holds(account).map(|(txn, _)| txn).next();
            let is_older = |holder| self.age_of(holder).is_none_or(|other| other < age);
            let dies = full || holder.is_some_and(is_older) || oldest.is_some_and(|&other| other < age);
            let named = holder.or(oldest.map(|other| other.txn)).filter(|_| dies)?;
            Some(Refusal {
                reason: Reason::LockContention(account.clone()),
                holder: Some(Holder::now(named)),
            })
        })
    }

    /// The age of a transaction that is prepared here. What was found prepared at the start has none, and nobody waits for
    /// it: it may stay in doubt for long.
    fn age_of(&self, txn: TxnId) -> Option<Age> {
        let birth = *self.queue.births.get(&txn)?;
        Some(Age { birth, txn })
    }

    /// Gives a transaction its place behind those in its way.
    pub(super) fn wait_behind(
        &mut self,
        session: SessionId,
        prepare: Prepare,
        one_phase: bool,
        behind: Ahead,
        effects: &mut Effects<Participant>,
    ) {
        let age = Age::of(&prepare);
        let waits = self.queue.waiters.get(&behind.txn);
        let other = waits.map(|other| Age::of(&other.prepare));
        let other = other.or_else(|| self.age_of(behind.txn));
        assert!(
            other.is_some_and(|other| age < other) || planted!(YoungerWaits),
            "{} is no older than {}, which it would wait for",
            age.txn,
            behind.txn
        );
        effects.info(format!(
            "{} waits for {}, which has {}",
            age.txn, behind.txn, behind.account
        ));
        self.queue.enter(Waiter {
            session,
            prepare,
            one_phase,
            behind,
        });
    }

    /// A transaction has ended, or left the queue: lets those behind it have another look.
    pub(super) fn let_pass(&mut self, gone: TxnId, effects: &mut Effects<Participant>) {
        if planted!(WaitersForgotten) {
            return;
        }
        let mut gone: SmallVec<[TxnId; 1]> = smallvec![gone];
        while let Some(next) = gone.pop() {
            // The youngest first: it came first.
            let behind = self.queue.behind.remove(&next).unwrap_or_default();
            for age in behind.into_iter().rev() {
                if !self.look_again(age.txn, effects) {
                    gone.push(age.txn);
                }
            }
        }
    }

    /// Somebody's turn may have come. Returns whether it is still in the way of others, waiting or prepared.
    fn look_again(&mut self, txn: TxnId, effects: &mut Effects<Participant>) -> bool {
        let Some(waiter) = self.queue.waiters.get(&txn) else {
            return true; // Whoever took it out has let the others pass.
        };
        let turn = self.examine(&waiter.prepare, waiter.one_phase);
        let waiter = self.queue.leave(txn).expect("just found");
        self.take_turn(waiter.session, waiter.prepare, waiter.one_phase, turn, effects);
        self.queue.contains(&txn) || self.state.prepared().contains_key(&txn)
    }

    /// Takes a transaction out of the queue; says on which account it waited.
    pub(super) fn stop_waiting(
        &mut self,
        txn: TxnId,
        effects: &mut Effects<Participant>,
    ) -> Option<AccountId> {
        let waiter = self.queue.leave(txn)?;
        self.let_pass(txn, effects);
        Some(waiter.behind.account)
    }

    /// Takes everybody out of the queue for whom `which` is true.
    pub(super) fn stop_all(&mut self, which: impl Fn(&Waiter) -> bool, effects: &mut Effects<Participant>) {
        let leaving = self.queue.those(which);
        for &txn in &leaving {
            self.queue.leave(txn);
        }
        for txn in leaving {
            self.let_pass(txn, effects);
        }
    }

    /// Everybody has another look: what they wait for may be the least of it now.
    pub(super) fn all_look_again(&mut self, effects: &mut Effects<Participant>) {
        for txn in self.queue.those(|_| true) {
            if !self.look_again(txn, effects) {
                self.let_pass(txn, effects);
            }
        }
    }
}
