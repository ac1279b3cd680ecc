//! How often each fault of the catalogue was injected.

use std::collections::BTreeMap;

/// Counts by fault id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, u64>,
    /// What a user of the table may take for one fault, however many ids it has.
    deeds: u64,
}

impl Tally {
    /// Notes one of the ids of something that goes wrong right now.
    pub fn fire(&mut self, id: &'static str) {
        *self.counts.entry(id).or_default() += 1;
    }

    /// Notes that something was made to go wrong, whatever it is called.
    pub fn deed(&mut self) {
        self.deeds += 1;
    }

    /// How many things were made to go wrong.
    pub fn deeds(&self) -> u64 {
        self.deeds
    }

    /// Every id that was fired, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(&id, &count)| (id, count))
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Tally) {
        for (id, count) in other.counts() {
            *self.counts.entry(id).or_default() += count;
        }
        self.deeds += other.deeds;
    }
}
