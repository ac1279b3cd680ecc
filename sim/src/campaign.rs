//! Many seeds, on several threads, and what they came to together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::run::{self, Report, Tracing};
use crate::tally::Tally;

/// One seed in so many is run twice, and both runs must be the same to the last letter.
const TWICE_EVERY: u64 = 100;

/// A seed that went wrong, and what was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The seed.
    pub seed: u64,
    /// One text for each thing.
    pub texts: Vec<String>,
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Seeds that were run.
    pub seeds: u64,
    /// Those that were run twice.
    pub twice: u64,
    /// Those of them that told another story the second time.
    pub differed: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Those that were committed.
    pub committed: u64,
    /// Audits that saw everything.
    pub exact_audits: u64,
    /// Messages.
    pub messages: u64,
    /// Virtual time.
    pub lasted: Duration,
    /// The longest healing.
    pub healing_max: Duration,
    /// Faults.
    pub tally: Tally,
    /// What went wrong.
    pub wrong: Vec<Wrong>,
    /// Processor time that all threads together took.
    pub took: Duration,
}

impl Sum {
    fn add(&mut self, seed: u64, report: &Report) {
        let count = |n: usize| u64::try_from(n).expect("a count fits");
        self.seeds += 1;
        self.requests += count(report.requests);
        self.committed += count(report.committed);
        self.exact_audits += report.exact_audits;
        self.messages += report.messages;
        self.lasted += Duration::from_micros(report.lasted);
        self.healing_max = self.healing_max.max(Duration::from_micros(report.healing));
        self.tally.add(&report.tally);
        if !report.wrong.is_empty() {
            self.wrong.push(Wrong {
                seed,
                texts: report.wrong.clone(),
            });
        }
    }

    fn join(&mut self, other: Sum) {
        self.seeds += other.seeds;
        self.twice += other.twice;
        self.differed += other.differed;
        self.requests += other.requests;
        self.committed += other.committed;
        self.exact_audits += other.exact_audits;
        self.messages += other.messages;
        self.lasted += other.lasted;
        self.healing_max = self.healing_max.max(other.healing_max);
        self.tally.add(&other.tally);
        self.wrong.extend(other.wrong);
        self.took += other.took;
    }
}

/// How a campaign is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub threads: usize,
    /// Whether to stop at the first seed that goes wrong.
    pub stop_at_first: bool,
}

/// Runs the seeds. `told` hears how many are done, now and then.
pub fn run(plan: Plan, told: &(dyn Fn(u64) + Sync)) -> Sum {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let work = || {
        let mut mine = Sum::default();
        let began = cpu_time();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.seeds {
                break;
            }
            let seed = plan.from + number;
            let twice = seed.is_multiple_of(TWICE_EVERY);
            mine.twice += u64::from(twice);
            let report = one(seed, twice);
            mine.differed += u64::from(report.wrong.iter().any(|text| text.starts_with("V12")));
            mine.add(seed, &report);
            if plan.stop_at_first && !mine.wrong.is_empty() {
                stop.store(true, Ordering::Relaxed);
            }
            told(number + 1);
        }
        mine.took = cpu_time().saturating_sub(began);
        sum.lock().unwrap_or_else(PoisonError::into_inner).join(mine);
    };
    thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(work);
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.wrong.sort_by_key(|wrong| wrong.seed);
    sum
}

/// Processor time of this thread: what it takes, however busy the machine is with other things.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// One seed, or the same twice.
fn one(seed: u64, twice: bool) -> Report {
    if !twice {
        return run::seed(seed, Tracing::Off);
    }
    let first = run::seed(seed, Tracing::Digest);
    let mut second = run::seed(seed, Tracing::Digest);
    if first.digest != second.digest {
        second
            .wrong
            .push("V12: the same seed told another story the second time".to_owned());
    }
    second
}
