//! Which named timers are running, and which of them are due.
//!
//! A name has at most one timer: setting it again replaces it. Timers that are due at the same instant fire in the
//! order they were set. Most timers are set to be cancelled: that costs a hash table each time, and now and then a
//! clearing out.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use protocol::index::Key;
use protocol::table::Keyed;

/// When a timer fires, and its place among those set so far.
type Slot = (Instant, u64);

/// Cancelled timers that may stand in the queue, beside as many as are running.
const CANCELLED_MAX: usize = 64;

/// A set of named timers.
#[derive(Debug)]
pub struct Timers<T> {
    running: Keyed<T, Slot>,
    /// Soonest first. May hold timers that are not running any more, but not in front.
    queue: BinaryHeap<Reverse<Queued<T>>>,
    set_count: u64,
}

/// A timer in the queue. Slots are never used twice, so they alone tell the order.
#[derive(Debug)]
struct Queued<T> {
    slot: Slot,
    name: T,
}

impl<T> PartialEq for Queued<T> {
    fn eq(&self, other: &Queued<T>) -> bool {
        self.slot == other.slot
    }
}

impl<T> Eq for Queued<T> {}

impl<T> PartialOrd for Queued<T> {
    fn partial_cmp(&self, other: &Queued<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Queued<T> {
    fn cmp(&self, other: &Queued<T>) -> Ordering {
        self.slot.cmp(&other.slot)
    }
}

impl<T: Copy + Ord + Key> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers::new()
    }
}

impl<T: Copy + Ord + Key> Timers<T> {
    /// None is running.
    pub fn new() -> Timers<T> {
        Timers {
            running: Keyed::default(),
            queue: BinaryHeap::new(),
            set_count: 0,
        }
    }

    /// Fires `name` at `at`; replaces its running timer.
    pub fn set(&mut self, name: T, at: Instant) {
        self.set_count += 1;
        let slot = (at, self.set_count);
        let replaced = self.running.insert(name, slot);
        self.queue.push(Reverse(Queued { slot, name }));
        if replaced.is_some() {
            self.tidy();
        }
    }

    /// Stops `name`, if it is running.
    pub fn cancel(&mut self, name: &T) {
        if self.running.remove(name).is_some() {
            self.tidy();
        }
    }

    /// When the next timer fires.
    pub fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(next)| next.slot.0)
    }

    /// Lets every running timer fire later by so much.
    pub fn postpone(&mut self, by: Duration) {
        self.running.each_value(|(at, _)| *at += by);
        let queued = self
            .running
            .iter()
            .map(|(&name, &slot)| Reverse(Queued { slot, name }));
        self.queue = queued.collect();
    }

    /// Marks this moment: [`Timers::pop_due`] leaves alone what is set later, however short it is.
    pub fn mark(&self) -> Mark {
        Mark(self.set_count)
    }

    /// Takes the next timer that is due at `now` and was set before `mark`.
    pub fn pop_due(&mut self, now: Instant, mark: Mark) -> Option<T> {
        let mut later = Vec::new();
        let mut found = None;
        while found.is_none() && self.next().is_some_and(|at| at <= now) {
            let Reverse(next) = self.queue.pop().expect("just seen");
            if next.slot.1 <= mark.0 {
                self.running.remove(&next.name);
                found = Some(next.name);
            } else {
                later.push(Reverse(next));
            }
            self.tidy();
        }
        self.queue.extend(later);
        found
    }

    /// Sees to it that a running timer is in front, and that those which are not do not pile up.
    fn tidy(&mut self) {
        let running = &self.running;
        let is_running = |Reverse(timer): &Reverse<Queued<T>>| running.get(&timer.name) == Some(&timer.slot);
        if self.queue.len() > 2 * running.len() + CANCELLED_MAX {
            self.queue.retain(is_running);
        }
        while self.queue.peek().is_some_and(|next| !is_running(next)) {
            self.queue.pop();
        }
    }
}

/// A moment in the life of [`Timers`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Name(&'static str);

    impl Key for Name {
        fn bucket(&self) -> u32 {
            protocol::index::hash(self.0)
        }
    }

    fn due(timers: &mut Timers<Name>, now: Instant) -> Vec<&'static str> {
        let mark = timers.mark();
        std::iter::from_fn(|| timers.pop_due(now, mark).map(|Name(name)| name)).collect()
    }

    #[test]
    fn timers_fire_once_in_order_of_time_then_of_setting() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        timers.set(Name("late"), ms(30));
        timers.set(Name("first"), ms(10));
        timers.set(Name("second"), ms(10));
        assert_eq!(timers.next(), Some(ms(10)));
        assert_eq!(due(&mut timers, ms(9)), Vec::<&str>::new());
        assert_eq!(due(&mut timers, ms(20)), ["first", "second"]);
        assert_eq!(timers.next(), Some(ms(30)));
        assert_eq!(due(&mut timers, ms(30)), ["late"]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn setting_again_replaces_and_cancelling_forgets() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        timers.set(Name("a"), ms(1));
        timers.set(Name("a"), ms(5));
        timers.set(Name("b"), ms(1));
        timers.cancel(&Name("b"));
        timers.cancel(&Name("never set"));
        assert_eq!(due(&mut timers, ms(4)), Vec::<&str>::new());
        assert_eq!(due(&mut timers, ms(5)), ["a"]);
    }

    #[test]
    fn what_is_postponed_fires_later_in_the_same_order() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        timers.set(Name("b"), ms(20));
        timers.set(Name("a"), ms(10));
        timers.set(Name("c"), ms(20));
        timers.postpone(Duration::from_millis(5));
        timers.cancel(&Name("a"));
        assert_eq!(timers.next(), Some(ms(25)));
        timers.set(Name("d"), ms(24));
        assert_eq!(due(&mut timers, ms(25)), ["d", "b", "c"]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timer_set_while_timers_fire_waits_for_the_next_turn() {
        let now = Instant::now();
        let mut timers = Timers::new();
        timers.set(Name("a"), now);
        let mark = timers.mark();
        assert_eq!(timers.pop_due(now, mark), Some(Name("a")));
        timers.set(Name("a"), now);
        assert_eq!(timers.pop_due(now, mark), None);
        assert_eq!(due(&mut timers, now), ["a"]);
    }

    #[test]
    fn however_many_are_set_and_cancelled_those_that_run_fire_and_few_others_are_kept() {
        let start = Instant::now();
        let mut timers = Timers::new();
        for round in 0..10_000_u64 {
            timers.set(round, start + Duration::from_millis(1 + round % 7));
            timers.set(round / 2, start + Duration::from_millis(8));
            if round % 100 != 0 {
                timers.cancel(&round);
                timers.cancel(&(round / 2));
            }
            assert!(timers.queue.len() <= 2 * timers.running.len() + CANCELLED_MAX + 1);
        }
        let running = timers.running.len();
        let mark = timers.mark();
        let now = start + Duration::from_millis(8);
        let fired = std::iter::from_fn(|| timers.pop_due(now, mark)).count();
        assert_eq!(fired, running);
        assert_eq!((timers.next(), timers.running.len()), (None, 0));
    }
}
