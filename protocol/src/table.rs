//! Hash tables whose order depends on their history alone: no random seeds, so that the same inputs always give the same
//! steps.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};
use core::hint::black_box;
use core::mem;

use hashbrown::HashMap;

use crate::index::{Index, Key, place};

/// The hash function: foldhash with a fixed seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeded;

/// Any number would do.
const SEED: u64 = 0x4528_21e6_38d0_1377;

impl BuildHasher for Seeded {
    type Hasher = foldhash::fast::FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        foldhash::fast::FixedState::with_seed(SEED).build_hasher()
    }
}

/// A hash table. Whoever shows its entries sorts them.
pub(crate) type Map<K, V> = HashMap<K, V, Seeded>;

/// A hash table that shows its entries in key order only. Finding one costs little, walking through all of them a sort.
///
/// Entries stand in an array, those that came one after the other side by side, and so do their buckets in the index, if
/// the keys are numbered: what is looked up in the order in which it came, as transactions are, is mostly in the
/// processor's cache already.
#[derive(Clone, Debug)]
pub struct Keyed<K, V> {
    index: Index,
    slots: Vec<Option<(K, V)>>,
    /// Slots without an entry. The last one emptied is the first to be used again.
    free: Vec<u32>,
}

impl<K: Key, V> Keyed<K, V> {
    /// The value under `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.at(self.slot(key)?)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.slot(key)?;
        self.slots[place(slot)].as_mut().map(|(_, value)| value)
    }

    /// The value under `key`, to change it. If there is none, its default is put there.
    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let slot = self.slot_for(&key);
        let entry = self.slots[place(slot)].get_or_insert_with(|| (key, V::default()));
        &mut entry.1
    }

    /// Whether there is a value under `key`.
    pub fn contains_key(&self, key: &K) -> bool {
        self.slot(key).is_some()
    }

    /// Puts a value under `key`; returns the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let slot = self.slot_for(&key);
        match &mut self.slots[place(slot)] {
            Some((_, before)) => Some(mem::replace(before, value)),
            empty @ None => {
                *empty = Some((key, value));
                None
            }
        }
    }

    /// Takes the value under `key` away.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.free(key)?;
        self.slots[place(slot)].take().map(|(_, value)| value)
    }

    /// Takes the value under `key` away and drops it where it stands.
    pub(crate) fn discard(&mut self, key: &K) {
        if let Some(slot) = self.free(key) {
            self.slots[place(slot)] = None;
        }
    }

    /// Takes away the entries of which `unwanted` is true. `removed` hears of each key, in no order that means anything.
    pub(crate) fn remove_that(&mut self, unwanted: impl Fn(&K, &V) -> bool, mut removed: impl FnMut(K)) {
        for (slot, entry) in (0..).zip(&mut self.slots) {
            if let Some((key, _)) = entry.take_if(|(key, value)| unwanted(key, value)) {
                self.index.remove(key.bucket(), slot);
                self.free.push(slot);
                removed(key);
            }
        }
    }

    /// Where an entry most probably stands, if it is there. Looks at the index alone.
    pub(crate) fn likely(&self, key: &K) -> Option<u32> {
        self.index.likely(key.bucket())
    }

    /// The value that stands there.
    pub(crate) fn at(&self, slot: u32) -> Option<&V> {
        self.slots[place(slot)].as_ref().map(|(_, value)| value)
    }

    /// Looks at the entry that stands there: at its key, and at `part` of the rest.
    pub(crate) fn look_at<T>(&self, slot: u32, part: impl Fn(&V) -> T) {
        let entry = self.slots[place(slot)].as_ref();
        black_box(entry.map(|(key, value)| (key.bucket(), part(value))));
    }

    /// Looks at where the next `count` entries will stand, as far as others have left room for them.
    pub(crate) fn look_at_free(&self, count: usize) {
        for &slot in self.free.iter().rev().take(count) {
            black_box(self.slots[place(slot)].is_none());
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values are `wanted`.
    pub fn count(&self, wanted: impl Fn(&V) -> bool) -> usize {
        self.unordered().filter(|(_, value)| wanted(value)).count()
    }

    /// Each value, to change it in a way that does not depend on the others.
    pub fn each_value(&mut self, visit: impl FnMut(&mut V)) {
        let entries = self.slots.iter_mut().flatten();
        entries.map(|(_, value)| value).for_each(visit);
    }

    fn slot(&self, key: &K) -> Option<u32> {
        self.index
            .find(key.bucket(), |slot| holds(&self.slots, slot, key))
    }

    /// Frees the slot of `key`, if it has one. What stands there is left to the caller.
    fn free(&mut self, key: &K) -> Option<u32> {
        let holds = |slot| holds(&self.slots, slot, key);
        let slot = self.index.take(key.bucket(), holds)?;
        self.free.push(slot);
        Some(slot)
    }

    /// The slot of `key`. If it has none it is given one without an entry, where the caller puts its own.
    fn slot_for(&mut self, key: &K) -> u32 {
        let behind_all = || u32::try_from(self.slots.len()).expect("fewer than four billion entries");
        let new = self.free.last().copied().unwrap_or_else(behind_all);
        let holds = |slot| holds(&self.slots, slot, key);
        let slot = self.index.find_or_insert(key.bucket(), holds, new);
        if slot == new && self.free.pop().is_none() {
            self.slots.push(None);
        }
        slot
    }

    fn unordered(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().flatten().map(|(key, value)| (key, value))
    }
}

impl<K: Key + Copy + Ord, V> Keyed<K, V> {
    /// All entries, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.that(|_, _| true)
    }

    /// The entries of which `wanted` is true, in key order: cheaper than [`Keyed::iter`] where they are few.
    pub fn that(&self, wanted: impl Fn(&K, &V) -> bool) -> impl Iterator<Item = (&K, &V)> {
        let mut entries: Vec<(&K, &V)> = self
            .unordered()
            .filter(|(key, value)| wanted(key, value))
            .collect();
        entries.sort_unstable_by_key(|(key, _)| **key);
        entries.into_iter()
    }

    /// The entries behind `last`, in key order; all of them if there is no last one.
    pub fn behind(&self, last: Option<K>) -> impl Iterator<Item = (&K, &V)> {
        self.that(move |key, _| last.is_none_or(|last| *key > last))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The smallest key whose value is `wanted`.
    pub fn first_that(&self, wanted: impl Fn(&V) -> bool) -> Option<K> {
        let wanted = self.unordered().filter(|(_, value)| wanted(value));
        wanted.map(|(key, _)| *key).min()
    }
}

/// Whether that slot is the one of `key`.
#[inline]
fn holds<K: Eq, V>(slots: &[Option<(K, V)>], slot: u32, key: &K) -> bool {
    matches!(&slots[place(slot)], Some((other, _)) if other == key)
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Keyed<K, V> {
        Keyed {
            index: Index::default(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

/// Two tables are the same if they hold the same entries, wherever those stand.
impl<K: Key, V: PartialEq> PartialEq for Keyed<K, V> {
    fn eq(&self, other: &Keyed<K, V>) -> bool {
        self.len() == other.len() && self.unordered().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Key, V: Eq> Eq for Keyed<K, V> {}

impl<K: Key + Hash, V: Hash> Hash for Keyed<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_unordered(self.unordered(), hasher);
    }
}

impl<K: Key, V> FromIterator<(K, V)> for Keyed<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Keyed<K, V> {
        let mut table = Keyed::default();
        for (key, value) in entries {
            table.insert(key, value);
        }
        table
    }
}

/// Hashes a set of parts alike in whatever order they come.
pub(crate) fn hash_unordered<T: Hash, H: Hasher>(parts: impl Iterator<Item = T>, hasher: &mut H) {
    let sum = parts.fold(0u64, |sum, part| sum.wrapping_add(Seeded.hash_one(part)));
    hasher.write_u64(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_with_the_same_entries_hash_alike() {
        let hash = |entries: &mut dyn Iterator<Item = (u64, u64)>| {
            let table: Keyed<u64, u64> = entries.collect();
            Seeded.hash_one(table)
        };
        let entries = || (0..100).map(|key| (key, key * 2));
        assert_eq!(hash(&mut entries()), hash(&mut entries().rev()));
        assert_ne!(hash(&mut entries()), hash(&mut entries().skip(1)));
    }

    #[test]
    fn whatever_happened_to_a_table_its_entries_are_shown_in_key_order() {
        let mut table: Keyed<u64, u64> = (0..100).rev().map(|key| (key * 7 % 100, key)).collect();
        for key in (0..100).step_by(3) {
            let value = table.get(&key).copied();
            if key % 2 == 0 {
                assert_eq!(table.remove(&key), value);
            } else {
                table.discard(&key);
            }
            assert!(!table.contains_key(&key));
            assert_eq!(table.remove(&key), None);
            table.discard(&key);
        }
        let expected: Vec<u64> = (0..100).filter(|key| key % 3 != 0).collect();
        assert_eq!(table.keys().copied().collect::<Vec<u64>>(), expected);
        assert_eq!(table.that(|key, _| key % 2 == 0).count(), 33);
        assert_eq!(table.first_that(|_| true), Some(1));
        let mut removed = Vec::new();
        table.remove_that(|key, _| key % 10 == 0, |key| removed.push(key));
        removed.sort_unstable();
        assert_eq!(removed, [10, 20, 40, 50, 70, 80]);
        assert!(!removed.iter().any(|key| table.contains_key(key)));
        assert_eq!(table.len(), 60);
    }
}
