//! A run, told in the notation that logs use.

use crate::model::Model;
use crate::state::Chapter;
use crate::world::World;

/// The run that led to a state; with what happens when everything heals, if that is asked for.
pub(crate) fn of(model: &Model, story: Option<&Chapter>, heal: bool) -> Vec<String> {
    let mut actions = Vec::new();
    let mut chapter = story;
    while let Some(Chapter { before, action }) = chapter {
        actions.push(*action);
        chapter = before.as_deref();
    }
    let first = stateright::Model::init_states(model).remove(0);
    let mut world = World::new(model, first).tell();
    let mut lines = Vec::new();
    for action in actions.into_iter().rev() {
        world.perform(action);
        lines.append(&mut world.take_trace());
    }
    if heal {
        lines.push("--- now everything heals".to_owned());
        let verdict = world.settle();
        lines.append(&mut world.take_trace());
        if let Err(why) = verdict {
            lines.push(format!("--- {why}"));
        }
    }
    lines
}
