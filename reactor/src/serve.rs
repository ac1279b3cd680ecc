//! The loop: *wait → step → sync → send*.
//!
//! One turn takes everything that has happened, steps the machine through it one input at a time, syncs at most once,
//! and sends what that sync released. Nothing else sends messages. Sockets come before timers, so a process that was
//! frozen hears its peers out before it calls them late.
//!
//! While failpoints are enabled, a turn passes `received.<kind>` before a message is stepped, `sending.<kind>` before
//! one is written and `sent.<kind>` and `sent.<kind>@<peer>` when the kernel has it, with each message written before
//! the next is looked at. A fault armed at the first two loses the message.

use std::mem;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use engine::{Engine, Turn, failpoint};
use protocol::effects::{Effects, Level, Machine, Note, Outgoing};
use protocol::fold::Fold;
use protocol::frame::BODY_LEN_MAX;
use protocol::hello::{Hello, Refused};

use crate::net::{Happening, Net};
use crate::service::{self, Input, Message, Service, Timer, To};
use crate::{Dial, Error, Limits, Listen, Peer, Session, Stopper};

/// Turns in a row in which unread bytes may hold timers up.
const TIMERS_HELD_UP_MAX: u32 = 16;

/// What a loop listens to and whom it dials.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to say to whoever comes in.
    pub hello: Hello,
    /// Where to listen, if at all.
    pub listen: Option<Listen>,
    /// Whom to stay connected to.
    pub links: Vec<Dial>,
    /// Whether SIGTERM and SIGINT stop this loop.
    pub signals: bool,
    /// An inherited pipe whose end means that the parent process is gone.
    pub parent_pipe: Option<RawFd>,
    /// How much and how long.
    pub limits: Limits,
}

impl Config {
    /// A loop that says `hello`, listens nowhere, dials nobody and leaves signals alone.
    pub fn new(hello: Hello) -> Config {
        Config {
            hello,
            listen: None,
            links: Vec::new(),
            signals: false,
            parent_pipe: None,
            limits: Limits::default(),
        }
    }
}

/// An event loop that is ready to serve. Its port is bound: whoever connects waits until it does.
pub struct Reactor {
    net: Net,
    limits: Limits,
}

impl Reactor {
    /// Binds the port and resolves the links. Recover first: nobody may connect to a process that cannot answer.
    ///
    /// # Errors
    /// [`Error::Address`] if a port is taken or an address means nothing, [`Error::Io`] if the system fails.
    pub fn bind(config: Config) -> Result<Reactor, Error> {
        let limits = config.limits.clone();
        Ok(Reactor {
            net: Net::new(config)?,
            limits,
        })
    }

    /// Where this loop listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.net.local_addr()
    }

    /// A handle that stops the loop from another thread.
    pub fn stopper(&self) -> Stopper {
        self.net.stopper()
    }

    /// Serves until asked to stop. Returns once the store is closed.
    ///
    /// # Errors
    /// [`Error::Store`] if the store failed, [`Error::Stopped`] if the machine stopped the loop, [`Error::Io`] if the
    /// system failed. The process must end: nothing unsynced has been told to anybody.
    pub fn serve<S: Service>(
        self,
        service: &mut S,
        machine: &mut S::Machine,
        engine: Box<dyn Engine<<S::Machine as Machine>::State>>,
    ) -> Result<(), Error> {
        let mut turns = Loop {
            net: self.net,
            limits: self.limits,
            service,
            machine,
            turn: Turn::new(engine),
            hangups: Vec::new(),
            body: Vec::new(),
            paused: false,
            timers_held_up: 0,
            tend_at: None,
            now: Instant::now(),
        };
        turns.start()?;
        while turns.net.stop.is_none() {
            turns.turn()?;
        }
        turns.finish()
    }
}

/// A loop at work.
struct Loop<'a, S: Service> {
    net: Net,
    limits: Limits,
    service: &'a mut S,
    machine: &'a mut S::Machine,
    turn: Turn<S::Machine>,
    /// To be closed at the end of the turn.
    hangups: Vec<Session>,
    /// Reused: the message being encoded.
    body: Vec<u8>,
    /// Whether clients are left unread.
    paused: bool,
    timers_held_up: u32,
    /// When the store wants to be tended.
    tend_at: Option<Instant>,
    /// The time of this turn.
    now: Instant,
}

impl<S: Service> Loop<'_, S> {
    /// What recovery left to do is on disk before anybody is listened to (R22).
    fn start(&mut self) -> Result<(), Error> {
        let first = self.service.start();
        self.step(first)?;
        self.sync_and_send()
    }

    fn turn(&mut self) -> Result<(), Error> {
        self.balance();
        self.now = self.net.wait(self.deadline())?;
        self.check_room()?;
        while let Some(happening) = self.net.advance(self.paused) {
            self.handle(happening)?;
            self.balance();
        }
        self.net.fire_alarms();
        self.fire_timers()?;
        self.sync_and_send()
    }

    /// When the next turn must begin, if nothing happens before.
    fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.net.deadline(), self.turn.deadline(), self.tend_at];
        deadlines.into_iter().flatten().min()
    }

    /// Stops reading from clients when too much is open, and starts again below three quarters of that.
    fn balance(&mut self) {
        let load = self.service.load(self.machine);
        if !self.paused && load >= self.limits.open {
            log::debug!("{load} transactions are open: reading no more from clients");
            self.paused = true;
        } else if self.paused && load.saturating_mul(4) < self.limits.open.saturating_mul(3) {
            self.paused = false;
            self.net.release_held();
        }
    }

    fn check_room(&mut self) -> Result<(), Error> {
        let Some(room) = self.turn.room_changed(self.service.load(self.machine)) else {
            return Ok(());
        };
        if room {
            log::info!("the disk has room for new transactions again");
        } else {
            log::error!("the disk is nearly full: new transactions are refused, open ones can still finish");
        }
        let input = self.service.room(room);
        self.step(input)
    }

    // ---------------------------------------------------------------------------------------- stepping

    fn handle(&mut self, happening: Happening) -> Result<(), Error> {
        match happening {
            Happening::Message => self.on_message(),
            Happening::Opened(peer) => {
                let input = self.service.opened(&peer);
                self.step(input)
            }
            Happening::Closed(peer) => {
                let input = self.service.closed(&peer);
                self.step(input)
            }
        }
    }

    /// Steps through the messages of one frame. A client's have to wait when there is no more room, however many its
    /// frame holds.
    fn on_message(&mut self) -> Result<(), Error> {
        loop {
            let (peer, body) = self.net.message();
            if body.is_empty() {
                return Ok(());
            }
            if peer.is_client() && (self.paused || self.net.had_its_turn()) {
                self.net.put_back();
                return Ok(());
            }
            let mut rest = body;
            match self.service.decode(peer, &mut rest) {
                Ok(input) => {
                    let len = body.len() - rest.len();
                    assert!(len > 0, "a message has bytes");
                    self.net.handled(len);
                    let lost = failpoint::hit_with(|| format!("received.{}", self.service.kind(&input)));
                    if lost.is_none() {
                        self.step(Some(input))?;
                        self.balance();
                    }
                }
                Err(bad) => {
                    self.net.refuse_message(Refused(bad.to_string()));
                    return Ok(());
                }
            }
        }
    }

    fn step(&mut self, input: Option<Input<S>>) -> Result<(), Error> {
        let Some(input) = input else {
            return Ok(());
        };
        let service = &*self.service;
        let duration = |timer: &Timer<S>| service.duration(timer);
        self.turn
            .step(self.machine, input, self.now, duration, write_down)?;
        for to in self.turn.hangups() {
            self.hangups.extend(service.route(&to));
        }
        Ok(())
    }

    fn fire_timers(&mut self) -> Result<(), Error> {
        // Bytes that arrived in time may still be unread: hear them first, but not for ever.
        if self.net.has_backlog() && self.timers_held_up < TIMERS_HELD_UP_MAX {
            self.timers_held_up += 1;
            return Ok(());
        }
        self.timers_held_up = 0;
        let mark = self.turn.mark();
        while let Some(timer) = self.turn.pop_due(self.now, mark) {
            let input = self.service.fired(timer);
            self.step(Some(input))?;
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------- syncing and sending

    fn sync_and_send(&mut self) -> Result<(), Error> {
        let mut post = Post::new(&mut self.net, &*self.service, &mut self.body);
        self.turn
            .sync_and_send(self.now, |outgoing| post.send(&outgoing))?;
        self.net.transmit_all();
        for session in mem::take(&mut self.hangups) {
            self.net.hang_up(session);
        }
        let wanted = self.turn.tend(self.machine)?;
        self.tend_at = wanted.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.service.watch(&self.net.counters, self.turn.stats());
        Ok(())
    }

    /// Stops cleanly: nobody new, everything synced, everything said that may be said.
    fn finish(self) -> Result<(), Error> {
        let Loop {
            mut net,
            service,
            machine,
            mut turn,
            mut body,
            now,
            ..
        } = self;
        log::info!("stopping: {}", net.stop.unwrap_or_default());
        net.stop_arrivals();
        let mut post = Post::new(&mut net, &*service, &mut body);
        turn.settle(machine, now, |outgoing| post.send(&outgoing))?;
        net.transmit_all();
        turn.close(machine)?;
        Ok(())
    }
}

/// Turns released messages into frames on connections.
struct Post<'a, S> {
    net: &'a mut Net,
    service: &'a S,
    /// Reused: the message being encoded.
    body: &'a mut Vec<u8>,
    /// Whether each message passes its failpoints.
    traced: bool,
}

impl<'a, S: Service> Post<'a, S> {
    fn new(net: &'a mut Net, service: &'a S, body: &'a mut Vec<u8>) -> Post<'a, S> {
        Post {
            net,
            service,
            body,
            traced: failpoint::enabled(),
        }
    }

    fn send(&mut self, outgoing: &Outgoing<To<S>, Message<S>>) {
        let Some(session) = self.service.route(&outgoing.to) else {
            return;
        };
        let kind = if self.traced {
            service::kind(&outgoing.message)
        } else {
            String::new()
        };
        if self.traced && failpoint::hit(&format!("sending.{kind}")).is_some() {
            return;
        }
        if log::log_enabled!(log::Level::Debug) {
            log::debug!("send to {}: {}", self.peer_name(session), outgoing.message);
        }
        self.body.clear();
        self.service.encode(&outgoing.message, self.body);
        if self.body.len() > BODY_LEN_MAX {
            log::error!(
                "a message of {} bytes is too long to send: closing the connection",
                self.body.len()
            );
            self.net.cut(session, "a message was too long");
            return;
        }
        if self.net.send(session, self.body) && self.traced {
            let peer = self.peer_name(session);
            self.net.transmit(session);
            // These act at most: there is nothing left to lose.
            failpoint::hit(&format!("sent.{kind}"));
            failpoint::hit(&format!("sent.{kind}@{peer}"));
        }
    }

    fn peer_name(&self, session: Session) -> String {
        self.net.peer(session).map(peer_name).unwrap_or_default()
    }
}

/// The story of one step, as its records and notes tell it.
fn write_down<M: Machine>(effects: &Effects<M>) {
    let told = if log::log_enabled!(log::Level::Info) {
        effects.records.as_slice()
    } else {
        &[]
    };
    for (seq, record) in told {
        let forced = if *seq <= effects.force { " (forced)" } else { "" };
        if M::State::is_housekeeping(record) {
            log::debug!("append {record}{forced}");
        } else {
            log::info!("append {record}{forced}");
        }
    }
    effects.notes.iter().for_each(write_note);
}

fn write_note(note: &Note) {
    match note.level {
        Level::Alarm => log::error!("{}", note.text),
        Level::Warning => log::warn!("{}", note.text),
        Level::Info => log::info!("{}", note.text),
    }
}

/// What failpoints call a peer: a node by its name, others by their role.
fn peer_name(peer: &Peer) -> String {
    match peer.hello.name {
        Some(node) => node.to_string(),
        None => peer.hello.role.to_string(),
    }
}
