//! Which named timers are running, and which of them are due.
//!
//! A name has at most one timer: setting it again replaces it. Timers that are due at the same instant fire in the
//! order they were set.

use std::collections::BTreeMap;
use std::time::Instant;

/// When a timer fires, and its place among those set so far.
type Slot = (Instant, u64);

/// A set of named timers.
#[derive(Debug)]
pub struct Timers<T> {
    by_slot: BTreeMap<Slot, T>,
    by_name: BTreeMap<T, Slot>,
    set_count: u64,
}

impl<T: Clone + Ord> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers::new()
    }
}

impl<T: Clone + Ord> Timers<T> {
    /// None is running.
    pub fn new() -> Timers<T> {
        Timers {
            by_slot: BTreeMap::new(),
            by_name: BTreeMap::new(),
            set_count: 0,
        }
    }

    /// Fires `name` at `at`; replaces its running timer.
    pub fn set(&mut self, name: T, at: Instant) {
        self.set_count += 1;
        let slot = (at, self.set_count);
        if let Some(old) = self.by_name.insert(name.clone(), slot) {
            self.by_slot.remove(&old);
        }
        self.by_slot.insert(slot, name);
    }

    /// Stops `name`, if it is running.
    pub fn cancel(&mut self, name: &T) {
        if let Some(slot) = self.by_name.remove(name) {
            self.by_slot.remove(&slot);
        }
    }

    /// When the next timer fires.
    pub fn next(&self) -> Option<Instant> {
        self.by_slot.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Marks this moment: [`Timers::pop_due`] leaves alone what is set later, however short it is.
    pub fn mark(&self) -> Mark {
        Mark(self.set_count)
    }

    /// Takes the next timer that is due at `now` and was set before `mark`.
    pub fn pop_due(&mut self, now: Instant, mark: Mark) -> Option<T> {
        let due = self.by_slot.range(..=(now, u64::MAX));
        let slot = due.map(|(&slot, _)| slot).find(|&(_, number)| number <= mark.0)?;
        let name = self.by_slot.remove(&slot).expect("just found");
        self.by_name.remove(&name);
        Some(name)
    }
}

/// A moment in the life of [`Timers`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn due(timers: &mut Timers<&'static str>, now: Instant) -> Vec<&'static str> {
        let mark = timers.mark();
        std::iter::from_fn(|| timers.pop_due(now, mark)).collect()
    }

    #[test]
    fn timers_fire_once_in_order_of_time_then_of_setting() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        timers.set("late", ms(30));
        timers.set("first", ms(10));
        timers.set("second", ms(10));
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
        timers.set("a", ms(1));
        timers.set("a", ms(5));
        timers.set("b", ms(1));
        timers.cancel(&"b");
        timers.cancel(&"never set");
        assert_eq!(due(&mut timers, ms(4)), Vec::<&str>::new());
        assert_eq!(due(&mut timers, ms(5)), ["a"]);
    }

    #[test]
    fn a_timer_set_while_timers_fire_waits_for_the_next_turn() {
        let now = Instant::now();
        let mut timers = Timers::new();
        timers.set("a", now);
        let mark = timers.mark();
        assert_eq!(timers.pop_due(now, mark), Some("a"));
        timers.set("a", now);
        assert_eq!(timers.pop_due(now, mark), None);
        assert_eq!(due(&mut timers, now), ["a"]);
    }
}
