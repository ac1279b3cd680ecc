//! The loop: *wait → step → sync → send*.
//!
//! One turn takes everything that has happened, steps the machine through it one input at a time, syncs at most once,
//! and sends what that sync released. Nothing else sends messages. Sockets come before timers, so a process that was
//! frozen hears its peers out before it calls them late.
//!
//! While a failpoint is armed, a turn passes `received.<kind>` before a message is stepped, `sending.<kind>` before
//! one is written and `sent.<kind>` and `sent.<kind>@<peer>` when the kernel has it, with each message written before
//! the next is looked at. A fault armed at the first two loses the message.
//!
//! What is stepped, recorded, synced and sent passes the [`Tap`] as well, for those who look on; see `answer` for what
//! they are told.

mod answer;

use std::mem;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use engine::{Engine, Turn, failpoint};
use protocol::codec::BadBody;
use protocol::effects::{Effects, Machine, Outgoing};
use protocol::fold::Fold;
use protocol::frame::BODY_LEN_MAX;
use protocol::hello::{Hello, Refused, Role};
use protocol::message::watch::Held;

use crate::gate::Gate;
use crate::net::{Happening, Net};
use crate::service::{self, Input, Message, Service, Timer, To};
use crate::slow::Slow;
use crate::story::{self, Story};
use crate::tap::{self, Tap};
use crate::watchers::Watchers;
use crate::{Dial, Error, Limits, Listen, Meaning, Peer, Session, Stopper};

/// Turns in a row in which unread bytes may hold timers up.
const TIMERS_HELD_UP_MAX: u32 = 16;

/// Messages of a node or a coordinator that are decoded, and whose needs are looked at, before the first of them is stepped.
const AHEAD: usize = 32;

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
    /// Whether watchers may step through what a coordinator says. Who can hold messages can hold up everybody.
    pub gate: bool,
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
            gate: false,
            limits: Limits::default(),
        }
    }
}

/// An event loop that is ready to serve. Its port is bound: whoever connects waits until it does.
pub struct Reactor {
    net: Net,
    limits: Limits,
    /// Whether watchers may step through what this process says.
    has_gate: bool,
}

impl Reactor {
    /// Binds the port and resolves the links. Recover first: nobody may connect to a process that cannot answer.
    ///
    /// # Errors
    /// [`Error::Address`] if a port is taken or an address means nothing, [`Error::Io`] if the system fails.
    pub fn bind(config: Config) -> Result<Reactor, Error> {
        let limits = config.limits.clone();
        let has_gate = config.gate && config.hello.role == Role::Coordinator;
        Ok(Reactor {
            net: Net::new(config)?,
            limits,
            has_gate,
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
        let now = Instant::now();
        let mut turns = Loop {
            net: self.net,
            limits: self.limits,
            service,
            machine,
            turn: Turn::new(engine),
            hangups: Vec::new(),
            body: Vec::new(),
            ahead: Vec::new(),
            paused: false,
            timers_held_up: 0,
            tend_at: None,
            tap: Tap::new(now),
            gate: self.has_gate.then(Gate::new),
            watchers: Watchers::default(),
            slow: Slow::new(now),
            story: Story::default(),
            now,
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
    /// Reused: messages that are decoded and not stepped yet.
    ahead: Vec<Input<S>>,
    /// Whether clients are left unread.
    paused: bool,
    timers_held_up: u32,
    /// When the store wants to be tended.
    tend_at: Option<Instant>,
    /// What was seen of transactions.
    tap: Tap,
    /// Where messages about transactions may be held; only coordinators have one.
    gate: Option<Gate<Said<S>>>,
    watchers: Watchers,
    /// How long turns take.
    slow: Slow,
    /// What the log tells of steps.
    story: Story,
    /// The time of this turn.
    now: Instant,
}

/// A message on its way.
type Said<S> = Outgoing<To<S>, Message<S>>;

impl<S: Service> Loop<'_, S> {
    /// What recovery left to do is on disk before anybody is listened to (R22).
    fn start(&mut self) -> Result<(), Error> {
        let first = self.service.start();
        self.step(first)?;
        self.sync_and_send()
    }

    fn turn(&mut self) -> Result<(), Error> {
        self.balance();
        let (before, stopped) = (self.now, self.clock_stands_still());
        self.now = self.net.wait(self.deadline())?;
        self.slow.begin(self.now);
        self.story.catch_up(self.now, self.tap.every());
        if stopped {
            self.turn.postpone(self.now.saturating_duration_since(before));
        }
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
        let turn = if self.clock_stands_still() {
            self.turn.sync_deadline()
        } else {
            self.turn.deadline()
        };
        let looked_on = [self.watchers.deadline(), self.story.deadline()];
        let deadlines = [self.net.deadline(), turn, self.tend_at]
            .into_iter()
            .chain(looked_on);
        deadlines.flatten().min()
    }

    /// Whether the machine must not notice that time passes, because what it said waits at the gate.
    fn clock_stands_still(&self) -> bool {
        self.gate.as_ref().is_some_and(Gate::is_holding)
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
            Happening::Opened(peer) if peer.is_watcher() => {
                self.on_watcher(peer.session);
                Ok(())
            }
            Happening::Closed(peer) if peer.is_watcher() => {
                self.on_watcher_gone(peer.session);
                Ok(())
            }
            Happening::Opened(peer) => {
                let input = self.service.opened(&peer);
                self.step(input)
            }
            Happening::Closed(peer) => {
                if let Some(gate) = &mut self.gate {
                    gate.forget(peer.session);
                }
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
            if (peer.is_client() && self.paused) || (peer.is_guest() && self.net.had_its_turn()) {
                self.net.put_back();
                return Ok(());
            }
            if peer.is_watcher() {
                if !self.on_question() {
                    return Ok(());
                }
                continue;
            }
            let whole = self.decode_ahead();
            self.machine.look_ahead(&self.ahead);
            let mut ahead = mem::take(&mut self.ahead);
            for input in ahead.drain(..) {
                let lost = failpoint::hit_with(|| format!("received.{}", self.service.kind(&input)));
                if lost.is_none() {
                    self.look_at(&input);
                    self.step(Some(input))?;
                    self.balance();
                }
            }
            self.ahead = ahead;
            if let Err(bad) = whole {
                self.net.refuse_message(Refused(bad.to_string()));
                return Ok(());
            }
        }
    }

    /// Decodes the next messages of the frame in hand. Those in front of a bad one count.
    fn decode_ahead(&mut self) -> Result<(), BadBody> {
        let (peer, body) = self.net.message();
        // Each of a guest's may be the last for which there is room. And one may arm a failpoint for the next: those in front
        // of it in the same frame may meet it, too.
        let is_guest = peer.is_guest();
        let most = || if is_guest || failpoint::armed() { 1 } else { AHEAD };
        let (mut rest, mut decoded) = (body, body);
        let mut result = Ok(());
        while self.ahead.len() < most() && !rest.is_empty() && result.is_ok() {
            result = self.service.decode(peer, &mut rest).map(|input| {
                assert!(rest.len() < decoded.len(), "a message has bytes");
                decoded = rest;
                self.ahead.push(input);
            });
        }
        self.net.handled(body.len() - decoded.len(), self.ahead.len());
        result
    }

    /// Shows a message that is about to be stepped to those who look on.
    fn look_at(&mut self, input: &Input<S>) {
        if let Some(meaning) = self.service.heard(input) {
            let line = || self.service.heard_line(input);
            self.tap.heard(meaning, self.now, line);
        }
    }

    fn step(&mut self, input: Option<Input<S>>) -> Result<(), Error> {
        let Some(input) = input else {
            return Ok(());
        };
        let service = &*self.service;
        let duration = |timer: &Timer<S>| service.duration(timer);
        let (tap, story, now) = (&mut self.tap, &mut self.story, self.now);
        let tell = |effects: &Effects<S::Machine>| {
            for (seq, record) in &effects.records {
                let forced = *seq <= effects.force;
                let meaning = service.recorded(record);
                if let Some(meaning) = meaning {
                    let request = |repeated| service.request_line(record, repeated);
                    tap.recorded(meaning, now, (*seq, forced), || record.to_string(), request);
                }
                let level = if <S::Machine as Machine>::State::is_housekeeping(record) {
                    log::Level::Debug
                } else {
                    log::Level::Info
                };
                let kept = || {
                    let txn = meaning.and_then(|meaning| meaning.txn);
                    txn.is_none_or(|txn| tap.keeps(txn))
                };
                story.tell_record((record, forced), level, kept, now);
            }
            effects.notes.iter().for_each(story::tell_note);
            tap.stepped();
        };
        self.turn.step(self.machine, input, now, duration, tell)?;
        for to in self.turn.hangups() {
            self.hangups.extend(service.route(&to));
        }
        Ok(())
    }

    fn fire_timers(&mut self) -> Result<(), Error> {
        if self.clock_stands_still() {
            return Ok(());
        }
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
        let begin = Instant::now();
        let (mut now, mut synced) = (self.now, begin);
        if let Some(through) = self.turn.sync(self.now)? {
            now = Instant::now();
            synced = now;
            self.tap.synced(through, now.saturating_duration_since(begin));
        }
        let mut post = Post::past_gate(&mut self.net, &*self.service, &mut self.tap, &mut self.body, now);
        post.gate = self.gate.as_mut();
        self.turn.send(|outgoing| post.send(outgoing));
        self.feed_watchers();
        self.net.transmit_all();
        for session in mem::take(&mut self.hangups) {
            self.net.hang_up(session);
        }
        let sent = Instant::now();
        let wanted = self.turn.tend(self.machine)?;
        let end = Instant::now();
        self.tend_at = wanted.map(|ms| end + Duration::from_millis(ms));
        if let Some(line) = self.slow.end([begin, synced, sent, end]) {
            log::warn!("{line}");
        }
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
            mut tap,
            gate,
            mut slow,
            mut story,
            now,
            ..
        } = self;
        if let Some(line) = slow.rest() {
            log::warn!("{line}");
        }
        story.finish(tap.every());
        log::info!("stopping: {}", net.stop.unwrap_or_default());
        net.stop_arrivals();
        let mut post = Post::past_gate(&mut net, &*service, &mut tap, &mut body, now);
        let waiting = gate.map(|mut gate| gate.open_for_good()).unwrap_or_default();
        waiting.into_iter().for_each(|outgoing| post.send(outgoing));
        turn.settle(machine, now, |outgoing| post.send(outgoing))?;
        net.transmit_all();
        turn.close(machine)?;
        Ok(())
    }
}

/// Turns released messages into frames on connections.
struct Post<'a, S: Service> {
    net: &'a mut Net,
    service: &'a S,
    tap: &'a mut Tap,
    /// Where messages about transactions have to stop, if it is closed.
    gate: Option<&'a mut Gate<Said<S>>>,
    /// Reused: the message being encoded.
    body: &'a mut Vec<u8>,
    /// Whether each message passes its failpoints.
    traced: bool,
    /// The time after the sync.
    now: Instant,
}

impl<'a, S: Service> Post<'a, S> {
    /// For messages that no gate holds up.
    fn past_gate(
        net: &'a mut Net,
        service: &'a S,
        tap: &'a mut Tap,
        body: &'a mut Vec<u8>,
        now: Instant,
    ) -> Post<'a, S> {
        Post {
            net,
            service,
            tap,
            gate: None,
            body,
            traced: failpoint::armed(),
            now,
        }
    }

    fn send(&mut self, outgoing: Said<S>) {
        let meaning = self.service.said(&outgoing.message);
        let Some(session) = self.service.route(&outgoing.to) else {
            if let Some(meaning) = meaning {
                self.tap.lost(meaning, self.now);
            }
            return;
        };
        if let Some(gate) = &mut self.gate
            && gate.is_closed()
            && let Some(txn) = meaning.and_then(|meaning| meaning.txn)
        {
            let to = self.service.party(&outgoing.to);
            let line = tap::cut(outgoing.message.to_string());
            let held = Held { txn, to, line };
            if gate.hold(held.clone(), session, outgoing) {
                self.tap.held(held);
            }
            return;
        }
        self.deliver(session, meaning, &outgoing);
    }

    fn deliver(&mut self, session: Session, meaning: Option<Meaning>, outgoing: &Said<S>) {
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
        if !self.net.send(session, self.body) {
            return;
        }
        if let Some(meaning) = meaning {
            let service = self.service;
            let line = || (service.party(&outgoing.to), outgoing.message.to_string());
            self.tap.said(meaning, self.now, line);
        }
        if self.traced {
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

/// What failpoints call a peer: a node by its name, others by their role.
fn peer_name(peer: &Peer) -> String {
    match peer.hello.name {
        Some(node) => node.to_string(),
        None => peer.hello.role.to_string(),
    }
}
