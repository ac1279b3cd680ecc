//! One TCP connection: its socket, its buffers, its clocks.
//!
//! The poll is edge-triggered: `unread` remembers that the kernel may hold bytes until a read has proved otherwise.
//! Both directions are registered once. Linux announces room for writing only after a write found none, so this costs
//! no wake-up and saves every later change of interest. A peer that ends its sending side is gone: whoever speaks this
//! protocol waits for its answers first.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;
use protocol::hello::{Hello, Role};

use crate::Limits;
use crate::inbox::Inbox;
use crate::outbox::{Outbox, Written};

/// One connection, for as long as it lives. Never used again by the same loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub u64);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.0)
    }
}

/// The far side of an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The connection.
    pub session: Session,
    /// Who it says it is; checked.
    pub hello: Hello,
    /// The wire version to use.
    pub version: u16,
    /// The place in [`Config::links`](crate::Config::links), if this process dialled.
    pub link: Option<usize>,
    /// Where it is.
    pub address: SocketAddr,
}

impl Peer {
    /// Whether it is a client: read only while there is room for more work.
    pub fn is_client(&self) -> bool {
        self.hello.role == Role::Client
    }

    /// Whether it only looks on: the loop serves it, the machine never hears of it.
    pub fn is_watcher(&self) -> bool {
        self.hello.role == Role::Watcher
    }

    /// Whether nothing depends on it, so that it may be left alone, made wait, or dropped.
    pub fn is_guest(&self) -> bool {
        self.is_client() || self.is_watcher()
    }
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The kernel is still dialling.
    Connecting,
    /// Our hello is on its way, theirs has not arrived.
    Greeting,
    /// Messages flow.
    Open(Peer),
    /// The last frame is on its way; what still comes in is thrown away until the far side has read it and closes.
    Closing,
}

/// Which list of the loop a connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// None: nothing to read.
    Resting,
    /// It waits for its visit.
    Queued,
    /// A client that must wait until there is room for more work.
    Held,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// This many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The end.
    End,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) session: Session,
    pub(crate) address: SocketAddr,
    pub(crate) link: Option<usize>,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    /// The kernel may hold bytes that have not been read.
    pub(crate) unread: bool,
    /// The kernel has announced the end of what the peer sends.
    pub(crate) ending: bool,
    /// The last write found no room.
    blocked: bool,
    /// In the list of those to be written to.
    pub(crate) dirty: bool,
    /// When the present phase began.
    pub(crate) since: Instant,
    pub(crate) partial_since: Option<Instant>,
    pub(crate) stalled_since: Option<Instant>,
    pub(crate) last_received: Instant,
    pub(crate) last_sent: Instant,
    /// When the loop will look at this connection's clocks next.
    pub(crate) armed: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        session: Session,
        address: SocketAddr,
        link: Option<usize>,
        now: Instant,
    ) -> Connection {
        Connection {
            stream,
            session,
            address,
            link,
            phase: if link.is_some() {
                Phase::Connecting
            } else {
                Phase::Greeting
            },
            place: Place::Resting,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            unread: false,
            ending: false,
            blocked: false,
            dirty: false,
            since: now,
            partial_since: None,
            stalled_since: None,
            last_received: now,
            last_sent: now,
            armed: None,
        }
    }

    /// The peer, once its hello was accepted.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Open(peer) => Some(peer),
            Phase::Connecting | Phase::Greeting | Phase::Closing => None,
        }
    }

    pub(crate) fn is_client(&self) -> bool {
        self.peer().is_some_and(Peer::is_client)
    }

    pub(crate) fn is_guest(&self) -> bool {
        self.peer().is_some_and(Peer::is_guest)
    }

    /// Whether bytes wait that this process has chosen not to look at yet. Their sender isn't late.
    pub(crate) fn keeps_peer_waiting(&self) -> bool {
        self.unread || self.place != Place::Resting
    }

    /// Reads once.
    ///
    /// # Errors
    /// Whatever ended the connection.
    pub(crate) fn receive(&mut self, spare: &mut Vec<u8>, now: Instant) -> io::Result<Received> {
        loop {
            let space = self.inbox.space(spare);
            let room = space.len();
            match self.stream.read(space) {
                Ok(0) => return Ok(Received::End),
                Ok(len) => {
                    self.inbox.filled(len);
                    self.last_received = now;
                    // A read that leaves room has emptied the kernel's buffer: the next byte makes a new event. Only
                    // an end that was announced together with these bytes makes none.
                    self.unread = len == room || self.ending;
                    return Ok(Received::Bytes(len));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unread = false;
                    return Ok(Received::Nothing);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what waits, unless the kernel is known to have no room. Returns how many bytes it took.
    ///
    /// # Errors
    /// Whatever ended the connection.
    pub(crate) fn transmit(&mut self, now: Instant, limits: &Limits) -> io::Result<usize> {
        if self.blocked || matches!(self.phase, Phase::Connecting) {
            self.note_queue(now, limits);
            return Ok(0);
        }
        let (written, taken) = self.outbox.write_to(&mut self.stream)?;
        self.blocked = written == Written::Blocked;
        if taken > 0 {
            self.last_sent = now;
        }
        if matches!(self.phase, Phase::Closing) && written == Written::All {
            // Not closing outright: unread bytes would make the kernel drop what we just said. If it fails, the
            // connection is gone, which the next read tells.
            if let Err(error) = self.stream.shutdown(Shutdown::Write) {
                log::debug!("{}: {error}", self.address);
            }
        }
        self.note_queue(now, limits);
        Ok(taken)
    }

    /// The kernel has announced room for writing.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    fn note_queue(&mut self, now: Instant, limits: &Limits) {
        if self.outbox.len() <= limits.client_queue_len {
            self.stalled_since = None;
        } else if self.is_guest() {
            self.stalled_since.get_or_insert(now);
        }
    }

    /// When the loop has to look at this connection's clocks.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        match &self.phase {
            Phase::Connecting | Phase::Greeting => Some(self.since + limits.hello),
            Phase::Closing => Some(self.since + limits.linger),
            Phase::Open(peer) if peer.is_guest() => {
                let partial = self.partial_since.map(|since| since + limits.partial_frame);
                let stalled = self.stalled_since.map(|since| since + limits.client_stalled);
                partial.into_iter().chain(stalled).min()
            }
            Phase::Open(_) => {
                let beat = self.last_sent + limits.heartbeat;
                Some(beat.min(self.last_received + limits.silence))
            }
        }
    }

    /// Why this connection has run out of time, if it has.
    pub(crate) fn overdue(&mut self, now: Instant, limits: &Limits) -> Option<String> {
        if self.keeps_peer_waiting() {
            self.partial_since = self.partial_since.map(|_| now);
            self.last_received = now;
        }
        match &self.phase {
            Phase::Connecting => {
                (now >= self.since + limits.hello).then(|| format!("no answer within {:?}", limits.hello))
            }
            Phase::Greeting => {
                (now >= self.since + limits.hello).then(|| format!("no hello within {:?}", limits.hello))
            }
            Phase::Closing => (now >= self.since + limits.linger).then(|| "closed".to_owned()),
            Phase::Open(peer) if peer.is_guest() => {
                let late = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
                if late(self.partial_since, limits.partial_frame) {
                    Some(format!(
                        "a frame was not completed within {:?}",
                        limits.partial_frame
                    ))
                } else if late(self.stalled_since, limits.client_stalled) {
                    Some(format!(
                        "{} bytes were not fetched within {:?}",
                        self.outbox.len(),
                        limits.client_stalled
                    ))
                } else {
                    None
                }
            }
            Phase::Open(_) => (now >= self.last_received + limits.silence)
                .then(|| format!("silent for {:?}", limits.silence)),
        }
    }
}
