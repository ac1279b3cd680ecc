//! Was it right? Judges a world that has come to rest, from what clients were told and from what is on the disks.
//!
//! Nothing here asks the machines: the disks are read as a power cut right now would leave them.

use std::collections::BTreeMap;

use engine::{Fate, MemDisk};
use protocol::coordinator::CoordinatorState;
use protocol::fold::Fold;
use protocol::id::Place;
use protocol::participant::NodeState;

use crate::process::Process;
use crate::role::Role;
use crate::who::{node_id, store_id};
use crate::world::World;

/// The state that a process would recover if power failed now and took everything that was not synced.
fn after_power_cut<S: Fold, R: Role>(process: &Process<R>, world: &World) -> Result<S, String> {
    let disk = process.disk.crash(&mut |_| Fate::Drop);
    let fresh = store_id(process.who, process.birth);
    engine::open_on::<S, MemDisk>(&disk, &process.store_config(), fresh, world.clock.for_engine())
        .map(|opened| opened.state)
        .map_err(|error| format!("{} cannot be read: {error}", process.who))
}

/// Everything that is wrong with a world at rest.
pub(crate) fn judge(world: &mut World) -> Vec<String> {
    world.history.judge_reads();
    let mut wrong = std::mem::take(&mut world.history.violations);
    let mut nodes: Vec<NodeState> = Vec::new();
    for process in &world.nodes {
        match after_power_cut(process, world) {
            Ok(state) => nodes.push(state),
            Err(error) => wrong.push(error),
        }
    }
    let mut coordinators: Vec<CoordinatorState> = Vec::new();
    for process in &world.coordinators {
        match after_power_cut(process, world) {
            Ok(state) => coordinators.push(state),
            Err(error) => wrong.push(error),
        }
    }
    if nodes.len() == world.nodes.len() {
        money(world, &nodes, &mut wrong);
        rest(&nodes, &coordinators, &mut wrong);
    }
    if !world.nemesis.tampers {
        wrong.extend(
            world
                .alarms
                .iter()
                .map(|(who, text)| format!("{who} raises an alarm: {text}")),
        );
    }
    wrong
}

/// V1, V2, V4: the accounts hold what clients were told, to the last unit.
fn money(world: &World, nodes: &[NodeState], wrong: &mut Vec<String>) {
    let mut expected = world.history.balances();
    let mut total: i128 = 0;
    for (number, state) in nodes.iter().enumerate() {
        for (id, account) in state.ledger().accounts() {
            total += i128::from(account.balance);
            let place = Place {
                node: node_id(number),
                account: id.clone(),
            };
            if account.balance < 0 && !id.is_world() {
                wrong.push(format!("V2: {place} holds {}", account.balance));
            }
            let told = expected.remove(&place).unwrap_or_default();
            if told != account.balance {
                wrong.push(format!(
                    "V4: {place} holds {} on disk, and clients were told {told}",
                    account.balance
                ));
            }
        }
    }
    let missing: BTreeMap<&Place, &i64> = expected.iter().filter(|&(_, &balance)| balance != 0).collect();
    if !missing.is_empty() {
        wrong.push(format!("V4: accounts are missing: {missing:?}"));
    }
    if total != 0 {
        wrong.push(format!("V1: all accounts together hold {total}, not 0"));
    }
}

/// V9, V11: nothing is held, prepared or open, and nobody remembers what has ended everywhere.
fn rest(nodes: &[NodeState], coordinators: &[CoordinatorState], wrong: &mut Vec<String>) {
    for (number, state) in nodes.iter().enumerate() {
        let node = node_id(number);
        if state.ledger().any_held() || !state.prepared().is_empty() {
            wrong.push(format!(
                "V9: {node} still holds accounts: {:?}",
                state.prepared().keys()
            ));
        }
        let kept = state.ended().len();
        if kept > OUTCOMES_MAX {
            wrong.push(format!(
                "V11: {node} still remembers how {kept} transactions ended"
            ));
        }
    }
    for (number, state) in coordinators.iter().enumerate() {
        if !state.open().is_empty() {
            wrong.push(format!(
                "V9: c{} still has {:?} open",
                number + 1,
                state.open().keys()
            ));
        }
    }
}

/// Marks rise once a second, so that what ended in the last second may still be remembered.
const OUTCOMES_MAX: usize = 8;
