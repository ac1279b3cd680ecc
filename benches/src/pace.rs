//! When is the next request due?
//!
//! In a closed loop: when an earlier one is answered. At a fixed rate: when the clock says so, whatever became of the
//! earlier ones. A request that had to wait for a free place is late from the moment when it was due, not from the
//! moment when it was sent; otherwise a server that stops for a second would be charged with one slow request instead
//! of all that should have been sent meanwhile ("coordinated omission").

use std::time::Duration;

/// The rhythm of a load. All times count from its begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// As fast as answers come.
    Closed,
    /// One after each interval.
    Fixed {
        /// Nanoseconds between two requests.
        interval_ns: f64,
        /// Requests that have been taken.
        taken: u32,
    },
}

impl Pace {
    /// So many requests a second.
    pub fn fixed(rate: f64) -> Pace {
        Pace::Fixed {
            interval_ns: 1e9 / rate,
            taken: 0,
        }
    }

    /// Takes the next request if it is due: the time from which its latency counts.
    pub fn take(&mut self, now: Duration) -> Option<Duration> {
        match self {
            Pace::Closed => Some(now),
            Pace::Fixed { interval_ns, taken } => {
                let due = due(*interval_ns, *taken);
                (due <= now).then(|| {
                    *taken += 1;
                    due
                })
            }
        }
    }

    /// When the next request is due; `None` if that depends on answers.
    pub fn next(&self) -> Option<Duration> {
        match self {
            Pace::Closed => None,
            Pace::Fixed { interval_ns, taken } => Some(due(*interval_ns, *taken)),
        }
    }

    /// Whether latencies count from when a request was due.
    pub fn is_fixed(&self) -> bool {
        matches!(self, Pace::Fixed { .. })
    }
}

fn due(interval_ns: f64, number: u32) -> Duration {
    Duration::from_secs_f64(interval_ns * f64::from(number) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn requests_are_due_at_their_rate_and_never_early() {
        let mut pace = Pace::fixed(1_000.0);
        assert_eq!(pace.take(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(pace.take(MS / 2), None);
        assert_eq!(pace.next(), Some(MS));
        assert_eq!(pace.take(3 * MS), Some(MS));
        assert_eq!(pace.take(3 * MS), Some(2 * MS));
        assert_eq!(pace.take(3 * MS), Some(3 * MS));
        assert_eq!(pace.take(3 * MS), None);
    }

    /// One place, a request each millisecond, answered in no time but for one that takes a second.
    #[test]
    fn a_pause_counts_for_every_request_that_was_due_in_it() {
        let measured = |mut pace: Pace| {
            let mut times = Latencies::new();
            let mut now = Duration::ZERO;
            while now < Duration::from_secs(2) {
                while let Some(due) = pace.take(now) {
                    let stalls = now == 500 * MS;
                    now += if stalls { 1_000 * MS } else { MS / 1_000 };
                    times.record(now - due, 1);
                    if !pace.is_fixed() {
                        break;
                    }
                }
                now = pace.next().unwrap_or(now + MS).max(now);
            }
            times
        };
        let fixed = measured(Pace::fixed(1_000.0));
        let (median, quarter) = (fixed.percentile(50.0), fixed.percentile(75.0));
        assert!(median < 10 * MS, "{median:?}");
        assert!(
            (450 * MS..550 * MS).contains(&quarter),
            "half of them waited, evenly up to a second: {quarter:?}"
        );
        let closed = measured(Pace::Closed);
        assert!(closed.percentile(99.0) < MS, "the closed loop does not see it");
    }
}
