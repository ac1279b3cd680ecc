//! Accounts and the holds on them: what a node can promise, and what it has promised.
//!
//! A *hold* is the part of an account that a prepared transaction keeps until its decision (R1). There are two kinds.
//! An **exclusive** hold keeps everybody else out, which is strict two-phase locking. An **escrow** hold (O'Neil,
//! *The Escrow Transactional Method*, 1986) only reserves what its own commit needs: a debit reserves its amount, a
//! credit reserves headroom, so that escrow holds never stand in each other's way unless money is really short. The
//! ledger keeps both side by side; which kind a new transaction gets is the node's policy ([`crate::locking`]), and a
//! transaction keeps the kind it was granted over a restart.
//!
//! Whatever is held can be applied: [`Ledger::apply`] cannot fail (R3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::hint::black_box;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::accounts::{Accounts, Slot};
use crate::id::{AccountId, TxnId};
use crate::leg::Operation;
use crate::money::{Balance, Delta};
use crate::planted;
use crate::reason::{Holder, Reason, Refusal};
use crate::table::{Keyed, Map, hash_unordered};
use crate::unseen::Unseen;

/// The lowest balance of `@world`.
const WORLD_MIN: Balance = -Balance::MAX;

/// How a hold keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// Nobody else may touch the account.
    Exclusive,
    /// Others may use what is left.
    Escrow,
}

/// One account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    /// Committed balance in minor units.
    pub balance: Balance,
    /// Committed changes so far; each adds one.
    pub version: u64,
}

/// Where the accounts of a transaction were found when they were held, in the order of its operations: finding one by name is
/// what costs most in a ledger of many. What is not known here is looked up again, so it is no part of what is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots(Unseen<SmallVec<[Option<Slot>; 2]>>);

impl Slots {
    /// Those that are known.
    pub(crate) fn known(&self) -> impl Iterator<Item = Slot> {
        self.0.0.iter().copied().flatten()
    }
}

/// All holds on one account: a single exclusive one, or any number of escrow ones. What they reserve is kept as sums, so
/// that an account with a thousand holds costs no more than one with a single hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    holds: Holds,
    /// Sum of held debits, as a positive number; never more than can be paid, which for `@world` is more than a balance.
    debits: i128,
    /// Sum of held credits; never more than there is headroom for.
    credits: i128,
}

/// Holds by transaction. Nearly always there is just one, which needs no memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Holds {
    #[default]
    None,
    One(TxnId, (Delta, HoldKind)),
    /// Two or more.
    Many(BTreeMap<TxnId, (Delta, HoldKind)>),
}

impl Holds {
    /// The one with the oldest id.
    fn first(&self) -> Option<(TxnId, HoldKind)> {
        self.iter().next().map(|(txn, (_, kind))| (txn, kind))
    }

    /// Oldest id first.
    fn iter(&self) -> impl Iterator<Item = (TxnId, (Delta, HoldKind))> {
        let (one, many) = match self {
            Holds::None => (None, None),
            Holds::One(txn, hold) => (Some((*txn, *hold)), None),
            Holds::Many(holds) => (None, Some(holds)),
        };
        let many = many.into_iter().flatten();
        one.into_iter().chain(many.map(|(&txn, &hold)| (txn, hold)))
    }

    /// Whether `txn` had none yet.
    fn insert(&mut self, txn: TxnId, hold: (Delta, HoldKind)) -> bool {
        match self {
            Holds::None => {
                *self = Holds::One(txn, hold);
                true
            }
            Holds::One(other, _) if *other == txn => false,
            Holds::One(other, held) => {
                *self = Holds::Many(BTreeMap::from([(*other, *held), (txn, hold)]));
                true
            }
            Holds::Many(holds) => holds.insert(txn, hold).is_none(),
        }
    }

    fn remove(&mut self, txn: TxnId) -> Option<(Delta, HoldKind)> {
        match self {
            Holds::One(other, hold) if *other == txn => {
                let hold = *hold;
                *self = Holds::None;
                Some(hold)
            }
            Holds::None | Holds::One(..) => None,
            Holds::Many(holds) => {
                let removed = holds.remove(&txn);
                if holds.len() == 1 {
                    let (last, hold) = holds.pop_first().expect("one is left");
                    *self = Holds::One(last, hold);
                }
                removed
            }
        }
    }
}

impl Held {
    /// Who keeps a hold of this kind out, if anybody does. With many it is the one with the oldest id.
    fn blocks(&self, kind: HoldKind) -> Option<TxnId> {
        let (holder, held) = self.holds.first()?;
        (kind == HoldKind::Exclusive || held == HoldKind::Exclusive).then_some(holder)
    }
}

/// The accounts of one node.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Accounts,
    held: Keyed<Slot, Held>,
    /// Holds on accounts that are not there yet: deposits that will open them.
    opening: BTreeMap<AccountId, Held>,
    snapshot: Unseen<Option<Snapshot>>,
}

/// A copy of all accounts as they were at one moment, on its way in name order.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    /// The last account that has been copied.
    copied: Option<AccountId>,
    /// What accounts behind it were before they changed; `None` for those that were not there yet.
    before: Map<AccountId, Option<Account>>,
}

impl Snapshot {
    /// An account is about to change.
    fn keep(&mut self, id: &AccountId, account: Option<Account>) {
        if self.copied.as_ref().is_none_or(|copied| id > copied) && !planted!(SnapshotMoves) {
            self.before.entry(id.clone()).or_insert(account);
        }
    }
}

/// Two ledgers are the same if they hold the same of the same accounts, wherever those stand.
impl PartialEq for Ledger {
    fn eq(&self, other: &Ledger) -> bool {
        let same = |(id, held): (&AccountId, &Held)| other.held_on(id) == Some(held);
        self.accounts == other.accounts
            && self.held.len() == other.held.len()
            && self.opening.len() == other.opening.len()
            && self.all_held().all(same)
    }
}

impl Eq for Ledger {}

impl Hash for Ledger {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.accounts.hash(hasher);
        hash_unordered(self.all_held(), hasher);
    }
}

impl Ledger {
    /// Whether all of `operations` can be promised now under holds of this kind.
    ///
    /// # Errors
    /// The first thing that stands in the way, in account order.
    pub fn check(&self, operations: &[Operation], opens: bool, kind: HoldKind) -> Result<(), Refusal> {
        operations
            .iter()
            .try_for_each(|operation| self.check_one(operation, opens, kind))
    }

    fn check_one(&self, operation: &Operation, opens: bool, kind: HoldKind) -> Result<(), Refusal> {
        let Operation { account: id, delta } = operation;
        let slot = self.accounts.slot(id);
        let account = match slot {
            Some(slot) => *self.accounts.at(slot),
            None if id.is_world() || (opens && !delta.is_debit()) => Account::default(),
            None => return Err(Reason::UnknownAccount(id.clone()).into()),
        };
        let (mut debits, mut credits) = (0, 0);
        if let Some(held) = self.held_at(slot, id) {
            if let Some(holder) = held.blocks(kind) {
                return Err(Refusal {
                    reason: Reason::LockContention(id.clone()),
                    holder: Some(Holder::now(holder)),
                });
            }
            debits = planted!(DebitsNotReserved: held.debits => 0);
            credits = planted!(HeadroomNotReserved: held.credits => 0);
        }
        if delta.is_debit() {
            let left = i128::from(account.balance) - debits + i128::from(delta.get());
            if id.is_world() {
                if left < i128::from(WORLD_MIN) {
                    return Err(Reason::CreditOverflow(id.clone()).into());
                }
            } else if left < 0 {
                return Err(Reason::InsufficientFunds(id.clone()).into());
            }
        } else {
            let filled = i128::from(account.balance) + credits + i128::from(delta.get());
            if filled > i128::from(Balance::MAX) && !planted!(OverflowUnchecked) {
                return Err(Reason::CreditOverflow(id.clone()).into());
            }
        }
        Ok(())
    }

    /// Holds what `txn` needs. The caller has just checked it, or reads back what was once granted. Returns where the
    /// accounts stand, for [`Ledger::settle`] or [`Ledger::release`].
    pub fn hold(&mut self, txn: TxnId, operations: &[Operation], kind: HoldKind) -> Slots {
        let mut slots = Slots::default();
        if planted!(HoldsEndWithPrepare) {
            return slots;
        }
        for Operation { account, delta } in operations {
            let slot = self.accounts.slot(account);
            slots.0.0.push(slot);
            let held = match slot {
                Some(slot) => self.held.get_or_default(slot),
                None => self.opening.entry(account.clone()).or_default(),
            };
            let clash = held.blocks(kind);
            assert_eq!(clash, None, "{account} is held by another transaction than {txn}");
            let once = held.holds.insert(txn, (*delta, kind));
            assert!(once, "{txn} holds {account} once");
            if delta.is_debit() {
                held.debits -= i128::from(delta.get());
            } else {
                held.credits += i128::from(delta.get());
            }
        }
        slots
    }

    /// Lets go of what `txn` holds, changing no balance. `slots` is what [`Ledger::hold`] returned, or nothing.
    pub fn release(&mut self, txn: TxnId, operations: &[Operation], slots: &Slots) {
        for (n, operation) in operations.iter().enumerate() {
            let slot = self.slot(operation, n, slots);
            self.release_one(txn, slot, operation);
        }
    }

    /// Lets go of what `txn` holds and applies it. Cannot fail: that was promised. `slots` as for [`Ledger::release`].
    pub fn settle(&mut self, txn: TxnId, operations: &[Operation], slots: &Slots) {
        for (n, operation) in operations.iter().enumerate() {
            let slot = self.slot(operation, n, slots);
            self.release_one(txn, slot, operation);
            self.apply_one(slot, operation);
        }
    }

    /// Applies operations that were just checked.
    pub fn apply(&mut self, operations: &[Operation]) {
        for operation in operations {
            let slot = self.accounts.slot(&operation.account);
            self.apply_one(slot, operation);
        }
    }

    /// Where the account of the `n`th operation stands. One that was not there when it was held may have been opened since.
    fn slot(&self, operation: &Operation, n: usize, slots: &Slots) -> Option<Slot> {
        let known = slots.0.0.get(n).copied().flatten();
        if let Some(slot) = known {
            assert_eq!(
                *self.accounts.name(slot),
                operation.account,
                "accounts never move"
            );
        }
        known.or_else(|| self.accounts.slot(&operation.account))
    }

    fn release_one(&mut self, txn: TxnId, slot: Option<Slot>, operation: &Operation) {
        if planted!(HoldsEndWithPrepare) {
            return;
        }
        let Operation { account, delta } = operation;
        let held = match slot {
            Some(slot) => self.held.get_mut(&slot),
            None => self.opening.get_mut(account),
        };
        let held = held.expect("a prepared transaction holds its accounts");
        let removed = held.holds.remove(txn);
        assert!(
            removed.is_some_and(|(held, _)| held == *delta),
            "{txn} holds {account} as it was prepared"
        );
        if delta.is_debit() {
            held.debits += i128::from(delta.get());
        } else {
            held.credits -= i128::from(delta.get());
        }
        if held.holds == Holds::None {
            assert_eq!(
                (held.debits, held.credits),
                (0, 0),
                "no hold on {account} reserves nothing"
            );
            match slot {
                Some(slot) => self.held.remove(&slot),
                None => self.opening.remove(account),
            };
        }
    }

    fn apply_one(&mut self, slot: Option<Slot>, operation: &Operation) {
        let Operation { account: id, delta } = operation;
        let before = slot.map(|slot| *self.accounts.at(slot));
        if let Some(snapshot) = &mut self.snapshot.0 {
            snapshot.keep(id, before);
        }
        let before = before.unwrap_or_default();
        let balance = before.balance.checked_add(delta.get());
        let balance = balance.expect("headroom was reserved");
        assert!(balance >= 0 || id.is_world(), "{id} would fall to {balance}");
        let after = Account {
            balance,
            version: before.version + 1,
        };
        match slot {
            Some(slot) => *self.accounts.at_mut(slot) = after,
            None => self.open(id, after),
        }
    }

    /// Adds an account. What others hold of it already, because they would have opened it too, stays held.
    fn open(&mut self, id: &AccountId, account: Account) {
        let slot = self.accounts.insert(id.clone(), account);
        let slot = slot.expect("an account is opened once");
        if let Some(held) = self.opening.remove(id) {
            self.held.insert(slot, held);
        }
    }

    fn held_on(&self, id: &AccountId) -> Option<&Held> {
        self.held_at(self.accounts.slot(id), id)
    }

    fn held_at(&self, slot: Option<Slot>, id: &AccountId) -> Option<&Held> {
        match slot {
            Some(slot) => self.held.get(&slot),
            None => self.opening.get(id),
        }
    }

    /// All accounts that are held, in no order that means anything.
    fn all_held(&self) -> impl Iterator<Item = (&AccountId, &Held)> {
        let held = self.held.iter();
        let held = held.map(|(&slot, held)| (self.accounts.name(slot), held));
        held.chain(&self.opening)
    }

    /// Begins a copy of all accounts as they are now; see [`crate::fold::Fold::begin_snapshot`].
    pub(crate) fn begin_snapshot(&mut self) {
        self.snapshot.0 = Some(Snapshot::default());
    }

    /// The next `size` accounts of the copy, or fewer, in name order. `None` when it is complete.
    pub(crate) fn next_part(&mut self, size: usize) -> Option<Vec<(AccountId, Account)>> {
        let snapshot = self.snapshot.0.as_mut()?;
        let mut part = Vec::with_capacity(size);
        let mut last = None;
        for (id, account) in self.accounts.behind(snapshot.copied.as_ref()).take(size) {
            let was = snapshot.before.remove(id).unwrap_or(Some(*account));
            part.extend(was.map(|account| (id.clone(), account)));
            last = Some(id);
        }
        let Some(last) = last.cloned() else {
            self.snapshot.0 = None;
            return None;
        };
        snapshot.copied = Some(last);
        Some(part)
    }

    /// Sets an account as a restored entry says.
    ///
    /// # Errors
    /// A text, if the entry cannot be right.
    pub fn restore(&mut self, id: AccountId, account: Account) -> Result<(), &'static str> {
        if account.balance < 0 && !id.is_world() {
            return Err("a negative balance");
        }
        match self.accounts.insert(id, account) {
            Some(_) => Ok(()),
            None => Err("an account twice"),
        }
    }

    /// Where the account of that bucket most probably stands, if it is there. Looks at the index alone.
    pub(crate) fn likely(&self, bucket: u32) -> Option<Slot> {
        self.accounts.likely(bucket)
    }

    /// Looks at the account that stands there.
    pub(crate) fn look_at(&self, slot: Slot) {
        black_box(self.accounts.name(slot).as_str().len());
        black_box(self.accounts.at(slot).version);
    }

    /// Where the holds on the account in this slot stand, as [`Ledger::likely`].
    pub(crate) fn likely_hold(&self, slot: Slot) -> Option<u32> {
        self.held.likely(&slot)
    }

    /// Looks at the holds that stand there.
    pub(crate) fn look_at_hold(&self, place: u32) {
        self.held.look_at(place, |held| held.credits);
    }

    /// Looks at where so many new holds will stand.
    pub(crate) fn look_at_free_holds(&self, count: usize) {
        self.held.look_at_free(count);
    }

    /// One account.
    pub fn account(&self, id: &AccountId) -> Option<Account> {
        self.accounts.get(id).copied()
    }

    /// All accounts, `@world` first, then in name order.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.accounts.behind(None)
    }

    /// The accounts behind `after` in name order.
    pub fn accounts_after(&self, after: &AccountId) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.accounts.behind(Some(after))
    }

    /// How many accounts there are, without `@world`.
    pub fn len(&self) -> usize {
        self.accounts.len() - usize::from(self.accounts.get(&AccountId::world()).is_some())
    }

    /// Whether there is no account but `@world`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The transactions that hold an account, oldest id first, and what each would do to it.
    pub fn holds(&self, id: &AccountId) -> impl Iterator<Item = (TxnId, Delta)> {
        self.held_on(id)
            .into_iter()
            .flat_map(|held| held.holds.iter().map(|(txn, (delta, _))| (txn, delta)))
    }

    /// Whether any account is held.
    pub fn any_held(&self) -> bool {
        !(self.held.is_empty() && self.opening.is_empty())
    }

    /// Sum of all balances, `@world` among them.
    pub fn total(&self) -> i128 {
        self.accounts
            .iter()
            .map(|(_, account)| i128::from(account.balance))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::id::StoreId;
    use HoldKind::{Escrow, Exclusive};

    fn txn(n: u64) -> TxnId {
        TxnId::new(StoreId(12), 1, n)
    }

    fn operation(account: &str, delta: i64) -> Operation {
        Operation {
            account: account.parse().unwrap(),
            delta: delta.try_into().unwrap(),
        }
    }

    fn ledger(balances: &[(&str, i64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for &(id, balance) in balances {
            ledger
                .restore(id.parse().unwrap(), Account { balance, version: 1 })
                .unwrap();
        }
        ledger
    }

    fn refusal(result: Result<(), Refusal>) -> Reason {
        result.expect_err("must be refused").reason
    }

    #[test]
    fn an_exclusive_hold_keeps_everyone_out_until_released() {
        let mut ledger = ledger(&[("A", 100)]);
        let debit = [operation("A", -80)];
        ledger.check(&debit, false, Exclusive).unwrap();
        ledger.hold(txn(1), &debit, Exclusive);
        for kind in [Exclusive, Escrow] {
            let refused = ledger.check(&[operation("A", 1)], false, kind).unwrap_err();
            assert_eq!(refused.reason, Reason::LockContention("A".parse().unwrap()));
            assert_eq!(refused.holder, Some(Holder::now(txn(1))));
        }
        ledger.release(txn(1), &debit, &Slots::default());
        assert!(!ledger.any_held());
        ledger.check(&debit, false, Exclusive).unwrap();
    }

    #[test]
    fn escrow_holds_share_an_account_but_never_overdraw_it() {
        let mut ledger = ledger(&[("A", 100)]);
        ledger.hold(txn(1), &[operation("A", -80)], Escrow);
        ledger.hold(txn(2), &[operation("A", 500)], Escrow);
        faults::fired("I3");
        let short = refusal(ledger.check(&[operation("A", -21)], false, Escrow));
        assert_eq!(
            short,
            Reason::InsufficientFunds("A".parse().unwrap()),
            "a held credit cannot be spent"
        );
        ledger.check(&[operation("A", -20)], false, Escrow).unwrap();
        let exclusive = refusal(ledger.check(&[operation("A", -1)], false, Exclusive));
        assert_eq!(exclusive, Reason::LockContention("A".parse().unwrap()));
        assert_eq!(ledger.holds(&"A".parse().unwrap()).count(), 2);
    }

    #[test]
    fn held_credits_count_against_the_headroom() {
        let mut ledger = ledger(&[("A", i64::MAX - 10)]);
        ledger.hold(txn(1), &[operation("A", 6)], Escrow);
        faults::fired("I2");
        let full = refusal(ledger.check(&[operation("A", 5)], false, Escrow));
        assert_eq!(full, Reason::CreditOverflow("A".parse().unwrap()));
        ledger.check(&[operation("A", 4)], false, Escrow).unwrap();
    }

    #[test]
    fn what_is_held_of_world_may_add_up_to_more_than_one_balance() {
        let mut ledger = ledger(&[]);
        let world = |delta: i64| {
            [Operation {
                account: AccountId::world(),
                delta: delta.try_into().unwrap(),
            }]
        };
        let most = 1_000_000_000_000_000_000;
        for sign in [1, -1] {
            ledger
                .restore(
                    AccountId::world(),
                    Account {
                        balance: sign * i64::MAX,
                        version: 1,
                    },
                )
                .unwrap();
            let opposite = world(-sign * most);
            let mut slots = Vec::new();
            for n in 1..=18 {
                ledger.check(&opposite, false, Escrow).unwrap();
                slots.push(ledger.hold(txn(n), &opposite, Escrow));
            }
            assert!(ledger.check(&opposite, false, Escrow).is_err());
            for (n, slots) in (1..).zip(&slots) {
                ledger.release(txn(n), &opposite, slots);
            }
            ledger = Ledger::default();
        }
    }

    #[test]
    fn only_a_deposit_opens_an_account_and_only_world_goes_negative() {
        let mut ledger = Ledger::default();
        let credit = operation("A", 7);
        assert_eq!(
            refusal(ledger.check(core::slice::from_ref(&credit), false, Exclusive)),
            Reason::UnknownAccount("A".parse().unwrap())
        );
        let world = Operation {
            account: AccountId::world(),
            delta: (-7).try_into().unwrap(),
        };
        let deposit = vec![world, credit];
        ledger.check(&deposit, true, Exclusive).unwrap();
        ledger.apply(&deposit);
        assert_eq!(ledger.total(), 0);
        assert_eq!(ledger.len(), 1);
        let overdraft = refusal(ledger.check(&[operation("A", -8)], true, Exclusive));
        assert_eq!(overdraft, Reason::InsufficientFunds("A".parse().unwrap()));
    }

    #[test]
    fn two_deposits_that_open_one_account_keep_their_holds_whichever_ends_first() {
        let a: AccountId = "A".parse().unwrap();
        for first in [1, 2] {
            let mut ledger = ledger(&[("B", 5)]);
            let slots = [1, 2].map(|n| {
                let credit = [operation("A", 10 * n)];
                ledger.check(&credit, true, Escrow).unwrap();
                ledger.hold(txn(n.unsigned_abs()), &credit, Escrow)
            });
            assert_eq!((ledger.len(), ledger.holds(&a).count()), (1, 2));
            let settle = |ledger: &mut Ledger, n: usize| {
                let number = u64::try_from(n).unwrap();
                let credit = operation("A", 10 * i64::try_from(n).unwrap());
                ledger.settle(txn(number), &[credit], &slots[n - 1]);
            };
            settle(&mut ledger, first);
            let left = 3 - first;
            let held = Delta::try_from(10 * i64::try_from(left).unwrap()).unwrap();
            let holder = txn(u64::try_from(left).unwrap());
            assert_eq!(ledger.holds(&a).collect::<Vec<_>>(), [(holder, held)]);
            ledger.check(&[operation("A", 1)], false, Exclusive).unwrap_err();
            settle(&mut ledger, left);
            assert_eq!(ledger.account(&a).unwrap().balance, 30);
            assert!(!ledger.any_held());
        }
    }

    #[test]
    fn a_hold_ends_alike_whether_its_slots_are_known_or_not() {
        let held = || {
            let mut ledger = ledger(&[("B", 1), ("A", 100)]);
            let transfer = [operation("A", -30), operation("B", 30)];
            let slots = ledger.hold(txn(1), &transfer, Exclusive);
            (ledger, transfer, slots)
        };
        let (mut known, transfer, slots) = held();
        known.settle(txn(1), &transfer, &slots);
        let (mut looked_up, ..) = held();
        looked_up.settle(txn(1), &transfer, &Slots::default());
        assert_eq!(known, looked_up);
        assert_eq!(known.account(&"A".parse().unwrap()).unwrap().balance, 70);
    }

    #[test]
    #[should_panic(expected = "accounts never move")]
    fn slots_of_another_ledger_are_noticed() {
        let transfer = [operation("A", -30), operation("B", 30)];
        let slots = ledger(&[("B", 1), ("A", 100)]).hold(txn(1), &transfer, Exclusive);
        let mut other = ledger(&[("A", 100), ("B", 1)]);
        other.hold(txn(1), &transfer, Exclusive);
        other.settle(txn(1), &transfer, &slots);
    }

    #[test]
    fn ledgers_are_the_same_by_what_accounts_hold_and_not_by_where_they_stand() {
        let one = |balances: &[(&str, i64)], held: i64| {
            let mut ledger = ledger(balances);
            ledger.hold(txn(1), &[operation("A", held)], Escrow);
            ledger
        };
        let up = one(&[("A", 100), ("B", 100)], -30);
        assert_eq!(up, one(&[("B", 100), ("A", 100)], -30));
        assert_ne!(up, one(&[("B", 100), ("A", 100)], -31));
        let hash = |ledger: &Ledger| core::hash::BuildHasher::hash_one(&crate::table::Seeded, ledger);
        assert_eq!(hash(&up), hash(&one(&[("B", 100), ("A", 100)], -30)));
    }

    #[test]
    fn applying_counts_versions() {
        let mut ledger = ledger(&[("A", 10), ("B", 0)]);
        let operations: Vec<Operation> = vec![operation("A", -3), operation("B", 3)];
        ledger.apply(&operations);
        assert_eq!(
            ledger.account(&"A".parse().unwrap()),
            Some(Account {
                balance: 7,
                version: 2
            })
        );
        assert_eq!(
            ledger.account(&"B".parse().unwrap()),
            Some(Account {
                balance: 3,
                version: 2
            })
        );
    }
}
