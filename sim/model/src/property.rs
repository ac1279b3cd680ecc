//! The properties: what no state may show, and what some run must.

use protocol::participant::waits_for_ever;
use stateright::Property;

use crate::last_words;
use crate::model::Model;
use crate::money;
use crate::scenario::Scenario;
use crate::state::{Broken, State};
use crate::world::World;

impl Broken {
    /// The rule, as a sentence.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Broken::Disagreement => "no transaction commits at one node and aborts at another",
            Broken::Twice => "a request happens at most once",
            Broken::CommitNotDurable => "who is told committed can rely on the disk",
            Broken::WrongWord => "what a client is told stays true",
            Broken::Unmatched => "no COMMIT reaches a node that does not know the transaction",
            Broken::AuditViolated => "no audit misses money",
            Broken::FalseAlarm => "no alarm without a reason",
            Broken::Stopped => "no coordinator is refused",
        }
    }
}

/// Properties are plain functions, so that each rule needs one of its own.
macro_rules! unbroken {
    ($($rule:ident,)+) => {
        vec![$(Property::always(Broken::$rule.what(), |_: &Model, state: &State| {
            state.broken != Some(Broken::$rule)
        }),)+]
    };
}

/// The properties of a scenario.
pub(crate) fn all(scenario: &Scenario) -> Vec<Property<Model>> {
    let mut properties = unbroken![
        Disagreement,
        Twice,
        CommitNotDurable,
        WrongWord,
        Unmatched,
        AuditViolated,
        FalseAlarm,
        Stopped,
    ];
    properties.push(Property::always("no money is made or lost", |_, state| {
        money::out_of_thin_air(state) == 0
    }));
    properties.push(Property::always("nor if all power fails now", |_, state| {
        money::out_of_thin_air_on_disk(state) == 0
    }));
    properties.push(Property::always("no account is overdrawn", |_, state| {
        !money::is_overdrawn(state)
    }));
    properties.push(Property::always("nobody waits for ever", |_, state: &State| {
        let nodes = state.nodes.iter().map(|process| &process.machine);
        waits_for_ever(nodes).is_none()
    }));
    properties.push(Property::always(ENDS_WELL, |model: &Model, state: &State| {
        !state.is_still() || ends_well(model, state)
    }));
    properties.extend(scenario.sights.iter().map(|sight| sight.property()));
    properties
}

/// The property that looks ahead.
pub(crate) const ENDS_WELL: &str = "everything ends, and ends well, once nothing goes wrong any more";

fn ends_well(model: &Model, state: &State) -> bool {
    last_words::remember(&model.scenario, &state.story, true);
    World::new(model, state.clone()).settle().is_ok()
}
