//! The journal: what each sync changed, written down before the rows of the entries are.
//!
//! A row that changes costs sled a copy of its page in memory and now and then one in its log, and a sync changes hundreds.
//! So a sync writes its changes one behind the other into a few rows of a ring, and the entries' own rows are *settled*
//! later, when the ring needs room. By then most requests and transactions that were in flight are gone and never
//! become rows, and an account that changed ten times becomes one row. At open the journal is laid over the rows.
//!
//! ```text
//! key        0, u8 · slot in the ring, u16 BE
//! row        position: its number, counted from the first ever written, u64 LE · rows of its group that follow, u16 LE ·
//!            part of the group's changes (see change.rs)
//! ```
//!
//! A *group* is the changes of one batch. The [tally](super::tally) says at which positions the journal begins and ends,
//! and what its rows add up to; rows of the ring outside of that are old and mean nothing.

use std::borrow::Borrow;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::change::Change;
use super::rows::row_hash;

/// Rows in the ring.
pub(super) const LEN: u64 = 2048;

/// Most bytes of changes in one row, so that a row has 1 KiB.
const PART_LEN_MAX: usize = 1024 - HEAD_LEN;

const HEAD_LEN: usize = 10;

/// The first byte of a journal row's key; those of entries' rows are greater.
const TABLE: u8 = 0;

/// A group of more rows does not go into the journal: its rows are written at once.
pub(super) const GROUP_ROWS_MAX: usize = 256;

/// No store lives long enough to write more rows.
const NEXT_MAX: u64 = 1 << 62;

/// Where the journal begins and ends, in positions, and the sum of its rows' hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Extent {
    /// The oldest row.
    pub(super) first: u64,
    /// Behind the newest row.
    pub(super) next: u64,
    /// Sum over the hashes of the rows between.
    pub(super) digest: u64,
}

impl Extent {
    /// How many rows the journal has.
    pub(super) fn rows(&self) -> u64 {
        self.next - self.first
    }

    /// Why no journal can be like that, if so.
    pub(super) fn impossible(&self) -> Option<String> {
        let rows = self.next.checked_sub(self.first);
        (rows.is_none_or(|rows| rows > LEN) || self.next > NEXT_MAX).then(|| {
            format!(
                "its journal cannot reach from row {} to {}",
                self.first, self.next
            )
        })
    }
}

/// Rows for the journal, and where it ends with them.
#[derive(Debug)]
pub(super) struct Written {
    /// Keys and values.
    pub(super) rows: Vec<([u8; 3], Vec<u8>)>,
    /// The journal with them.
    pub(super) extent: Extent,
}

/// What the journal holds, in memory.
#[derive(Debug, Default)]
pub(super) struct Journal {
    extent: Extent,
    /// Oldest first.
    groups: VecDeque<Group>,
    /// The newest change of each entry. So a group's change that nobody shares any more was replaced since.
    newest: HashSet<ByKey, Seeded>,
    /// Bytes in `newest`.
    len: usize,
}

/// The changes of one batch.
#[derive(Debug)]
struct Group {
    rows: u64,
    digest: u64,
    changes: Vec<Change>,
}

impl Journal {
    /// The empty journal of a store whose journal ended at position `next`.
    pub(super) fn empty_at(next: u64) -> Journal {
        Journal {
            extent: Extent {
                first: next,
                next,
                digest: 0,
            },
            ..Journal::default()
        }
    }

    /// Where it begins and ends.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Bytes of all entries that are not settled, and of their keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The newest change of each entry that is not settled.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Change> {
        self.newest.iter().map(|ByKey(change)| change)
    }

    /// Whether the entry's row, if there is one, is older than the entry.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.newest.contains(key)
    }

    /// The rows in which a group is written down, whose changes are `encoded`.
    pub(super) fn rows(&self, encoded: &[u8]) -> Written {
        let mut extent = self.extent;
        let mut left = rows_of(encoded);
        let mut rows = Vec::with_capacity(left);
        for part in encoded.chunks(PART_LEN_MAX) {
            left -= 1;
            let following = u16::try_from(left).expect("a group is short");
            let mut row = Vec::with_capacity(HEAD_LEN + part.len());
            row.extend_from_slice(&extent.next.to_le_bytes());
            row.extend_from_slice(&following.to_le_bytes());
            row.extend_from_slice(part);
            let key = key(extent.next);
            extent.digest = extent.digest.wrapping_add(row_hash(&key, &row));
            extent.next += 1;
            rows.push((key, row));
        }
        assert!(extent.rows() <= LEN, "room was made before");
        Written { rows, extent }
    }

    /// Takes in a group that was written down as `extent` says.
    pub(super) fn push(&mut self, extent: Extent, changes: Vec<Change>) {
        for change in &changes {
            self.len += change.len();
            if let Some(ByKey(before)) = self.newest.replace(ByKey(change.clone())) {
                self.len -= before.len();
            }
        }
        self.groups.push_back(Group {
            rows: extent.next - self.extent.next,
            digest: extent.digest.wrapping_sub(self.extent.digest),
            changes,
        });
        self.extent = extent;
    }

    /// Takes out the oldest group. Returns what has to be in the entries' rows before it may be forgotten: those of its
    /// changes that no younger group has replaced, in the group's order.
    ///
    /// # Panics
    /// If there is no group.
    pub(super) fn pop(&mut self) -> Vec<Change> {
        let group = self.groups.pop_front().expect("a journal with rows has a group");
        self.extent.first += group.rows;
        self.extent.digest = self.extent.digest.wrapping_sub(group.digest);
        let mut due = group.changes;
        due.retain(|change| change.sharers() > 0);
        for change in &due {
            assert!(self.newest.remove(change.key()), "what is shared is the newest");
            self.len -= change.len();
        }
        due
    }
}

/// A change in a set of which each is named by its key.
#[derive(Debug)]
struct ByKey(Change);

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &ByKey) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

/// Hashes keys quickly, and differently in each process, so that nobody can choose names that collide.
#[derive(Debug)]
struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Seeded {
        Seeded(RandomState::new().hash_one(()))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Seeded;

    fn build_hasher(&self) -> Seeded {
        Seeded(self.0)
    }
}

impl Hasher for Seeded {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, number: usize) {
        // The length in front of the bytes, which xxh3 takes in by itself.
        let _ = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How many rows a group takes whose changes are `encoded`.
pub(super) fn rows_of(encoded: &[u8]) -> usize {
    encoded.len().div_ceil(PART_LEN_MAX)
}

/// The key of the row at `position`.
pub(super) fn key(position: u64) -> [u8; 3] {
    let slot = u16::try_from(position % LEN).expect("the ring is short");
    let [high, low] = slot.to_be_bytes();
    [TABLE, high, low]
}

/// Whether a row's key is one of the journal's.
pub(super) fn is_key(row_key: &[u8]) -> bool {
    row_key.first() == Some(&TABLE)
}

/// How many rows of its group follow the row at `position`, and its part of the changes. `None` if it is no such row.
pub(super) fn split_row(position: u64, row: &[u8]) -> Option<(u16, &[u8])> {
    let (at, row) = row.split_first_chunk::<8>()?;
    let (following, part) = row.split_first_chunk::<2>()?;
    (u64::from_le_bytes(*at) == position).then_some((u16::from_le_bytes(*following), part))
}

#[cfg(test)]
mod tests {
    use super::super::change::some::account_at;
    use super::*;

    fn push(journal: &mut Journal, encoded_len: usize, changes: Vec<Change>) -> Written {
        let written = journal.rows(&vec![7; encoded_len]);
        journal.push(written.extent, changes);
        written
    }

    #[test]
    fn only_the_newest_change_of_an_entry_is_settled() {
        let mut journal = Journal::default();
        push(
            &mut journal,
            10,
            vec![account_at(1, 1), account_at(2, 1), account_at(3, 1)],
        );
        push(&mut journal, 10, vec![account_at(1, 2), account_at(3, 0)]);
        assert!(journal.covers(account_at(2, 1).key()));
        assert_eq!(journal.newest().count(), 3);
        assert_eq!(journal.pop(), [account_at(2, 1)]);
        assert!(!journal.covers(account_at(2, 1).key()) && journal.covers(account_at(1, 1).key()));
        assert_eq!(journal.pop(), [account_at(1, 2), account_at(3, 0)]);
        assert_eq!(journal.newest().count(), 0);
        assert_eq!(journal.len(), 0);
        assert_eq!(
            journal.extent(),
            Extent {
                first: 2,
                next: 2,
                digest: 0
            }
        );
    }

    #[test]
    fn a_group_takes_as_many_rows_as_its_length_needs_and_each_names_its_place() {
        let mut journal = Journal::empty_at(LEN - 1);
        let written = push(&mut journal, 2 * PART_LEN_MAX + 1, vec![account_at(1, 0)]);
        let rows = written.rows;
        assert_eq!(rows.len(), 3);
        let keys: Vec<_> = rows.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [[0, 7, 255], [0, 0, 0], [0, 0, 1]], "the ring goes round");
        for (at, (key, row)) in rows.iter().enumerate() {
            assert!(row.len() <= 1024 && is_key(key));
            let position = LEN - 1 + u64::try_from(at).unwrap();
            let (following, _) = split_row(position, row).unwrap();
            assert_eq!(usize::from(following), 2 - at);
            assert_eq!(split_row(position + LEN, row), None, "a row of an older round");
        }
        assert_eq!(journal.extent().rows(), 3);
        assert_eq!(split_row(0, &[0; 9]), None);
    }

    #[test]
    fn what_came_and_went_leaves_no_trace_in_the_digest() {
        let mut journal = Journal::empty_at(5);
        push(&mut journal, 3000, vec![account_at(1, 0)]);
        let one = journal.extent();
        push(&mut journal, 10, vec![account_at(2, 0)]);
        let both = journal.extent();
        assert_ne!(one.digest, both.digest);
        journal.pop();
        assert_eq!(journal.extent().digest, both.digest.wrapping_sub(one.digest));
        journal.pop();
        assert_eq!(
            journal.extent(),
            Extent {
                first: 9,
                next: 9,
                digest: 0
            }
        );
    }

    #[test]
    fn an_extent_that_no_ring_can_have_is_impossible() {
        let extent = |first, next| Extent {
            first,
            next,
            digest: 0,
        };
        assert_eq!(extent(7, 7 + LEN).impossible(), None);
        assert!(extent(7, 8 + LEN).impossible().is_some());
        assert!(extent(8, 7).impossible().is_some());
        assert!(extent(u64::MAX, u64::MAX).impossible().is_some());
    }
}
