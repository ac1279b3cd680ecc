//! What some whole steps changed, and how the journal writes it down.
//!
//! ```text
//! changes    number of removed entries · their keys, sorted: for each the length of what it shares with the key
//!            before it, the length of the rest, the rest · then for each entry that was set: its length, the entry
//! ```
//!
//! All numbers are LEB128 varints. An entry holds its own key, so only keys of removed entries are written; since they sort as
//! their numbers do, neighbours share most of their bytes.

use std::collections::BTreeMap;
use std::mem;

use protocol::codec;
use protocol::fold::{Fold, Seq};

use super::rows::entry_key;

/// A batch is closed before it would hold more bytes than this, so that sled's log grows by far less than half a segment
/// while it is unsynced (why that matters: see the module's head).
const LEN_MAX: usize = 64 * 1024;

/// Upper bound of the bytes that a change takes in the journal beyond its key or value.
const CHANGE_COST: usize = 8;

/// Entries by key, `None` where there is none any more.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The newest value of every entry that some whole steps touched.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The newest record in it.
    pub(super) seq: Seq,
    /// By the entries' keys within the store.
    pub(super) changes: Changes,
    len: usize,
}

impl Batch {
    /// An empty batch that ends with record `seq`.
    pub(super) fn new(seq: Seq) -> Batch {
        Batch {
            seq,
            ..Batch::default()
        }
    }

    /// Sets an entry; the newest value wins.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        // A value that is replaced stays counted: the estimate errs on the safe side.
        self.len += len(&key, value.as_deref());
        self.changes.insert(key, value);
    }

    /// Upper bound of its length in the journal.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The changes of one step.
pub(super) type Step = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Everything appended since the last sync, as batches that end where steps do.
#[derive(Debug, Default)]
pub(super) struct Pending {
    closed: Vec<Batch>,
    open: Batch,
}

impl Pending {
    /// Adds one step, which ends with record `seq`. Returns how many bytes its keys and values have.
    pub(super) fn push(&mut self, seq: Seq, step: Step) -> usize {
        assert!(seq >= self.open.seq, "steps come in order");
        let step_len: usize = step.iter().map(|(key, value)| len(key, value.as_deref())).sum();
        if self.open.seq > 0 && self.open.len + step_len > LEN_MAX {
            self.closed.push(mem::take(&mut self.open));
        }
        let bytes = step_len - step.len() * CHANGE_COST;
        for (key, value) in step {
            self.open.put(key, value);
        }
        self.open.seq = seq;
        bytes
    }

    /// Takes all batches, oldest first.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        let mut batches = mem::take(&mut self.closed);
        if self.open.seq > 0 {
            batches.push(mem::take(&mut self.open));
        }
        batches
    }

    /// Upper bound of the bytes that the journal will grow by.
    pub(super) fn len(&self) -> usize {
        self.closed.iter().map(Batch::len).sum::<usize>() + self.open.len()
    }
}

fn len(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + value.map_or(0, <[u8]>::len) + CHANGE_COST
}

/// Writes changes down.
pub(super) fn encode(changes: &Changes) -> Vec<u8> {
    let mut bytes = Vec::new();
    let removed = || changes.iter().filter(|(_, value)| value.is_none());
    put_number(&mut bytes, removed().count());
    let mut before: &[u8] = &[];
    for (key, _) in removed() {
        let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
        put_number(&mut bytes, shared);
        put_bytes(&mut bytes, &key[shared..]);
        before = key;
    }
    for value in changes.values().flatten() {
        put_bytes(&mut bytes, value);
    }
    bytes
}

/// Reads what [`encode`] has written. `None` if `bytes` are anything else, or entries of another state.
pub(super) fn decode<S: Fold>(mut bytes: &[u8]) -> Option<Changes> {
    let mut changes = Changes::new();
    let mut before = Vec::new();
    for _ in 0..take_number(&mut bytes)? {
        let shared = take_number(&mut bytes)?;
        let mut key = before.get(..shared)?.to_vec();
        key.extend_from_slice(take_bytes(&mut bytes)?);
        before.clone_from(&key);
        changes.insert(key, None);
    }
    while !bytes.is_empty() {
        let value = take_bytes(&mut bytes)?;
        let entry: S::Entry = codec::decode(value).ok()?;
        changes.insert(entry_key::<S>(&S::key(&entry)), Some(value.to_vec()));
    }
    Some(changes)
}

fn put_bytes(bytes: &mut Vec<u8>, part: &[u8]) {
    put_number(bytes, part.len());
    bytes.extend_from_slice(part);
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_number(bytes)?;
    let (part, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(part)
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..28).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None // No batch is that long.
}

#[cfg(test)]
mod tests {
    use protocol::participant::{NodeEntry, NodeKey, NodeState};

    use super::*;

    fn step(key: &str, len: usize) -> Step {
        vec![(key.as_bytes().to_vec(), Some(vec![0; len]))]
    }

    #[test]
    fn the_newest_value_of_a_key_wins_within_a_batch() {
        let mut pending = Pending::default();
        assert_eq!(pending.push(1, step("a", 1)), 2);
        pending.push(2, step("b", 2));
        pending.push(3, step("a", 3));
        let batches = pending.take();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].seq, 3);
        let lens: Vec<_> = batches[0]
            .changes
            .values()
            .map(|value| value.as_ref().unwrap().len())
            .collect();
        assert_eq!(lens, [3, 2]);
        assert!(pending.take().is_empty());
    }

    #[test]
    fn batches_end_at_step_boundaries_before_they_grow_too_large() {
        let mut pending = Pending::default();
        for seq in 1..=1000 {
            pending.push(seq, step(&format!("k{seq}"), 300));
        }
        let batches = pending.take();
        assert!(batches.len() > 1);
        assert!(batches.iter().all(|batch| batch.len() <= LEN_MAX));
        assert!(
            batches
                .iter()
                .all(|batch| encode(&batch.changes).len() <= batch.len())
        );
        assert_eq!(
            batches.iter().map(|batch| batch.changes.len()).sum::<usize>(),
            1000
        );
        assert!(batches.is_sorted_by_key(|batch| batch.seq));
        assert_eq!(batches.last().unwrap().seq, 1000);
    }

    #[test]
    fn a_step_is_never_cut_in_two() {
        let mut pending = Pending::default();
        pending.push(1, step("small", 10));
        pending.push(2, step("huge", 1 << 20));
        pending.push(3, step("small", 10));
        assert_eq!(
            pending.take().iter().map(|batch| batch.seq).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    fn some_changes() -> Changes {
        let account = |number: u32| format!("account-{number}").parse().unwrap();
        let mut changes = Changes::new();
        for number in 0..200 {
            let key = NodeKey::Account(account(number));
            let entry = NodeEntry::Account(account(number), "7".parse().unwrap(), 3);
            let value = (number % 3 > 0).then(|| codec::encode(&entry));
            changes.insert(entry_key::<NodeState>(&key), value);
        }
        let settings = codec::encode(&NodeEntry::Settings(1, None));
        changes.insert(entry_key::<NodeState>(&NodeKey::Settings), Some(settings));
        changes
    }

    #[test]
    fn changes_read_back_as_they_were_written() {
        let changes = some_changes();
        assert_eq!(decode::<NodeState>(&encode(&changes)), Some(changes));
        assert_eq!(
            decode::<NodeState>(&encode(&Changes::new())),
            Some(Changes::new())
        );
    }

    #[test]
    fn changes_that_are_cut_off_or_strange_are_no_changes_and_no_panic() {
        let changes = some_changes();
        let good = encode(&changes);
        for len in 0..good.len() {
            assert_ne!(
                decode::<NodeState>(&good[..len]),
                Some(changes.clone()),
                "{len} bytes"
            );
        }
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert_ne!(decode::<NodeState>(&bad), Some(changes.clone()), "byte {at}");
            }
        }
        assert_eq!(decode::<NodeState>(&[0xff; 40]), None);
        assert_eq!(decode::<NodeState>(&[1, 5, 1, b'x']), None, "nothing to share");
    }
}
