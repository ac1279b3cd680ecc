//! The story of each step, as its records and notes tell it, for whoever reads this process's log.
//!
//! A transfer is five lines of a coordinator's story and two of a node's. Nobody reads a hundred thousand of them a second,
//! and writing them would take ten times as long as the transfers do. So under load the records of those transactions are
//! told that the [`Tap`](crate::tap) keeps, which are the same in all processes, and how many records of others there
//! were. At the level `debug`, or while a failpoint waits for its moment, it is all of them.

use std::fmt;
use std::time::{Duration, Instant};

use engine::failpoint;
use log::{Level, LevelFilter};
use protocol::effects::{self, Note};

/// How long records that are not told are counted before their number is.
const PERIOD: Duration = Duration::from_secs(1);

/// What was not told.
#[derive(Debug, Default)]
pub(crate) struct Story {
    left_out: u64,
    /// When the first of them was.
    since: Option<Instant>,
}

impl Story {
    /// Tells of a record at this level. `kept` says whether it is of a transaction that is kept, or of none.
    pub(crate) fn tell_record(
        &mut self,
        (record, forced): (&impl fmt::Display, bool),
        level: Level,
        kept: impl FnOnce() -> bool,
        now: Instant,
    ) {
        if level > log::max_level() {
            return;
        }
        if log::max_level() < LevelFilter::Debug && !failpoint::armed() && !kept() {
            self.leave_out(now);
            return;
        }
        let forced = if forced { " (forced)" } else { "" };
        log::log!(level, "append {record}{forced}");
    }

    /// When there is something to say even if nothing more happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + PERIOD)
    }

    /// Says how much was left out, if it is time. One transaction in `every` is kept.
    pub(crate) fn catch_up(&mut self, now: Instant, every: u64) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.finish(every);
        }
    }

    /// Says how much was left out.
    pub(crate) fn finish(&mut self, every: u64) {
        if let Some(line) = self.rest(every) {
            log::info!("{line}");
        }
    }

    fn leave_out(&mut self, now: Instant) {
        self.left_out += 1;
        self.since.get_or_insert(now);
    }

    fn rest(&mut self, every: u64) -> Option<String> {
        self.since.take()?;
        let left_out = std::mem::take(&mut self.left_out);
        let records = if left_out == 1 { "record" } else { "records" };
        Some(format!(
            "and {left_out} {records} of other transactions: now one in {every} is told (--log-level debug tells of all)"
        ))
    }
}

/// Tells of what a step noted.
pub(crate) fn tell_note(note: &Note) {
    match note.level {
        effects::Level::Alarm => log::error!("{}", note.text),
        effects::Level::Warning => log::warn!("{}", note.text),
        effects::Level::Info => log::info!("{}", note.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_and_said_once_a_second() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut story = Story::default();
        assert_eq!(story.deadline(), None, "nothing was left out");
        story.leave_out(at(5));
        story.leave_out(at(900));
        assert_eq!(story.deadline(), Some(at(1005)));
        story.catch_up(at(1004), 4);
        assert_eq!(story.left_out, 2, "it is not time yet");
        assert_eq!(
            story.rest(512).unwrap(),
            "and 2 records of other transactions: now one in 512 is told (--log-level debug tells of all)"
        );
        assert_eq!(story.deadline(), None);
        story.leave_out(at(1100));
        story.catch_up(at(2100), 4);
        assert_eq!((story.left_out, story.deadline()), (0, None));
    }
}
