//! How many lines ended in which way, and the exit code that this makes.

use client::{Outcome, ReasonClass};

use crate::exit::Exit;

/// How one line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Committed,
    Aborted(ReasonClass),
    Reused,
    Rejected,
}

impl Tally {
    /// `None` while nobody knows.
    pub(crate) fn of(outcome: &Outcome) -> Option<Tally> {
        match outcome {
            Outcome::Committed { .. } => Some(Tally::Committed),
            Outcome::Aborted { refusal, .. } => Some(Tally::Aborted(refusal.reason.class())),
            Outcome::Reused => Some(Tally::Reused),
            Outcome::Rejected { .. } => Some(Tally::Rejected),
            Outcome::Unknown { .. } => None,
        }
    }
}

/// How the lines of a batch ended, those of earlier runs too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallies {
    pub(crate) committed: u64,
    pub(crate) funds: u64,
    pub(crate) conflicts: u64,
    pub(crate) others: u64,
    pub(crate) reused: u64,
    pub(crate) rejected: u64,
    /// Lines that were sent and whose outcome nobody could tell.
    pub(crate) unknown: u64,
    /// Lines that make no sense.
    pub(crate) bad: u64,
}

impl Tallies {
    pub(crate) fn add(&mut self, tally: Tally) {
        let count = match tally {
            Tally::Committed => &mut self.committed,
            Tally::Aborted(ReasonClass::Funds) => &mut self.funds,
            Tally::Aborted(ReasonClass::Conflict) => &mut self.conflicts,
            Tally::Aborted(ReasonClass::Other) => &mut self.others,
            Tally::Reused => &mut self.reused,
            Tally::Rejected => &mut self.rejected,
        };
        *count += 1;
    }

    pub(crate) fn aborted(&self) -> u64 {
        self.funds + self.conflicts + self.others
    }

    /// The lines that have a result.
    pub(crate) fn ended(&self) -> u64 {
        self.committed + self.aborted() + self.reused + self.rejected
    }

    /// What asks for the most urgent reaction wins: asking again, then correcting the input, then looking at aborts.
    pub(crate) fn exit(&self) -> Exit {
        if self.unknown > 0 {
            Exit::Unknown
        } else if self.bad > 0 || self.rejected > 0 {
            Exit::Usage
        } else if self.reused > 0 {
            Exit::Reused
        } else {
            match (self.funds, self.conflicts, self.others) {
                (0, 0, 0) => Exit::Ok,
                (_, 0, 0) => Exit::Funds,
                (0, _, 0) => Exit::Conflict,
                (_, _, _) => Exit::Other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_what_to_do_next() {
        let funds = Tally::Aborted(ReasonClass::Funds);
        let conflict = Tally::Aborted(ReasonClass::Conflict);
        for (tallies, code) in [
            (&[Tally::Committed, Tally::Committed][..], 0),
            (&[Tally::Committed, funds], 3),
            (&[conflict], 4),
            (&[conflict, funds], 5),
            (&[Tally::Aborted(ReasonClass::Other)], 5),
            (&[funds, Tally::Reused], 10),
            (&[Tally::Reused, Tally::Rejected], 2),
        ] {
            let mut all = Tallies::default();
            tallies.iter().for_each(|&tally| all.add(tally));
            assert_eq!(all.exit().code(), code, "{all:?}");
            all.bad = 1;
            assert_eq!(all.exit().code(), 2);
            all.unknown = 1;
            assert_eq!(all.exit().code(), 6);
        }
    }
}
