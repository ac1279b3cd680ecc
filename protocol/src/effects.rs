//! What a step of a machine asks its driver to do.
//!
//! A machine never acts: it returns records to append, messages to send, timers to set and notes for the log. Each
//! message names the newest record whose effect it can show; the driver's write-ahead rule holds it until that record
//! is synced. That is the whole contract between the protocol and the disk.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use crate::fold::{Fold, Seq};
use crate::index::Key;

/// A pure state machine: the coordinator or a participant.
pub trait Machine {
    /// Its durable part.
    type State: Fold;
    /// What may happen to it.
    type Input;
    /// Whom it can talk to.
    type To: Clone + Debug + PartialEq;
    /// What it says.
    type Message: Clone + Debug + Display;
    /// Names of its timers. The driver owns their durations.
    type Timer: Copy + Debug + Ord + Key;

    /// Looks at the memory that the steps with these inputs will need, and does nothing else: asked for together it comes
    /// sooner than step by step.
    fn look_ahead(&self, inputs: &[Self::Input]) {
        let _ = inputs;
    }

    /// Takes one input; leaves what is to be done in `effects`.
    fn step(&mut self, input: Self::Input, effects: &mut Effects<Self>);

    /// The durable part as of the last step.
    fn state(&self) -> &Self::State;

    /// The same, to take a snapshot of it.
    fn state_mut(&mut self) -> &mut Self::State;
}

/// How soon a record must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// With the sync that ends this turn.
    Forced,
    /// With any later sync, at latest after a few milliseconds.
    Lazy,
}

/// A message waiting for the write-ahead rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing<To, Message> {
    /// The receiver.
    pub to: To,
    /// The message.
    pub message: Message,
    /// The newest record whose effect the message can show; it must be synced before the message leaves.
    pub shows: Seq,
}

/// A change of a named timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerChange<Timer> {
    /// Fire once after the timer's own duration; replaces a running one of the same name.
    Set(Timer),
    /// Do not fire.
    Cancel(Timer),
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something that an operator must look at: money may be at stake.
    Alarm,
    /// Something unusual that the protocol handles.
    Warning,
    /// The story as it goes.
    Info,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How loud.
    pub level: Level,
    /// The line.
    pub text: String,
}

/// Everything that one or more steps ask for, in order. Reused between turns; the driver drains it.
pub struct Effects<M: Machine + ?Sized> {
    /// Records to append, numbered, already applied to the machine's state.
    pub records: Vec<(Seq, <M::State as Fold>::Record)>,
    /// Keys of the entries that those records changed. May repeat.
    pub touched: Vec<<M::State as Fold>::Key>,
    /// Everything up to this record must be synced at the end of the turn; 0 for none.
    pub force: Seq,
    /// Messages, in the order they were sent.
    pub sends: Vec<Outgoing<M::To, M::Message>>,
    /// Timer changes, in order.
    pub timers: Vec<TimerChange<M::Timer>>,
    /// Lines for the log, in order.
    pub notes: Vec<Note>,
    /// Sessions or links that the machine wants closed once everything before has been sent.
    pub hangups: Vec<M::To>,
    /// Set when the process must stop (a coordinator that was refused as outdated): why.
    pub stop: Option<String>,
}

impl<M: Machine + ?Sized> Default for Effects<M> {
    fn default() -> Effects<M> {
        Effects {
            records: Vec::new(),
            touched: Vec::new(),
            force: 0,
            sends: Vec::new(),
            timers: Vec::new(),
            notes: Vec::new(),
            hangups: Vec::new(),
            stop: None,
        }
    }
}

impl<M: Machine + ?Sized> Effects<M> {
    /// Nothing asked for yet.
    pub fn new() -> Effects<M> {
        Effects::default()
    }

    /// Appends a record and applies it to `state`: the only way durable state changes. Returns its number.
    pub fn append(
        &mut self,
        state: &mut M::State,
        record: <M::State as Fold>::Record,
        urgency: Urgency,
    ) -> Seq {
        let seq = state.seq() + 1;
        state.apply(seq, &record, &mut self.touched);
        assert_eq!(state.seq(), seq, "a fold advances by one record at a time");
        self.records.push((seq, record));
        if urgency == Urgency::Forced {
            self.force(seq);
        }
        seq
    }

    /// Asks for everything up to `seq` to be synced at the end of this turn.
    pub fn force(&mut self, seq: Seq) {
        self.force = self.force.max(seq);
    }

    /// Sends `message` once record `shows` is synced.
    pub fn send(&mut self, to: M::To, message: M::Message, shows: Seq) {
        self.sends.push(Outgoing { to, message, shows });
    }

    /// Sets a timer.
    pub fn set(&mut self, timer: M::Timer) {
        self.timers.push(TimerChange::Set(timer));
    }

    /// Cancels a timer; one that is not running is left alone.
    pub fn cancel(&mut self, timer: M::Timer) {
        self.timers.push(TimerChange::Cancel(timer));
    }

    /// Notes the story as it goes.
    pub fn info(&mut self, text: String) {
        self.notes.push(Note {
            level: Level::Info,
            text,
        });
    }

    /// Notes something unusual.
    pub fn warning(&mut self, text: String) {
        self.notes.push(Note {
            level: Level::Warning,
            text,
        });
    }

    /// Notes something that an operator must look at.
    pub fn alarm(&mut self, text: String) {
        self.notes.push(Note {
            level: Level::Alarm,
            text,
        });
    }
}
