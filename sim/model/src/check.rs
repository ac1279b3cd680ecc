//! Runs a scenario through the checker and reports.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model as _};

use crate::model::Model;
use crate::property::ENDS_WELL;
use crate::scenario::Scenario;
use crate::state::State;
use crate::transcript;

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Stop after about this many steps; the same state may be reached by many.
    pub states_max: Option<usize>,
    /// Stop after this long.
    pub time_max: Option<Duration>,
    /// Threads to use.
    pub threads: usize,
}

/// What came out.
#[derive(Debug)]
pub struct Report {
    /// States reached, those reached again among them.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// Length of the longest run, in steps.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Whether every state was reached that there is.
    pub fixpoint: bool,
    /// The first broken rule, with its transcript.
    pub violation: Option<Violation>,
    /// Each property, with whether it held or was seen.
    pub properties: Vec<(&'static str, Verdict)>,
}

/// A rule that does not hold.
#[derive(Debug)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// The run that breaks it, line by line.
    pub transcript: Vec<String>,
}

/// What became of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No state contradicts it.
    Holds,
    /// A state contradicts it.
    Broken,
    /// Some run shows it.
    Seen,
    /// No run shows it.
    Unseen,
}

impl Report {
    /// Whether no rule was broken, and everything was seen that has to be.
    pub fn is_good(&self) -> bool {
        self.properties
            .iter()
            .all(|(_, verdict)| matches!(verdict, Verdict::Holds | Verdict::Seen))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Holds => "always",
            Verdict::Broken => "BROKEN",
            Verdict::Seen => "seen",
            Verdict::Unseen => "NOT SEEN",
        })
    }
}

/// Explores a scenario, breadth first, so that what it finds is short.
pub fn check(scenario: Scenario, limits: Limits) -> Report {
    let began = Instant::now();
    let model = Model::new(scenario);
    let properties = model.properties();
    let mut checker = model
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(states) = limits.states_max {
        checker = checker.target_state_count(states);
    }
    if let Some(time) = limits.time_max {
        checker = checker.timeout(time);
    }
    let checker = checker.spawn_bfs().join();
    let time = began.elapsed();
    let discoveries = checker.discoveries();
    let verdict = |property: &stateright::Property<Model>| {
        let found = discoveries.contains_key(property.name);
        match property.expectation {
            Expectation::Always | Expectation::Eventually if found => Verdict::Broken,
            Expectation::Always | Expectation::Eventually => Verdict::Holds,
            Expectation::Sometimes if found => Verdict::Seen,
            Expectation::Sometimes => Verdict::Unseen,
        }
    };
    let verdicts: Vec<_> = properties
        .iter()
        .map(|property| (property.name, verdict(property)))
        .collect();
    let broken = verdicts.iter().find(|(_, verdict)| *verdict == Verdict::Broken);
    let violation = broken.map(|&(rule, _)| Violation {
        rule,
        transcript: transcript_to(checker.model(), discoveries[rule].last_state(), rule == ENDS_WELL),
    });
    let states = checker.state_count();
    let cut =
        limits.states_max.is_some_and(|max| states >= max) || limits.time_max.is_some_and(|max| time >= max);
    Report {
        states,
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        time,
        fixpoint: !cut && violation.is_none(),
        violation,
        properties: verdicts,
    }
}

fn transcript_to(model: &Model, state: &State, heal: bool) -> Vec<String> {
    transcript::of(model, state.story.as_deref(), heal)
}
