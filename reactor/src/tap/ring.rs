//! The newest sights of a process, as many as fit.
//!
//! Nobody waits for a reader: what is pushed out is gone, and a reader that comes back finds out how much it missed,
//! since sights are numbered.

use std::collections::VecDeque;

use protocol::id::TxnId;
use protocol::message::watch::{Sight, Sighting};

/// How many are kept: at 200 transactions a second, the last few seconds of a coordinator.
pub(crate) const RING_LEN: usize = 8_192;

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    sightings: VecDeque<Sighting>,
    /// The number that the next one gets.
    next: u64,
}

impl Ring {
    /// Adds one.
    pub(crate) fn push(&mut self, at_us: u64, txn: TxnId, what: Sight) {
        if self.sightings.len() == RING_LEN {
            self.sightings.pop_front();
        }
        self.next += 1;
        self.sightings.push_back(Sighting {
            n: self.next,
            at_us,
            txn,
            what,
        });
    }

    /// How many there have been.
    pub(crate) fn seen(&self) -> u64 {
        self.next
    }

    /// The number of the oldest that is still here, or that the next one gets.
    pub(crate) fn first(&self) -> u64 {
        self.sightings.front().map_or(self.next + 1, |first| first.n)
    }

    /// Those from number `from` on that are still here.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = &Sighting> {
        let skipped = usize::try_from(from.saturating_sub(self.first())).unwrap_or(usize::MAX);
        self.sightings.range(skipped.min(self.sightings.len())..)
    }

    /// What is still here about one transaction: the newest `len`, oldest first.
    pub(crate) fn about(&self, txn: TxnId, len: usize) -> Vec<Sighting> {
        let mut found: Vec<Sighting> = self
            .sightings
            .iter()
            .rev()
            .filter(|sighting| sighting.txn == txn)
            .take(len)
            .cloned()
            .collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::StoreId;

    use super::*;

    fn txn(sequence: u64) -> TxnId {
        TxnId::new(StoreId(0xc), 1, sequence)
    }

    fn synced(through: u64) -> Sight {
        Sight::Synced { through, took_us: 1 }
    }

    #[test]
    fn what_is_pushed_out_is_gone_and_the_rest_keeps_its_numbers() {
        let mut ring = Ring::default();
        assert_eq!((ring.first(), ring.since(1).count()), (1, 0));
        let len = u64::try_from(RING_LEN).unwrap();
        for through in 1..=len + 10 {
            ring.push(0, txn(through % 2), synced(through));
        }
        assert_eq!((ring.first(), ring.seen()), (11, len + 10));
        assert_eq!(ring.since(1).count(), RING_LEN);
        assert_eq!(ring.since(len).map(|sighting| sighting.n).next(), Some(len));
        assert_eq!(ring.since(len + 11).count(), 0);
        let about = ring.about(txn(1), 3);
        assert_eq!(
            about.iter().map(|sighting| sighting.n).collect::<Vec<_>>(),
            [len + 5, len + 7, len + 9]
        );
        assert_eq!(ring.about(txn(7), 3), []);
    }
}
