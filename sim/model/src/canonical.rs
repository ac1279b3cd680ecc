//! One state for all that go on alike.
//!
//! Record numbers are renamed to 1, 2, 3, … in their order, log by log. Machines only compare them and count on from
//! the newest, so that a run from the renamed state is a run from the original with other names.

use std::collections::BTreeMap;

use protocol::coordinator::{Coordinator, CoordinatorMessage, CoordinatorTo};
use protocol::fold::{Fold, Seq};
use protocol::numbers::{Log, Numbered, Visit};
use protocol::participant::Participant;

use crate::link::Link;
use crate::model::Model;
use crate::process::Process;
use crate::scenario::Numbers;
use crate::shared::Shared;
use crate::state::State;
use crate::world::{coordinator_id, node_id};

/// The new name of each number in use.
type Names = BTreeMap<Log, BTreeMap<Seq, Seq>>;

/// Renames the record numbers of a state.
pub(crate) fn rename(model: &Model, state: &mut State) {
    let mut parts = Parts::of(state);
    let durable = match model.scenario.numbers {
        Numbers::InOrder => BTreeMap::new(),
        Numbers::Durable => parts.durable(),
    };
    let mut names = Names::new();
    parts.each_number(&mut |log, seq| {
        names.entry(log).or_default().insert(*seq, *seq);
    });
    let mut changed = false;
    for (log, names) in &mut names {
        let durable = durable.get(log).copied().unwrap_or(0);
        let mut next = Seq::from(durable > 0);
        for (old, new) in names.iter_mut() {
            next += Seq::from(*old > durable);
            *new = if *old == 0 { 0 } else { next };
            changed |= old != new;
        }
    }
    if !changed {
        return;
    }
    parts.each_number(&mut |log, seq| *seq = names[&log][seq]);
    parts.put_into(model, state);
}

/// Those parts of a state that hold numbers.
struct Parts {
    coordinators: Vec<Process<Coordinator>>,
    nodes: Vec<Process<Participant>>,
    links: Vec<Link>,
}

impl Parts {
    fn of(state: &State) -> Parts {
        Parts {
            coordinators: state
                .coordinators
                .iter()
                .map(|process| Process::clone(process))
                .collect(),
            nodes: state
                .nodes
                .iter()
                .map(|process| Process::clone(process))
                .collect(),
            links: state.links.iter().map(|link| Link::clone(link)).collect(),
        }
    }

    /// How far each log is on disk.
    fn durable(&self) -> BTreeMap<Log, Seq> {
        let coordinators = self.coordinators.iter().enumerate();
        let coordinators =
            coordinators.map(|(c, process)| (Log::Coordinator(coordinator_id(c)), process.durable.seq()));
        let nodes = self.nodes.iter().enumerate();
        let nodes = nodes.map(|(n, process)| (Log::Node(node_id(n)), process.durable.seq()));
        coordinators.chain(nodes).collect()
    }

    fn put_into(self, model: &Model, state: &mut State) {
        let pools = &model.pools;
        state.coordinators = self
            .coordinators
            .into_iter()
            .map(|process| pools.coordinators.share(process))
            .collect();
        state.nodes = self
            .nodes
            .into_iter()
            .map(|process| pools.nodes.share(process))
            .collect();
        state.links = self
            .links
            .into_iter()
            .map(|link| pools.links.share(link))
            .collect();
    }

    fn each_number(&mut self, visit: &mut Visit<'_>) {
        for (c, process) in self.coordinators.iter_mut().enumerate() {
            coordinator(process, Log::Coordinator(coordinator_id(c)), visit);
        }
        for (n, process) in self.nodes.iter_mut().enumerate() {
            node(process, Log::Node(node_id(n)), visit);
        }
        let nodes = self.nodes.len();
        for (at, link) in self.links.iter_mut().enumerate() {
            let coordinator = Log::Coordinator(coordinator_id(at / nodes));
            let node = Log::Node(node_id(at % nodes));
            let to_node = link.to_node.queue.iter_mut().chain(&mut link.to_node.copies);
            to_node.for_each(|message| message.each_number(coordinator, node, visit));
            let to_coordinator = link
                .to_coordinator
                .queue
                .iter_mut()
                .chain(&mut link.to_coordinator.copies);
            to_coordinator.for_each(|message| message.each_number(node, visit));
        }
    }
}

fn coordinator(process: &mut Process<Coordinator>, own: Log, visit: &mut Visit<'_>) {
    process.machine.each_number(own, visit);
    durable(&mut process.durable, own, visit);
    process
        .unsynced
        .iter_mut()
        .for_each(|record| record.each_number(own, visit));
    for out in &mut process.waiting {
        visit(own, &mut out.shows);
        if let (CoordinatorTo::Node(node), CoordinatorMessage::Node(message)) = (&out.to, &mut out.message) {
            message.each_number(own, Log::Node(*node), visit);
        }
    }
}

fn node(process: &mut Process<Participant>, own: Log, visit: &mut Visit<'_>) {
    process.machine.each_number(own, visit);
    durable(&mut process.durable, own, visit);
    process
        .unsynced
        .iter_mut()
        .for_each(|record| record.each_number(own, visit));
    for out in &mut process.waiting {
        visit(own, &mut out.shows);
        out.message.each_number(own, visit);
    }
}

fn durable<S: Numbered + Clone + std::hash::Hash + Eq>(
    durable: &mut Shared<S>,
    own: Log,
    visit: &mut Visit<'_>,
) {
    let mut state = S::clone(durable);
    state.each_number(own, visit);
    if state != **durable {
        *durable = Shared::new(state);
    }
}
