//! The story of each step, as its records and notes tell it, for whoever reads this process's log.
//!
//! A transfer is five lines of a coordinator's story and two of a node's. Nobody reads a hundred thousand of them a second,
//! and writing them would take ten times as long as the transfers do. So only the first [`LINES_MAX`] of a second are told,
//! and then how many were not; at the level `debug` it is all of them.

use std::time::{Duration, Instant};

use log::LevelFilter;
use protocol::effects::{Effects, Level, Machine, Note};
use protocol::fold::Fold;

/// Lines about records that are told in one [`PERIOD`].
const LINES_MAX: u32 = 500;

/// From the first line told; the next period begins with the first line after it.
const PERIOD: Duration = Duration::from_secs(1);

/// What was told, and what was not.
#[derive(Debug)]
pub(crate) struct Story {
    /// When the period ends.
    until: Instant,
    /// Lines told in it.
    told: u32,
    /// Lines left out of it.
    left_out: u64,
}

impl Story {
    pub(crate) fn new(now: Instant) -> Story {
        Story {
            until: now,
            told: 0,
            left_out: 0,
        }
    }

    /// Tells of one step: of its records as far as there is room, and all of its notes.
    pub(crate) fn tell<M: Machine>(&mut self, effects: &Effects<M>, now: Instant) {
        if log::max_level() >= LevelFilter::Info {
            for (seq, record) in &effects.records {
                let forced = if *seq <= effects.force { " (forced)" } else { "" };
                if M::State::is_housekeeping(record) {
                    log::debug!("append {record}{forced}");
                } else if self.has_room(now) {
                    log::info!("append {record}{forced}");
                }
            }
        }
        effects.notes.iter().for_each(write_note);
    }

    /// When there is something to say even if nothing more happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.left_out > 0).then_some(self.until)
    }

    /// Says what was left out, once its period is over.
    pub(crate) fn catch_up(&mut self, now: Instant) {
        if now >= self.until {
            self.finish();
        }
    }

    /// Says what was left out.
    pub(crate) fn finish(&mut self) {
        if let Some(line) = self.rest() {
            log::info!("{line}");
        }
    }

    /// Whether one more line may be told; counts it either way.
    fn has_room(&mut self, now: Instant) -> bool {
        if log::max_level() >= LevelFilter::Debug {
            return true;
        }
        if now >= self.until {
            self.finish();
            (self.until, self.told) = (now + PERIOD, 0);
        }
        let has_room = self.told < LINES_MAX;
        if has_room {
            self.told += 1;
        } else {
            self.left_out += 1;
        }
        has_room
    }

    fn rest(&mut self) -> Option<String> {
        match std::mem::take(&mut self.left_out) {
            0 => None,
            1 => Some("and 1 more record in this second (--log-level debug tells of each)".to_owned()),
            many => Some(format!(
                "and {many} more records in this second (--log-level debug tells of each)"
            )),
        }
    }
}

fn write_note(note: &Note) {
    match note.level {
        Level::Alarm => log::error!("{}", note.text),
        Level::Warning => log::warn!("{}", note.text),
        Level::Info => log::info!("{}", note.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_lines_of_a_second_are_told_and_the_others_are_counted() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut story = Story::new(began);
        let told = |story: &mut Story, ms, lines| (0..lines).filter(|_| story.has_room(at(ms))).count();
        assert_eq!(told(&mut story, 5, 499), 499);
        assert_eq!(story.deadline(), None, "nothing was left out");
        assert_eq!(told(&mut story, 900, 10), 1);
        assert_eq!(story.deadline(), Some(at(1005)));
        story.catch_up(at(1004));
        assert_eq!(story.left_out, 9, "the second is not over");
        assert_eq!(
            story.rest().unwrap(),
            "and 9 more records in this second (--log-level debug tells of each)"
        );
        assert_eq!(story.deadline(), None);
        assert_eq!(told(&mut story, 1004, 1), 0, "the second is not over");
        assert_eq!(told(&mut story, 1005, 501), 500, "a new one");
        story.catch_up(at(2005));
        assert_eq!((story.left_out, story.deadline()), (0, None));
    }
}
