//! Was it right? Judges a world from what clients were told and from what is on the disks.
//!
//! The disks are read as a power cut right now would leave them, without all that was not synced, and [`verify`] adds them
//! up by itself: no machine is asked how much money there is.

use engine::{Disk, Fate, Inspection, MemDisk};
use protocol::effects::Machine;
use protocol::fold::Fold;
use verify::{Claims, Images, Told, Word};

use crate::process::{Host, Process};
use crate::role::Role;
use crate::who::node_id;
use crate::world::World;

/// Marks rise once a second, so that what ended in the last second may still be remembered.
const OUTCOMES_MAX: usize = 8;

/// Segments that a log may have besides those that two checkpoints are worth: what is closed while one is made.
const SEGMENTS_BESIDE: usize = 5;

/// Everything that is wrong with the disks as they are right now, in the middle of things: what clients have been told
/// must be there already (V4), and nothing may have ended in two ways.
pub(crate) fn glance(world: &World) -> Vec<String> {
    match images(world) {
        Ok(images) => violations(&images, &claims(world, false)),
        Err(wrong) => vec![wrong],
    }
}

/// Everything that is wrong with a world at rest.
pub(crate) fn judge(world: &mut World) -> Vec<String> {
    world.history.judge_reads();
    let mut wrong = std::mem::take(&mut world.history.violations);
    match images(world) {
        Ok(images) => {
            wrong.extend(violations(&images, &claims(world, true)));
            bounds(world, &mut wrong);
        }
        Err(unreadable) => wrong.push(unreadable),
    }
    let alarm = |(who, text): &(_, String)| format!("{who} raises an alarm: {text}");
    wrong.extend(world.alarms.iter().map(alarm));
    wrong
}

/// Every store as it would be read if power failed now.
fn images(world: &World) -> Result<Images, String> {
    let mut images = Images::default();
    for process in &world.nodes {
        images.nodes.push(image(process)?);
    }
    for process in &world.coordinators {
        images.coordinators.push(image(process)?);
    }
    Ok(images)
}

fn image<S: Fold, R: Role>(process: &Process<R>) -> Result<Inspection<S>, String> {
    let disk = process.body().disk.crash(&mut |_| Fate::Drop);
    engine::inspect_on::<S, MemDisk>(&disk, R::owner(process.body().who))
        .map_err(|error| format!("{} cannot be read: {error}", process.body().who))
}

fn violations(images: &Images, claims: &Claims) -> Vec<String> {
    let report = verify::check(images, claims);
    report.violations.iter().map(ToString::to_string).collect()
}

/// What clients know, in the words of [`verify`].
fn claims(world: &World, at_rest: bool) -> Claims {
    let told = world.history.asked().iter().map(|asked| Told {
        request: asked.id,
        order: asked.order.clone(),
        word: match &asked.told {
            None => Word::Unknown,
            Some(told) => match told.committed {
                Some(txn) => Word::Committed(txn),
                None => Word::Aborted {
                    txn: None,
                    is_final: told.bound,
                },
            },
        },
    });
    Claims {
        told: told.collect(),
        complete: at_rest,
        settled: at_rest,
    }
}

/// V11: nobody remembers for ever what has ended everywhere, and logs do not grow for ever.
fn bounds(world: &World, wrong: &mut Vec<String>) {
    for (number, participant) in world.participants().enumerate() {
        let kept = participant.state().ended().len();
        if kept > OUTCOMES_MAX {
            let node = node_id(number);
            wrong.push(format!(
                "V11: {node} still remembers how {kept} transactions ended"
            ));
        }
    }
    for who in world.processes() {
        let disk = world.disk(who).snapshot();
        let names = disk.list().expect("nothing is armed any more");
        // Line breaks ahead of a log's end are no part of it.
        let len = |name: &String| disk.read(name).map_or(0, |bytes| bytes.trim_ascii_end().len());
        let log: usize = names
            .iter()
            .filter(|name| name.ends_with(".jsonl"))
            .map(len)
            .sum();
        let states: usize = names
            .iter()
            .filter(|name| name.contains("_state.") && !name.ends_with(".tmp"))
            .map(len)
            .sum();
        // A checkpoint is made when the log has grown by a segment, and by as much as the state is long.
        let segment = usize::try_from(world.weather.segment_len_max).expect("a small number");
        let bound = states.max(2 * segment) + SEGMENTS_BESIDE * segment;
        if log > bound {
            wrong.push(format!(
                "V11: the log of {who} is {log} bytes long, more than {bound}"
            ));
        }
    }
}
