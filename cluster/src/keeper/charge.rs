//! What is remembered of one process that is looked after, and what its end means.
//!
//! One that was killed, or that gave up because its disk or a peer made it, is started again after a second: recovery
//! is what all this is about. One that cannot start (a corrupt store, a port in use), or that gives up again and
//! again, would only do so for ever. One that was told to stop stays stopped.

use std::time::{Duration, Instant};

use crate::error::Exit;

/// How long a process stays down.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A process that gives up so many times within [`GIVE_UP_WINDOW`] is not started again. Kills don't count.
const GIVE_UPS_MAX: usize = 3;
const GIVE_UP_WINDOW: Duration = Duration::from_secs(30);

/// What becomes of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// It is started again in a second.
    Soon,
    /// Whoever let it die starts it again: see [`crate::Keeper::hold`].
    WhenReleased,
    /// It waits for somebody to start it.
    WhenTold,
    /// It would end like that again: whoever looks after the cluster had better give up.
    Never,
}

/// What is known of a process.
#[derive(Debug, Default)]
pub(super) struct Charge {
    /// Whether it is to run.
    pub(super) wanted: bool,
    /// Whether somebody else sees to its return for now.
    pub(super) held: bool,
    /// Whether it was started because somebody asked for that, who will be told if it fails.
    pub(super) ordered: bool,
    /// Whether its end has been judged.
    pub(super) judged: bool,
    /// When it is to be started again.
    pub(super) due: Option<Instant>,
    /// Whether its return has still to be reported.
    pub(super) coming_back: bool,
    /// When it gave up.
    gave_up: Vec<Instant>,
}

impl Charge {
    /// A process that is to run, or not.
    pub(super) fn new(wanted: bool) -> Charge {
        Charge {
            wanted,
            ..Charge::default()
        }
    }

    /// It is being started.
    pub(super) fn launched(&mut self, ordered: bool) {
        (self.wanted, self.ordered) = (true, ordered);
        (self.judged, self.due, self.coming_back) = (false, None, !ordered);
    }

    /// It is told to stop, and is to stay down.
    pub(super) fn dismissed(&mut self) {
        (self.wanted, self.due, self.coming_back) = (false, None, false);
    }

    /// Decides what becomes of a process that should run and has ended.
    pub(super) fn judge(&mut self, exit: &Exit, auto_restart: bool, now: Instant) -> Returns {
        self.judged = true;
        self.coming_back = false;
        if self.held {
            return Returns::WhenReleased;
        }
        // Without a code it was killed by a signal.
        if exit.status.code().is_some_and(|code| code != 0) {
            if self.ordered && !exit.was_ready {
                return Returns::WhenTold;
            }
            self.gave_up.retain(|&at| now.duration_since(at) < GIVE_UP_WINDOW);
            self.gave_up.push(now);
            if auto_restart && (!exit.was_ready || self.gave_up.len() >= GIVE_UPS_MAX) {
                return Returns::Never;
            }
        }
        if !auto_restart {
            return Returns::WhenTold;
        }
        self.due = Some(now + PAUSE);
        Returns::Soon
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn exit(raw: i32, was_ready: bool) -> Exit {
        Exit {
            name: "N1".to_owned(),
            status: ExitStatus::from_raw(raw),
            was_ready,
            last_lines: vec!["why".to_owned()],
        }
    }

    #[test]
    fn the_killed_come_back_however_often() {
        let mut charge = Charge::default();
        let now = Instant::now();
        for ready in [true, false, true, false, true] {
            assert_eq!(charge.judge(&exit(9, ready), true, now), Returns::Soon);
            assert_eq!(charge.due, Some(now + PAUSE));
        }
        assert_eq!(charge.judge(&exit(0, true), true, now), Returns::Soon);
    }

    #[test]
    fn one_that_cannot_start_is_given_up_and_one_that_was_asked_for_waits_to_be_asked_again() {
        let mut charge = Charge::default();
        assert_eq!(
            charge.judge(&exit(9 << 8, false), true, Instant::now()),
            Returns::Never
        );
        charge.launched(true);
        assert_eq!(
            charge.judge(&exit(9 << 8, false), true, Instant::now()),
            Returns::WhenTold
        );
        assert_eq!(charge.due, None);
    }

    #[test]
    fn one_that_gives_up_again_and_again_is_given_up_too() {
        let mut charge = Charge::default();
        let now = Instant::now();
        let gives_up = exit(5 << 8, true);
        assert_eq!(charge.judge(&gives_up, true, now), Returns::Soon);
        assert_eq!(charge.judge(&gives_up, true, now), Returns::Soon);
        let later = now + GIVE_UP_WINDOW;
        assert_eq!(
            charge.judge(&gives_up, true, later),
            Returns::Soon,
            "the first two are long ago"
        );
        assert_eq!(charge.judge(&gives_up, true, later), Returns::Soon);
        assert_eq!(charge.judge(&gives_up, true, later), Returns::Never);
    }

    #[test]
    fn nothing_comes_back_by_itself_while_somebody_sees_to_it_or_nobody_shall() {
        let mut charge = Charge::default();
        assert_eq!(
            charge.judge(&exit(9, true), false, Instant::now()),
            Returns::WhenTold
        );
        charge.held = true;
        assert_eq!(
            charge.judge(&exit(9, true), true, Instant::now()),
            Returns::WhenReleased
        );
        assert_eq!(charge.due, None);
    }
}
