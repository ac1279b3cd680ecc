//! What inputs have shown: which ways a target went, and which faults of the catalogue it injected.
//!
//! A target that refuses everything passes every oracle. So each says what its corpus must at least have shown.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    ways: BTreeMap<String, u64>,
    faults: BTreeMap<&'static str, u64>,
    telling: bool,
}

impl Seen {
    /// Nothing yet.
    pub fn new() -> Seen {
        Seen::default()
    }

    /// The same, and prints the stories that inputs tell as they go.
    pub fn telling() -> Seen {
        Seen {
            telling: true,
            ..Seen::default()
        }
    }

    /// Something happens in the story.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if self.telling {
            println!("  {}", line());
        }
    }

    /// An input went this way.
    pub fn way(&mut self, name: &str) {
        if let Some(count) = self.ways.get_mut(name) {
            *count += 1;
        } else {
            self.ways.insert(name.to_owned(), 1);
        }
    }

    /// An input injected this fault.
    pub fn fault(&mut self, id: &'static str) {
        *self.faults.entry(id).or_default() += 1;
    }

    /// How often an input went that way.
    pub fn count(&self, way: &str) -> u64 {
        self.ways.get(way).copied().unwrap_or(0)
    }

    /// All ways, by name.
    pub fn ways(&self) -> impl Iterator<Item = (&str, u64)> {
        self.ways.iter().map(|(name, &count)| (name.as_str(), count))
    }

    /// All faults, by id.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.faults.iter().map(|(&id, &count)| (id, count))
    }
}
