//! Room for requests in flight on one connection: which calls are open, and since when.

use std::ops::Range;
use std::time::Duration;

/// A number of places, each for one request: a batch of calls, mostly of one.
#[derive(Debug)]
pub(crate) struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
    /// Calls in each request.
    batch: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// When the request was due.
    due: Duration,
    /// Calls without an answer.
    open: usize,
}

impl Places {
    /// All are free.
    pub(crate) fn new(count: usize, batch: usize) -> Places {
        Places {
            all: vec![Place::default(); count],
            free: (0..count).rev().collect(),
            batch,
        }
    }

    /// Takes a place for a request that was due then: the numbers of its calls.
    pub(crate) fn take(&mut self, due: Duration) -> Option<Range<u64>> {
        let index = self.free.pop()?;
        self.all[index] = Place {
            due,
            open: self.batch,
        };
        let number = |call: usize| u64::try_from(call).expect("calls in flight are not that many");
        Some(number(index * self.batch)..number((index + 1) * self.batch))
    }

    /// The call is answered: when it was due, and whether its place is free again. `None` if it was not open.
    pub(crate) fn answered(&mut self, call: u64) -> Option<(Duration, bool)> {
        let index = usize::try_from(call).ok()? / self.batch;
        let place = self.all.get_mut(index).filter(|place| place.open > 0)?;
        place.open -= 1;
        let free = place.open == 0;
        let due = place.due;
        if free {
            self.free.push(index);
        }
        Some((due, free))
    }

    /// How many calls are open.
    pub(crate) fn open_calls(&self) -> usize {
        self.all.iter().map(|place| place.open).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_all_its_calls_are_answered() {
        let ms = Duration::from_millis;
        let mut places = Places::new(2, 3);
        assert_eq!(places.take(ms(1)), Some(0..3));
        assert_eq!(places.take(ms(2)), Some(3..6));
        assert_eq!(places.take(ms(3)), None);
        assert_eq!(places.answered(5), Some((ms(2), false)));
        assert_eq!(places.answered(3), Some((ms(2), false)));
        assert_eq!(places.open_calls(), 4);
        assert_eq!(places.answered(4), Some((ms(2), true)));
        assert_eq!(places.answered(4), None, "it is not open any more");
        assert_eq!(places.answered(6), None);
        assert_eq!(places.take(ms(4)), Some(3..6));
    }
}
