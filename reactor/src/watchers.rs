//! Who looks on, and how far each follower has been told.
//!
//! A follower has no queue of its own but a place in the ring; sights go to its connection every few milliseconds, as long
//! as it fetches them. One that does not is overtaken by the ring, and hears how much it has lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::message::watch::{Holding, Seen};

use crate::Session;
use crate::tap::Tap;

/// Watchers at a time: each costs what it is told.
pub(crate) const WATCHERS_MAX: usize = 16;

/// How long sights gather before they are told, so that a busy process writes seldom.
const GATHER: Duration = Duration::from_millis(20);

/// How long a follower that does not fetch is left alone.
const STUCK: Duration = Duration::from_millis(200);

/// Bytes that wait for a follower above which it is told nothing more.
const QUEUE_LEN_MAX: usize = 256 * 1024;

/// One who follows.
#[derive(Debug)]
struct Follower {
    /// The number of the next sight to tell.
    next: u64,
    /// The sampling it was told last.
    every: u64,
    /// Whether it must hear what the gate holds.
    gate: bool,
}

/// All who look on.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// `None` for those who only ask.
    watchers: BTreeMap<Session, Option<Follower>>,
    /// When followers are to be told.
    due: Option<Instant>,
    /// Sights that were lost to followers, all together.
    dropped: u64,
}

impl Watchers {
    /// Somebody comes. `false` if there are too many already.
    pub(crate) fn open(&mut self, session: Session) -> bool {
        let room = self.watchers.len() < WATCHERS_MAX;
        if room {
            self.watchers.insert(session, None);
        }
        room
    }

    /// Somebody goes.
    pub(crate) fn close(&mut self, session: Session) {
        self.watchers.remove(&session);
    }

    /// Somebody follows from now on, or from the oldest sight that is kept.
    pub(crate) fn follow(&mut self, session: Session, replay: bool, tap: &Tap) {
        let ring = tap.ring();
        let follower = Follower {
            next: if replay { ring.first() } else { ring.seen() + 1 },
            every: tap.every(),
            gate: true,
        };
        self.watchers.insert(session, Some(follower));
    }

    /// Sights that were lost to followers since the process started.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the gate holds has changed.
    pub(crate) fn gate_changed(&mut self) {
        for follower in self.watchers.values_mut().flatten() {
            follower.gate = true;
        }
    }

    /// When [`Watchers::feed`] has something to do, if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Tells followers what they have not heard, if it is time. `room` says how many bytes wait for a connection, `tell`
    /// queues something for it.
    pub(crate) fn feed(
        &mut self,
        now: Instant,
        tap: &Tap,
        holding: impl Fn() -> Option<Holding>,
        mut post: impl FnMut(Session, Option<&Seen>) -> usize,
    ) {
        let behind = |follower: &Follower| {
            follower.next <= tap.ring().seen() || follower.every != tap.every() || follower.gate
        };
        if !self.watchers.values().flatten().any(behind) {
            self.due = None;
            return;
        }
        if *self.due.get_or_insert(now + GATHER) > now {
            return;
        }
        let mut stuck = false;
        for (session, follower) in &mut self.watchers {
            if let Some(follower) = follower {
                let lost = follower.catch_up(tap, &holding, |seen| post(*session, seen));
                self.dropped += lost;
                stuck |= behind(follower);
            }
        }
        self.due = stuck.then_some(now + STUCK);
    }
}

impl Follower {
    /// Tells as much as there is room for. Returns how many sights were lost.
    fn catch_up(
        &mut self,
        tap: &Tap,
        holding: impl Fn() -> Option<Holding>,
        mut post: impl FnMut(Option<&Seen>) -> usize,
    ) -> u64 {
        let ring = tap.ring();
        let lost = ring.first().saturating_sub(self.next);
        if post(None) >= QUEUE_LEN_MAX {
            return 0; // It hears of it when it reads again.
        }
        if lost > 0 {
            post(Some(&Seen::Dropped(lost)));
            self.next = ring.first();
        }
        if self.every != tap.every() {
            self.every = tap.every();
            post(Some(&Seen::Sampling { every: self.every }));
        }
        for sighting in ring.since(self.next) {
            if post(Some(&Seen::Sight(sighting.clone()))) >= QUEUE_LEN_MAX {
                self.next = sighting.n + 1;
                return lost;
            }
        }
        self.next = ring.seen() + 1;
        if self.gate {
            self.gate = false;
            if let Some(holding) = holding() {
                post(Some(&Seen::Holding(holding)));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{StoreId, TxnId};
    use protocol::message::watch::Party;

    use super::*;
    use crate::tap::meaning::{Meaning, Moment};

    /// One follower's connection, which takes what it is given up to a limit.
    #[derive(Default)]
    struct Line {
        told: Vec<Seen>,
        queued: usize,
    }

    impl Line {
        fn numbers(&self) -> Vec<u64> {
            let number = |seen: &Seen| match seen {
                Seen::Sight(sighting) => Some(sighting.n),
                Seen::Dropped(_) | Seen::Sampling { .. } | Seen::Holding(_) => None,
            };
            self.told.iter().filter_map(number).collect()
        }

        fn dropped(&self) -> u64 {
            let count = |seen: &Seen| match seen {
                Seen::Dropped(count) => *count,
                Seen::Sight(_) | Seen::Sampling { .. } | Seen::Holding(_) => 0,
            };
            self.told.iter().map(count).sum()
        }
    }

    fn see(tap: &mut Tap, count: u64, now: Instant) {
        let meaning = Meaning::of(TxnId::new(StoreId(0xc), 1, 1), Moment::Passes);
        (0..count).for_each(|_| tap.said(meaning, now, || (Party::Client, "ack".to_owned())));
    }

    fn feed(watchers: &mut Watchers, line: &mut Line, tap: &Tap, now: Instant) {
        watchers.feed(
            now,
            tap,
            || None,
            |_, seen| {
                if let Some(seen) = seen {
                    line.told.push(seen.clone());
                    line.queued += 1024;
                }
                line.queued
            },
        );
    }

    #[test]
    fn a_follower_hears_everything_in_order_a_moment_later() {
        let now = Instant::now();
        let (mut tap, mut watchers, mut line) = (Tap::new(now), Watchers::default(), Line::default());
        see(&mut tap, 2, now);
        assert!(watchers.open(Session(1)) && watchers.open(Session(2)));
        watchers.follow(Session(1), true, &tap);
        see(&mut tap, 3, now);
        feed(&mut watchers, &mut line, &tap, now);
        assert_eq!(
            (line.numbers().len(), watchers.deadline()),
            (0, Some(now + GATHER))
        );
        feed(&mut watchers, &mut line, &tap, now + GATHER);
        assert_eq!(line.numbers(), [1, 2, 3, 4, 5]);
        feed(&mut watchers, &mut line, &tap, now + GATHER * 2);
        assert_eq!((line.numbers().len(), watchers.deadline()), (5, None));
    }

    #[test]
    fn one_that_does_not_fetch_loses_the_oldest_and_hears_how_many() {
        let now = Instant::now();
        let (mut tap, mut watchers, mut line) = (Tap::new(now), Watchers::default(), Line::default());
        assert!(watchers.open(Session(1)));
        watchers.follow(Session(1), false, &tap);
        see(&mut tap, 20_000, now);
        let mut at = now;
        for _ in 0..10 {
            at += STUCK;
            feed(&mut watchers, &mut line, &tap, at);
        }
        let queue = QUEUE_LEN_MAX / 1024;
        assert_eq!(line.told.len(), queue, "no more than it has room for");
        see(&mut tap, 20_000, at);
        for _ in 0..1_000 {
            line.queued = 0;
            at += STUCK;
            feed(&mut watchers, &mut line, &tap, at);
        }
        let told = u64::try_from(line.numbers().len()).unwrap();
        assert_eq!(
            (told + line.dropped(), line.dropped()),
            (40_000, watchers.dropped())
        );
        assert!(line.numbers().is_sorted() && line.dropped() > 20_000);
        assert_eq!(line.numbers().last(), Some(&40_000));
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut watchers = Watchers::default();
        let came = (0..20).filter(|&session| watchers.open(Session(session))).count();
        assert_eq!(came, WATCHERS_MAX);
        watchers.close(Session(3));
        assert!(watchers.open(Session(20)) && !watchers.open(Session(21)));
    }
}
