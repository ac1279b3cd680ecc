//! How fast does it go? Two readings of every process's counters, about a second apart, make rates.

use std::collections::BTreeMap;

use client::Numbers;

use super::wire::{Quantiles, Rates};

/// Readings of one process.
#[derive(Clone, Debug)]
struct Readings {
    coordinator: bool,
    newest: Numbers,
    before: Option<Numbers>,
}

/// Readings of every process that answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Readout(BTreeMap<String, Readings>);

impl Readout {
    /// A new reading of a process.
    pub(super) fn note(&mut self, process: &str, coordinator: bool, numbers: Numbers) {
        let before = self.0.remove(process).map(|readings| readings.newest);
        let readings = Readings {
            coordinator,
            newest: numbers,
            before,
        };
        self.0.insert(process.to_owned(), readings);
    }

    /// A process does not answer any more.
    pub(super) fn forget(&mut self, process: &str) {
        self.0.remove(process);
    }

    /// One transaction in so many is told by the busiest process.
    pub(super) fn every(&self) -> u64 {
        let all = self.0.values().map(|readings| readings.newest.every);
        all.max().unwrap_or(1).max(1)
    }

    /// How many transactions have committed, by all counts.
    pub(super) fn committed(&self) -> u64 {
        self.0.values().map(|readings| readings.newest.committed).sum()
    }

    pub(super) fn rates(&self, at_us: u64) -> Rates {
        let mut rates = Rates {
            at_us,
            ..Rates::default()
        };
        for (process, readings) in &self.0 {
            let (newest, none) = (&readings.newest, Numbers::default());
            rates.in_doubt += newest.in_doubt;
            rates.oldest_in_doubt_ms = rates.oldest_in_doubt_ms.max(newest.oldest_in_doubt_ms);
            if readings.coordinator {
                rates.open += newest.open;
            }
            // A process that was started anew counts from 0, and so does one that was never read before; but what it had
            // done until then did not happen in this second.
            let Some(before) = &readings.before else { continue };
            let before = if before.up_ms <= newest.up_ms {
                before
            } else {
                &none
            };
            rates
                .sync_us
                .insert(process.clone(), quantiles(&newest.syncs.since(&before.syncs)));
            if readings.coordinator {
                let per_s =
                    |now: u64, then: u64| per_second(now.saturating_sub(then), newest.up_ms - before.up_ms);
                rates.committed_per_s += per_s(newest.committed, before.committed);
                rates.latency_us = quantiles(&newest.decisions.since(&before.decisions));
                for (reason, count) in &newest.aborted {
                    let then = before.aborted.iter().find(|(earlier, _)| earlier == reason);
                    let rate = per_s(*count, then.map_or(0, |(_, count)| *count));
                    if rate > 0.0 {
                        *rates.aborted_per_s.entry(reason.clone()).or_default() += rate;
                    }
                }
            }
        }
        rates
    }
}

fn quantiles(histogram: &protocol::histogram::Histogram) -> Quantiles {
    Quantiles {
        p50: histogram.quantile_us(500),
        p99: histogram.quantile_us(990),
    }
}

/// With one decimal.
fn per_second(count: u64, ms: u64) -> f64 {
    let tenths = count.saturating_mul(10_000) / ms.max(1);
    // What does not fit into 32 bits is not a rate that anybody sees.
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(up_ms: u64, committed: u64, funds: u64) -> Numbers {
        let mut numbers = Numbers {
            up_ms,
            committed,
            aborted: vec![("insufficient_funds".to_owned(), funds)],
            open: 3,
            every: 4,
            ..Numbers::default()
        };
        (0..committed).for_each(|_| numbers.decisions.add(100));
        (0..committed).for_each(|_| numbers.syncs.add(7));
        numbers
    }

    #[test]
    fn two_readings_make_rates_and_a_restart_counts_from_nothing() {
        let mut readout = Readout::default();
        readout.note("coordinator", true, numbers(10_000, 500, 7));
        let rates = readout.rates(1);
        assert_eq!((rates.committed_per_s, rates.open), (0.0, 3));
        assert_eq!(rates.latency_us, Quantiles::default());

        readout.note("coordinator", true, numbers(11_000, 550, 7));
        let doubt = Numbers {
            in_doubt: 2,
            oldest_in_doubt_ms: 1500,
            ..numbers(5_000, 900, 1)
        };
        readout.note("N1", false, doubt);
        let rates = readout.rates(2);
        assert_eq!(rates.committed_per_s, 50.0);
        assert!(rates.aborted_per_s.is_empty(), "{rates:?}");
        assert_eq!(rates.latency_us.p50, Some(111));
        assert_eq!(
            (rates.in_doubt, rates.oldest_in_doubt_ms, rates.open),
            (2, 1500, 3)
        );
        assert_eq!(rates.sync_us["coordinator"].p99, Some(7));
        assert_eq!(readout.every(), 4);

        readout.note("coordinator", true, numbers(500, 10, 1));
        let rates = readout.rates(3);
        assert_eq!(rates.committed_per_s, 20.0);
        assert_eq!(rates.aborted_per_s["insufficient_funds"], 2.0);

        readout.forget("N1");
        assert_eq!(readout.rates(4).in_doubt, 0);
    }
}
