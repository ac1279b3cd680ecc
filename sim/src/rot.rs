//! A bit rots on a disk whose process is down. Recovery must notice, or the bit must not matter.

use engine::{Disk, MemDisk};
use protocol::effects::Machine;
use protocol::fold::Fold;

use crate::process::{Host, Process};
use crate::role::Role;
use crate::who::{Who, store_id};
use crate::world::World;

/// Flips one bit of one file on a copy of the disk, and looks at what recovery makes of it. The process itself then
/// starts on the disk as it was: its operator has restored it.
pub(crate) fn flip_a_bit(world: &mut World, who: Who) {
    let disk = world.disk(who).snapshot();
    disk.calm();
    let Ok(names) = disk.list() else {
        return;
    };
    let names: Vec<String> = names.into_iter().filter(|name| !name.ends_with(".tmp")).collect();
    if names.is_empty() {
        return;
    }
    let name = world.nemesis.dice.pick(&names).clone();
    let mut bytes = disk.read(&name).expect("it is listed");
    if bytes.is_empty() {
        return;
    }
    let bit = world.nemesis.dice.below(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    disk.put(&name, &bytes);
    world
        .tally
        .fire(if name.ends_with(".jsonl") { "D3" } else { "D6" });
    world.tally.deed();
    world
        .trace
        .deed(world.now, who, || format!("bit {bit} of {name} rots, for a try"));
    let verdict = match who {
        Who::Coordinator(number) => judge(&world.coordinators[number], &disk, world),
        Who::Node(number) => judge(&world.nodes[number], &disk, world),
        Who::Client(_) => unreachable!("clients have no disk"),
    };
    if let Some(verdict) = verdict {
        world
            .history
            .violations
            .push(format!("{who}: bit {bit} of {name} was flipped: {verdict}"));
    }
}

/// What is wrong with what recovery makes of the damaged disk, if anything is.
fn judge<R: Role>(process: &Process<R>, damaged: &MemDisk, world: &World) -> Option<String> {
    type State<R> = <<R as Role>::Machine as Machine>::State;
    let (config, body) = (process.store_config(), process.body());
    let open = |disk: &MemDisk| {
        let fresh = store_id(body.who, body.birth);
        engine::open_on::<State<R>, MemDisk>(disk, &config, fresh, world.clock.for_engine())
    };
    let whole = body.disk.snapshot();
    whole.calm();
    let whole = open(&whole).ok()?;
    let found = open(damaged).ok()?;
    if found.state == whole.state && found.store == whole.store {
        return None;
    }
    // The last records of a log look like a torn tail: only peers can tell (R22). Anything else is a lie.
    if found.state.seq() < whole.state.seq() {
        return None;
    }
    Some("recovery took it for something else".to_owned())
}
