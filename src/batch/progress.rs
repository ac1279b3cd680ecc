//! How far a batch has come, on stderr: how many lines, how fast, how long it will still take.
//!
//! A terminal gets one line that changes; where it was asked for without a terminal, a line each second. Speed is that of
//! the last seconds, so that lines skipped at the start of another run promise nothing.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::tally::Tallies;

/// How far back speed is measured.
const WINDOW: Duration = Duration::from_secs(5);

/// A moment and how much had happened by then.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: Instant,
    ended: u64,
    read: u64,
}

#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    terminal: bool,
    /// How long the input is, if that is known.
    len: Option<u64>,
    points: VecDeque<Point>,
    next: Instant,
}

impl Progress {
    /// Shows progress on a terminal, and elsewhere if that is `wanted`.
    pub(crate) fn new(wanted: bool, len: Option<u64>) -> Progress {
        let terminal = io::stderr().is_terminal();
        Progress {
            shown: wanted || terminal,
            terminal,
            len,
            points: VecDeque::new(),
            next: Instant::now(),
        }
    }

    /// Whether anybody watches.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown
    }

    /// `read` bytes of the input have been read.
    pub(crate) fn tick(&mut self, tallies: &Tallies, read: u64) {
        let now = Instant::now();
        if !self.shown || now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(if self.terminal { 100 } else { 1000 });
        let point = Point {
            at: now,
            ended: tallies.ended(),
            read,
        };
        self.points.push_back(point);
        while self.points.len() > 2 && now.duration_since(self.points[0].at) > WINDOW {
            self.points.pop_front();
        }
        let text = line(tallies, self.points[0], point, self.len);
        self.say(&if self.terminal {
            format!("\r\x1b[2K{text}")
        } else {
            text + "\n"
        });
    }

    /// Takes the changing line away, so that something else can be said.
    pub(crate) fn clear(&mut self) {
        if self.shown && self.terminal {
            self.say("\r\x1b[2K");
            self.next = Instant::now();
        }
    }

    fn say(&self, text: &str) {
        // There is nowhere left to report that stderr is gone.
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

fn line(tallies: &Tallies, from: Point, to: Point, len: Option<u64>) -> String {
    let mut text = format!("{} lines", grouped(tallies.ended()));
    let micros = u64::try_from(to.at.duration_since(from.at).as_micros()).unwrap_or(u64::MAX);
    let per_second = |from: u64, to: u64| (to - from).saturating_mul(1_000_000).checked_div(micros);
    if let Some(rate) = per_second(from.ended, to.ended) {
        text += &format!(", {}/s", grouped(rate));
    }
    for (count, word) in [
        (tallies.aborted(), "aborted"),
        (tallies.unknown, "unknown"),
        (tallies.bad, "bad"),
    ] {
        if count > 0 {
            text += &format!(", {} {word}", grouped(count));
        }
    }
    if let Some(len) = len.filter(|&len| len > 0) {
        let percent = (to.read.min(len)).saturating_mul(100) / len;
        text += &format!(", {percent} % read");
        let left = len.saturating_sub(to.read);
        if let Some(seconds) = per_second(from.read, to.read).and_then(|rate| left.checked_div(rate)) {
            text += &format!(", {}:{:02} left", seconds / 60, seconds % 60);
        }
    }
    text
}

/// The number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_many_how_fast_and_how_long() {
        let began = Instant::now();
        let from = Point {
            at: began,
            ended: 1_000,
            read: 50_000,
        };
        let to = Point {
            at: began + Duration::from_secs(2),
            ended: 17_420,
            read: 250_000,
        };
        let tallies = Tallies {
            committed: 17_418,
            funds: 2,
            ..Tallies::default()
        };
        assert_eq!(
            line(&tallies, from, to, Some(10_000_000)),
            "17,420 lines, 8,210/s, 2 aborted, 2 % read, 1:37 left"
        );
        assert_eq!(line(&tallies, from, to, None), "17,420 lines, 8,210/s, 2 aborted");
        assert_eq!(line(&tallies, to, to, Some(0)), "17,420 lines, 2 aborted");
    }

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
