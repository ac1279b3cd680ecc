//! Real coordinators and participants in one thread: disks that forget what was not synced, links that break, timers that
//! fire when the test says so. Nothing here decides anything; tests choose what happens next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorInput, CoordinatorMessage, CoordinatorTimer, CoordinatorTo,
};
use protocol::effects::{Effects, Level, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::id::{NodeId, StoreId};
use protocol::locking::Locking;
use protocol::message::{Call, FromNode, Reply, ToNode};
use protocol::participant::{
    Participant, ParticipantConfig, ParticipantInput, ParticipantTimer, REQUEST_WINDOW, SessionId,
};

/// One process: a machine, its disk, and what it has said but may not send yet.
pub(crate) struct Process<M: Machine> {
    pub(crate) machine: Option<M>,
    pub(crate) records: Vec<(Seq, <M::State as Fold>::Record)>,
    pub(crate) synced: Seq,
    /// A forced record waits for a sync.
    pub(crate) forced: bool,
    waiting: Vec<Outgoing<M::To, M::Message>>,
    pub(crate) timers: BTreeSet<M::Timer>,
    pub(crate) stopped: Option<String>,
}

impl<M: Machine> Process<M> {
    fn new() -> Process<M> {
        Process {
            machine: None,
            records: Vec::new(),
            synced: 0,
            forced: false,
            waiting: Vec::new(),
            timers: BTreeSet::new(),
            stopped: None,
        }
    }

    /// Steps the machine; what it says waits for the write-ahead rule.
    fn step(&mut self, who: &str, input: M::Input, trace: &mut Vec<String>) -> Vec<M::To> {
        let Some(machine) = &mut self.machine else {
            return Vec::new();
        };
        let mut effects = Effects::new();
        machine.step(input, &mut effects);
        for (seq, record) in effects.records {
            let forced = if seq <= effects.force { " (forced)" } else { "" };
            trace.push(format!("{who} append {record}{forced}"));
            assert_eq!(self.records.last().map_or(0, |(seq, _)| *seq) + 1, seq);
            self.records.push((seq, record));
        }
        self.forced |= effects.force > self.synced;
        for note in effects.notes {
            let level = match note.level {
                Level::Alarm => "alarm",
                Level::Warning => "warning",
                Level::Info => "note",
            };
            trace.push(format!("{who} {level}: {}", note.text));
        }
        self.waiting.extend(effects.sends);
        for change in effects.timers {
            match change {
                TimerChange::Set(timer) => self.timers.insert(timer),
                TimerChange::Cancel(timer) => self.timers.remove(&timer),
            };
        }
        if let Some(why) = effects.stop {
            trace.push(format!("{who} stops: {why}"));
            self.stopped = Some(why);
        }
        effects.hangups
    }

    fn sync(&mut self, who: &str, trace: &mut Vec<String>) {
        let newest = self.records.last().map_or(0, |(seq, _)| *seq);
        if newest > self.synced {
            trace.push(format!("{who} sync"));
        }
        self.synced = newest;
        self.forced = false;
    }

    /// What the write-ahead rule lets go.
    fn released(&mut self) -> Vec<Outgoing<M::To, M::Message>> {
        let (go, stay) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|out| out.shows <= self.synced);
        self.waiting = stay;
        go
    }

    /// Dies; of what was not synced, the first `kept` records survive.
    fn crash(&mut self, kept: usize) {
        self.machine = None;
        let synced = usize::try_from(self.synced).unwrap();
        self.records.truncate((synced + kept).min(self.records.len()));
        self.synced = self.records.last().map_or(0, |(seq, _)| *seq);
        self.forced = false;
        self.waiting.clear();
        self.timers.clear();
    }

    /// The fold of what is on disk, which must also be what its own entries say, and what a store has that only changes
    /// the entries it is told of.
    fn recover(&self) -> M::State {
        let keyed = |state: &M::State| -> BTreeMap<_, _> {
            state
                .entries()
                .map(|entry| (M::State::key(&entry), entry))
                .collect()
        };
        let mut state = M::State::empty();
        let (mut rows, mut touched) = (keyed(&state), Vec::new());
        for (seq, record) in &self.records {
            state.apply(*seq, record, &mut touched);
            for key in touched.drain(..) {
                match state.entry(&key) {
                    Some(entry) => rows.insert(key, entry),
                    None => rows.remove(&key),
                };
            }
        }
        assert_eq!(rows, keyed(&state), "every changed entry is told");
        let restored = M::State::restore(state.seq(), &mut rows.into_values()).unwrap();
        assert_eq!(restored, state, "a state is what its entries say");
        state
    }
}

/// A connection between a coordinator and a node.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) session: Option<SessionId>,
    pub(crate) to_node: VecDeque<ToNode>,
    pub(crate) to_coordinator: VecDeque<FromNode>,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) coordinators: Vec<Process<Coordinator>>,
    pub(crate) nodes: Vec<Process<Participant>>,
    pub(crate) links: BTreeMap<(usize, usize), Link>,
    pub(crate) locking: Locking,
    next_session: SessionId,
    incarnation: u64,
    /// Replies to clients that nobody has looked at: coordinator, client, reply.
    pub(crate) replies: Vec<(usize, u64, Reply)>,
    pub(crate) trace: Vec<String>,
}

pub(crate) fn node_id(index: usize) -> NodeId {
    format!("N{}", index + 1).parse().unwrap()
}

pub(crate) fn node_store(index: usize) -> StoreId {
    StoreId(100 + u64::try_from(index).unwrap())
}

pub(crate) fn coordinator_store(index: usize) -> StoreId {
    StoreId(0xc + u64::try_from(index).unwrap())
}

pub(crate) fn coordinator_name(index: usize) -> String {
    ["c", "d", "e"][index].to_owned()
}

impl World {
    /// Everyone started, everyone connected.
    pub(crate) fn new(coordinators: usize, nodes: usize, locking: Locking) -> World {
        let mut world = World {
            coordinators: (0..coordinators).map(|_| Process::new()).collect(),
            nodes: (0..nodes).map(|_| Process::new()).collect(),
            links: BTreeMap::new(),
            locking,
            next_session: 1,
            incarnation: 1,
            replies: Vec::new(),
            trace: Vec::new(),
        };
        for c in 0..coordinators {
            for n in 0..nodes {
                world.links.insert((c, n), Link::default());
            }
        }
        world.heal();
        world.trace.clear();
        world
    }

    /// Starts whoever is down and connects whatever is cut, until everyone is welcome.
    pub(crate) fn heal(&mut self) {
        for n in 0..self.nodes.len() {
            self.start_node(n);
        }
        for c in 0..self.coordinators.len() {
            self.start_coordinator(c);
        }
        for (c, n) in self.links.keys().copied().collect::<Vec<_>>() {
            self.connect(c, n);
        }
        self.run();
    }

    pub(crate) fn start_node(&mut self, n: usize) {
        if self.nodes[n].machine.is_some() {
            return;
        }
        let config = ParticipantConfig {
            node: node_id(n),
            store: node_store(n),
            store_kind: "memory".to_owned(),
            locking: self.locking,
            request_window: REQUEST_WINDOW,
        };
        let state = self.nodes[n].recover();
        self.nodes[n].machine = Some(Participant::new(config, state));
        self.step_node(n, ParticipantInput::Start);
        self.sync_node(n);
    }

    pub(crate) fn start_coordinator(&mut self, c: usize) {
        if self.coordinators[c].machine.is_some() || self.coordinators[c].stopped.is_some() {
            return;
        }
        self.incarnation += 1;
        let config = CoordinatorConfig {
            id: coordinator_store(c),
            incarnation: self.incarnation,
            nodes: (0..self.nodes.len()).map(node_id).collect(),
        };
        let state = self.coordinators[c].recover();
        self.coordinators[c].machine = Some(Coordinator::new(config, state).unwrap());
        self.step_coordinator(c, CoordinatorInput::Start);
        self.sync_coordinator(c);
    }

    pub(crate) fn connect(&mut self, c: usize, n: usize) {
        let up = self.coordinators[c].machine.is_some() && self.nodes[n].machine.is_some();
        if !up || self.links[&(c, n)].session.is_some() {
            return;
        }
        let session = self.next_session;
        self.next_session += 1;
        self.links.get_mut(&(c, n)).unwrap().session = Some(session);
        self.step_node(
            n,
            ParticipantInput::Connected {
                session,
                coordinator: coordinator_store(c),
            },
        );
        self.step_coordinator(c, CoordinatorInput::Connected(node_id(n)));
        self.sync_coordinator(c);
    }

    /// Cuts a link; whatever was on its way is lost.
    pub(crate) fn cut(&mut self, c: usize, n: usize) {
        let link = std::mem::take(self.links.get_mut(&(c, n)).unwrap());
        if let Some(session) = link.session {
            self.step_coordinator(c, CoordinatorInput::Disconnected(node_id(n)));
            self.step_node(n, ParticipantInput::Disconnected { session });
        }
    }

    pub(crate) fn crash_node(&mut self, n: usize, kept: usize) {
        self.trace.push(format!("{} crash", node_id(n)));
        self.nodes[n].crash(kept);
        for c in 0..self.coordinators.len() {
            self.cut(c, n);
        }
    }

    pub(crate) fn crash_coordinator(&mut self, c: usize, kept: usize) {
        self.trace.push(format!("{} crash", coordinator_name(c)));
        self.coordinators[c].crash(kept);
        for n in 0..self.nodes.len() {
            self.cut(c, n);
        }
    }

    pub(crate) fn call(&mut self, c: usize, client: u64, call: Call) {
        self.trace
            .push(format!("client {client} → {} {call}", coordinator_name(c)));
        self.step_coordinator(c, CoordinatorInput::Client(client, call));
    }

    pub(crate) fn fire_coordinator(&mut self, c: usize, timer: CoordinatorTimer) {
        if self.coordinators[c].timers.remove(&timer) {
            self.step_coordinator(c, CoordinatorInput::Timer(timer));
        }
    }

    pub(crate) fn fire_node(&mut self, n: usize, timer: ParticipantTimer) {
        if self.nodes[n].timers.remove(&timer) {
            self.step_node(n, ParticipantInput::Timer(timer));
        }
    }

    /// Hands over the oldest message to the node.
    pub(crate) fn deliver_to_node(&mut self, c: usize, n: usize) -> bool {
        let link = self.links.get_mut(&(c, n)).unwrap();
        let (Some(session), Some(message)) = (link.session, link.to_node.pop_front()) else {
            return false;
        };
        self.trace
            .push(format!("{} → {} {message}", coordinator_name(c), node_id(n)));
        self.step_node(n, ParticipantInput::Message { session, message });
        true
    }

    /// Hands over the oldest message to the coordinator.
    pub(crate) fn deliver_to_coordinator(&mut self, c: usize, n: usize) -> bool {
        let link = self.links.get_mut(&(c, n)).unwrap();
        let (Some(_), Some(message)) = (link.session, link.to_coordinator.pop_front()) else {
            return false;
        };
        self.trace
            .push(format!("{} → {} {message}", node_id(n), coordinator_name(c)));
        self.step_coordinator(c, CoordinatorInput::Node(node_id(n), message));
        true
    }

    pub(crate) fn sync_node(&mut self, n: usize) {
        self.nodes[n].sync(node_id(n).as_str(), &mut self.trace);
        self.send_from_node(n);
    }

    pub(crate) fn sync_coordinator(&mut self, c: usize) {
        self.coordinators[c].sync(&coordinator_name(c), &mut self.trace);
        self.send_from_coordinator(c);
    }

    /// Delivers and syncs until nothing is left to do but timers and lazy records.
    pub(crate) fn run(&mut self) {
        loop {
            let mut moved = false;
            for (c, n) in self.links.keys().copied().collect::<Vec<_>>() {
                moved |= self.deliver_to_node(c, n);
                moved |= self.deliver_to_coordinator(c, n);
            }
            for n in 0..self.nodes.len() {
                if self.nodes[n].forced {
                    self.sync_node(n);
                    moved = true;
                }
            }
            for c in 0..self.coordinators.len() {
                if self.coordinators[c].forced {
                    self.sync_coordinator(c);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Makes lazy records durable, too, and goes on until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            self.run();
            let lazy = |synced: Seq, newest: Option<Seq>| newest.is_some_and(|newest| newest > synced);
            let mut moved = false;
            for n in 0..self.nodes.len() {
                if lazy(
                    self.nodes[n].synced,
                    self.nodes[n].records.last().map(|(seq, _)| *seq),
                ) {
                    self.sync_node(n);
                    moved = true;
                }
            }
            for c in 0..self.coordinators.len() {
                let process = &self.coordinators[c];
                if lazy(process.synced, process.records.last().map(|(seq, _)| *seq)) {
                    self.sync_coordinator(c);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Fires every timer that is set, once.
    pub(crate) fn fire_all(&mut self) {
        for n in 0..self.nodes.len() {
            for timer in self.nodes[n].timers.clone() {
                self.fire_node(n, timer);
            }
        }
        for c in 0..self.coordinators.len() {
            for timer in self.coordinators[c].timers.clone() {
                self.fire_coordinator(c, timer);
            }
        }
    }

    pub(crate) fn step_node(&mut self, n: usize, input: ParticipantInput) {
        let hangups = self.nodes[n].step(node_id(n).as_str(), input, &mut self.trace);
        self.send_from_node(n);
        for session in hangups {
            let found = self
                .links
                .iter()
                .find(|((_, of), link)| *of == n && link.session == Some(session));
            if let Some((&(c, _), _)) = found {
                // What was said before the hangup is still heard.
                self.sync_node(n);
                while self.deliver_to_coordinator(c, n) {}
                self.cut(c, n);
            }
        }
    }

    pub(crate) fn step_coordinator(&mut self, c: usize, input: CoordinatorInput) {
        let hangups = self.coordinators[c].step(&coordinator_name(c), input, &mut self.trace);
        for to in hangups {
            self.trace
                .push(format!("{} hangs up on {to:?}", coordinator_name(c)));
        }
        if self.coordinators[c].stopped.is_some() {
            self.coordinators[c].machine = None;
            return;
        }
        self.send_from_coordinator(c);
    }

    fn send_from_node(&mut self, n: usize) {
        for out in self.nodes[n].released() {
            let link = self
                .links
                .iter_mut()
                .find(|((_, of), link)| *of == n && link.session == Some(out.to));
            if let Some((_, link)) = link {
                link.to_coordinator.push_back(out.message);
            }
        }
    }

    fn send_from_coordinator(&mut self, c: usize) {
        for out in self.coordinators[c].released() {
            match (out.to, out.message) {
                (CoordinatorTo::Node(node), CoordinatorMessage::Node(message)) => {
                    let n = (0..self.nodes.len()).find(|&n| node_id(n) == node).unwrap();
                    let link = self.links.get_mut(&(c, n)).unwrap();
                    if link.session.is_some() {
                        link.to_node.push_back(message);
                    }
                }
                (CoordinatorTo::Client(client), CoordinatorMessage::Client(reply)) => {
                    self.trace
                        .push(format!("{} → client {client} {reply}", coordinator_name(c)));
                    self.replies.push((c, client, reply));
                }
                (to, message) => panic!("{message} cannot go to {to:?}"),
            }
        }
    }
}
