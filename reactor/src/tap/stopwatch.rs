//! Since when is a transaction under way? For latencies and ages; exact, at the price of one store and one load.
//!
//! Transactions are numbered without gaps, so a ring of slots by number does for a table. One that stays open while tens
//! of thousands follow loses its slot; then nobody knows.

use std::time::{Duration, Instant};

use protocol::id::TxnId;

/// As many as can be open twice over; a power of two.
const SLOTS: usize = 32_768;

/// Start times of the newest transactions.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    slots: Vec<Option<(TxnId, Instant)>>,
}

/// Where a transaction has its slot.
fn slot(txn: TxnId) -> usize {
    let slots = u64::try_from(SLOTS).expect("a small number");
    usize::try_from(txn.at.sequence % slots).expect("smaller than the number of slots")
}

impl Stopwatch {
    pub(crate) fn new() -> Stopwatch {
        Stopwatch {
            slots: vec![None; SLOTS],
        }
    }

    /// It begins.
    pub(crate) fn start(&mut self, txn: TxnId, now: Instant) {
        self.slots[slot(txn)] = Some((txn, now));
    }

    /// How long it has been under way, if it is known.
    pub(crate) fn elapsed(&self, txn: TxnId, now: Instant) -> Option<Duration> {
        let (started, since) = self.slots[slot(txn)]?;
        (started == txn).then(|| now.saturating_duration_since(since))
    }

    /// It is over: how long it took, if it is known.
    pub(crate) fn stop(&mut self, txn: TxnId, now: Instant) -> Option<Duration> {
        let elapsed = self.elapsed(txn, now);
        if elapsed.is_some() {
            self.slots[slot(txn)] = None;
        }
        elapsed
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::StoreId;

    use super::*;

    #[test]
    fn each_transaction_has_its_own_time_and_one_that_lost_its_slot_has_none() {
        let txn = |sequence| TxnId::new(StoreId(0xc), 1, sequence);
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let slots = u64::try_from(SLOTS).unwrap();
        let mut stopwatch = Stopwatch::new();
        stopwatch.start(txn(1), start);
        stopwatch.start(txn(2), ms(5));
        assert_eq!(stopwatch.elapsed(txn(1), ms(7)), Some(Duration::from_millis(7)));
        assert_eq!(stopwatch.stop(txn(2), ms(7)), Some(Duration::from_millis(2)));
        assert_eq!(stopwatch.stop(txn(2), ms(8)), None);
        stopwatch.start(txn(1 + slots), ms(9));
        assert_eq!(stopwatch.elapsed(txn(1), ms(9)), None);
    }
}
