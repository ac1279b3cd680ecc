//! What is given to sled in one transaction: the newest value of every key that some whole steps touched.
//!
//! Nothing reaches sled before a sync. A batch ends at a step boundary, so that each is a consistent prefix, and stays
//! so small that sled's log cannot grow by a segment while it is unsynced (why that matters: see the module's head).

use std::collections::BTreeMap;
use std::mem;

use protocol::fold::{Seq, Table};

use super::rows::rows_of;

/// A batch is closed before it would let sled's log grow by more than this many bytes, by [`Batch::log_len`].
const LOG_LEN_MAX: usize = 192 * 1024;

/// What one row may cost sled beyond its own bytes, on average over a batch: rewriting, splitting or merging the page
/// it lies on, and moving a page out of a segment that is to be freed. Measured in large batches: a third of this.
const ROW_COST: usize = 1536;

/// What a batch may cost beyond that if it is small and no average helps. Measured: 20 KiB for one row.
const BATCH_COST: usize = 32 * 1024;

/// A row's own bytes are written again when its page is.
const BYTE_COST: usize = 4;

/// One transaction for sled.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The newest record in it.
    pub(super) seq: Seq,
    /// The encoded entries by table and encoded key; `None` removes.
    pub(super) entries: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    rows: usize,
    bytes: usize,
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
    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        let len = value.as_ref().map_or(0, Vec::len);
        self.bytes += key.len() + len;
        self.rows += rows_of(len);
        // A value that is replaced stays counted: the estimate errs on the safe side.
        self.entries.insert((table, key), value);
    }

    /// Upper estimate of the bytes by which sled's log grows.
    pub(super) fn log_len(&self) -> usize {
        BATCH_COST + self.rows * ROW_COST + self.bytes * BYTE_COST
    }

    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes).expect("a batch fits into memory")
    }

    fn merge(&mut self, step: Batch) {
        assert!(step.seq >= self.seq, "steps come in order");
        self.seq = step.seq;
        self.rows += step.rows;
        self.bytes += step.bytes;
        self.entries.extend(step.entries);
    }
}

/// Everything appended since the last sync, as batches.
#[derive(Debug, Default)]
pub(super) struct Pending {
    closed: Vec<Batch>,
    open: Batch,
}

impl Pending {
    /// Adds one step.
    pub(super) fn push(&mut self, step: Batch) {
        if self.open.seq > 0 && self.open.log_len() + step.log_len() > LOG_LEN_MAX {
            self.closed.push(mem::take(&mut self.open));
        }
        self.open.merge(step);
    }

    /// Takes all batches, oldest first.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        let mut batches = mem::take(&mut self.closed);
        if self.open.seq > 0 {
            batches.push(mem::take(&mut self.open));
        }
        batches
    }

    /// Upper estimate of the bytes by which sled's log grows with the next sync.
    pub(super) fn log_len(&self) -> usize {
        self.closed.iter().map(Batch::log_len).sum::<usize>() + self.open.log_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seq: Seq, key: &str, len: usize) -> Batch {
        let mut batch = Batch::new(seq);
        batch.put(Table::Accounts, key.as_bytes().to_vec(), Some(vec![0; len]));
        batch
    }

    #[test]
    fn the_newest_value_of_a_key_wins_within_a_batch() {
        let mut pending = Pending::default();
        pending.push(step(1, "a", 1));
        pending.push(step(2, "b", 2));
        pending.push(step(3, "a", 3));
        let batches = pending.take();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].seq, 3);
        let lens: Vec<_> = batches[0]
            .entries
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
            pending.push(step(seq, &format!("k{seq}"), 300));
        }
        let batches = pending.take();
        assert!(batches.len() > 1);
        assert!(batches.iter().all(|batch| batch.log_len() <= LOG_LEN_MAX));
        assert_eq!(
            batches.iter().map(|batch| batch.entries.len()).sum::<usize>(),
            1000
        );
        assert!(batches.is_sorted_by_key(|batch| batch.seq));
        assert_eq!(batches.last().unwrap().seq, 1000);
    }

    #[test]
    fn a_step_is_never_cut_in_two() {
        let mut pending = Pending::default();
        pending.push(step(1, "small", 10));
        pending.push(step(2, "huge", 1 << 20));
        pending.push(step(3, "small", 10));
        assert_eq!(
            pending.take().iter().map(|batch| batch.seq).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }
}
