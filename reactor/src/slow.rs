//! Turns that took long: what they did meanwhile, and whether they ran at all.
//!
//! Whoever waits for this process waits as long as its turns take. So a long one is told, with what tells apart a disk that
//! holds everybody up, a step that has much to do, and a machine whose processors are busy with others.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// From here on a turn is long.
const LONG: Duration = Duration::from_millis(50);

/// After a long turn was told, those of this time are told together.
const TOGETHER: Duration = Duration::from_secs(10);

/// Where a turn's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    /// Taking in what arrived, and stepping the machine.
    pub(crate) stepping: Duration,
    /// Writing the log and waiting for the disk.
    pub(crate) syncing: Duration,
    /// Handing messages to the system.
    pub(crate) sending: Duration,
    /// What the store does between turns.
    pub(crate) tending: Duration,
    /// The part of all this in which the thread ran on a processor.
    pub(crate) ran: Duration,
}

impl Phases {
    fn whole(&self) -> Duration {
        self.stepping + self.syncing + self.sending + self.tending
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "took {} ms, of which it ran on a processor for {}: stepping {}, syncing {}, sending {}, tending the store {}",
            self.whole().as_millis(),
            self.ran.as_millis(),
            self.stepping.as_millis(),
            self.syncing.as_millis(),
            self.sending.as_millis(),
            self.tending.as_millis()
        )
    }
}

/// Keeps an eye on turns.
#[derive(Debug)]
pub(crate) struct Slow {
    /// The turn under way: when it began, and what the thread had run then.
    began: (Instant, Duration),
    /// Until when long turns are gathered.
    gather_until: Option<Instant>,
    gathered: u32,
    worst: Phases,
}

impl Slow {
    pub(crate) fn new(now: Instant) -> Slow {
        Slow {
            began: (now, thread_ran()),
            gather_until: None,
            gathered: 0,
            worst: Phases::default(),
        }
    }

    /// A turn begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began = (now, thread_ran());
    }

    /// It is over, with the moments at which it had stepped, synced, sent and tended the store. Returns a line if there is
    /// something to tell.
    pub(crate) fn end(&mut self, [stepped, synced, sent, tended]: [Instant; 4]) -> Option<String> {
        let (began, ran) = self.began;
        let mut phases = Phases {
            stepping: stepped.saturating_duration_since(began),
            syncing: synced.saturating_duration_since(stepped),
            sending: sent.saturating_duration_since(synced),
            tending: tended.saturating_duration_since(sent),
            ran: Duration::ZERO,
        };
        if phases.whole() >= LONG {
            phases.ran = thread_ran().saturating_sub(ran);
        }
        self.note(phases, tended)
    }

    fn note(&mut self, phases: Phases, now: Instant) -> Option<String> {
        if phases.whole() >= LONG {
            self.gathered += 1;
            if phases.whole() > self.worst.whole() {
                self.worst = phases;
            }
        }
        if self.gather_until.is_some_and(|until| now < until) {
            return None;
        }
        let line = self.rest()?;
        self.gather_until = Some(now + TOGETHER);
        Some(line)
    }

    /// What has been gathered and not told.
    pub(crate) fn rest(&mut self) -> Option<String> {
        let line = match self.gathered {
            0 => return None,
            1 => format!("a turn {}", self.worst),
            many => format!(
                "{many} turns since the last such line were long; the longest {}",
                self.worst
            ),
        };
        (self.gathered, self.worst) = (0, Phases::default());
        Some(line)
    }
}

/// For how long this thread has run.
fn thread_ran() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_turn_is_told_at_once_and_those_that_follow_it_together() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let turn = |syncing| Phases {
            stepping: ms(2),
            syncing: ms(syncing),
            ran: ms(3),
            ..Phases::default()
        };
        let mut slow = Slow::new(start);
        let mut note = |syncing, at| slow.note(turn(syncing), start + ms(at)).unwrap_or_default();
        assert_eq!(note(47, 100), "");
        assert_eq!(
            note(48, 200),
            "a turn took 50 ms, of which it ran on a processor for 3: stepping 2, syncing 48, sending 0, tending the store 0"
        );
        assert_eq!(note(60, 300), "");
        assert_eq!(note(90, 400), "");
        assert_eq!(note(1, 10_199), "");
        assert!(
            note(1, 10_200).starts_with("2 turns since the last such line were long; the longest took 92 ms")
        );
        assert_eq!(note(1, 30_000), "", "nothing is told twice");
        assert!(note(70, 30_100).starts_with("a turn took 72 ms"));
        assert_eq!(note(80, 30_200), "");
        assert!(slow.rest().unwrap().starts_with("a turn took 82 ms"));
        assert_eq!(slow.rest(), None);
    }

    /// For how long a line says that the thread ran.
    fn ran_ms(line: &str) -> u64 {
        let (_, behind) = line.split_once("processor for ").unwrap();
        let (ran, _) = behind.split_once(':').unwrap();
        ran.parse().unwrap()
    }

    #[test]
    fn a_turn_that_sleeps_does_not_run() {
        let mut slow = Slow::new(Instant::now());
        let begin = Instant::now();
        slow.begin(begin);
        std::thread::sleep(LONG);
        let end = Instant::now();
        let line = slow.end([begin, end, end, end]).unwrap();
        assert!(ran_ms(&line) < 40, "{line}");
    }

    #[test]
    fn a_turn_that_works_runs() {
        let mut slow = Slow::new(Instant::now());
        let before = thread_ran();
        slow.begin(Instant::now());
        while thread_ran() - before < LONG {}
        let end = Instant::now();
        let line = slow.end([end; 4]).unwrap();
        assert!(ran_ms(&line) >= 49, "{line}");
    }
}
