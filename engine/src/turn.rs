//! The order in which a driver does what a machine asks for: *step → append → timers → sync → send → tend*.
//!
//! One turn steps the machine through everything that has happened, syncs at most once, and sends what that sync
//! released. The event loop and the simulator drive their machines through this same code, so that the order that the
//! simulator proves is the order that ships. It knows no sockets: who is connected, and what a message looks like
//! there, is the driver's.

use std::time::{Duration, Instant};

use protocol::effects::{Effects, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::planted;

use crate::timers::{Mark, Timers};
use crate::{Engine, Error, Stats, WriteAhead};

/// Why a machine cannot be driven any further. Its process must end.
#[derive(Debug)]
pub enum Halt {
    /// The store failed: the outcome of everything unsynced is undefined, recovery sorts it out (R24).
    Store(Error),
    /// The machine asked to stop: why.
    Stopped(String),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Store(error)
    }
}

/// What stands between a machine and its driver: the store with the messages that wait for it, and the timers.
pub struct Turn<M: Machine> {
    write_ahead: WriteAhead<M>,
    timers: Timers<M::Timer>,
    /// Reused: empty between steps, but for hangups.
    effects: Effects<M>,
    /// Whether the disk had room when last asked.
    room: bool,
}

impl<M: Machine> Turn<M> {
    /// Nothing has happened yet.
    pub fn new(engine: Box<dyn Engine<M::State>>) -> Turn<M> {
        Turn {
            write_ahead: WriteAhead::new(engine),
            timers: Timers::new(),
            effects: Effects::new(),
            room: true,
        }
    }

    /// Steps the machine and gives its records to the log at once, so that log order is step order (R27). `duration`
    /// says how long a timer runs. `tell` sees the records and the notes of this step.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn step(
        &mut self,
        machine: &mut M,
        input: M::Input,
        now: Instant,
        duration: impl Fn(&M::Timer) -> Duration,
        tell: impl FnOnce(&Effects<M>),
    ) -> Result<(), Halt> {
        machine.step(input, &mut self.effects);
        tell(&self.effects);
        if !self.effects.hangups.is_empty() && !planted!(LastWordsUnforced) {
            // What was said before the hangup must not wait for a later sync.
            self.effects.force(machine.state().seq());
        }
        self.write_ahead.take(&mut self.effects, machine.state(), now)?;
        self.effects.notes.clear();
        for change in self.effects.timers.drain(..) {
            match change {
                TimerChange::Set(timer) => {
                    let at = now + duration(&timer);
                    self.timers.set(timer, at);
                }
                TimerChange::Cancel(timer) => self.timers.cancel(&timer),
            }
        }
        match self.effects.stop.take() {
            Some(why) => Err(Halt::Stopped(why)),
            None => Ok(()),
        }
    }

    /// Whom the last step wants to be hung up on, once everything before has been sent.
    pub fn hangups(&mut self) -> impl Iterator<Item = M::To> + '_ {
        self.effects.hangups.drain(..)
    }

    /// Whether the disk has room for new promises, if that has changed since it was asked last. `open` is how many
    /// transactions are open.
    pub fn room_changed(&mut self, open: usize) -> Option<bool> {
        let room = self.write_ahead.has_room(open);
        (room != self.room).then(|| {
            self.room = room;
            room
        })
    }

    /// Marks this moment: [`Turn::pop_due`] leaves timers alone that are set later, however short.
    pub fn mark(&self) -> Mark {
        self.timers.mark()
    }

    /// Takes the next timer that is due. Whoever drives must have heard first what arrived in time.
    pub fn pop_due(&mut self, now: Instant, mark: Mark) -> Option<M::Timer> {
        self.timers.pop_due(now, mark)
    }

    /// Lets every timer fire later by so much: time has passed that must not count.
    pub fn postpone(&mut self, by: Duration) {
        self.timers.postpone(by);
    }

    /// Syncs if somebody waits for it, and hands over what that released, in the order it was said.
    ///
    /// # Errors
    /// [`Error`]; the process must stop and recover (R24).
    pub fn sync_and_send(
        &mut self,
        now: Instant,
        send: impl FnMut(Outgoing<M::To, M::Message>),
    ) -> Result<(), Error> {
        self.sync(now)?;
        self.send(send);
        Ok(())
    }

    /// The first half of [`Turn::sync_and_send`], for drivers that look at the clock in between. If it synced, everything
    /// up to the returned record is on disk.
    ///
    /// # Errors
    /// As there.
    pub fn sync(&mut self, now: Instant) -> Result<Option<Seq>, Error> {
        let before = self.write_ahead.synced();
        self.write_ahead.flush(now)?;
        let synced = self.write_ahead.synced();
        Ok((synced > before).then_some(synced))
    }

    /// The second half.
    pub fn send(&mut self, send: impl FnMut(Outgoing<M::To, M::Message>)) {
        self.write_ahead.drain_released(send);
    }

    /// The end of a turn: the store does what can be done without holding anyone up. Returns in how many milliseconds
    /// it wants to be called again at the latest.
    ///
    /// # Errors
    /// [`Error`] if the store can no longer be trusted.
    pub fn tend(&mut self, machine: &mut M) -> Result<Option<u64>, Error> {
        self.write_ahead.tend(machine.state_mut())
    }

    /// When a timer is due or a record must be synced, whatever comes first.
    pub fn deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.write_ahead.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When a record must be synced, whatever timers are running.
    pub fn sync_deadline(&self) -> Option<Instant> {
        self.write_ahead.deadline()
    }

    /// See [`Engine::stats`].
    pub fn stats(&self) -> Stats {
        self.write_ahead.stats()
    }

    /// Makes everything durable, whether or not somebody waits for it, and says what may be said then.
    ///
    /// # Errors
    /// [`Error`]; recovery then does the rest.
    pub fn settle(
        &mut self,
        machine: &M,
        now: Instant,
        send: impl FnMut(Outgoing<M::To, M::Message>),
    ) -> Result<(), Error> {
        self.effects.force(machine.state().seq());
        self.write_ahead.take(&mut self.effects, machine.state(), now)?;
        self.sync_and_send(now, send)
    }

    /// Closes the store. See [`Engine::close`].
    ///
    /// # Errors
    /// [`Error`]; recovery then does the rest.
    pub fn close(self, machine: &M) -> Result<(), Error> {
        self.write_ahead.close(machine.state())
    }
}
