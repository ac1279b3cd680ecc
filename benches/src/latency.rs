//! How long things took: a histogram that keeps three digits whatever the size, and what is read off it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Shortest and longest time that are told apart, in nanoseconds; what lies beyond counts as the nearer of them.
const LEAST_NS: u64 = 1;
const MOST_NS: u64 = 1_000_000_000_000;

/// Digits that are kept of each time.
const DIGITS: u8 = 3;

/// Measured times.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

impl Latencies {
    /// Nothing has been measured.
    pub fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(LEAST_NS, MOST_NS, DIGITS);
        Latencies(histogram.expect("the bounds are in order"))
    }

    /// `count` things took `time` each.
    pub fn record(&mut self, time: Duration, count: u64) {
        self.0.saturating_record_n(nanos(time), count);
    }

    /// Adds what another one has measured.
    pub fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many have been measured.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that `percent` of all did not exceed; zero if nothing was measured.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The usual points of the distribution.
    pub fn spread(&self) -> Spread {
        let ms = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1000.0;
        let at = |percent| ms(self.0.value_at_percentile(percent));
        let (min, max) = if self.0.is_empty() {
            (0.0, 0.0)
        } else {
            (ms(self.0.min()), ms(self.0.max()))
        };
        Spread {
            count: self.0.len(),
            min_ms: min,
            mean_ms: self.0.mean() / 1e6,
            p10_ms: at(10.0),
            p25_ms: at(25.0),
            p50_ms: at(50.0),
            p75_ms: at(75.0),
            p90_ms: at(90.0),
            p95_ms: at(95.0),
            p99_ms: at(99.0),
            p999_ms: at(99.9),
            max_ms: max,
        }
    }

    /// How many lie in each of `bars` steps of equal ratio between the 0.1th and the 99.9th percentile: the upper end
    /// of each step, and the count. What lies outside counts in the first and the last.
    pub fn bars(&self, bars: u32) -> Vec<Bar> {
        if self.0.is_empty() || bars == 0 {
            return Vec::new();
        }
        let low = self.percentile(0.1).as_secs_f64().max(1e-6);
        let high = self.percentile(99.9).as_secs_f64().max(low * 1.05);
        let ratio = (high / low).powf(1.0 / f64::from(bars));
        let mut below = 0;
        let mut found = Vec::new();
        for bar in 1..=bars {
            let end = low * ratio.powi(i32::try_from(bar).unwrap_or(i32::MAX));
            let upto = if bar == bars {
                self.0.len()
            } else {
                let end = nanos(Duration::from_secs_f64(end));
                self.0.count_between(0, end)
            };
            found.push(Bar {
                upto_ms: end * 1000.0,
                count: upto.saturating_sub(below),
            });
            below = upto;
        }
        found
    }
}

/// The usual points of a distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// The shortest.
    pub min_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// 10 % took no longer.
    pub p10_ms: f64,
    /// 25 % took no longer.
    pub p25_ms: f64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 75 % took no longer.
    pub p75_ms: f64,
    /// 90 % took no longer.
    pub p90_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
    /// 99.9 % took no longer.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// One step of a drawn distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Upper end of the step.
    pub upto_ms: f64,
    /// How many lie in it.
    pub count: u64,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let mut times = Latencies::new();
        for us in 1..=10_000 {
            times.record(Duration::from_micros(us), 1);
        }
        let spread = times.spread();
        assert_eq!(spread.count, 10_000);
        for (found, expected) in [
            (spread.p50_ms, 5.0),
            (spread.p99_ms, 9.9),
            (spread.p999_ms, 9.99),
            (spread.max_ms, 10.0),
            (spread.min_ms, 0.001),
            (spread.mean_ms, 5.0005),
        ] {
            assert!((found / expected - 1.0).abs() < 0.002, "{found} for {expected}");
        }
    }

    #[test]
    fn a_batch_counts_as_often_as_it_has_transactions() {
        let mut times = Latencies::new();
        times.record(Duration::from_millis(1), 1);
        times.record(Duration::from_millis(20), 8_191);
        assert_eq!(times.count(), 8_192);
        assert!(times.percentile(1.0) > Duration::from_millis(19));
    }

    #[test]
    fn the_bars_hold_all_that_was_measured() {
        let mut times = Latencies::new();
        assert!(times.bars(8).is_empty());
        for us in [50, 100, 100, 200, 400, 800, 1_000_000] {
            times.record(Duration::from_micros(us), 10);
        }
        let bars = times.bars(12);
        assert_eq!(bars.len(), 12);
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), times.count());
        assert!(bars.windows(2).all(|pair| pair[0].upto_ms < pair[1].upto_ms));
        let mut same = Latencies::new();
        same.record(Duration::from_millis(3), 7);
        assert_eq!(same.bars(4).iter().map(|bar| bar.count).sum::<u64>(), 7);
    }
}
