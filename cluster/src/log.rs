//! What has a process written to stderr since it was started?
//!
//! A thread per process reads its lines, keeps the newest ones and passes each on as the configuration says.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::{Log, TakeLine};

/// How many lines of a process are kept.
const LINES_KEPT_MAX: usize = 2000;

/// Longest line that is kept whole, in bytes; a longer one goes on as the next line.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// The lines of one process, from its last start to its end.
#[derive(Debug)]
pub(crate) struct LogReader {
    lines: Arc<Lines>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Mutex<Kept>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    ended: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogReader {
    /// Reads `stderr` of the process `name` until it ends.
    ///
    /// # Errors
    /// If the log file cannot be opened.
    pub(crate) fn start(name: &str, stderr: impl Read + Send + 'static, log: &Log) -> io::Result<LogReader> {
        let mut sink = Sink::open(name, log)?;
        let lines = Arc::new(Lines::default());
        let thread = thread::Builder::new().name(format!("log of {name}")).spawn({
            let lines = Arc::clone(&lines);
            move || {
                let mut stderr = BufReader::new(stderr);
                while let Some(line) = next_line(&mut stderr) {
                    sink.take(&line);
                    let mut kept = lines.lock();
                    if kept.lines.len() == LINES_KEPT_MAX {
                        kept.lines.pop_front();
                    }
                    kept.lines.push_back(line);
                    lines.grown.notify_all();
                }
                lines.lock().ended = true;
                lines.grown.notify_all();
            }
        })?;
        Ok(LogReader {
            lines,
            thread: Some(thread),
        })
    }

    /// The newest lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().lines.iter().cloned().collect()
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<String> {
        let kept = self.lines.lock();
        kept.lines
            .iter()
            .skip(kept.lines.len().saturating_sub(count))
            .cloned()
            .collect()
    }

    /// The first kept line that contains `text`, waiting until `deadline` for it. `None` also if the process ended
    /// without writing one.
    pub(crate) fn wait_for(&self, text: &str, deadline: Instant) -> Option<String> {
        let mut kept = self.lines.lock();
        loop {
            if let Some(line) = kept.lines.iter().find(|line| line.contains(text)) {
                return Some(line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if kept.ended || left.is_zero() {
                return None;
            }
            let waited = self.lines.grown.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits a moment for the last lines of a process that has ended.
    pub(crate) fn wait_for_end(&mut self) {
        // A grandchild could hold the pipe open, so the wait is bounded.
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut kept = self.lines.lock();
        while !kept.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            kept = self
                .lines
                .grown
                .wait_timeout(kept, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(kept);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a log thread does not panic");
        }
    }
}

fn next_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    match from.take(LINE_LEN_MAX).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(
            String::from_utf8_lossy(&line)
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
        ),
    }
}

enum Sink {
    None,
    Callback { name: String, take: TakeLine },
    File(File),
}

impl Sink {
    fn open(name: &str, log: &Log) -> io::Result<Sink> {
        Ok(match log {
            Log::Kept => Sink::None,
            Log::To(take) => Sink::Callback {
                name: name.to_owned(),
                take: Arc::clone(take),
            },
            Log::Files(dir) => {
                std::fs::create_dir_all(dir)?;
                let path = dir.join(format!("{name}.log"));
                Sink::File(OpenOptions::new().create(true).append(true).open(path)?)
            }
        })
    }

    fn take(&mut self, line: &str) {
        match self {
            Sink::None => {}
            Sink::Callback { name, take } => take(name, line),
            Sink::File(file) => {
                // A log that cannot be written must not stop the process it belongs to.
                let _ = writeln!(file, "{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn lines_are_kept_in_order_and_waited_for() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut log = LogReader::start("N1", reader, &Log::Kept).unwrap();
        writer.write_all(b"one\ntwo \xff\nthr").unwrap();
        assert_eq!(log.wait_for("tw", soon()).as_deref(), Some("two \u{fffd}"));
        writer.write_all(b"ee").unwrap();
        assert_eq!(
            log.wait_for("three", Instant::now() + Duration::from_millis(20)),
            None
        );
        drop(writer);
        assert_eq!(
            log.wait_for("three", soon()).as_deref(),
            Some("three"),
            "a last line may lack its end"
        );
        assert_eq!(
            log.wait_for("four", soon()),
            None,
            "the end of the process ends the wait"
        );
        log.wait_for_end();
        assert_eq!(log.lines().len(), 3);
        assert_eq!(log.last(2)[1], "three");
    }

    #[test]
    fn only_the_newest_lines_are_kept() {
        let text: String = (0..LINES_KEPT_MAX + 10).map(|n| format!("line {n}\n")).collect();
        let mut log = LogReader::start("N1", io::Cursor::new(text), &Log::Kept).unwrap();
        log.wait_for_end();
        let lines = log.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES_KEPT_MAX, "line 10"));
    }

    #[test]
    fn lines_are_passed_on_with_the_name_of_their_process() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = Log::To(Arc::new({
            let seen = Arc::clone(&seen);
            move |name: &str, line: &str| seen.lock().unwrap().push(format!("{name} {line}"))
        }));
        for log in [to, Log::Files(dir.path().to_owned())] {
            LogReader::start("N2", &b"a\nb\n"[..], &log)
                .unwrap()
                .wait_for_end();
        }
        assert_eq!(*seen.lock().unwrap(), ["N2 a", "N2 b"]);
        assert_eq!(
            std::fs::read_to_string(dir.path().join("N2.log")).unwrap(),
            "a\nb\n"
        );
    }
}
