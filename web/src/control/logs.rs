//! What have the processes written to stderr? All of it in one place, numbered, and the oldest forgotten in time.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use cluster::TakeLine;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::Here;
use crate::extract::Query;
use crate::paths::Paths;

/// Most lines that are kept, and most bytes in them.
const LINES_MAX: usize = 20_000;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// How far a subscriber may fall behind before it loses lines.
const BEHIND_MAX: usize = 4096;

/// Lines of one answer, if it is not said how many.
const PAGE: usize = 500;
const PAGE_MAX: usize = 5000;

/// A line of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Its number: 1, 2, 3, … over all processes.
    pub n: u64,
    /// When it was read, in microseconds since 1970.
    pub at_us: u64,
    /// Whose it is.
    pub process: String,
    /// The line.
    pub line: String,
}

/// The newest lines of all processes.
#[derive(Debug)]
pub struct LogBook {
    kept: Mutex<Kept>,
    live: broadcast::Sender<Arc<LogLine>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    last: u64,
}

impl Default for LogBook {
    fn default() -> LogBook {
        let (live, _) = broadcast::channel(BEHIND_MAX);
        LogBook {
            kept: Mutex::default(),
            live,
        }
    }
}

/// Which lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LogFilter {
    /// Of this process only.
    pub process: Option<String>,
    /// Those that contain this.
    pub contains: Option<String>,
}

impl LogFilter {
    fn takes(&self, line: &LogLine) -> bool {
        let of_process = self
            .process
            .as_ref()
            .is_none_or(|process| *process == line.process);
        let contained = self.contains.as_ref().is_none_or(|text| line.line.contains(text));
        of_process && contained
    }
}

impl LogBook {
    /// Writes a line down.
    pub fn add(&self, process: &str, line: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_us = since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        let mut kept = self.kept();
        kept.last += 1;
        let line = Arc::new(LogLine {
            n: kept.last,
            at_us,
            process: process.to_owned(),
            line: line.to_owned(),
        });
        kept.bytes += line.line.len();
        kept.lines.push_back(Arc::clone(&line));
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let oldest = kept.lines.pop_front().expect("there is one too many");
            kept.bytes -= oldest.line.len();
        }
        // Sent with the lock held, so that subscribers hear them in order. Nobody may listen.
        let _ = self.live.send(line);
    }

    /// For [`cluster::Log::To`]: writes each line down and hands it on to `next`.
    pub fn take(self: &Arc<LogBook>, next: TakeLine) -> TakeLine {
        let book = Arc::clone(self);
        Arc::new(move |process, line| {
            book.add(process, line);
            next(process, line);
        })
    }

    /// Every line from now on, to those that keep up.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LogLine>> {
        self.live.subscribe()
    }

    /// The number of the newest line.
    pub fn last(&self) -> u64 {
        self.kept().last
    }

    /// The first `limit` lines behind `after` that the filter takes, oldest first.
    pub fn after(&self, after: u64, filter: &LogFilter, limit: usize) -> Vec<Arc<LogLine>> {
        let kept = self.kept();
        let start = kept.lines.partition_point(|line| line.n <= after);
        let lines = kept.lines.iter().skip(start);
        lines
            .filter(|line| filter.takes(line))
            .take(limit)
            .cloned()
            .collect()
    }

    /// The newest `limit` lines that the filter takes, oldest first.
    pub fn newest(&self, filter: &LogFilter, limit: usize) -> Vec<Arc<LogLine>> {
        let kept = self.kept();
        let lines = kept.lines.iter().rev().filter(|line| filter.takes(line));
        let mut lines: Vec<Arc<LogLine>> = lines.take(limit).cloned().collect();
        lines.reverse();
        lines
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default()
        .get("/logs", logs)
        .get("/logs/download", download)
}

#[derive(Debug, Deserialize)]
struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Lines {
    lines: Vec<LogLine>,
    /// Go on with `after` = this one.
    last: u64,
}

async fn logs(Here(control): Here, Query(filter): Query<LogFilter>, Query(page): Query<Page>) -> Json<Lines> {
    let limit = page.limit.unwrap_or(PAGE).min(PAGE_MAX);
    let book = control.logs();
    // Asked first: a line that comes in between is then told once more rather than never.
    let newest = book.last();
    let lines = match page.after {
        Some(after) => book.after(after, &filter, limit),
        None => book.newest(&filter, limit),
    };
    let whole = lines.len() < limit || page.after.is_none();
    let last = lines
        .last()
        .map_or(newest, |line| if whole { line.n.max(newest) } else { line.n });
    Json(Lines {
        lines: lines.iter().map(|line| LogLine::clone(line)).collect(),
        last,
    })
}

/// The whole book as text.
async fn download(Here(control): Here, Query(filter): Query<LogFilter>) -> Response {
    let mut text = String::new();
    for line in control.logs().newest(&filter, LINES_MAX) {
        writeln!(text, "{:11} | {}", line.process, line.line).expect("a string takes all");
    }
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"twopence.log\""),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Arc<LogLine>]) -> Vec<&str> {
        lines.iter().map(|line| line.line.as_str()).collect()
    }

    #[test]
    fn lines_are_numbered_filtered_and_paged() {
        let book = LogBook::default();
        for (process, line) in [("N1", "a1"), ("N2", "a2"), ("N1", "b3"), ("N1", "a4")] {
            book.add(process, line);
        }
        let all = LogFilter::default();
        assert_eq!(texts(&book.newest(&all, 2)), ["b3", "a4"]);
        assert_eq!(texts(&book.after(1, &all, 2)), ["a2", "b3"]);
        let filter = LogFilter {
            process: Some("N1".to_owned()),
            contains: Some("a".to_owned()),
        };
        assert_eq!(texts(&book.newest(&filter, 9)), ["a1", "a4"]);
        assert_eq!(book.last(), 4);
    }

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many_or_too_long_ones() {
        let book = LogBook::default();
        for n in 0..LINES_MAX + 5 {
            book.add("N1", &n.to_string());
        }
        let kept = book.after(0, &LogFilter::default(), usize::MAX);
        assert_eq!((kept.len(), kept[0].n), (LINES_MAX, 6));
        let long = "x".repeat(BYTES_MAX / 2);
        book.add("N1", &long);
        book.add("N1", &long);
        assert_eq!(book.after(0, &LogFilter::default(), usize::MAX).len(), 2);
    }

    #[test]
    fn lines_go_on_to_subscribers_and_to_whoever_is_next() {
        let book = Arc::new(LogBook::default());
        let mut live = book.subscribe();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let take = book.take(Arc::new({
            let seen = Arc::clone(&seen);
            move |process: &str, line: &str| seen.lock().unwrap().push(format!("{process} {line}"))
        }));
        take("N1", "hello");
        assert_eq!(*seen.lock().unwrap(), ["N1 hello"]);
        assert_eq!(live.try_recv().unwrap().line, "hello");
    }
}
