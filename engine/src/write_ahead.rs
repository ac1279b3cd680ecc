//! The write-ahead rule: no message leaves before the newest record whose effect it can show is synced.
//!
//! This is the only place that turns a machine's sends into something a driver can transmit, so there is nothing to
//! get wrong elsewhere. One sync covers every record that waits (group commit). A forced record is synced by the next
//! [`WriteAhead::flush`]; a lazy one rides along with any sync and is synced alone once it is 5 ms old.

use std::mem;
use std::time::{Duration, Instant};

use protocol::effects::{Effects, Machine, Outgoing};
use protocol::fold::Seq;
use protocol::planted;

use crate::{Engine, Error, Stats};

/// How long a lazy record may stay unsynced.
const LAZY: Duration = Duration::from_millis(5);

/// An engine together with the messages that wait for it.
pub struct WriteAhead<M: Machine> {
    engine: Box<dyn Engine<M::State>>,
    waiting: Vec<Outgoing<M::To, M::Message>>,
    /// The newest record given to the engine.
    appended: Seq,
    /// Everything up to here has to be synced by the next flush.
    force: Seq,
    /// When the oldest unsynced record was appended.
    unsynced_since: Option<Instant>,
}

impl<M: Machine> WriteAhead<M> {
    /// Guards a freshly opened engine.
    pub fn new(engine: Box<dyn Engine<M::State>>) -> WriteAhead<M> {
        let synced = engine.synced();
        WriteAhead {
            engine,
            waiting: Vec::new(),
            appended: synced,
            force: synced,
            unsynced_since: None,
        }
    }

    /// Appends the records in `effects` and keeps its messages back. `state` is the machine's state after them.
    /// Timers, notes, hangups and stop stay in `effects` for the driver.
    ///
    /// # Errors
    /// [`Error`]; the process must stop and recover.
    ///
    /// # Panics
    /// If a message shows a record that was never appended.
    pub fn take(&mut self, effects: &mut Effects<M>, state: &M::State, now: Instant) -> Result<(), Error> {
        if let (Some((first, _)), Some((last, _))) = (effects.records.first(), effects.records.last()) {
            assert_eq!(
                *first,
                self.appended + 1,
                "records reach the log in order, without a gap"
            );
            let last = *last;
            self.engine.append(&effects.records, &effects.touched, state)?;
            self.appended = last;
            self.unsynced_since.get_or_insert(now);
        }
        effects.records.clear();
        effects.touched.clear();
        self.force = self.force.max(mem::take(&mut effects.force));
        assert!(
            self.force <= self.appended,
            "only what was appended can be forced"
        );
        for send in &effects.sends {
            assert!(
                send.shows <= self.appended,
                "{} shows record {} before it exists",
                send.message,
                send.shows
            );
        }
        self.waiting.append(&mut effects.sends);
        Ok(())
    }

    /// Syncs if a forced record waits or the oldest lazy one is 5 ms old.
    ///
    /// # Errors
    /// [`Error`]; the outcome of everything unsynced is undefined, the process must stop and recover (R24).
    pub fn flush(&mut self, now: Instant) -> Result<(), Error> {
        let overdue = self.deadline().is_some_and(|deadline| deadline <= now);
        if self.force > self.engine.synced() || (overdue && !planted!(LazyForEver)) {
            self.engine.sync()?;
            assert_eq!(
                self.engine.synced(),
                self.appended,
                "a sync covers everything appended before it"
            );
            self.unsynced_since = None;
        }
        Ok(())
    }

    /// Hands over, in the order they were sent, the messages that show synced records only. One that still waits
    /// does not hold back those behind it.
    pub fn drain_released(&mut self, send: impl FnMut(Outgoing<M::To, M::Message>)) {
        let synced = self.engine.synced();
        let released = self
            .waiting
            .extract_if(.., |message| message.shows <= synced || planted!(SentBeforeSync));
        released.for_each(send);
    }

    /// Until when [`WriteAhead::flush`] must be called, if records wait for a sync.
    pub fn deadline(&self) -> Option<Instant> {
        self.unsynced_since.map(|since| since + LAZY)
    }

    /// How many messages wait for a sync.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The newest record that is durable.
    pub fn synced(&self) -> Seq {
        self.engine.synced()
    }

    /// See [`Engine::tend`].
    ///
    /// # Errors
    /// [`Error`] if the store can no longer be trusted.
    pub fn tend(&mut self, state: &mut M::State) -> Result<Option<u64>, Error> {
        self.engine.tend(state)
    }

    /// See [`Engine::has_room`].
    pub fn has_room(&mut self, open: usize) -> bool {
        self.engine.has_room(open)
    }

    /// See [`Engine::stats`].
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// See [`Engine::close`]. Messages that still wait are dropped: their receivers ask again.
    ///
    /// # Errors
    /// [`Error`]; recovery then does the rest.
    pub fn close(self, state: &M::State) -> Result<(), Error> {
        self.engine.close(state)
    }
}
