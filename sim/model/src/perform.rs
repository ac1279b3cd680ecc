//! What may happen next, and what happens then.
//!
//! Two reductions keep the number of states down and lose no run. A turn (step, then sync) of one process is not
//! interrupted by other processes: what they do in between they could do before or after, since a turn shows nothing
//! until its sync. Only its own crash can come in between. And a sync that releases no message is not a case of its
//! own: a crash may keep all that was not synced, which is the same log.

use protocol::coordinator::{Coordinator, CoordinatorInput, CoordinatorRecord, CoordinatorTimer};
use protocol::message::Call;
use protocol::participant::{NodeRecord, Participant, ParticipantInput, ParticipantTimer};

use crate::action::Action;
use crate::process::{Process, Role};
use crate::state::State;
use crate::world::{World, client_name, client_session, coordinator_name, node_id};

/// Everything that may happen in `state`.
pub(crate) fn enabled(state: &State, actions: &mut Vec<Action>) {
    if state.broken.is_some() {
        return; // One broken rule is enough.
    }
    if finish_turn(state, actions) {
        return;
    }
    for (client, waiting) in state.clients.iter().enumerate() {
        let calls = 0..waiting.calls.len();
        actions.extend(calls.map(|call| Action::Call { client, call }));
        if waiting.sends > 0 && waiting.told.is_none() {
            actions.push(Action::GiveUp { client });
        }
    }
    for c in 0..state.coordinators.len() {
        for n in 0..state.nodes.len() {
            on_link(state, c, n, actions);
        }
    }
    for (c, process) in state.coordinators.iter().enumerate() {
        if !process.waiting.is_empty() {
            actions.push(Action::SyncCoordinator { c });
        }
        let timers = process
            .timers
            .iter()
            .filter(|timer| state.left.may_fire() || matches!(timer, CoordinatorTimer::Recall(_)));
        actions.extend(timers.map(|&timer| Action::FireCoordinator { c, timer }));
        crash_coordinator(state, c, actions);
    }
    for (n, process) in state.nodes.iter().enumerate() {
        if !process.waiting.is_empty() {
            actions.push(Action::SyncNode { n });
        }
        if state.left.may_fire() {
            actions.extend(process.timers.iter().map(|&timer| Action::FireNode { n, timer }));
        }
        crash_node(state, n, actions);
    }
}

/// A process in the middle of a turn ends it, or dies.
fn finish_turn(state: &State, actions: &mut Vec<Action>) -> bool {
    if let Some(c) = state.coordinators.iter().position(|process| process.in_turn) {
        actions.push(Action::SyncCoordinator { c });
        crash_coordinator(state, c, actions);
        return true;
    }
    if let Some(n) = state.nodes.iter().position(|process| process.in_turn) {
        actions.push(Action::SyncNode { n });
        crash_node(state, n, actions);
        return true;
    }
    false
}

fn crash_coordinator(state: &State, c: usize, actions: &mut Vec<Action>) {
    if state.left.may_crash_coordinator(c) {
        let says_nothing = |record: &CoordinatorRecord| matches!(record, CoordinatorRecord::Prepare { .. });
        let kept = prefixes::<Coordinator>(&state.coordinators[c], says_nothing);
        actions.extend(kept.map(|kept| Action::CrashCoordinator { c, kept }));
    }
}

fn crash_node(state: &State, n: usize, actions: &mut Vec<Action>) {
    if state.left.may_crash_node(n) {
        let says_nothing = |_: &NodeRecord| false;
        let kept = prefixes::<Participant>(&state.nodes[n], says_nothing);
        actions.extend(kept.map(|kept| Action::CrashNode { n, kept }));
    }
}

/// How many unsynced records a crash may keep. One that ends in a record without meaning says the same as the one
/// before it; one that keeps all in the middle of a turn, the same as a crash after the turn whose messages are lost.
fn prefixes<M: Role>(
    process: &Process<M>,
    says_nothing: impl Fn(&crate::process::RecordOf<M>) -> bool,
) -> impl Iterator<Item = usize> {
    let all = process.unsynced.len();
    let last = if process.in_turn { all } else { all + 1 };
    (0..last).filter(move |&kept| kept == 0 || !says_nothing(&process.unsynced[kept - 1]))
}

fn on_link(state: &State, c: usize, n: usize, actions: &mut Vec<Action>) {
    let link = &state.links[c * state.nodes.len() + n];
    let left = &state.left;
    if !link.at_coordinator {
        actions.push(Action::Connect { c, n });
    } else if !link.at_node {
        actions.push(Action::Notice { c, n });
    }
    if link.at_node {
        if !link.to_node.queue.is_empty() {
            actions.push(Action::ToNode { c, n, copied: false });
            if left.may_copy() {
                actions.push(Action::ToNode { c, n, copied: true });
            }
        }
        let copies = 0..link.to_node.copies.len();
        actions.extend(copies.map(|copy| Action::CopyToNode { c, n, copy }));
    }
    if link.at_coordinator {
        if !link.to_coordinator.queue.is_empty() {
            actions.push(Action::ToCoordinator { c, n, copied: false });
            if left.may_copy() {
                actions.push(Action::ToCoordinator { c, n, copied: true });
            }
        }
        let copies = 0..link.to_coordinator.copies.len();
        actions.extend(copies.map(|copy| Action::CopyToCoordinator { c, n, copy }));
    }
    if link.is_whole() && left.may_lose() {
        if !link.to_node.queue.is_empty() {
            actions.push(Action::LoseToNode { c, n });
        }
        if !link.to_coordinator.queue.is_empty() {
            actions.push(Action::LoseToCoordinator { c, n });
        }
        actions.push(Action::BreakAtCoordinator { c, n });
        if !(link.to_node.is_empty() && link.to_coordinator.is_empty()) {
            actions.push(Action::BreakAtNode { c, n });
        }
    }
}

impl World<'_> {
    /// Makes it happen. Returns whether anything changed.
    pub(crate) fn perform(&mut self, action: Action) -> bool {
        match action {
            Action::Call { client, call } => self.deliver_call(client, call),
            Action::GiveUp { client } => {
                self.say(|| format!("client {} asks again", client + 1));
                self.change_client(client, |client| client.give_up());
            }
            Action::ToNode { c, n, copied } => {
                let message = self.change_link(c, n, |link| link.to_node.take(copied));
                self.note_copied(copied);
                self.message_to_node(c, n, message);
            }
            Action::ToCoordinator { c, n, copied } => {
                let message = self.change_link(c, n, |link| link.to_coordinator.take(copied));
                self.note_copied(copied);
                self.message_to_coordinator(c, n, message);
            }
            Action::CopyToNode { c, n, copy } => {
                let message = self.change_link(c, n, |link| link.to_node.copies.remove(copy));
                self.say(|| "again:".to_owned());
                self.message_to_node(c, n, message);
            }
            Action::CopyToCoordinator { c, n, copy } => {
                let message = self.change_link(c, n, |link| link.to_coordinator.copies.remove(copy));
                self.say(|| "again:".to_owned());
                self.message_to_coordinator(c, n, message);
            }
            Action::LoseToNode { c, n } => {
                self.state.left.spend(|left| &mut left.losses);
                let message = self.change_link(c, n, |link| link.to_node.take(false));
                self.say(|| format!("lost: {} → {} {message}", coordinator_name(c), node_id(n)));
            }
            Action::LoseToCoordinator { c, n } => {
                self.state.left.spend(|left| &mut left.losses);
                let message = self.change_link(c, n, |link| link.to_coordinator.take(false));
                self.say(|| format!("lost: {} → {} {message}", node_id(n), coordinator_name(c)));
            }
            Action::BreakAtCoordinator { c, n } => {
                self.state.left.spend(|left| &mut left.losses);
                self.lost_at_coordinator(c, n);
            }
            Action::BreakAtNode { c, n } => {
                self.state.left.spend(|left| &mut left.losses);
                self.lost_at_node(c, n);
            }
            Action::Notice { c, n } => self.lost_at_coordinator(c, n),
            Action::Connect { c, n } => self.connect(c, n),
            Action::SyncCoordinator { c } => self.sync_coordinator(c),
            Action::SyncNode { n } => self.sync_node(n),
            Action::CrashCoordinator { c, kept } => {
                let starts = 1 + self.crashes_of_coordinator(c);
                self.state.left.spend(|left| &mut left.coordinator_crashes[c]);
                self.crash_coordinator(c, starts, kept);
            }
            Action::CrashNode { n, kept } => {
                self.state.left.spend(|left| &mut left.node_crashes[n]);
                self.crash_node(n, kept);
            }
            Action::FireCoordinator { c, timer } => {
                if !matches!(timer, CoordinatorTimer::Recall(_)) {
                    self.state.left.spend(|left| &mut left.timers);
                }
                return self.fire_coordinator(c, timer);
            }
            Action::FireNode { n, timer } => {
                self.state.left.spend(|left| &mut left.timers);
                return self.fire_node(n, timer);
            }
        }
        true
    }

    fn crashes_of_coordinator(&self, c: usize) -> u8 {
        self.model.scenario.budget.coordinator_crashes[c] - self.state.left.coordinator_crashes[c]
    }

    pub(crate) fn deliver_call(&mut self, client: usize, call: usize) {
        let sent = self.state.clients[client].calls[call].clone();
        self.change_client(client, |client| {
            client.calls.remove(call);
        });
        let session = client_session(client, sent.attempt);
        let call = Call {
            id: u64::from(sent.attempt),
            ask: sent.ask,
        };
        self.say(|| {
            format!(
                "client {} → {} {call}",
                client_name(session),
                coordinator_name(sent.coordinator)
            )
        });
        self.step_coordinator(sent.coordinator, CoordinatorInput::Client(session, call));
    }

    fn note_copied(&mut self, copied: bool) {
        if copied {
            self.state.left.spend(|left| &mut left.copies);
            self.say(|| "to come again later:".to_owned());
        }
    }

    /// Fires a timer. The tick fires twice: what began since the last one is left alone by the first. Two that change
    /// nothing but their own count are none.
    pub(crate) fn fire_coordinator(&mut self, c: usize, timer: CoordinatorTimer) -> bool {
        let input = CoordinatorInput::Timer(timer);
        let ticks = timer == CoordinatorTimer::Tick;
        if ticks && !says_something(&self.state.coordinators[c], &input) {
            return false;
        }
        self.stop_timer_of_coordinator(c, timer);
        self.say(|| format!("{} {}", coordinator_name(c), timer_name(ticks, &timer)));
        self.step_coordinator(c, input.clone());
        if ticks {
            self.step_coordinator(c, input);
        }
        true
    }

    pub(crate) fn fire_node(&mut self, n: usize, timer: ParticipantTimer) -> bool {
        let input = ParticipantInput::Timer(timer);
        let ticks = timer == ParticipantTimer::Tick;
        if ticks && !says_something(&self.state.nodes[n], &input) {
            return false;
        }
        self.stop_timer_of_node(n, timer);
        self.say(|| format!("{} {}", node_id(n), timer_name(ticks, &timer)));
        self.step_node(n, input.clone());
        if ticks {
            self.step_node(n, input);
        }
        true
    }
}

/// Whether two ticks would write or say anything.
fn says_something<M: Role>(process: &Process<M>, tick: &M::Input) -> bool {
    let mut process = process.clone();
    let first = process.step(tick.clone());
    let second = process.step(tick.clone());
    [first, second]
        .iter()
        .any(|done| !done.records.is_empty() || !done.said.is_empty())
}

fn timer_name(ticks: bool, timer: &impl std::fmt::Debug) -> String {
    if ticks {
        "tick, twice".to_owned()
    } else {
        format!("timer {timer:?}")
    }
}
