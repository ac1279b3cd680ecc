//! One line on stderr that fills up while a measurement runs.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::load::Tick;
use crate::measure::ratio;
use crate::summary::grouped;

/// Cells of the bar.
const CELLS: usize = 30;

/// How often there is a new line where lines cannot be written over.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The line.
#[derive(Debug)]
pub struct Progress {
    what: String,
    on_terminal: bool,
    last: Option<Tick>,
    said: Instant,
}

impl Progress {
    /// Says that something begins that takes a while.
    pub fn begin(what: &str) -> Progress {
        let progress = Progress {
            what: what.to_owned(),
            on_terminal: stderr().is_terminal(),
            last: None,
            said: Instant::now(),
        };
        progress.put(what);
        progress
    }

    /// Says how it goes.
    pub fn show(&mut self, tick: Tick) {
        let before = self.last.replace(tick);
        if !self.on_terminal && self.said.elapsed() < ELSEWHERE {
            return;
        }
        self.said = Instant::now();
        self.put(&line(&self.what, before, tick));
    }

    /// Clears the line.
    pub fn end(&self) {
        if self.on_terminal {
            let _ = write!(stderr(), "\r\x1b[K");
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

fn line(what: &str, before: Option<Tick>, tick: Tick) -> String {
    let done = (tick.elapsed.as_secs_f64() / tick.of.as_secs_f64().max(0.001)).min(1.0);
    let full = (1..=CELLS)
        .filter(|cell| ratio(u64::try_from(*cell).unwrap_or(0), 30) <= done)
        .count();
    let (then, committed) = before.map_or((Duration::ZERO, 0), |tick| (tick.elapsed, tick.committed));
    let rate = ratio(tick.committed - committed, 1) / (tick.elapsed - then).as_secs_f64().max(0.001);
    let left = tick.of.saturating_sub(tick.elapsed).as_secs();
    let percent = done * 100.0;
    format!(
        "{what}  [{}{}] {percent:3.0} %  {}/s  {left} s left",
        "#".repeat(full),
        " ".repeat(CELLS - full),
        grouped(rate)
    )
}
