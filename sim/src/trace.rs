//! The story of a run, a line for each thing that happens, in the one-line notation of messages and records.

use std::fmt::{self, Display};

use xxhash_rust::xxh3::Xxh3;

use crate::time::Time;
use crate::who::Who;

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Time,
    /// What.
    pub event: Event,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message arrives.
    Message {
        /// Who sent it.
        from: Who,
        /// Who hears it.
        to: Who,
        /// Its notation.
        text: String,
    },
    /// Somebody does something, or something is done to somebody.
    Deed {
        /// Who.
        who: Who,
        /// What.
        text: String,
    },
    /// Something that concerns everybody.
    World(String),
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at)?;
        match &self.event {
            Event::Message { from, to, text } => write!(f, "{from} → {to} {text}"),
            Event::Deed { who, text } => write!(f, "{who} {text}"),
            Event::World(text) => write!(f, "-- {text}"),
        }
    }
}

/// Where lines go.
#[derive(Default)]
pub struct Trace {
    lines: Option<Vec<Line>>,
    hash: Option<Box<Xxh3>>,
}

impl Trace {
    /// Nothing is told: the fast way.
    pub fn off() -> Trace {
        Trace::default()
    }

    /// Every line is kept.
    pub fn kept() -> Trace {
        Trace {
            lines: Some(Vec::new()),
            hash: None,
        }
    }

    /// Only a digest of all lines is kept, to tell whether two runs are the same.
    pub fn digested() -> Trace {
        Trace {
            lines: None,
            hash: Some(Box::new(Xxh3::new())),
        }
    }

    /// Whether lines are worth making.
    pub fn is_on(&self) -> bool {
        self.lines.is_some() || self.hash.is_some()
    }

    /// Adds a line.
    pub fn tell(&mut self, at: Time, event: Event) {
        let line = Line { at, event };
        if let Some(hash) = &mut self.hash {
            hash.update(line.to_string().as_bytes());
            hash.update(b"\n");
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Adds what `who` does, made only if somebody wants to know.
    pub fn deed(&mut self, at: Time, who: Who, text: impl FnOnce() -> String) {
        if self.is_on() {
            self.tell(at, Event::Deed { who, text: text() });
        }
    }

    /// Adds something that concerns everybody.
    pub fn world(&mut self, at: Time, text: impl FnOnce() -> String) {
        if self.is_on() {
            self.tell(at, Event::World(text()));
        }
    }

    /// All lines so far, if they are kept.
    pub fn lines(&self) -> &[Line] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// The digest of all lines so far, if it is kept.
    pub fn digest(&self) -> Option<u64> {
        self.hash.as_ref().map(|hash| hash.digest())
    }
}
