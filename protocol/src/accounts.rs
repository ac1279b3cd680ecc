//! Where is an account, and which one comes next by name? The table of all accounts, made for millions of them.
//!
//! Accounts stand in one array in the order in which they were opened, and are never removed. An index finds them by
//! name, and a list of slots keeps their order by name: some 65 bytes an account in all.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Bound::{Excluded, Unbounded};

use crate::id::AccountId;
use crate::index::{self, place};
use crate::ledger::Account;
use crate::scattered::Scattered;
use crate::table::hash_unordered;

/// Where an account stands. It never moves.
pub(crate) type Slot = u32;

/// Where the index has an account.
pub(crate) fn bucket(id: &AccountId) -> u32 {
    index::hash(id)
}

/// New names that may wait to be sorted in, whatever the number of accounts.
const RECENT_MIN: usize = 1024;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    slots: Vec<(AccountId, Account)>,
    index: Scattered,
    /// All slots in name order, but for the recent ones.
    order: Vec<Slot>,
    /// Accounts that were opened since `order` was made. They are sorted in when there are many: in all a few moves
    /// for each account, instead of a tree that holds every name a second time.
    recent: BTreeMap<AccountId, Slot>,
}

impl Accounts {
    /// One account.
    pub(crate) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.slot(id).map(|slot| self.at(slot))
    }

    /// Where an account stands, if it is there.
    pub(crate) fn slot(&self, id: &AccountId) -> Option<Slot> {
        self.index.find(bucket(id), |slot| self.entry(slot).0 == *id)
    }

    /// The same for the account of that bucket, without a look at it: it may be another one.
    pub(crate) fn likely(&self, bucket: u32) -> Option<Slot> {
        self.index.likely(bucket)
    }

    /// The account that stands there.
    pub(crate) fn at(&self, slot: Slot) -> &Account {
        &self.entry(slot).1
    }

    /// The same, to change it.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Account {
        &mut self.slots[place(slot)].1
    }

    /// The name of the account that stands there.
    pub(crate) fn name(&self, slot: Slot) -> &AccountId {
        &self.entry(slot).0
    }

    /// Adds an account. Returns where it stands, or `None` if the name is taken.
    pub(crate) fn insert(&mut self, id: AccountId, account: Account) -> Option<Slot> {
        if self.slot(&id).is_some() {
            return None;
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than four billion accounts");
        self.index.insert(bucket(&id), slot);
        let is_last = self.order.last().is_none_or(|&last| *self.name(last) < id);
        if self.recent.is_empty() && is_last {
            self.order.push(slot);
        } else {
            self.recent.insert(id.clone(), slot);
        }
        self.slots.push((id, account));
        if self.recent.len() > RECENT_MIN + self.order.len() / 8 {
            self.sort_in();
        }
        Some(slot)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All accounts in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.slots.iter().map(|(id, account)| (id, account))
    }

    /// The accounts behind `after`, or all, in name order.
    pub(crate) fn behind(&self, after: Option<&AccountId>) -> impl Iterator<Item = (&AccountId, &Account)> {
        let from = after.map_or(0, |after| {
            self.order.partition_point(|&slot| self.name(slot) <= after)
        });
        let mut sorted = self.order[from..].iter().copied().peekable();
        let recent = self.recent.range((after.map_or(Unbounded, Excluded), Unbounded));
        let mut recent = recent.map(|(_, &slot)| slot).peekable();
        core::iter::from_fn(move || {
            let slot = match (sorted.peek(), recent.peek()) {
                (Some(&one), Some(&other)) if self.name(one) > self.name(other) => recent.next(),
                (Some(_), _) => sorted.next(),
                (None, _) => recent.next(),
            };
            slot.map(|slot| (self.name(slot), self.at(slot)))
        })
    }

    fn entry(&self, slot: Slot) -> &(AccountId, Account) {
        &self.slots[place(slot)]
    }

    /// Merges the recent ones into the order, from the end, so that nothing is moved twice.
    fn sort_in(&mut self) {
        let recent = core::mem::take(&mut self.recent);
        let mut from = self.order.len();
        let mut to = from + recent.len();
        self.order.resize(to, 0);
        for (id, slot) in recent.into_iter().rev() {
            while from > 0 && *self.name(self.order[from - 1]) > id {
                from -= 1;
                to -= 1;
                self.order[to] = self.order[from];
            }
            to -= 1;
            self.order[to] = slot;
        }
    }
}

/// Two tables are the same if they hold the same accounts, in whatever order those were opened.
impl PartialEq for Accounts {
    fn eq(&self, other: &Accounts) -> bool {
        self.len() == other.len() && self.iter().all(|(id, account)| other.get(id) == Some(account))
    }
}

impl Eq for Accounts {}

impl Hash for Accounts {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_unordered(self.iter(), hasher);
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    fn id(n: u64) -> AccountId {
        format!("a{n}").parse().unwrap()
    }

    fn account(n: u64) -> Account {
        Account {
            balance: i64::try_from(n).unwrap(),
            version: 1,
        }
    }

    /// The same numbers in an order that mixes them well.
    fn mixed(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |n| n * 7919 % count)
    }

    #[test]
    fn accounts_come_in_name_order_however_they_were_opened() {
        let count = 10_007;
        let (mut up, mut shuffled) = (Accounts::default(), Accounts::default());
        let sorted: BTreeMap<AccountId, Account> = (0..count).map(|n| (id(n), account(n))).collect();
        for (id, account) in &sorted {
            assert!(up.insert(id.clone(), *account).is_some());
        }
        for n in mixed(count) {
            assert!(shuffled.insert(id(n), account(n)).is_some());
        }
        assert!(
            !shuffled.recent.is_empty() && !shuffled.order.is_empty(),
            "both lists are merged"
        );
        let expected: Vec<(&AccountId, &Account)> = sorted.iter().collect();
        for accounts in [&up, &shuffled] {
            assert_eq!(accounts.behind(None).collect::<Vec<_>>(), expected);
            for from in [0, 1, 5000, expected.len() - 1] {
                let behind: Vec<_> = accounts.behind(Some(expected[from].0)).collect();
                assert_eq!(behind, expected[from + 1..]);
            }
            let unknown = "a5000x".parse().unwrap();
            let next = accounts.behind(Some(&unknown)).next().map(|(id, _)| id.clone());
            assert_eq!(next, Some(id(5001)));
        }
        assert_eq!(up, shuffled);
    }

    #[test]
    fn tables_differ_by_any_account() {
        let table = |accounts: &[(u64, u64)]| {
            let mut table = Accounts::default();
            for &(n, balance) in accounts {
                assert!(table.insert(id(n), account(balance)).is_some());
            }
            table
        };
        let one = table(&[(1, 5), (2, 6)]);
        assert_eq!(one, table(&[(2, 6), (1, 5)]));
        assert_ne!(one, table(&[(1, 5), (2, 7)]));
        assert_ne!(one, table(&[(1, 5), (3, 6)]));
        assert_ne!(one, table(&[(1, 5)]));
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut accounts = Accounts::default();
        let slot = accounts.insert(id(1), account(5)).unwrap();
        assert_eq!(accounts.insert(id(1), account(6)), None);
        assert_eq!(accounts.get(&id(1)), Some(&account(5)));
        assert_eq!((accounts.slot(&id(1)), accounts.name(slot)), (Some(slot), &id(1)));
        accounts.at_mut(slot).balance = 9;
        assert_eq!(accounts.get(&id(1)).unwrap().balance, 9);
        assert_eq!(accounts.slot(&id(2)), None);
        assert_eq!(accounts.len(), 1);
    }
}
