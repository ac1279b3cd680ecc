//! A process as a crash sees it: a machine, the part of its log that is safe, and what waits for a sync.
//!
//! The log itself is not kept. What is synced is folded into one state, as a checkpoint would; only the records behind
//! it are kept apart, because a crash may keep any first few of them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use protocol::effects::{Effects, Machine, Note, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};

use crate::shared::Shared;

/// A machine whose every part can be compared, so that equal states are recognised.
pub(crate) trait Role:
    Machine<
        State: Fold<Record: Eq + Hash> + Eq + Hash,
        Input: Clone,
        To: Eq + Hash,
        Message: Eq + Hash,
        Timer: Copy + Eq + Hash,
    > + Clone
    + Debug
    + Eq
    + Hash
{
}

impl Role for protocol::coordinator::Coordinator {}
impl Role for protocol::participant::Participant {}

pub(crate) type RecordOf<M> = <<M as Machine>::State as Fold>::Record;
pub(crate) type OutgoingOf<M> = Outgoing<<M as Machine>::To, <M as Machine>::Message>;

/// One process that lives. A crash makes a new one from what is left of its log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process<M: Role> {
    pub(crate) machine: M,
    /// The fold of everything synced.
    pub(crate) durable: Shared<M::State>,
    /// Appended and not synced, oldest first.
    pub(crate) unsynced: Vec<RecordOf<M>>,
    /// Said, and held back by the write-ahead rule.
    pub(crate) waiting: Vec<OutgoingOf<M>>,
    /// Timers that run. They fire when the model says so.
    pub(crate) timers: BTreeSet<M::Timer>,
    /// A forced record waits for the sync that ends this turn.
    pub(crate) in_turn: bool,
}

/// What a step did, beyond what the process keeps.
pub(crate) struct Done<M: Role> {
    pub(crate) records: Vec<RecordOf<M>>,
    pub(crate) said: Vec<OutgoingOf<M>>,
    pub(crate) notes: Vec<Note>,
    /// The machine wants its process to end: why.
    pub(crate) stop: Option<String>,
    /// Of the records, those that are forced: all before this one.
    pub(crate) forced: usize,
}

impl<M: Role> Process<M> {
    /// A process with a recovered log, before its first step.
    pub(crate) fn new(machine: M) -> Process<M> {
        Process {
            durable: Shared::new(machine.state().clone()),
            machine,
            unsynced: Vec::new(),
            waiting: Vec::new(),
            timers: BTreeSet::new(),
            in_turn: false,
        }
    }

    /// Steps the machine. What it says waits for the write-ahead rule.
    pub(crate) fn step(&mut self, input: M::Input) -> Done<M> {
        let before = self.machine.state().seq();
        let mut effects = Effects::new();
        self.machine.step(input, &mut effects);
        let forced = effects
            .records
            .iter()
            .filter(|(seq, _)| *seq <= effects.force)
            .count();
        let records: Vec<RecordOf<M>> = effects.records.into_iter().map(|(_, record)| record).collect();
        let len = Seq::try_from(records.len()).expect("a length fits");
        assert_eq!(
            self.machine.state().seq(),
            before + len,
            "a step leaves every record it applied"
        );
        self.unsynced.extend(records.iter().cloned());
        self.waiting.extend(effects.sends.iter().cloned());
        self.in_turn |= effects.force > self.durable.seq();
        for change in effects.timers {
            match change {
                TimerChange::Set(timer) => self.timers.insert(timer),
                TimerChange::Cancel(timer) => self.timers.remove(&timer),
            };
        }
        Done {
            records,
            said: effects.sends,
            notes: effects.notes,
            stop: effects.stop,
            forced,
        }
    }

    /// One sync covers everything appended. Returns the records that it made durable.
    pub(crate) fn sync(&mut self) -> Vec<RecordOf<M>> {
        self.in_turn = false;
        if !self.unsynced.is_empty() {
            self.durable = Shared::new(self.machine.state().clone());
        }
        std::mem::take(&mut self.unsynced)
    }

    /// What the write-ahead rule lets go, in the order it was said. What still waits holds nothing back.
    pub(crate) fn released(&mut self) -> Vec<OutgoingOf<M>> {
        let synced = self.durable.seq();
        self.waiting.extract_if(.., |out| out.shows <= synced).collect()
    }

    /// What recovery finds after a crash that keeps the first `kept` of the unsynced records. With `checkpoint`, it goes
    /// through one, which needs record numbers that tell requests apart.
    pub(crate) fn recovered(&self, kept: usize, checkpoint: bool) -> M::State {
        let mut state = M::State::clone(&self.durable);
        for record in &self.unsynced[..kept] {
            state.apply(state.seq() + 1, record, &mut Vec::new());
        }
        if checkpoint {
            let mut entries = state.entries().collect::<Vec<_>>().into_iter();
            let restored =
                M::State::restore(state.seq(), &mut entries).expect("a checkpoint of it reads back");
            assert_eq!(restored, state, "a state is what its checkpoint says");
        }
        state
    }
}
