//! How long things took: a small histogram with buckets that grow, for whoever draws charts.
//!
//! Up to 8 µs every microsecond has its bucket; above, each power of two is cut into four. So a quantile is never off by
//! more than a quarter of its value, and adding one costs a few shifts. Two histograms of the same process can be
//! compared: what came in between.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Buckets that are one microsecond wide.
const FINE: u64 = 8;

/// Buckets in all: what is longer than about 71 minutes counts as that.
const BUCKETS: usize = 8 + 4 * 29;

/// Counts of durations, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each bucket; those behind the last one that was hit are left out.
    counts: Vec<u64>,
    /// All durations together.
    sum_us: u64,
}

/// The bucket of a duration.
fn bucket(us: u64) -> usize {
    let place = if us < FINE {
        us
    } else {
        let octave = u64::from(us.ilog2()) - 3;
        // The two bits behind the first one.
        let quarter = (us >> (octave + 1)) & 3;
        FINE + 4 * octave + quarter
    };
    usize::try_from(place).map_or(BUCKETS - 1, |place| place.min(BUCKETS - 1))
}

/// The longest duration that falls into a bucket.
fn upper_us(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).expect("there are few buckets");
    match bucket.checked_sub(FINE) {
        None => bucket,
        Some(above) => ((5 + above % 4) << (above / 4 + 1)) - 1,
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, us: u64) {
        let bucket = bucket(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The duration that a share of all, in thousandths, does not exceed, as the upper end of its bucket. `None` if
    /// nothing was counted.
    pub fn quantile_us(&self, per_mille: u64) -> Option<u64> {
        let wanted = self.count().saturating_mul(per_mille).div_ceil(1000).max(1);
        let mut reached = self.cumulative().filter(|(_, below)| *below >= wanted);
        reached.next().map(|(us, _)| us)
    }

    /// For each bucket that was hit: its longest duration, and how many durations were counted up to there.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut below = 0;
        let hit = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        hit.map(move |(bucket, count)| {
            below += count;
            (upper_us(bucket), below)
        })
    }

    /// What was counted since `earlier`, a copy of this histogram. If it is not one (the process was started anew), all.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |bucket: usize| earlier.counts.get(bucket).copied().unwrap_or(0);
        let grew = (0..earlier.counts.len().max(self.counts.len()))
            .all(|bucket| self.counts.get(bucket).copied().unwrap_or(0) >= before(bucket));
        if !grew {
            return self.clone();
        }
        Histogram {
            counts: (0..)
                .zip(&self.counts)
                .map(|(bucket, count)| count - before(bucket))
                .collect(),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_its_bucket_and_no_bucket_is_wider_than_a_quarter() {
        let mut durations: Vec<u64> = (0..5_000).collect();
        durations.extend((12..32).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]));
        for us in durations {
            let place = bucket(us);
            assert!(us <= upper_us(place), "{us} is above its bucket");
            assert!(place == 0 || us > upper_us(place - 1), "{us} is below its bucket");
            assert!(
                upper_us(place) - us <= us / 4,
                "{us} is in a bucket up to {}",
                upper_us(place)
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_durations_up_to_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(500), None);
        (1..=1000).for_each(|us| histogram.add(us));
        for (share, exact) in [(0, 1), (500, 500), (990, 990), (1000, 1000)] {
            let found = histogram.quantile_us(share).unwrap();
            assert!((exact..=exact + exact / 4).contains(&found), "{share}: {found}");
        }
        assert_eq!((histogram.count(), histogram.sum_us()), (1000, 500_500));
        assert_eq!(histogram.cumulative().last().map(|(_, count)| count), Some(1000));
    }

    #[test]
    fn a_difference_is_what_came_in_between() {
        let mut now = Histogram::default();
        now.add(5);
        let earlier = now.clone();
        now.add(5);
        now.add(700);
        let between = now.since(&earlier);
        assert_eq!((between.count(), between.sum_us()), (2, 705));
        // A process that was started anew counts from nothing.
        assert_eq!(earlier.since(&now), earlier);
    }
}
