//! Which transactions are kept for watchers: as many as one can look at, chosen alike by all processes.
//!
//! A process keeps one transaction in 2^k, by its number ([`watch::is_kept`]); `k` follows the rate at which transactions
//! come here. It rises at once when a window has had its share, and falls by one step at the end of a quiet window. A
//! change holds for transactions that come from then on; those before it stay as they were, so that what was begun in
//! full is seen to its end.

use std::time::{Duration, Instant};

use protocol::id::TxnId;
use protocol::message::watch;

/// How often the rate is looked at.
const WINDOW: Duration = Duration::from_millis(250);

/// Transactions kept in a window: 200 a second.
const KEPT_PER_WINDOW: u64 = 50;

/// One in a million is rare enough for any rate.
const EVERY_MAX: u64 = 1 << 20;

/// The rule, and what it follows.
#[derive(Debug)]
pub(crate) struct Sampling {
    every: u64,
    /// The rule for transactions before this one.
    before: u64,
    since: Option<TxnId>,
    /// When the present window ends.
    until: Instant,
    /// Kept transactions that came in the present window.
    kept: u64,
}

impl Sampling {
    /// Keeps all, until more come than can be looked at.
    pub(crate) fn new(now: Instant) -> Sampling {
        Sampling {
            every: 1,
            before: 1,
            since: None,
            until: now + WINDOW,
            kept: 0,
        }
    }

    /// One transaction in so many is kept.
    pub(crate) fn every(&self) -> u64 {
        self.every
    }

    /// Whether `txn` is kept.
    pub(crate) fn keeps(&self, txn: TxnId) -> bool {
        let every = match self.since {
            Some(since) if txn.coordinator == since.coordinator && txn.at < since.at => self.before,
            Some(_) | None => self.every,
        };
        watch::is_kept(txn, every)
    }

    /// A transaction comes here for the first time.
    pub(crate) fn came(&mut self, txn: TxnId, now: Instant) {
        if now >= self.until {
            if self.kept < KEPT_PER_WINDOW / 2 && self.every > 1 {
                self.change(self.every / 2, txn);
            }
            self.kept = 0;
            self.until = now + WINDOW;
        } else if self.kept >= KEPT_PER_WINDOW && self.every < EVERY_MAX {
            self.change(self.every * 2, txn);
            // Half of what was kept so far would have been.
            self.kept /= 2;
        }
        if watch::is_kept(txn, self.every) {
            self.kept += 1;
        }
    }

    fn change(&mut self, every: u64, since: TxnId) {
        self.before = self.every;
        self.every = every;
        self.since = Some(since);
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::StoreId;

    use super::*;

    fn txn(sequence: u64) -> TxnId {
        TxnId::new(StoreId(0xc), 1, sequence)
    }

    /// Lets `rate` transactions a second come for `seconds`; returns how many of those of the last second were kept.
    fn run(sampling: &mut Sampling, start: Instant, next: &mut u64, rate: u64, seconds: u64) -> u64 {
        let mut kept = 0;
        for number in 0..rate * seconds {
            *next += 1;
            let now = start + Duration::from_micros(number * 1_000_000 / rate);
            sampling.came(txn(*next), now);
            if number >= rate * (seconds - 1) && sampling.keeps(txn(*next)) {
                kept += 1;
            }
        }
        kept
    }

    #[test]
    fn all_are_kept_until_they_are_many_then_about_two_hundred_a_second() {
        let (mut now, mut next) = (Instant::now(), 0);
        let mut sampling = Sampling::new(now);
        assert_eq!(run(&mut sampling, now, &mut next, 150, 3), 150);
        for rate in [1_000, 10_000, 100_000] {
            now += Duration::from_secs(20);
            let kept = run(&mut sampling, now, &mut next, rate, 10);
            assert!((90..=210).contains(&kept), "{kept} of {rate} a second");
        }
        assert!(sampling.every() > 256, "{}", sampling.every());
        now += Duration::from_secs(20);
        assert_eq!(run(&mut sampling, now, &mut next, 100, 10), 100);
        assert_eq!(sampling.every(), 1);
    }

    #[test]
    fn a_transaction_that_began_before_a_change_is_kept_as_it_was() {
        let now = Instant::now();
        let mut sampling = Sampling::new(now);
        let last = (1..).find(|&number| {
            sampling.came(txn(number), now);
            sampling.every() > 1
        });
        let last = last.unwrap();
        assert!(last % 2 == 1 && !sampling.keeps(txn(last)), "{last}");
        assert!((1..last).all(|number| sampling.keeps(txn(number))));
        assert!(sampling.keeps(txn(last + 1)) && !sampling.keeps(txn(last + 2)));
    }
}
