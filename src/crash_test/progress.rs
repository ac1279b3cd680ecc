//! One line on stderr that says that it is alive and what it does.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::fault::Kind;
use super::havoc::Tally;
use super::load::Counters;

/// How often the line is written over on a terminal, and how often there is a new one elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(500);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The line.
pub(super) struct Progress {
    began: Instant,
    last: Instant,
    committed_then: u64,
    on_terminal: bool,
}

impl Progress {
    pub(super) fn begin() -> Progress {
        let now = Instant::now();
        Progress {
            began: now,
            last: now,
            committed_then: 0,
            on_terminal: stderr().is_terminal(),
        }
    }

    /// Says where things stand, if it is time to.
    pub(super) fn show(&mut self, counters: &Counters, tally: &Tally) {
        let pause = if self.on_terminal { ON_TERMINAL } else { ELSEWHERE };
        let since = self.last.elapsed();
        if since < pause {
            return;
        }
        let committed = counters.committed.load(Ordering::Relaxed);
        let line = line(
            self.began.elapsed(),
            committed - self.committed_then,
            since,
            counters,
            tally,
        );
        (self.last, self.committed_then) = (Instant::now(), committed);
        self.put(&line);
    }

    /// Leaves the line as it is.
    pub(super) fn end(&self) {
        if self.on_terminal {
            let _ = writeln!(stderr());
        }
    }

    fn put(&self, line: &str) {
        let mut out = stderr().lock();
        // There is nowhere left to report that stderr is gone.
        let _ = if self.on_terminal {
            write!(out, "\r\x1b[K{line}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }
}

fn line(elapsed: Duration, committed: u64, since: Duration, counters: &Counters, tally: &Tally) -> String {
    let count = |kinds: &[Kind]| {
        kinds
            .iter()
            .filter_map(|kind| tally.faults.get(kind))
            .sum::<u64>()
    };
    let kills = count(&[Kind::Kill, Kind::KillAll, Kind::Failpoint, Kind::Recovery]);
    let freezes = count(&[Kind::Freeze]);
    let links: u64 = tally.faults.values().sum::<u64>() - kills - freezes - count(&[Kind::Stop]);
    let per_s = u128::from(committed) * 1000 / since.as_millis().max(1);
    format!(
        "{:4} s  {per_s:5} commits/s  {} committed, {} aborted, {} unknown  |  {kills} kills, {freezes} freezes, {links} \
         links  |  {} audits exact",
        elapsed.as_secs(),
        counters.committed.load(Ordering::Relaxed),
        counters.aborted.load(Ordering::Relaxed),
        counters.unknown.load(Ordering::Relaxed),
        counters.audits.load(Ordering::Relaxed),
    )
}
