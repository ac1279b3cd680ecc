//! Which slot of an array holds a key? A hash table of slot numbers, so that the keys are not kept twice.
//!
//! A slot number costs 9 bytes for each bucket, its hash among them: the table grows without a look at the array, and
//! nearly every other key is told apart by its hash. Keys that follow each other may have hashes that do: their buckets are
//! neighbours then. (For millions of keys in no order see `scattered.rs`.)

use core::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::table::Seeded;

/// Slots by the hashes of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    slots: HashTable<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Slot {
    fn spread(&self) -> u64 {
        spread(self.hash)
    }
}

/// The table takes a bucket from the low bits and a tag from the high ones. The buckets of hashes that follow each other
/// are neighbours; their tags have nothing in common.
fn spread(hash: u32) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 divided by the golden ratio (Knuth, volume 3, 6.4).
    const HIGH: u64 = !0 << 32;
    u64::from(hash).wrapping_mul(GOLDEN) & HIGH | u64::from(hash)
}

/// What a table of slots can find things by.
pub trait Key: Eq {
    /// Which bucket it goes to. Keys that are used one after the other do best as neighbours.
    fn bucket(&self) -> u32;
}

impl Key for u32 {
    fn bucket(&self) -> u32 {
        *self
    }
}

impl Key for u64 {
    fn bucket(&self) -> u32 {
        low(*self)
    }
}

/// The lower half.
pub(crate) fn low(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The place of a slot in its array.
pub(crate) fn place(slot: u32) -> usize {
    usize::try_from(slot).expect("at least 32 bits")
}

/// A hash of a key, for a bucket of its own that nothing in it suggests.
pub fn hash<K: Hash + ?Sized>(key: &K) -> u32 {
    low(Seeded.hash_one(key) >> 32)
}

impl Index {
    /// The slot of the key with this hash, if there is one; `holds` says whether a slot holds that very key.
    pub(crate) fn find(&self, hash: u32, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let same = |slot: &Slot| slot.hash == hash && holds(slot.number);
        self.slots.find(spread(hash), same).map(|slot| slot.number)
    }

    /// The slot of some key with this hash: nearly always the very key, if that is there.
    pub(crate) fn likely(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The slot of the key with this hash; if there is none, it is given slot `new`.
    pub(crate) fn find_or_insert(&mut self, hash: u32, mut holds: impl FnMut(u32) -> bool, new: u32) -> u32 {
        let same = |slot: &Slot| slot.hash == hash && holds(slot.number);
        let entry = self.slots.entry(spread(hash), same, Slot::spread);
        entry.or_insert(Slot { hash, number: new }).get().number
    }

    /// Takes out the slot of the key with this hash, and says which it was, if there was one.
    pub(crate) fn take(&mut self, hash: u32, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let same = |slot: &Slot| slot.hash == hash && holds(slot.number);
        let entry = self.slots.find_entry(spread(hash), same).ok()?;
        Some(entry.remove().0.number)
    }

    /// Takes out the slot `number` of a key with this hash. Returns whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) -> bool {
        let same = |slot: &Slot| slot.number == number;
        match self.slots.find_entry(spread(hash), same) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_key_is_found_in_its_slot_until_it_is_removed() {
        let keys: Vec<u64> = (0..5000).map(|n| n * 7).collect();
        let mut index = Index::default();
        let is = |key: u64| move |slot: u32| u64::from(slot) * 7 == key;
        for (slot, key) in (0..).zip(&keys) {
            assert_eq!(index.find(hash(key), is(*key)), None);
            assert_eq!(index.find_or_insert(hash(key), |_| false, slot), slot);
        }
        for (slot, key) in (0..).zip(&keys) {
            assert_eq!(index.find(hash(key), is(*key)), Some(slot));
        }
        assert!(index.remove(hash(&70u64), 10));
        assert!(!index.remove(hash(&70u64), 10));
        assert_eq!(index.find(hash(&70u64), is(70)), None);
        assert_eq!(index.find(hash(&77u64), is(77)), Some(11));
    }

    #[test]
    fn hashes_that_follow_each_other_have_neighbouring_buckets_and_tags_of_their_own() {
        let spread: Vec<u64> = (7000..7128).map(spread).collect();
        assert!(
            spread
                .windows(2)
                .all(|pair| pair[1] & 0xffff == (pair[0] & 0xffff) + 1)
        );
        let mut tags: Vec<u64> = spread.iter().map(|spread| spread >> 57).collect();
        tags.sort_unstable();
        tags.dedup();
        assert!(tags.len() > 50, "{} tags for 128 hashes", tags.len());
    }

    #[test]
    fn keys_with_the_same_hash_keep_their_own_slots() {
        let mut index = Index::default();
        for slot in 0..100 {
            assert_eq!(index.find_or_insert(12, |_| false, slot), slot);
        }
        for slot in 0..100 {
            assert_eq!(index.find(12, |number| number == slot), Some(slot));
        }
        assert!(index.remove(12, 50));
        assert_eq!(index.find(12, |number| number == 50), None);
        assert_eq!(index.find(12, |number| number == 51), Some(51));
        assert_eq!(index.find_or_insert(12, |number| number == 51, 100), 51);
        assert_eq!(index.find_or_insert(12, |number| number == 50, 100), 100);
        assert_eq!(index.take(12, |number| number == 50), None);
        assert_eq!(index.take(12, |number| number == 100), Some(100));
        assert_eq!(index.take(12, |number| number == 100), None);
    }
}
