//! Which slot of a long array holds a key, if keys are used in no order? A hash table of slot numbers, for millions of them.
//!
//! Such a table is in no cache of the processor, so what counts is how often a look-up has to wait for memory: here once, as
//! a rule. A slot's number and its hash stand side by side, and what does not find its own bucket free stands in one of the
//! next (linear probing: Knuth, volume 3, 6.4, algorithms L and R). With keys whose hashes follow each other that would make
//! long rows: those are for [`crate::index::Index`]. Hashes have a fixed seed, so whoever chooses keys can make rows long on
//! purpose, here as in any table of this crate: it costs time, nothing else.

use alloc::vec;
use alloc::vec::Vec;

use crate::index::place;

/// Slots by the hashes of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scattered {
    /// A power of two of them, at most three quarters of them full; or none at all.
    buckets: Vec<Bucket>,
    len: usize,
}

/// Eight bytes: eight of them are a line of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// A hash with [`FULL`], or 0.
    tag: u32,
    number: u32,
}

/// Marks the bucket of a slot, in place of the highest bit of the slot's hash.
const FULL: u32 = 1 << 31;

/// The buckets of the first slot.
const BUCKETS_MIN: usize = 8;

impl Bucket {
    fn of(hash: u32, number: u32) -> Bucket {
        Bucket {
            tag: hash | FULL,
            number,
        }
    }

    fn is_full(self) -> bool {
        self.tag != 0
    }
}

impl Scattered {
    /// The slot of the key with this hash, if there is one; `holds` says whether a slot holds that very key.
    pub(crate) fn find(&self, hash: u32, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash | FULL;
        let that = self
            .row(tag)
            .find(|(_, bucket)| bucket.tag == tag && holds(bucket.number));
        that.map(|(_, bucket)| bucket.number)
    }

    /// The slot of some key with this hash: nearly always the very key, if that is there.
    pub(crate) fn likely(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds the slot of a key that has none.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        if (self.len + 1) * 4 > self.buckets.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.put(Bucket::of(hash, number));
    }

    /// Takes out the slot `number` of a key with this hash. Returns whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) -> bool {
        let wanted = Bucket::of(hash, number);
        let that = self.row(wanted.tag).find(|(_, bucket)| *bucket == wanted);
        let Some((mut gap, _)) = that else {
            return false;
        };
        self.len -= 1;
        // A look-up stops at an empty bucket, so whoever has passed the gap on the way from its own bucket moves into it.
        let mut at = gap;
        loop {
            at = self.behind(at);
            let bucket = self.buckets[at];
            if !bucket.is_full() {
                break;
            }
            if self.distance(self.home(bucket.tag), at) >= self.distance(gap, at) {
                self.buckets[gap] = bucket;
                gap = at;
            }
        }
        self.buckets[gap] = Bucket::default();
        true
    }

    /// Full buckets from the own one of a tag on, to the first empty one.
    fn row(&self, tag: u32) -> impl Iterator<Item = (usize, Bucket)> {
        let mut at = self.home(tag);
        core::iter::from_fn(move || {
            let here = at;
            let bucket = self
                .buckets
                .get(here)
                .copied()
                .filter(|bucket| bucket.is_full())?;
            at = self.behind(here);
            Some((here, bucket))
        })
    }

    fn put(&mut self, bucket: Bucket) {
        let mut at = self.home(bucket.tag);
        while self.buckets[at].is_full() {
            at = self.behind(at);
        }
        self.buckets[at] = bucket;
    }

    fn grow(&mut self) {
        let more = (self.buckets.len() * 2).max(BUCKETS_MIN);
        assert!(more <= place(FULL), "fewer than one and a half billion slots");
        let before = core::mem::replace(&mut self.buckets, vec![Bucket::default(); more]);
        let full = before.into_iter().filter(|bucket| bucket.is_full());
        full.for_each(|bucket| self.put(bucket));
    }

    /// The bucket where a look-up begins.
    fn home(&self, tag: u32) -> usize {
        place(tag) & self.mask()
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    /// How far it is from one bucket to another, forwards.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.buckets.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use super::*;
    use crate::index;

    #[test]
    fn whatever_is_put_in_and_taken_out_the_rest_is_found() {
        // Few hashes, half of them at the end of any table: rows get long, and go on at its beginning.
        for hashes in [1u32, 3, 12, 100, 5000] {
            let hash = |n: u32| (n % hashes).wrapping_sub(hashes / 2) & !FULL;
            let mut table = Scattered::default();
            let mut expected = BTreeSet::new();
            let mut random = u64::from(hashes);
            for step in 0..4000 {
                let key = (hash(mixed(&mut random)), mixed(&mut random) % 8);
                if expected.insert(key) {
                    table.insert(key.0, key.1);
                } else {
                    assert!(table.remove(key.0, key.1));
                    assert!(!table.remove(key.0, key.1), "it was there once");
                    expected.remove(&key);
                }
                assert_eq!(table.len, expected.len());
                assert!(table.len * 4 <= table.buckets.len() * 3);
                if step % 97 == 0 {
                    assert_eq!(everything(&table, (0..hashes).map(hash)), expected);
                }
            }
            for (hash, number) in expected {
                assert_eq!(table.find(hash, |other| other == number), Some(number));
                assert!(table.remove(hash, number));
            }
            assert!(table.buckets.iter().all(|bucket| !bucket.is_full()));
        }
    }

    #[test]
    fn any_number_may_be_put_in_and_an_empty_table_has_none() {
        let mut table = Scattered::default();
        assert_eq!(table.likely(0), None);
        assert!(!table.remove(0, 0));
        for number in [0, 1, FULL, u32::MAX] {
            for hash in [0, 1, FULL - 1, FULL, u32::MAX] {
                table.insert(hash, number);
                assert_eq!(table.find(hash, |other| other == number), Some(number));
                assert!(table.remove(hash, number));
                assert_eq!(table.likely(hash), None);
            }
        }
    }

    #[test]
    fn hashes_that_differ_in_their_highest_bit_keep_their_own_slots() {
        let mut table = Scattered::default();
        for (hash, number) in [(5, 1), (5 | FULL, 2), (5, 3)] {
            table.insert(hash, number);
        }
        assert_eq!(table.find(5, |number| number == 3), Some(3));
        assert_eq!(table.find(5 | FULL, |number| number == 2), Some(2));
        assert!(table.remove(5 | FULL, 2));
        assert!(!table.remove(5, 2), "gone");
        assert_eq!(
            table.find(5 | FULL, |number| number == 1),
            Some(1),
            "only the key tells"
        );
        assert!(table.remove(5, 1) && table.remove(5, 3));
        assert_eq!(table.likely(5), None);
    }

    #[test]
    fn rows_are_short_where_hashes_have_nothing_in_common() {
        let mut table = Scattered::default();
        let mut random = 1;
        let hashes: Vec<u32> = (0..98_000).map(|_| mixed(&mut random)).collect();
        for (number, hash) in (0..).zip(&hashes) {
            table.insert(*hash, number);
        }
        assert_eq!(table.buckets.len(), 128 * 1024, "three quarters full");
        // 2.5 for one that is there and 8.5 for one that is not (Knuth, volume 3, 6.4, theorem K).
        let there = (0..).zip(&hashes).map(|(number, &hash)| {
            let place = table.row(hash).position(|(_, bucket)| bucket.number == number);
            place.unwrap() + 1
        });
        let not_there = (0..hashes.len()).map(|_| table.row(mixed(&mut random)).count() + 1);
        let (there, not_there): (usize, usize) = (there.sum(), not_there.sum());
        assert!(there < 3 * hashes.len(), "{there} buckets");
        assert!(not_there < 10 * hashes.len(), "{not_there} buckets");
    }

    /// The next of numbers that look random.
    fn mixed(count: &mut u64) -> u32 {
        *count += 1;
        index::hash(count)
    }

    fn everything(table: &Scattered, hashes: impl Iterator<Item = u32>) -> BTreeSet<(u32, u32)> {
        let mut found = BTreeSet::new();
        for hash in hashes {
            let mut all = Vec::new();
            assert_eq!(
                table.find(hash, |number| {
                    all.push(number);
                    false
                }),
                None
            );
            found.extend(all.into_iter().map(|number| (hash, number)));
        }
        found
    }
}
