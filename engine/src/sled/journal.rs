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

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::change::Changes;
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
        (rows.is_none_or(|rows| rows > LEN)).then(|| {
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
    /// For each key in the journal its newest value, and the position at which the group that has it begins.
    newest: HashMap<Arc<[u8]>, (u64, Option<Vec<u8>>)>,
    /// Bytes in `newest`.
    bytes: usize,
}

/// The changes of one batch.
#[derive(Debug)]
struct Group {
    first: u64,
    rows: u64,
    digest: u64,
    keys: Vec<Arc<[u8]>>,
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

    /// Bytes of all entries that are not settled.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest change of each entry that is not settled.
    pub(super) fn newest(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.newest
            .iter()
            .map(|(key, (_, value))| (&**key, value.as_deref()))
    }

    /// Whether the entry's row, if there is one, is older than the entry.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.newest.contains_key(key)
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
    pub(super) fn push(&mut self, extent: Extent, changes: Changes) {
        let first = self.extent.next;
        let mut keys = Vec::with_capacity(changes.len());
        for (key, value) in changes {
            let key: Arc<[u8]> = key.into();
            keys.push(Arc::clone(&key));
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            if let Some((_, before)) = self.newest.insert(Arc::clone(&key), (first, value)) {
                self.bytes -= key.len() + before.map_or(0, |value| value.len());
            }
        }
        self.groups.push_back(Group {
            first,
            rows: extent.next - first,
            digest: extent.digest.wrapping_sub(self.extent.digest),
            keys,
        });
        self.extent = extent;
    }

    /// What has to be in the entries' rows before the oldest group may go, in key order: those of its changes that no
    /// younger group has replaced. `None` if there is no group.
    pub(super) fn oldest(&self) -> Option<Vec<(Arc<[u8]>, Option<&[u8]>)>> {
        let group = self.groups.front()?;
        let due = group.keys.iter().filter_map(|key| {
            let (at, value) = &self.newest[key];
            (*at == group.first).then(|| (Arc::clone(key), value.as_deref()))
        });
        Some(due.collect())
    }

    /// Where the journal begins and ends without its oldest group.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn extent_without_oldest(&self) -> Extent {
        let group = self
            .groups
            .front()
            .expect("somebody asked for the oldest group before");
        Extent {
            first: group.first + group.rows,
            next: self.extent.next,
            digest: self.extent.digest.wrapping_sub(group.digest),
        }
    }

    /// Forgets the oldest group, which is settled.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn pop(&mut self) {
        self.extent = self.extent_without_oldest();
        let group = self.groups.pop_front().expect("asked for above");
        for key in group.keys {
            if self.newest[&key].0 == group.first
                && let Some((_, value)) = self.newest.remove(&key)
            {
                self.bytes -= key.len() + value.map_or(0, |value| value.len());
            }
        }
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
    use super::*;

    fn changes(list: &[(&str, Option<&str>)]) -> Changes {
        let owned = list.iter().map(|(key, value)| {
            let value = value.map(|value| value.as_bytes().to_vec());
            (key.as_bytes().to_vec(), value)
        });
        owned.collect()
    }

    fn push(journal: &mut Journal, encoded_len: usize, list: &[(&str, Option<&str>)]) -> Written {
        let written = journal.rows(&vec![7; encoded_len]);
        journal.push(written.extent, changes(list));
        written
    }

    fn oldest(journal: &Journal) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let due = journal.oldest().unwrap().into_iter();
        due.map(|(key, value)| (text(&key), value.map(text))).collect()
    }

    #[test]
    fn only_the_newest_change_of_an_entry_is_settled() {
        let mut journal = Journal::default();
        push(
            &mut journal,
            10,
            &[("a", Some("1")), ("b", Some("1")), ("t", Some("1"))],
        );
        push(&mut journal, 10, &[("a", Some("2")), ("t", None)]);
        assert_eq!(oldest(&journal), [("b".to_owned(), Some("1".to_owned()))]);
        assert!(journal.covers(b"b"));
        journal.pop();
        assert!(!journal.covers(b"b") && journal.covers(b"a"));
        let due = oldest(&journal);
        assert_eq!(
            due,
            [("a".to_owned(), Some("2".to_owned())), ("t".to_owned(), None)]
        );
        journal.pop();
        assert!(journal.oldest().is_none());
        assert_eq!(journal.newest().count(), 0);
        assert_eq!(journal.bytes(), 0);
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
        let written = push(&mut journal, 2 * PART_LEN_MAX + 1, &[("a", None)]);
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
        push(&mut journal, 3000, &[("a", None)]);
        let one = journal.extent();
        push(&mut journal, 10, &[("b", None)]);
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
    }
}
