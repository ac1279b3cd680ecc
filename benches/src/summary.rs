//! What a measurement found, for people.

use std::fmt::{self, Write};

use crate::latency::{Bar, Spread};
use crate::measure::{Audit, Measurement, Setting, ratio};

/// Lines of the drawn distribution.
const LINES: usize = 12;

/// Warnings that are shown of each run.
const WARNINGS: usize = 20;

/// Length of its longest bar.
const BAR_LEN: u64 = 32;

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting)?;
        writeln!(
            f,
            "  Committed  {}/s  ({} in {:.1} s)",
            grouped(self.per_second),
            grouped(ratio(self.outcomes.committed, 1)),
            self.seconds
        )?;
        self.write_others(f)?;
        writeln!(f)?;
        write_latency(f, &self.latency, &self.bars, self.setting.rate.is_some())?;
        for (minute, found) in (1..).zip(&self.minutes) {
            writeln!(
                f,
                "  Minute {minute:3} {:>10}/s  longest silence {:5.1} ms; disk under load p50 {:.3}, longest {:5.1} ms; \
                 woken {:.1} ms late",
                grouped(found.per_second),
                found.longest_gap_ms,
                found.disk_ms,
                found.disk_longest_ms,
                found.woken_late_ms
            )?;
        }
        if self.setting.rate.is_none() {
            writeln!(f, "  Longest    {:.1} ms without any answer", self.longest_gap_ms)?;
        }
        self.write_costs(f)?;
        for warning in self.warnings.iter().take(WARNINGS) {
            writeln!(f, "  Warned     {warning}")?;
        }
        if let Some(more @ 1..) = self.warnings.len().checked_sub(WARNINGS) {
            writeln!(f, "  Warned     {more} times more")?;
        }
        match &self.audit {
            Audit::Exact => write!(f, "  Audit      exact: no money was made or lost"),
            Audit::Violated => write!(f, "  Audit      VIOLATED: money was made or lost"),
            Audit::Incomplete(why) => write!(f, "  Audit      incomplete: {why}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}: {}, {}; {} legs between {} accounts, {}",
            self.store,
            self.locking,
            counted(self.nodes, "node"),
            counted(self.coordinators, "coordinator"),
            self.legs,
            grouped(ratio(self.accounts, 1)),
            self.dist,
        )?;
        write!(
            f,
            "; {}, {} in flight each",
            counted(self.clients, "client"),
            self.in_flight
        )?;
        if self.batch > 1 {
            write!(f, ", {} transactions a frame", self.batch)?;
        }
        match self.rate {
            Some(rate) => write!(f, "; {}/s asked for", grouped(rate)),
            None => write!(f, "; closed loop"),
        }
    }
}

impl Measurement {
    fn write_others(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = ratio(self.outcomes.all().max(1), 1);
        for (reason, count) in &self.outcomes.aborted {
            let share = ratio(*count, 1) * 100.0 / all;
            writeln!(
                f,
                "  Aborted    {} ({share:.2} %)  {reason}",
                grouped(ratio(*count, 1))
            )?;
        }
        for (what, count) in [
            ("Unknown", self.outcomes.unknown),
            ("Refused", self.outcomes.refused),
            ("Unanswered", self.unanswered),
        ] {
            if count > 0 {
                writeln!(f, "  {what:10} {}", grouped(ratio(count, 1)))?;
            }
        }
        if self.stalled_s > 0.0 {
            let seconds = self.stalled_s;
            writeln!(
                f,
                "  Stalled    {seconds:.1} s, in which this program did not get to run; measure again"
            )?;
        }
        Ok(())
    }

    fn write_costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(disk) = &self.calibration {
            writeln!(
                f,
                "  Disk       128 bytes written in a filled file and synced: p50 {:.3} ms, p99 {:.3} ms ({} syncs, same run)",
                disk.p50_ms, disk.p99_ms, disk.count
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  PROCESS      CPU/TRANSACTION   OF ONE CPU  PEAK MEMORY     SYNCS  TRANSACTIONS EACH  RECORDS EACH"
        )?;
        for process in &self.processes {
            write!(f, "  {:12}", process.name)?;
            match &process.usage {
                Some(used) => write!(
                    f,
                    " {:12.2} µs  {:9.0} %  {:7.0} MiB",
                    used.cpu_us_per_txn,
                    used.cpu_share * 100.0,
                    used.memory_peak_mib
                )?,
                None => write!(f, " {:>15}  {:>11}  {:>11}", "-", "-", "-")?,
            }
            if let Some(stored) = &process.store {
                write!(
                    f,
                    "  {:>8}  {:17.1}  {:12.1}",
                    grouped(ratio(stored.syncs, 1)),
                    stored.txns_per_sync,
                    stored.records_per_sync
                )?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }
}

fn write_latency(f: &mut fmt::Formatter<'_>, latency: &Spread, bars: &[Bar], fixed: bool) -> fmt::Result {
    let since = if fixed {
        "from when it was due"
    } else {
        "from when it was sent"
    };
    writeln!(f, "  Latency of a commit, {since} to its answer:")?;
    let group = bars.len().div_ceil(LINES).max(1);
    let lines: Vec<(f64, u64)> = bars
        .chunks(group)
        .map(|bars| {
            let upto = bars.last().map_or(0.0, |bar| bar.upto_ms);
            (upto, bars.iter().map(|bar| bar.count).sum())
        })
        .collect();
    let most = lines.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    for (upto, count) in &lines {
        let len = usize::try_from(count.saturating_mul(BAR_LEN).div_ceil(most)).expect("a short bar");
        writeln!(
            f,
            "    up to {upto:9.3} ms  {:>12}  {}",
            grouped(ratio(*count, 1)),
            "■".repeat(len)
        )?;
    }
    writeln!(
        f,
        "    min {:.3}  p50 {:.3}  p75 {:.3}  p90 {:.3}  p95 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
        latency.min_ms,
        latency.p50_ms,
        latency.p75_ms,
        latency.p90_ms,
        latency.p95_ms,
        latency.p99_ms,
        latency.p999_ms,
        latency.max_ms
    )?;
    writeln!(f)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A number without a fraction, its digits in groups of three.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        // A string takes any character.
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_read_in_groups() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
