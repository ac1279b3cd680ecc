//! Since when is a transaction under way? For latencies and ages; exact, at the price of one store and one load.
//!
//! Transactions are numbered without gaps, so a ring of slots by number does for a table. It is small, so that it stays in
//! the processor's cache. A transaction that stays open while thousands follow loses its slot; then nobody knows.

use std::time::{Duration, Instant};

use protocol::id::TxnId;

/// About as many as can be open.
const SLOTS: u64 = 8_192;

/// Start times of the newest transactions.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begin: Instant,
    slots: Vec<Slot>,
}

/// One transaction, and when it began.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Whose slot it is, as [`tag`] tells; 0 for nobody's.
    tag: u64,
    /// Nanoseconds since the stopwatch was made.
    at_ns: u64,
}

/// Where a transaction has its slot.
fn place(txn: TxnId) -> usize {
    usize::try_from(txn.at.sequence % SLOTS).expect("smaller than the number of slots")
}

/// Tells transactions apart that share a slot. Two coordinators' may look alike once in 2^64 times: then a latency is wrong.
fn tag(txn: TxnId) -> u64 {
    let epoch = u64::from(txn.at.epoch) << 32;
    (txn.coordinator.0 ^ epoch ^ txn.at.sequence).max(1)
}

impl Stopwatch {
    pub(crate) fn new(now: Instant) -> Stopwatch {
        let slots = usize::try_from(SLOTS).expect("a small number");
        Stopwatch {
            begin: now,
            slots: vec![Slot::default(); slots],
        }
    }

    fn since_begin(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begin);
        since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
    }

    /// It begins.
    pub(crate) fn start(&mut self, txn: TxnId, now: Instant) {
        let at_ns = self.since_begin(now);
        self.slots[place(txn)] = Slot { tag: tag(txn), at_ns };
    }

    /// How long it has been under way, if it is known.
    pub(crate) fn elapsed(&self, txn: TxnId, now: Instant) -> Option<Duration> {
        let Slot { tag: whose, at_ns } = self.slots[place(txn)];
        (whose == tag(txn)).then(|| Duration::from_nanos(self.since_begin(now).saturating_sub(at_ns)))
    }

    /// It is over: how long it took, if it is known.
    pub(crate) fn stop(&mut self, txn: TxnId, now: Instant) -> Option<Duration> {
        let elapsed = self.elapsed(txn, now);
        if elapsed.is_some() {
            self.slots[place(txn)].tag = 0;
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
        let mut stopwatch = Stopwatch::new(start);
        stopwatch.start(txn(1), start);
        stopwatch.start(txn(2), ms(5));
        assert_eq!(stopwatch.elapsed(txn(1), ms(7)), Some(Duration::from_millis(7)));
        assert_eq!(stopwatch.stop(txn(2), ms(7)), Some(Duration::from_millis(2)));
        assert_eq!(stopwatch.stop(txn(2), ms(8)), None);
        stopwatch.start(txn(1 + SLOTS), ms(9));
        assert_eq!(stopwatch.elapsed(txn(1), ms(9)), None);
    }
}
