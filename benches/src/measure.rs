//! One measurement from the first process started to the last audit, and all that it found.

use std::time::Duration;

use client::{AuditVerdict, fresh_request_id};
use serde::Serialize;

use crate::calibrate::Calibration;
use crate::cost::{Moment, Process};
use crate::latency::{Bar, Spread};
use crate::load::{Load, Plan, Second, Tick};
use crate::options::Options;
use crate::pulse::{Beat, Pulse};
use crate::site::Site;
use crate::tally::Tally;
use crate::wire::Encoder;
use crate::workload::Workload;

/// How long answers are waited for at the end.
const DRAIN: Duration = Duration::from_secs(15);

/// Steps of a drawn distribution.
const BARS: u32 = 48;

/// What one measurement found.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub setting: Setting,
    /// What the disk alone takes, in the same run: 128 bytes written into a filled file and synced.
    pub calibration: Option<Spread>,
    /// Seconds that count.
    pub seconds: f64,
    /// Transactions that committed, a second.
    pub per_second: f64,
    /// How all ended in the time that counts.
    pub outcomes: Tally,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// Seconds in which the load generator did not get to run; they count for nothing.
    pub stalled_s: f64,
    /// Times of those that committed; counted from when they were due if the rate is fixed.
    pub latency: Spread,
    /// The same, drawn.
    pub bars: Vec<Bar>,
    /// Commits in each second.
    pub timeline: Vec<u64>,
    /// The longest time without any answer.
    pub longest_gap_ms: f64,
    /// Minute by minute, if there was more than one.
    pub minutes: Vec<Minute>,
    /// What it cost each process, the load generator last.
    pub processes: Vec<Process>,
    /// What processes of our own warned of meanwhile, the warm-up included.
    pub warnings: Vec<String>,
    /// What the audit at the end said.
    pub audit: Audit,
}

impl Measurement {
    /// Microseconds of processor time for each transaction, all processes together.
    pub fn cpu_us_per_txn(&self) -> f64 {
        let used = self.processes.iter().filter_map(|process| process.usage);
        used.map(|used| used.cpu_us_per_txn).sum()
    }

    /// Most memory that any node ever had, in mebibytes.
    pub fn node_memory_mib(&self) -> f64 {
        let nodes = self
            .processes
            .iter()
            .filter(|process| process.name.starts_with('N'));
        let used = nodes.filter_map(|process| process.usage);
        used.map(|used| used.memory_peak_mib).fold(0.0, f64::max)
    }
}

/// One minute of a longer run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Minute {
    /// The median of its seconds' commits.
    pub per_second: f64,
    /// The longest time without any answer.
    pub longest_gap_ms: f64,
    /// The median of the disk's syncs meanwhile: 128 bytes in a filled file, beside the stores' own syncs.
    pub disk_ms: f64,
    /// The longest of them.
    pub disk_longest_ms: f64,
    /// How much too late a thread was woken that slept and wanted nothing, at the worst.
    pub woken_late_ms: f64,
}

/// Cuts a run into minutes. The beats' times count from the run's own begin, the warm-up included.
fn minutes(seconds: &[Second], beats: &[Beat], warmup: Duration) -> Vec<Minute> {
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let minute = |(number, seconds): (u32, &[Second])| {
        let from = warmup + Duration::from_secs(60) * number;
        let during = |beat: &&Beat| (from..from + Duration::from_secs(60)).contains(&beat.at);
        let beats: Vec<&Beat> = beats.iter().filter(during).collect();
        Minute {
            per_second: middle(seconds.iter().map(|second| ratio(second.committed, 1)).collect()),
            longest_gap_ms: ms(longest(seconds.iter().map(|second| second.longest_gap))),
            disk_ms: middle(beats.iter().map(|beat| ms(beat.sync)).collect()),
            disk_longest_ms: ms(longest(beats.iter().map(|beat| beat.sync))),
            woken_late_ms: ms(longest(beats.iter().map(|beat| beat.late))),
        }
    };
    if seconds.len() <= 60 {
        return Vec::new();
    }
    (0..).zip(seconds.chunks(60)).map(minute).collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn longest(times: impl Iterator<Item = Duration>) -> Duration {
    times.max().unwrap_or_default()
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Durability backend.
    pub store: String,
    /// Conflict policy.
    pub locking: String,
    /// Accounts over all nodes.
    pub accounts: u64,
    /// How accounts are chosen.
    pub dist: String,
    /// Legs of each transaction.
    pub legs: usize,
    /// Transactions in each frame.
    pub batch: usize,
    /// Nodes.
    pub nodes: usize,
    /// Coordinators.
    pub coordinators: usize,
    /// Connections.
    pub clients: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
    /// Transactions a second that were asked for.
    pub rate: Option<f64>,
    /// Seconds before anything counted.
    pub warmup_s: f64,
}

/// What an audit said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Audit {
    /// All the money is there.
    Exact,
    /// Money was made or lost.
    Violated,
    /// It could not see everything.
    Incomplete(String),
}

impl From<AuditVerdict> for Audit {
    fn from(verdict: AuditVerdict) -> Audit {
        match verdict {
            AuditVerdict::Exact => Audit::Exact,
            AuditVerdict::Violated => Audit::Violated,
            AuditVerdict::Incomplete(why) => Audit::Incomplete(why),
        }
    }
}

/// Measures once at a site that is open.
///
/// # Errors
/// A text that says what failed.
pub fn measure_at(
    site: &Site,
    options: &Options,
    store: &str,
    tell: &mut dyn FnMut(Tick),
) -> Result<Measurement, String> {
    let text = |error: std::io::Error| format!("the calibration failed: {error}");
    let calibration = site.dir().map(Calibration::new).transpose();
    let mut calibration = calibration.map_err(text)?;
    if let Some(calibration) = &mut calibration {
        calibration.round().map_err(text)?;
    }
    let load = load(site, options, DRAIN, calibration.as_mut())?;

    site.forget_peaks();
    let warned_before = site.warnings();
    let before = Moment::now(site)?;
    let long = options.time > Duration::from_secs(60);
    let pulse = site.dir().filter(|_| long).map(Pulse::begin);
    let pulse = pulse.transpose().map_err(text)?;
    let mut lasted = Duration::ZERO;
    let heard = load.run(&mut |tick| {
        lasted = tick.elapsed;
        tell(tick);
        !options.interrupted()
    })?;
    let lasted = lasted.min(options.warmup + options.time);
    let after = Moment::now(site)?;
    let beats = pulse.map(Pulse::end).unwrap_or_default();
    if let Some(calibration) = &mut calibration {
        calibration.round().map_err(text)?;
    }
    let mut warnings = site.warnings();
    warnings.retain(|warning| !warned_before.contains(warning));
    let audit = Audit::from(site.audit()?);
    options.check_interrupt()?;

    let processes = before.until(after, heard.whole.all(), lasted);
    let seconds = options.time.as_secs_f64();
    Ok(Measurement {
        setting: setting(options, store, site),
        calibration: calibration.map(|calibration| calibration.times().spread()),
        seconds,
        per_second: ratio(heard.tally.committed, 1) / seconds,
        outcomes: heard.tally,
        unanswered: heard.unanswered,
        stalled_s: heard.stalled.as_secs_f64(),
        latency: heard.times.spread(),
        bars: heard.times.bars(BARS),
        minutes: minutes(&heard.seconds, &beats, options.warmup),
        timeline: heard.seconds.iter().map(|second| second.committed).collect(),
        longest_gap_ms: ms(longest(heard.seconds.iter().map(|second| second.longest_gap))),
        processes,
        warnings,
        audit,
    })
}

/// Connects a load as `options` say.
pub(crate) fn load<'a>(
    site: &Site,
    options: &Options,
    drain: Duration,
    calibration: Option<&'a mut Calibration>,
) -> Result<Load<'a>, String> {
    let plan = Plan {
        clients: options.clients,
        in_flight: options.in_flight,
        batch: options.batch,
        pace: options.pace(),
        warmup: options.warmup,
        time: options.time,
        drain,
    };
    let nodes = u16::try_from(site.nodes.all().len()).map_err(|_| "too many nodes".to_owned())?;
    let workload = Workload::new(options.accounts, nodes, options.legs, options.dist, options.seed);
    let encoder = Encoder::new(site.nodes.clone(), fresh_request_id());
    Load::connect(plan, &site.coordinators, encoder, workload, calibration)
}

fn setting(options: &Options, store: &str, site: &Site) -> Setting {
    Setting {
        store: store.to_owned(),
        locking: options.locking.clone(),
        accounts: options.accounts,
        dist: options.dist.to_string(),
        legs: options.legs,
        batch: options.batch,
        nodes: site.nodes.all().len(),
        coordinators: site.coordinators.len(),
        clients: options.clients,
        in_flight: options.in_flight,
        rate: options.rate,
        warmup_s: options.warmup.as_secs_f64(),
    }
}

/// One number by another.
pub(crate) fn ratio(number: u64, by: u64) -> f64 {
    let float = |number: u64| {
        let (high, low) = (number >> 32, number & 0xffff_ffff);
        let part = |part: u64| f64::from(u32::try_from(part).expect("32 bits"));
        part(high) * (f64::from(u32::MAX) + 1.0) + part(low)
    };
    float(number) / float(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_told_minute_by_minute_with_the_disk_beside_it() {
        let secs = Duration::from_secs;
        let millis = Duration::from_millis;
        let second = |n: u64| Second {
            committed: if n < 60 { 100 } else { 200 },
            longest_gap: millis(if n == 70 { 40 } else { 7 }),
        };
        let seconds: Vec<Second> = (0..150).map(second).collect();
        let beat = |at, sync, late| Beat {
            at: secs(at),
            sync: millis(sync),
            late: millis(late),
        };
        let beats = [
            beat(1, 9, 90),
            beat(5, 1, 2),
            beat(30, 2, 1),
            beat(61, 3, 0),
            beat(65, 4, 3),
            beat(130, 5, 0),
        ];
        let found = minutes(&seconds, &beats, secs(3));
        let minute = |per_second, longest_gap_ms, disk_ms, disk_longest_ms, woken_late_ms| Minute {
            per_second,
            longest_gap_ms,
            disk_ms,
            disk_longest_ms,
            woken_late_ms,
        };
        let expected = [
            minute(100.0, 7.0, 2.0, 3.0, 2.0),
            minute(200.0, 40.0, 4.0, 4.0, 3.0),
            minute(200.0, 7.0, 5.0, 5.0, 0.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            minutes(&seconds[..60], &beats, secs(3)),
            [],
            "one minute is the run itself"
        );
    }
}
