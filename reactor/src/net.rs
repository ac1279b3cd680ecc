//! Everything about sockets, nothing about transactions: who is connected, which frames came, what must be written.
//!
//! A turn uses it like this: [`Net::wait`] sleeps and notes which connections have something to say;
//! [`Net::advance`] is called until it returns `None`, and hands out one frame (or arrival, or loss) at a time;
//! [`Net::fire_alarms`] looks at the clocks of connections, after their bytes; [`Net::send`] queues and
//! [`Net::transmit_all`] writes.
//!
//! Sessions are numbered and never used twice, so an event can never reach the wrong connection.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use engine::Timers;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use protocol::hello::{Control, Hello, Refused};
use protocol::id::NodeId;
use protocol::index::{self, Key};
use protocol::table::Seeded;
use rustix::net::sockopt;

use crate::connection::{Connection, Peer, Phase, Place, Received, Session};
use crate::link::Link;
use crate::listener::{Accepted, Listener};
use crate::signals::{ParentPipe, Signals, Stopper};
use crate::{Config, Counters, Error, Limits};

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const PARENT: Token = Token(2);
const STOPPER: Token = Token(3);
const FIRST_SESSION: u64 = 4;

/// Refused connections that may linger at a time to read why; beyond, they are just closed.
const LINGERING_MAX: usize = 64;

/// A watcher's questions that are answered before others get their turn: some answers are long.
const QUESTIONS_PER_TURN: usize = 4;

/// Silence after which the kernel asks whether a client's machine still exists. Clients owe no heartbeats.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Something the service has to know.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A peer's hello was accepted.
    Opened(Peer),
    /// One message or more came in one frame; see [`Net::message`].
    Message,
    /// An open connection is gone.
    Closed(Peer),
}

/// Clocks of the loop itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    /// Look at a connection's clocks.
    Check(Session),
    /// Dial a link.
    Dial(usize),
    /// Accept again.
    Accept,
}

impl Key for Alarm {
    fn bucket(&self) -> u32 {
        index::hash(self)
    }
}

/// The connection whose bytes are being handled.
struct Visit {
    connection: Connection,
    /// Bytes it may still read before others get their turn.
    budget: usize,
    /// Messages it may still bring before others get their turn.
    messages: usize,
    /// The messages handed out last that were not handled yet.
    body: Range<usize>,
}

impl Visit {
    /// Peers are always heard out: what they may have open is bounded already.
    fn is_over(&self) -> bool {
        self.messages == 0 && self.connection.is_guest()
    }
}

/// How a visit goes on.
enum Step {
    Message(Range<usize>),
    Opened(Peer),
    /// Nothing left to do.
    Rest,
    /// More to do, but others first.
    Yield,
    /// Must wait until there is room for more work.
    Hold,
    /// The connection is of no more use.
    Lost(String),
    /// The same, but the peer shall be told why.
    Refuse(Refused),
}

/// The sockets of one loop.
pub(crate) struct Net {
    poll: Poll,
    events: Events,
    hello: Hello,
    limits: Limits,
    listener: Option<Listener>,
    links: Vec<Link>,
    signals: Option<Signals>,
    parent: Option<ParentPipe>,
    stopper: Stopper,
    /// Looked up for every message that is sent. Sessions are numbered here, so that nobody can choose them to collide.
    connections: HashMap<Session, Connection, Seeded>,
    next_session: u64,
    /// To be visited in this turn.
    queue: VecDeque<Session>,
    /// To be visited in the next turn.
    later: Vec<Session>,
    /// Clients that wait for room; may name some that no longer do.
    held: Vec<Session>,
    /// To be written to.
    dirty: Vec<Session>,
    visit: Option<Visit>,
    happenings: VecDeque<Happening>,
    alarms: Timers<Alarm>,
    spare: Vec<u8>,
    /// Refused connections that may still read why.
    lingering: usize,
    /// The time of this turn.
    now: Instant,
    /// Why the loop shall stop, once it shall.
    pub(crate) stop: Option<&'static str>,
    pub(crate) counters: Counters,
}

impl Net {
    pub(crate) fn new(config: Config) -> Result<Net, Error> {
        let failed = |error| Error::io("cannot make an event poll", error);
        let poll = Poll::new().map_err(failed)?;
        let registry = poll.registry();
        let listener = match &config.listen {
            Some(listen) => Some(Listener::bind(listen, registry, LISTENER)?),
            None => None,
        };
        let signals = match config.signals {
            true => Some(Signals::register(registry, SIGNALS)?),
            false => None,
        };
        let parent = match config.parent_pipe {
            Some(fd) => Some(ParentPipe::open(fd, registry, PARENT)?),
            None => None,
        };
        let stopper = Stopper::new(registry, STOPPER)?;
        let dial = |dial| Link::new(dial, &config.limits);
        let links = config
            .links
            .into_iter()
            .map(dial)
            .collect::<Result<Vec<Link>, Error>>()?;
        let now = Instant::now();
        let mut alarms = Timers::new();
        for link in 0..links.len() {
            alarms.set(Alarm::Dial(link), now);
        }
        Ok(Net {
            poll,
            events: Events::with_capacity(1024),
            hello: config.hello,
            limits: config.limits,
            listener,
            links,
            signals,
            parent,
            stopper,
            connections: HashMap::default(),
            next_session: FIRST_SESSION,
            queue: VecDeque::new(),
            later: Vec::new(),
            held: Vec::new(),
            dirty: Vec::new(),
            visit: None,
            happenings: VecDeque::new(),
            alarms,
            spare: Vec::new(),
            lingering: 0,
            now,
            stop: None,
            counters: Counters::default(),
        })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    pub(crate) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    // ---------------------------------------------------------------------------------------- waiting

    /// Whether there is work that waits for no event.
    pub(crate) fn has_backlog(&self) -> bool {
        !(self.queue.is_empty() && self.later.is_empty() && self.happenings.is_empty())
    }

    /// When this part wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.alarms.next()
    }

    /// Sleeps until something happens or `until`, and takes note of what did. Returns the time after.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<Instant, Error> {
        let timeout = match until {
            _ if self.has_backlog() => Some(Duration::ZERO),
            Some(until) => Some(until.saturating_duration_since(Instant::now())),
            None => None,
        };
        let mut events = mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(Error::io("cannot wait for events", error)),
        }
        self.now = Instant::now();
        self.counters.turns += 1;
        self.queue.extend(self.later.drain(..));
        for event in &events {
            match event.token() {
                LISTENER => self.accept_all(),
                SIGNALS => {
                    if self.signals.as_mut().is_some_and(Signals::came) {
                        self.stop = Some("asked to by a signal");
                    }
                }
                PARENT => {
                    if self.parent.as_mut().is_some_and(ParentPipe::is_closed) {
                        self.stop = Some("the process that started this one is gone");
                    }
                }
                STOPPER => {
                    if self.stopper.was_asked() {
                        self.stop = Some("asked to");
                    }
                }
                Token(session) => self.note_event(Session(session as u64), event),
            }
        }
        self.events = events;
        Ok(self.now)
    }

    fn note_event(&mut self, session: Session, event: &Event) {
        let Some(connection) = self.connections.get_mut(&session) else {
            return; // It was closed earlier in this turn.
        };
        if event.is_read_closed() || event.is_error() {
            connection.ending = true;
        }
        if event.is_readable() || connection.ending {
            connection.unread = true;
        }
        if event.is_writable() || connection.ending {
            connection.unblock();
            if matches!(connection.phase, Phase::Connecting) {
                self.note_connected(session);
            } else if connection.outbox.len() > 0 {
                self.transmit(session);
            }
        }
        self.enqueue(session);
    }

    /// Puts a connection that has something to read in the queue.
    fn enqueue(&mut self, session: Session) {
        if let Some(connection) = self.connections.get_mut(&session)
            && connection.unread
            && connection.place == Place::Resting
            && !matches!(connection.phase, Phase::Connecting)
        {
            connection.place = Place::Queued;
            self.queue.push_back(session);
        }
    }

    // -------------------------------------------------------------------------------------- arriving

    fn accept_all(&mut self) {
        while let Some(listener) = &mut self.listener {
            match listener.accept() {
                Accepted::Connection(stream, from) => self.welcome(stream, from),
                Accepted::Nobody => return,
                Accepted::Exhausted => {
                    self.alarms
                        .set(Alarm::Accept, self.now + self.limits.accept_retry);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream, from: SocketAddr) {
        self.counters.accepted += 1;
        if let Err(error) = stream.set_nodelay(true).and_then(|()| keep_alive(&stream)) {
            log::debug!("{from}: {error}");
            return;
        }
        let crowded = self.accepted_count() >= self.limits.connections;
        if crowded && self.lingering >= LINGERING_MAX {
            self.counters.refused += 1;
            return;
        }
        let Some(session) = self.register(stream, from, None) else {
            return;
        };
        if crowded {
            let busy = format!(
                "busy: {} connections are open already; try again",
                self.limits.connections
            );
            let connection = self.connections.remove(&session).expect("just registered");
            self.refuse(connection, Refused(busy));
        } else {
            self.say(session, &Control::Hello(self.hello.clone()));
        }
    }

    fn accepted_count(&self) -> usize {
        let dialled = self.links.iter().filter(|link| link.session.is_some()).count();
        self.connections.len().saturating_sub(dialled + self.lingering)
    }

    fn register(
        &mut self,
        mut stream: TcpStream,
        address: SocketAddr,
        link: Option<usize>,
    ) -> Option<Session> {
        let session = Session(self.next_session);
        self.next_session += 1;
        let token = Token(usize::try_from(session.0).expect("sessions are counted from a small number"));
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            log::warn!("{address}: cannot be watched: {error}");
            return None;
        }
        let connection = Connection::new(stream, session, address, link, self.now);
        self.connections.insert(session, connection);
        self.arm(session);
        Some(session)
    }

    fn dial(&mut self, index: usize) {
        let link = &mut self.links[index];
        let address = link.address();
        let dialled = TcpStream::connect(address).map_err(|error| error.to_string());
        match dialled {
            Ok(stream) => match self.register(stream, address, Some(index)) {
                Some(session) => self.links[index].session = Some(session),
                None => self.link_down(index, "cannot be watched"),
            },
            Err(why) => self.link_down(index, &why),
        }
    }

    fn link_down(&mut self, index: usize, why: &str) {
        let wait = self.links[index].down(why, &self.limits);
        self.alarms.set(Alarm::Dial(index), self.now + wait);
    }

    /// The kernel has finished dialling, one way or the other.
    fn note_connected(&mut self, session: Session) {
        let Some(connection) = self.connections.get_mut(&session) else {
            return;
        };
        let failure = match connection.stream.take_error() {
            Ok(None) => match connection.stream.peer_addr() {
                Ok(_) => connection.stream.set_nodelay(true).err(),
                Err(error) if error.kind() == std::io::ErrorKind::NotConnected => return, // Not yet.
                Err(error) => Some(error),
            },
            Ok(Some(error)) | Err(error) => Some(error),
        };
        if let Some(error) = failure {
            self.drop_session(session, &error.to_string());
            return;
        }
        connection.phase = Phase::Greeting;
        let link = connection.link.expect("only dialled connections connect");
        let hello = self.links[link].dial.hello.clone();
        self.say(session, &Control::Hello(hello));
    }

    // --------------------------------------------------------------------------------------- reading

    /// Lets held clients be read again, at once.
    pub(crate) fn release_held(&mut self) {
        for session in mem::take(&mut self.held) {
            if let Some(connection) = self.connections.get_mut(&session)
                && connection.place == Place::Held
            {
                connection.place = Place::Queued;
                self.queue.push_back(session);
            }
        }
    }

    /// The next thing that happened. While `paused`, clients are left unread.
    pub(crate) fn advance(&mut self, paused: bool) -> Option<Happening> {
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                return Some(happening);
            }
            let mut visit = match self.visit.take() {
                Some(visit) => visit,
                None => self.next_visit()?,
            };
            match self.step(&mut visit, paused) {
                Step::Message(body) => {
                    visit.body = body;
                    self.visit = Some(visit);
                    return Some(Happening::Message);
                }
                Step::Opened(peer) => {
                    if peer.is_watcher() {
                        visit.messages = QUESTIONS_PER_TURN;
                    }
                    visit.connection.phase = Phase::Open(peer.clone());
                    visit.connection.arm(&mut self.alarms, &self.limits);
                    if let Some(link) = peer.link {
                        self.links[link].up(&self.limits);
                    }
                    self.visit = Some(visit);
                    return Some(Happening::Opened(peer));
                }
                Step::Rest => self.end_visit(visit.connection, Place::Resting),
                Step::Yield => self.end_visit(visit.connection, Place::Queued),
                Step::Hold => self.end_visit(visit.connection, Place::Held),
                Step::Lost(why) => self.lose(visit.connection, &why),
                Step::Refuse(refused) => self.refuse(visit.connection, refused),
            }
        }
    }

    /// What is left of the messages that [`Net::advance`] announced last, one behind the other, and who sent them.
    pub(crate) fn message(&self) -> (&Peer, &[u8]) {
        let visit = self.visit.as_ref().expect("a message was just handed out");
        let peer = visit
            .connection
            .peer()
            .expect("messages come over open connections");
        (peer, visit.connection.inbox.body(&visit.body))
    }

    /// The first `len` bytes of [`Net::message`] were so many messages, and they are handled.
    pub(crate) fn handled(&mut self, len: usize, messages: usize) {
        let visit = self.visit.as_mut().expect("a message was just handed out");
        visit.body.start += len;
        visit.messages = visit.messages.saturating_sub(messages);
    }

    /// Whether the client whose messages are being handled has had its turn.
    pub(crate) fn had_its_turn(&self) -> bool {
        self.visit.as_ref().is_some_and(Visit::is_over)
    }

    /// Keeps what is left of [`Net::message`] for later.
    pub(crate) fn put_back(&mut self) {
        let visit = self.visit.as_mut().expect("a message was just handed out");
        visit.connection.inbox.put_back(visit.body.len());
    }

    /// Queues an answer to [`Net::message`] at once: its connection is not in the table just now.
    pub(crate) fn tell_visitor(&mut self, body: &[u8]) {
        let visit = self.visit.as_mut().expect("a message was just handed out");
        let connection = &mut visit.connection;
        self.counters.frames_out += u64::from(connection.outbox.join(body));
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(connection.session);
        }
    }

    /// Ends the connection that [`Net::message`] belongs to, and says why.
    pub(crate) fn refuse_message(&mut self, refused: Refused) {
        self.counters.bad_bodies += 1;
        self.refuse_visitor(refused);
    }

    /// Ends the connection that [`Net::advance`] handed out last, and says why.
    pub(crate) fn refuse_visitor(&mut self, refused: Refused) {
        let visit = self.visit.take().expect("somebody was just handed out");
        self.refuse(visit.connection, refused);
    }

    fn next_visit(&mut self) -> Option<Visit> {
        loop {
            let session = self.queue.pop_front()?;
            if let Some(mut connection) = self.connections.remove(&session) {
                connection.place = Place::Resting;
                let looks_on = connection.peer().is_some_and(Peer::is_watcher);
                let messages = if looks_on {
                    QUESTIONS_PER_TURN
                } else {
                    self.limits.messages_per_turn
                };
                return Some(Visit {
                    connection,
                    budget: self.limits.read_per_turn,
                    messages,
                    body: 0..0,
                });
            }
        }
    }

    fn end_visit(&mut self, mut connection: Connection, place: Place) {
        connection.inbox.settle(&mut self.spare);
        connection.place = place;
        match place {
            Place::Resting => {}
            Place::Queued => self.later.push(connection.session),
            Place::Held => self.held.push(connection.session),
        }
        if connection.partial_since.is_some() {
            connection.arm(&mut self.alarms, &self.limits);
        }
        self.connections.insert(connection.session, connection);
    }

    /// Handles what a connection sent until something is to be told or nothing is left.
    fn step(&mut self, visit: &mut Visit, paused: bool) -> Step {
        if visit.is_over() {
            return Step::Yield;
        }
        let connection = &mut visit.connection;
        loop {
            let full = connection.outbox.len() > self.limits.client_queue_len;
            if (paused && connection.is_client()) || (full && connection.is_guest()) {
                return Step::Hold;
            }
            if matches!(connection.phase, Phase::Closing) {
                connection.inbox.clear();
            }
            if let Some(rest) = connection.inbox.rest() {
                return Step::Message(rest);
            }
            match connection.inbox.next_frame() {
                Ok(Some(body)) => {
                    self.counters.frames_in += 1;
                    connection.partial_since = None;
                    match self.sort(connection, &body) {
                        Some(step) => return step,
                        None => continue,
                    }
                }
                Ok(None) => {}
                Err(bad) => {
                    self.counters.bad_frames += 1;
                    log::warn!("{}: {bad}; closing", connection.address);
                    return Step::Lost(bad.to_string());
                }
            }
            if connection.inbox.is_empty() {
                connection.partial_since = None;
            } else {
                connection.partial_since.get_or_insert(self.now);
            }
            if !connection.unread {
                return Step::Rest;
            }
            if visit.budget == 0 {
                return Step::Yield;
            }
            match connection.receive(&mut self.spare, self.now) {
                Ok(Received::Bytes(len)) => {
                    self.counters.bytes_in += len as u64;
                    visit.budget = visit.budget.saturating_sub(len);
                }
                Ok(Received::Nothing) => return Step::Rest,
                Ok(Received::End) => return Step::Lost("closed by the other side".to_owned()),
                Err(error) => return Step::Lost(error.to_string()),
            }
        }
    }

    /// Tells messages from control frames, and handles the latter.
    fn sort(&self, connection: &Connection, body: &Range<usize>) -> Option<Step> {
        let bytes = connection.inbox.body(body);
        let open = matches!(connection.phase, Phase::Open(_));
        if open && !Control::is_control(bytes) {
            return Some(Step::Message(body.clone()));
        }
        let (ours, accepts) = match connection.link {
            Some(link) => (&self.links[link].dial.hello, &self.links[link].dial.accepts),
            None => {
                let listener = self
                    .listener
                    .as_ref()
                    .expect("accepted connections have a listener");
                (&self.hello, &listener.accepts)
            }
        };
        match Control::decode(bytes, ours) {
            Ok(Control::Hello(_)) if open => Some(Step::Refuse(Refused("a second hello".to_owned()))),
            Ok(Control::Hello(theirs)) => Some(match ours.check(&theirs, accepts) {
                Ok(version) => Step::Opened(Peer {
                    session: connection.session,
                    hello: theirs,
                    version,
                    link: connection.link,
                    address: connection.address,
                }),
                Err(refused) => Step::Refuse(refused),
            }),
            Ok(Control::Refused(Refused(why))) => Some(Step::Lost(format!("refused: {why}"))),
            Ok(Control::Ping) if open => None,
            Ok(Control::Ping) => Some(Step::Refuse(Refused("a ping before the hello".to_owned()))),
            Err(refused) => Some(Step::Refuse(refused)),
        }
    }

    // --------------------------------------------------------------------------------------- leaving

    /// Ends a connection that is in the table.
    fn drop_session(&mut self, session: Session, why: &str) {
        if let Some(connection) = self.connections.remove(&session) {
            self.lose(connection, why);
        }
    }

    /// Ends a connection that is of no more use.
    fn lose(&mut self, mut connection: Connection, why: &str) {
        connection.inbox.clear();
        connection.inbox.settle(&mut self.spare);
        match mem::replace(&mut connection.phase, Phase::Closing) {
            Phase::Closing => self.lingering -= 1,
            phase @ (Phase::Connecting | Phase::Greeting | Phase::Open(_)) => {
                self.part(&connection, phase, why);
            }
        }
        if connection.armed.is_some() {
            self.alarms.cancel(&Alarm::Check(connection.session));
        }
    }

    /// Says why, and lets the far side read it before the connection ends.
    fn refuse(&mut self, mut connection: Connection, refused: Refused) {
        log::warn!("{}: refused: {refused}", connection.address);
        self.counters.refused += 1;
        let why = refused.0.clone();
        connection.outbox.push(&Control::Refused(refused).encode());
        self.close(connection, &why);
    }

    /// Ends a connection once everything queued for it has been sent.
    pub(crate) fn hang_up(&mut self, session: Session) {
        if self.peer(session).is_some() {
            let connection = self.connections.remove(&session).expect("just seen");
            self.close(connection, "hung up");
        }
    }

    /// Sends what is queued, then ends the sending side and waits for the far side to do the same. What it still
    /// says is read and thrown away: closing a socket with unread bytes makes the kernel drop what was sent last.
    fn close(&mut self, mut connection: Connection, why: &str) {
        let phase = mem::replace(&mut connection.phase, Phase::Closing);
        self.part(&connection, phase, why);
        self.lingering += 1;
        connection.since = self.now;
        connection.inbox.clear();
        connection.inbox.settle(&mut self.spare);
        connection.unread = true;
        if connection.place != Place::Queued {
            connection.place = Place::Queued;
            self.later.push(connection.session);
        }
        connection.arm(&mut self.alarms, &self.limits);
        let session = connection.session;
        self.connections.insert(session, connection);
        self.transmit(session);
    }

    /// Tells link and service that a connection is lost to them.
    fn part(&mut self, connection: &Connection, phase: Phase, why: &str) {
        log::debug!("{} {}: {why}", connection.session, connection.address);
        if let Some(link) = connection.link {
            self.link_down(link, why);
        }
        if let Phase::Open(peer) = phase {
            self.happenings.push_back(Happening::Closed(peer));
        }
    }

    // --------------------------------------------------------------------------------------- sending

    /// Queues a message for an open connection. Says whether there is one.
    pub(crate) fn send(&mut self, session: Session, body: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(&session) else {
            return false;
        };
        if connection.peer().is_none() {
            return false;
        }
        self.counters.frames_out += u64::from(connection.outbox.join(body));
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(session);
        }
        true
    }

    /// How many bytes wait for a connection.
    pub(crate) fn queued_len(&self, session: Session) -> usize {
        self.connections
            .get(&session)
            .map_or(0, |connection| connection.outbox.len())
    }

    /// The nodes that this process keeps links to, and where they are.
    pub(crate) fn nodes(&self) -> Vec<(NodeId, String)> {
        let node = |link: &Link| Some((link.dial.hello.expects?, link.dial.address.clone()));
        self.links.iter().filter_map(node).collect()
    }

    /// The far side of an open connection.
    pub(crate) fn peer(&self, session: Session) -> Option<&Peer> {
        self.connections.get(&session).and_then(Connection::peer)
    }

    /// Ends an open connection without further words, as if it had broken.
    pub(crate) fn cut(&mut self, session: Session, why: &str) {
        self.drop_session(session, why);
    }

    /// Writes to every connection that something was queued for.
    pub(crate) fn transmit_all(&mut self) {
        let mut dirty = mem::take(&mut self.dirty);
        for session in dirty.drain(..) {
            self.transmit(session);
        }
        self.dirty = dirty;
    }

    /// Writes what is queued for one connection.
    pub(crate) fn transmit(&mut self, session: Session) {
        let Some(connection) = self.connections.get_mut(&session) else {
            return;
        };
        connection.dirty = false;
        let was_stalled = connection.stalled_since.is_some();
        match connection.transmit(self.now, &self.limits) {
            Ok(len) => self.counters.bytes_out += len as u64,
            Err(error) => {
                self.drop_session(session, &error.to_string());
                return;
            }
        }
        if connection.stalled_since.is_some() {
            self.arm(session);
        } else if was_stalled && connection.place == Place::Held {
            // It has room again. If clients are paused, its visit will hold it again.
            connection.place = Place::Queued;
            self.later.push(session);
        }
    }

    fn say(&mut self, session: Session, control: &Control) {
        if let Some(connection) = self.connections.get_mut(&session) {
            connection.outbox.push(&control.encode());
            self.transmit(session);
        }
    }

    // ---------------------------------------------------------------------------------------- clocks

    fn arm(&mut self, session: Session) {
        if let Some(connection) = self.connections.get_mut(&session) {
            connection.arm(&mut self.alarms, &self.limits);
        }
    }

    /// Acts on clocks that have run out. Called when everything received has been handled.
    pub(crate) fn fire_alarms(&mut self) {
        let mark = self.alarms.mark();
        while let Some(alarm) = self.alarms.pop_due(self.now, mark) {
            match alarm {
                Alarm::Check(session) => self.check(session),
                Alarm::Dial(link) => self.dial(link),
                Alarm::Accept => self.accept_all(),
            }
        }
    }

    fn check(&mut self, session: Session) {
        let Some(connection) = self.connections.get_mut(&session) else {
            return;
        };
        connection.armed = None;
        if let Some(why) = connection.overdue(self.now, &self.limits) {
            if !matches!(connection.phase, Phase::Closing) {
                self.counters.timed_out += 1;
                log::warn!("{}: {why}; closing", connection.address);
            }
            self.drop_session(session, &why);
            return;
        }
        let quiet = self.now >= connection.last_sent + self.limits.heartbeat;
        if quiet && connection.peer().is_some_and(|peer| !peer.is_guest()) {
            // Bytes that the kernel cannot take yet are as good as a ping, once they go.
            connection.last_sent = self.now;
            if connection.outbox.len() == 0 {
                self.say(session, &Control::Ping);
            }
        }
        self.arm(session);
    }

    // --------------------------------------------------------------------------------------- stopping

    /// Accepts and dials nobody any more.
    pub(crate) fn stop_arrivals(&mut self) {
        self.listener = None;
        self.alarms = Timers::new();
    }
}

impl Connection {
    /// Sees to it that the connection's clocks are looked at in time. An alarm that is early finds nothing and is set
    /// again, which is cheaper than moving it with every byte.
    fn arm(&mut self, alarms: &mut Timers<Alarm>, limits: &Limits) {
        if let Some(due) = self.due(limits)
            && self.armed.is_none_or(|armed| due < armed)
        {
            self.armed = Some(due);
            alarms.set(Alarm::Check(self.session), due);
        }
    }
}

fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(())
}
