//! How a state changes: machines step, logs sync, messages are released, connections come and go.
//!
//! Everything here is deterministic; [`crate::perform`] says what may happen. The rules of a driver are kept as the
//! event loop keeps them: records reach the log in step order (R27), a message leaves when the newest record it shows
//! is synced, recovery makes durable what it found before anything acts on it (R23).

use protocol::coordinator::{
    Coordinator, CoordinatorInput, CoordinatorMessage, CoordinatorTimer, CoordinatorTo,
};
use protocol::effects::{Level, Note};
use protocol::id::{CoordinatorId, NodeId, StoreId};
use protocol::message::{Answer, FromNode, ToNode};
use protocol::participant::{Participant, ParticipantInput, ParticipantTimer, SessionId};
use protocol::reason::Decision;

use crate::link::Link;
use crate::model::Model;
use crate::process::{OutgoingOf, Process, Role};
use crate::state::{Broken, State};
use crate::watch::{self, Sight};

/// Client sessions of one client begin here, one for each attempt.
const SESSIONS_PER_CLIENT: u64 = 1_000;

/// The session that no client of a scenario has.
pub(crate) const AUDITOR: u64 = u64::MAX;

/// A state that is being changed, and the story of the change if somebody wants to read it.
pub(crate) struct World<'m> {
    pub(crate) model: &'m Model,
    pub(crate) state: State,
    trace: Option<Vec<String>>,
    /// What the auditor of a settled world was told.
    pub(crate) audited: Option<Answer>,
}

pub(crate) fn node_id(n: usize) -> NodeId {
    format!("N{}", n + 1).parse().expect("a well-formed name")
}

pub(crate) fn coordinator_id(c: usize) -> CoordinatorId {
    StoreId(0xc + u64::try_from(c).expect("an index fits"))
}

/// The coordinator's identity is its name: `c`, `d`.
pub(crate) fn coordinator_name(c: usize) -> String {
    coordinator_id(c).to_string()
}

impl<'m> World<'m> {
    pub(crate) fn new(model: &'m Model, state: State) -> World<'m> {
        World {
            model,
            state,
            trace: None,
            audited: None,
        }
    }

    /// Keeps a transcript from here on.
    pub(crate) fn tell(mut self) -> World<'m> {
        self.trace = Some(Vec::new());
        self
    }

    /// The transcript since the last time.
    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Remembers the first rule that was broken.
    pub(crate) fn breaks(&mut self, broken: Broken) {
        self.state.broken.get_or_insert(broken);
    }

    // ---------------------------------------------------------------------------------------- links

    fn at(&self, c: usize, n: usize) -> usize {
        c * self.state.nodes.len() + n
    }

    pub(crate) fn link(&self, c: usize, n: usize) -> &Link {
        &self.state.links[self.at(c, n)]
    }

    pub(crate) fn change_link<T>(&mut self, c: usize, n: usize, change: impl FnOnce(&mut Link) -> T) -> T {
        let at = self.at(c, n);
        let mut link = Link::clone(&self.state.links[at]);
        let result = change(&mut link);
        self.state.links[at] = self.model.pools.links.share(link);
        result
    }

    /// The coordinator hears that its connection is gone. What was on its way to it is lost.
    pub(crate) fn lost_at_coordinator(&mut self, c: usize, n: usize) {
        self.change_link(c, n, |link| {
            link.at_coordinator = false;
            link.to_coordinator.clear();
        });
        self.say(|| format!("{} loses {}", coordinator_name(c), node_id(n)));
        let mut process = Process::clone(&self.state.coordinators[c]);
        process
            .waiting
            .retain(|out| out.to != CoordinatorTo::Node(node_id(n)));
        self.state.coordinators[c] = self.model.pools.coordinators.share(process);
        self.step_coordinator(c, CoordinatorInput::Disconnected(node_id(n)));
        self.end_silence(c, n);
    }

    /// The node hears that its connection is gone. What was on its way to it is lost.
    pub(crate) fn lost_at_node(&mut self, c: usize, n: usize) {
        let session = self.change_link(c, n, |link| {
            link.at_node = false;
            link.to_node.clear();
            link.session
        });
        self.say(|| format!("{} loses {}", node_id(n), coordinator_name(c)));
        self.step_node(n, ParticipantInput::Disconnected { session });
        self.drop_waiting(n, session);
        self.end_silence(c, n);
    }

    /// What a node still had to say on a connection that is no more.
    fn drop_waiting(&mut self, n: usize, session: SessionId) {
        let mut process = Process::clone(&self.state.nodes[n]);
        process.waiting.retain(|out| out.to != session);
        self.state.nodes[n] = self.model.pools.nodes.share(process);
    }

    /// Whoever has nothing more to hear on a broken connection notices at once that it is broken: until then it could
    /// only talk to nobody, as it could have done before the connection broke.
    pub(crate) fn end_silence(&mut self, c: usize, n: usize) {
        let link = self.link(c, n);
        if link.at_node && !link.at_coordinator && link.to_node.is_empty() {
            self.lost_at_node(c, n);
        } else if link.at_coordinator && !link.at_node && link.to_coordinator.is_empty() {
            self.lost_at_coordinator(c, n);
        }
    }

    /// A new connection, up to and with the welcome: until then neither side can do on it what it could not do before.
    pub(crate) fn connect(&mut self, c: usize, n: usize) {
        let link = self.link(c, n);
        let old = link.at_node.then_some(link.session);
        let names = [1, 2].map(|k| 2 * u64::try_from(c).expect("an index fits") + k);
        let session = if old == Some(names[0]) { names[1] } else { names[0] };
        self.change_link(c, n, |link| {
            *link = Link {
                session,
                at_coordinator: true,
                at_node: true,
                ..Link::default()
            };
        });
        let coordinator = coordinator_id(c);
        self.step_node(n, ParticipantInput::Connected { session, coordinator });
        self.step_coordinator(c, CoordinatorInput::Connected(node_id(n)));
        self.end_turn_of_coordinator(c);
        let join = self.change_link(c, n, |link| link.to_node.queue.pop_front());
        self.message_to_node(c, n, join.expect("a coordinator joins at once"));
        self.end_turn_of_node(n);
        if let Some(old) = old {
            self.drop_waiting(n, old);
        }
        let welcome = self.change_link(c, n, |link| link.to_coordinator.queue.pop_front());
        self.message_to_coordinator(c, n, welcome.expect("a node answers a join at once"));
        self.end_turn_of_coordinator(c);
    }

    // ------------------------------------------------------------------------------------- messages

    pub(crate) fn message_to_node(&mut self, c: usize, n: usize, message: ToNode) {
        self.say(|| format!("{} → {} {message}", coordinator_name(c), node_id(n)));
        let session = self.link(c, n).session;
        self.step_node(n, ParticipantInput::Message { session, message });
        self.end_silence(c, n);
    }

    pub(crate) fn message_to_coordinator(&mut self, c: usize, n: usize, message: FromNode) {
        self.say(|| format!("{} → {} {message}", node_id(n), coordinator_name(c)));
        self.step_coordinator(c, CoordinatorInput::Node(node_id(n), message));
        self.end_silence(c, n);
    }

    fn route_from_node(&mut self, n: usize, out: OutgoingOf<Participant>) {
        let coordinators = 0..self.state.coordinators.len();
        let to = coordinators.into_iter().find(|&c| {
            let link = self.link(c, n);
            link.session == out.to && link.is_whole()
        });
        if let Some(c) = to {
            self.change_link(c, n, |link| link.to_coordinator.queue.push_back(out.message));
        }
    }

    fn route_from_coordinator(&mut self, c: usize, out: OutgoingOf<Coordinator>) {
        match (out.to, out.message) {
            (CoordinatorTo::Node(node), CoordinatorMessage::Node(message)) => {
                let n = (0..self.state.nodes.len()).find(|&n| node_id(n) == node);
                let n = n.expect("a coordinator talks to its own nodes");
                if self.link(c, n).is_whole() {
                    self.change_link(c, n, |link| link.to_node.queue.push_back(message));
                }
            }
            (CoordinatorTo::Client(session), CoordinatorMessage::Client(reply)) => {
                self.say(|| {
                    format!(
                        "{} → client {} {reply}",
                        coordinator_name(c),
                        client_name(session)
                    )
                });
                if session == AUDITOR {
                    self.audited = Some(reply.answer);
                } else {
                    self.tell_client(session, reply.answer);
                }
            }
            (to, message) => unreachable!("{message} cannot go to {to:?}"),
        }
    }

    fn tell_client(&mut self, session: u64, answer: Answer) {
        let (client, attempt) = client_of(session);
        if self.state.clients[client].listens_to(attempt) {
            self.change_client(client, |client| client.hear(attempt, answer));
            self.check_word(client);
        }
    }

    pub(crate) fn change_client(&mut self, client: usize, change: impl FnOnce(&mut crate::client::Client)) {
        let mut changed = crate::client::Client::clone(&self.state.clients[client]);
        change(&mut changed);
        self.state.clients[client] = self.model.pools.clients.share(changed);
    }

    // ----------------------------------------------------------------------------------- processes

    pub(crate) fn step_node(&mut self, n: usize, input: ParticipantInput) {
        let before = self.state.nodes[n].clone();
        let mut process = Process::clone(&before);
        let done = process.step(input.clone());
        watch::node_step(&before.machine, &process.machine, &input, &done, &self.model.seen);
        self.say_done(&node_id(n).to_string(), &done.records, done.forced, &done.notes);
        for record in &done.records {
            self.note_record(record);
        }
        let unmatched = |out: &OutgoingOf<Participant>| matches!(out.message, FromNode::Unmatched { .. });
        if is_commit(&input) && done.said.iter().any(unmatched) {
            self.breaks(Broken::Unmatched);
        }
        self.note_alarms(&done.notes);
        self.settle_turn_of_node(n, process);
    }

    pub(crate) fn step_coordinator(&mut self, c: usize, input: CoordinatorInput) {
        let before = self.state.coordinators[c].clone();
        let mut process = Process::clone(&before);
        let done = process.step(input.clone());
        watch::coordinator_step(&before.machine, &input, &done, &self.model.seen);
        self.say_done(&coordinator_name(c), &done.records, done.forced, &done.notes);
        self.note_alarms(&done.notes);
        if let Some(why) = done.stop {
            self.say(|| format!("{} stops: {why}", coordinator_name(c)));
            self.breaks(Broken::Stopped);
        }
        self.settle_turn_of_coordinator(c, process);
    }

    /// A turn with forced records ends with their sync. It is kept open only where a crash could come in between.
    fn settle_turn_of_node(&mut self, n: usize, process: Process<Participant>) {
        let sync = process.in_turn && !self.state.left.may_crash_node(n);
        self.put_node(n, process);
        if sync {
            self.sync_node(n);
        }
    }

    fn settle_turn_of_coordinator(&mut self, c: usize, process: Process<Coordinator>) {
        let sync = process.in_turn && !self.state.left.may_crash_coordinator(c);
        self.put_coordinator(c, process);
        if sync {
            self.sync_coordinator(c);
        }
    }

    fn end_turn_of_node(&mut self, n: usize) {
        if self.state.nodes[n].in_turn {
            self.sync_node(n);
        }
    }

    fn end_turn_of_coordinator(&mut self, c: usize) {
        if self.state.coordinators[c].in_turn {
            self.sync_coordinator(c);
        }
    }

    /// Puts a changed process back, and sends what the write-ahead rule lets go.
    fn put_node(&mut self, n: usize, mut process: Process<Participant>) {
        let released = process.released();
        self.state.nodes[n] = self.model.pools.nodes.share(process);
        for out in released {
            self.route_from_node(n, out);
        }
    }

    fn put_coordinator(&mut self, c: usize, mut process: Process<Coordinator>) {
        let released = process.released();
        self.state.coordinators[c] = self.model.pools.coordinators.share(process);
        for out in released {
            self.route_from_coordinator(c, out);
        }
    }

    pub(crate) fn stop_timer_of_node(&mut self, n: usize, timer: ParticipantTimer) {
        let mut process = Process::clone(&self.state.nodes[n]);
        process.timers.remove(&timer);
        self.put_node(n, process);
    }

    pub(crate) fn stop_timer_of_coordinator(&mut self, c: usize, timer: CoordinatorTimer) {
        let mut process = Process::clone(&self.state.coordinators[c]);
        process.timers.remove(&timer);
        self.put_coordinator(c, process);
    }

    pub(crate) fn sync_node(&mut self, n: usize) {
        let mut process = Process::clone(&self.state.nodes[n]);
        let records = process.sync();
        if !records.is_empty() {
            self.say(|| format!("{} sync", node_id(n)));
        }
        for record in &records {
            self.note_durable(record);
        }
        self.put_node(n, process);
    }

    pub(crate) fn sync_coordinator(&mut self, c: usize) {
        let mut process = Process::clone(&self.state.coordinators[c]);
        if !process.sync().is_empty() {
            self.say(|| format!("{} sync", coordinator_name(c)));
        }
        self.put_coordinator(c, process);
    }

    /// Dies and starts again. That takes no time: a process that is down does what one does that nobody can reach.
    pub(crate) fn crash_node(&mut self, n: usize, kept: usize) {
        let dead = self.state.nodes[n].clone();
        self.say_crash(&node_id(n).to_string(), kept, dead.unsynced.len());
        for record in &dead.unsynced[..kept] {
            self.note_durable(record);
        }
        self.note_kept(kept, dead.unsynced.len());
        for c in 0..self.state.coordinators.len() {
            self.change_link(c, n, |link| {
                link.at_node = false;
                link.to_node.clear();
            });
        }
        self.state.nodes[n] = self.model.node(n, dead.recovered(kept, self.model.checkpoints()));
        self.start_node(n);
        for c in 0..self.state.coordinators.len() {
            self.end_silence(c, n);
        }
    }

    pub(crate) fn crash_coordinator(&mut self, c: usize, crashes: u8, kept: usize) {
        let dead = self.state.coordinators[c].clone();
        self.say_crash(&coordinator_name(c), kept, dead.unsynced.len());
        self.note_kept(kept, dead.unsynced.len());
        for n in 0..self.state.nodes.len() {
            self.change_link(c, n, |link| {
                link.at_coordinator = false;
                link.to_coordinator.clear();
            });
        }
        self.state.coordinators[c] =
            self.model
                .coordinator(c, crashes, dead.recovered(kept, self.model.checkpoints()));
        self.start_coordinator(c);
        for n in 0..self.state.nodes.len() {
            self.end_silence(c, n);
        }
        for client in 0..self.state.clients.len() {
            self.change_client(client, |client| client.lose(c));
        }
    }

    pub(crate) fn start_node(&mut self, n: usize) {
        self.step_node(n, ParticipantInput::Start);
        self.end_turn_of_node(n);
    }

    pub(crate) fn start_coordinator(&mut self, c: usize) {
        self.step_coordinator(c, CoordinatorInput::Start);
        self.end_turn_of_coordinator(c);
    }

    // --------------------------------------------------------------------------------------- words

    fn note_kept(&self, kept: usize, unsynced: usize) {
        if kept > 0 {
            self.model.seen.note(Sight::UnsyncedKept);
        }
        if kept < unsynced {
            self.model.seen.note(Sight::UnsyncedLost);
        }
    }

    fn note_alarms(&mut self, notes: &[Note]) {
        if notes
            .iter()
            .any(|note| note.level == Level::Alarm && !self.model.scenario.expects_alarm(&note.text))
        {
            self.breaks(Broken::FalseAlarm);
        }
    }

    fn say_crash(&mut self, who: &str, kept: usize, unsynced: usize) {
        self.say(|| match unsynced {
            0 => format!("{who} crash"),
            _ => format!("{who} crash, keeps {kept} of {unsynced} unsynced records"),
        });
    }

    fn say_done<R: std::fmt::Display>(&mut self, who: &str, records: &[R], forced: usize, notes: &[Note]) {
        for (index, record) in records.iter().enumerate() {
            let forced = if index < forced { " (forced)" } else { "" };
            self.say(|| format!("{who} append {record}{forced}"));
        }
        for note in notes {
            let level = match note.level {
                Level::Alarm => "alarm",
                Level::Warning => "warning",
                Level::Info => "note",
            };
            self.say(|| format!("{who} {level}: {}", note.text));
        }
    }
}

fn is_commit(input: &ParticipantInput) -> bool {
    let ParticipantInput::Message { message, .. } = input else {
        return false;
    };
    matches!(
        message,
        ToNode::Decide {
            decision: Decision::Commit,
            ..
        }
    )
}

/// The session over which a client's attempt calls.
pub(crate) fn client_session(client: usize, attempt: u32) -> u64 {
    u64::try_from(client).expect("an index fits") * SESSIONS_PER_CLIENT + u64::from(attempt)
}

fn client_of(session: u64) -> (usize, u32) {
    let client = usize::try_from(session / SESSIONS_PER_CLIENT).expect("made of an index");
    let attempt = u32::try_from(session % SESSIONS_PER_CLIENT).expect("made of an attempt");
    (client, attempt)
}

/// Clients are numbered from 1, as requests are.
pub(crate) fn client_name(session: u64) -> String {
    match session {
        AUDITOR => "auditor".to_owned(),
        _ => (client_of(session).0 + 1).to_string(),
    }
}

/// Whether nothing that a process said or wrote waits for anything.
pub(crate) fn is_still<M: Role>(process: &Process<M>) -> bool {
    process.waiting.is_empty() && !process.in_turn
}
