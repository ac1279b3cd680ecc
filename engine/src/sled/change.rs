//! What some whole steps changed, and how the journal writes it down.
//!
//! ```text
//! changes    number of removed entries · their keys, sorted: for each the length of what it shares with the key
//!            before it, the length of the rest, the rest · then for each entry that was set: its length, the entry
//! ```
//!
//! All numbers are LEB128 varints. An entry holds its own key, so only keys of removed entries are written; since they
//! sort as their numbers do, neighbours share most of their bytes.

use std::fmt;
use std::mem;
use std::sync::Arc;

use protocol::codec;
use protocol::fold::{Fold, Seq};

use super::rows::{self, entry_key_into};

/// A batch is closed before it would hold more bytes than this, so that sled's log grows by far less than half a
/// segment while it is unsynced (why that matters: see the module's head).
const LEN_MAX: usize = 64 * 1024;

/// Upper bound of the bytes that a change takes in the journal beyond its key or value.
const CHANGE_COST: usize = 8;

/// Bytes before the key in a [`Change`].
const HEAD_LEN: usize = 5;

/// The new value of one entry, or that it is gone. In one piece, since there are many: 1 if there is a value, length of the
/// key (u32 LE), key, value.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Change(Arc<[u8]>);

impl Change {
    /// What became of the entry under `key`. `scratch` is memory to work in.
    pub(super) fn of<S: Fold>(key: &S::Key, entry: Option<&S::Entry>, scratch: &mut Vec<u8>) -> Change {
        scratch.clear();
        scratch.extend_from_slice(&[u8::from(entry.is_some()), 0, 0, 0, 0]);
        entry_key_into::<S>(key, scratch);
        let key_len = u32::try_from(scratch.len() - HEAD_LEN).expect("a key is shorter than a frame");
        scratch[1..HEAD_LEN].copy_from_slice(&key_len.to_le_bytes());
        if let Some(entry) = entry {
            codec::append(entry, scratch);
        }
        Change(scratch.as_slice().into())
    }

    /// That an entry was set to what is encoded as `value`.
    fn set<S: Fold>(value: &[u8], scratch: &mut Vec<u8>) -> Option<Change> {
        let entry: S::Entry = codec::decode(value).ok()?;
        Some(Change::of::<S>(&S::key(&entry), Some(&entry), scratch))
    }

    /// That the entry under `key` is gone.
    fn removed(key: &[u8]) -> Change {
        let key_len = u32::try_from(key.len()).expect("a key is shorter than a frame");
        Change([&[0], &key_len.to_le_bytes()[..], key].concat().into())
    }

    /// The entry's key within the store.
    pub(super) fn key(&self) -> &[u8] {
        &self.0[HEAD_LEN..self.value_at()]
    }

    /// The encoded entry, if there is one.
    pub(super) fn value(&self) -> Option<&[u8]> {
        (self.0[0] == 1).then(|| &self.0[self.value_at()..])
    }

    /// How many bytes key and value have.
    pub(super) fn len(&self) -> usize {
        self.0.len() - HEAD_LEN
    }

    /// How many others share it.
    pub(super) fn sharers(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    fn value_at(&self) -> usize {
        let [_, len @ ..] = self.0.first_chunk::<HEAD_LEN>().expect("made with a head");
        HEAD_LEN + usize::try_from(u32::from_le_bytes(*len)).expect("a key fits into memory")
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?} = {:02x?}", self.key(), self.value())
    }
}

/// What some whole steps changed.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The newest record in it.
    pub(super) seq: Seq,
    changes: Vec<Change>,
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

    /// Adds a change; the newest one of an entry wins.
    pub(super) fn put(&mut self, change: Change) {
        self.len += change.len() + CHANGE_COST;
        self.changes.push(change);
    }

    /// Upper bound of its length in the journal.
    fn len(&self) -> usize {
        self.len
    }

    /// The newest change of every entry, in key order.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let mut changes = self.changes;
        changes.sort_by(|a, b| a.key().cmp(b.key())); // Stable: of one key the newest comes last.
        changes.dedup_by(|later, kept| {
            let same = later.key() == kept.key();
            if same {
                mem::swap(later, kept);
            }
            same
        });
        changes
    }
}

/// Everything appended since the last sync, as batches that end where steps do.
#[derive(Debug, Default)]
pub(super) struct Pending {
    closed: Vec<Batch>,
    open: Batch,
}

impl Pending {
    /// Adds one step.
    pub(super) fn push(&mut self, step: Batch) {
        assert!(step.seq >= self.open.seq, "steps come in order");
        if self.open.seq > 0 && self.open.len + step.len > LEN_MAX {
            self.closed.push(mem::take(&mut self.open));
        }
        self.open.seq = step.seq;
        self.open.len += step.len;
        self.open.changes.extend(step.changes);
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

/// No entry's key is longer: an account's name has 64 bytes.
const KEY_LEN_MAX: usize = 256;

/// Writes down changes, which are in key order.
pub(super) fn encode(changes: &[Change]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEN_MAX);
    let removed = || changes.iter().filter(|change| change.value().is_none());
    put_number(&mut bytes, removed().count());
    let mut before: &[u8] = &[];
    for key in removed().map(Change::key) {
        let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
        put_number(&mut bytes, shared);
        put_bytes(&mut bytes, &key[shared..]);
        before = key;
    }
    for value in changes.iter().filter_map(Change::value) {
        put_bytes(&mut bytes, value);
    }
    bytes
}

/// Reads what [`encode`] has written, in any order. `None` if `bytes` are anything else, or entries of another kind of
/// state.
pub(super) fn decode<S: Fold>(mut bytes: &[u8]) -> Option<Vec<Change>> {
    let (mut changes, mut scratch) = (Vec::new(), Vec::new());
    let mut key = Vec::new();
    for _ in 0..take_number(&mut bytes)? {
        let shared = take_number(&mut bytes)?;
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(take_bytes(&mut bytes)?);
        // Only a lie names anything but an entry, or at such length.
        if key.len() > KEY_LEN_MAX || rows::table_of(&key).is_none() {
            return None;
        }
        changes.push(Change::removed(&key));
    }
    while !bytes.is_empty() {
        changes.push(Change::set::<S>(take_bytes(&mut bytes)?, &mut scratch)?);
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

/// Changes of accounts and settings, for tests.
#[cfg(test)]
pub(super) mod some {
    use protocol::id::AccountId;
    use protocol::participant::{NodeEntry, NodeKey, NodeState};

    use super::Change;

    fn account(number: u64) -> AccountId {
        format!("account-{number:06}").parse().unwrap()
    }

    /// Account `number` was changed for the `version`th time, or never was if that is 0.
    pub(in super::super) fn account_at(number: u64, version: u64) -> Change {
        let entry = NodeEntry::Account(account(number), "7".parse().unwrap(), version);
        let entry = (version > 0).then_some(entry);
        Change::of::<NodeState>(
            &NodeKey::Account(account(number)),
            entry.as_ref(),
            &mut Vec::new(),
        )
    }

    /// A request window was set.
    pub(in super::super) fn settings(window: u64) -> Change {
        let entry = NodeEntry::Settings(window, None);
        Change::of::<NodeState>(&NodeKey::Settings, Some(&entry), &mut Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use protocol::participant::NodeState;

    use super::some::{account_at, settings};
    use super::*;

    fn step(seq: Seq, changes: impl IntoIterator<Item = Change>) -> Batch {
        let mut step = Batch::new(seq);
        changes.into_iter().for_each(|change| step.put(change));
        step
    }

    #[test]
    fn the_newest_value_of_a_key_wins_within_a_batch() {
        let mut pending = Pending::default();
        pending.push(step(1, [account_at(1, 1), account_at(2, 1)]));
        pending.push(step(2, [account_at(1, 2)]));
        pending.push(step(3, [account_at(0, 1), account_at(1, 0)]));
        let mut batches = pending.take();
        assert_eq!(batches.len(), 1);
        let batch = batches.remove(0);
        assert_eq!(batch.seq, 3);
        assert_eq!(
            batch.into_changes(),
            [account_at(0, 1), account_at(1, 0), account_at(2, 1)]
        );
        assert!(pending.take().is_empty());
    }

    #[test]
    fn a_removed_key_that_no_entry_can_have_is_refused() {
        let removed = |key: &[u8]| {
            let mut bytes = vec![1, 0];
            put_bytes(&mut bytes, key);
            decode::<NodeState>(&bytes)
        };
        let key = account_at(1, 0).key().to_vec();
        assert_eq!(removed(&key).unwrap(), [account_at(1, 0)]);
        assert!(removed(&[]).is_none());
        for table in [0, 5, 255] {
            assert!(
                removed(&[table]).is_none(),
                "one of the journal's, or of nobody's"
            );
        }
        assert!(removed(&[1; KEY_LEN_MAX]).is_some());
        assert!(removed(&[1; KEY_LEN_MAX + 1]).is_none());
        // Each takes four bytes and says that it is as long as the one before.
        let mut growing = vec![2, 0];
        put_bytes(&mut growing, &[1; 1000]);
        growing.extend_from_slice(&[0xe8, 7, 0]);
        assert!(decode::<NodeState>(&growing).is_none());
    }

    #[test]
    fn batches_end_at_step_boundaries_before_they_grow_too_large() {
        let mut pending = Pending::default();
        for seq in 1..=5000 {
            pending.push(step(seq, [account_at(seq, seq), account_at(seq + 7000, 0)]));
        }
        let batches = pending.take();
        assert!(batches.len() > 1);
        assert!(batches.iter().all(|batch| batch.len() <= LEN_MAX));
        assert!(batches.is_sorted_by_key(|batch| batch.seq));
        assert_eq!(batches.last().unwrap().seq, 5000);
        let mut changes = 0;
        for batch in batches {
            let len = batch.len();
            let batch = batch.into_changes();
            assert!(encode(&batch).len() <= len);
            changes += batch.len();
        }
        assert_eq!(changes, 10_000);
    }

    #[test]
    fn a_step_is_never_cut_in_two() {
        let mut pending = Pending::default();
        pending.push(step(1, [settings(1)]));
        pending.push(step(2, (0..10_000).map(|number| account_at(number, 1))));
        pending.push(step(3, [settings(2)]));
        assert_eq!(
            pending.take().iter().map(|batch| batch.seq).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    fn some_changes() -> Vec<Change> {
        let accounts = (0..200).map(|number| account_at(number, number % 3));
        step(1, accounts.chain([settings(5)])).into_changes()
    }

    fn sorted(changes: Option<Vec<Change>>) -> Option<Vec<Change>> {
        Some(step(1, changes?).into_changes())
    }

    #[test]
    fn changes_read_back_as_they_were_written() {
        let changes = some_changes();
        let removed = changes.iter().filter(|change| change.value().is_none()).count();
        assert_eq!((changes.len(), removed), (201, 67));
        assert_eq!(sorted(decode::<NodeState>(&encode(&changes))), Some(changes));
        assert_eq!(decode::<NodeState>(&encode(&[])), Some(vec![]));
    }

    #[test]
    fn changes_that_are_cut_off_or_strange_are_no_changes_and_no_panic() {
        let changes = some_changes();
        let good = encode(&changes);
        let is_other = |bytes: &[u8]| sorted(decode::<NodeState>(bytes)).as_ref() != Some(&changes);
        for len in 0..good.len() {
            assert!(is_other(&good[..len]), "{len} bytes");
        }
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert!(is_other(&bad), "byte {at}");
            }
        }
        assert_eq!(decode::<NodeState>(&[0xff; 40]), None);
        assert_eq!(decode::<NodeState>(&[1, 5, 1, b'x']), None, "nothing to share");
    }
}
