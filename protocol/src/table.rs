//! Hash tables whose order depends on their history alone: no random seeds, so that the same inputs always give the same
//! steps.

use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashMap;

/// The hash function: foldhash with a fixed seed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seeded;

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
            let map: Map<u64, u64> = entries.collect();
            let mut hasher = Seeded.build_hasher();
            hash_unordered(map.iter(), &mut hasher);
            hasher.finish()
        };
        let entries = || (0..100).map(|key| (key, key * 2));
        assert_eq!(hash(&mut entries()), hash(&mut entries().rev()));
        assert_ne!(hash(&mut entries()), hash(&mut entries().skip(1)));
    }
}
