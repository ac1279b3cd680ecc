//! Which of a transaction's participants: those that voted, those that have not acknowledged.

use crate::leg::LEGS_MAX;

const WORD_BITS: usize = 64;

/// A set of participants, by their place in the transaction's list. There are never more of them than legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Members([u64; LEGS_MAX / WORD_BITS]);

impl Members {
    /// The first `count` places.
    pub(super) fn first(count: usize) -> Members {
        let mut all = Members::default();
        (0..count).for_each(|place| all.insert(place));
        all
    }

    pub(super) fn insert(&mut self, place: usize) {
        self.0[place / WORD_BITS] |= 1 << (place % WORD_BITS);
    }

    pub(super) fn remove(&mut self, place: usize) {
        self.0[place / WORD_BITS] &= !(1 << (place % WORD_BITS));
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.0[place / WORD_BITS] & (1 << (place % WORD_BITS)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_can_be_legs_come_and_go_one_by_one() {
        let mut members = Members::first(LEGS_MAX);
        for place in 0..LEGS_MAX {
            assert!(members.contains(place) && !members.is_empty());
            members.remove(place);
            members.remove(place);
            assert!(!members.contains(place));
        }
        assert!(members.is_empty());
        members.insert(LEGS_MAX - 1);
        assert_ne!(members, Members::first(LEGS_MAX - 1));
        assert!(members.contains(LEGS_MAX - 1));
    }
}
