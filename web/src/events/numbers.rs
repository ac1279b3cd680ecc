//! How fast does it go? Two readings of every process's counters, about a second apart, make rates.

use std::collections::BTreeMap;

use client::Numbers;

use super::wire::{Quantiles, Rates};

/// Readings of one process.
#[derive(Debug)]
struct Readings {
    coordinator: bool,
    newest: Numbers,
    /// What `newest` is compared with: the reading that was the newest when rates were last told. Nothing that happens
    /// between two tellings is left out, however the readings fall between them.
    since: Option<Numbers>,
    told: bool,
}

/// Readings of every process that answers.
#[derive(Debug, Default)]
pub(super) struct Readout(BTreeMap<String, Readings>);

impl Readout {
    /// A new reading of a process.
    pub(super) fn note(&mut self, process: &str, coordinator: bool, numbers: Numbers) {
        let since = self.0.remove(process).map(|last| match last.since {
            // A process that was started anew counts from 0.
            _ if numbers.up_ms < last.newest.up_ms => Numbers::default(),
            Some(since) if !last.told => since,
            _ => last.newest,
        });
        let readings = Readings {
            coordinator,
            newest: numbers,
            since,
            told: false,
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

    /// What to tell now: the rates since this was last asked. Of a process without a new reading, those of the time before.
    pub(super) fn tell(&mut self, at_us: u64) -> Rates {
        let mut rates = Rates {
            at_us,
            ..Rates::default()
        };
        for (process, readings) in &mut self.0 {
            readings.told = true;
            let newest = &readings.newest;
            rates.in_doubt += newest.in_doubt;
            rates.oldest_in_doubt_ms = rates.oldest_in_doubt_ms.max(newest.oldest_in_doubt_ms);
            if readings.coordinator {
                rates.open += newest.open;
            }
            // What a process had done until it was first read did not happen in this second.
            let Some(before) = &readings.since else { continue };
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
    fn every_reading_is_told_however_often_one_tells() {
        let mut readout = Readout::default();
        readout.note("coordinator", true, numbers(10_000, 500, 7));
        readout.note("coordinator", true, numbers(11_000, 550, 7));
        readout.note("coordinator", true, numbers(12_000, 550, 7));
        let both = readout.tell(1);
        assert_eq!(both.committed_per_s, 25.0);
        assert_eq!(both.sync_us["coordinator"].p99, Some(7));
        assert_eq!(
            readout.tell(2).committed_per_s,
            25.0,
            "as long as nothing newer is known"
        );

        readout.note("coordinator", true, numbers(13_000, 551, 7));
        readout.note("coordinator", true, numbers(100, 1, 0));
        assert_eq!(readout.tell(3).committed_per_s, 10.0, "it was started anew");
    }

    #[test]
    fn two_readings_make_rates_and_a_restart_counts_from_nothing() {
        let mut readout = Readout::default();
        readout.note("coordinator", true, numbers(10_000, 500, 7));
        let rates = readout.tell(1);
        assert_eq!((rates.committed_per_s, rates.open), (0.0, 3));
        assert_eq!(rates.latency_us, Quantiles::default());

        readout.note("coordinator", true, numbers(11_000, 550, 7));
        let doubt = Numbers {
            in_doubt: 2,
            oldest_in_doubt_ms: 1500,
            ..numbers(5_000, 900, 1)
        };
        readout.note("N1", false, doubt);
        let rates = readout.tell(2);
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
        let rates = readout.tell(3);
        assert_eq!(rates.committed_per_s, 20.0);
        assert_eq!(rates.aborted_per_s["insufficient_funds"], 2.0);

        readout.forget("N1");
        assert_eq!(readout.tell(4).in_doubt, 0);
    }
}
