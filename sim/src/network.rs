//! Connections between everybody, and the paths they take.
//!
//! A connection is what TCP promises and no more: bytes in order or not at all. What is on its way when one end closes
//! still arrives at the other, so that the words of an old connection mix with those of a new one. A path can be
//! blocked in one direction: what is sent there waits, and whoever hears nothing for long enough hangs up.

use std::collections::{BTreeMap, BTreeSet};

use protocol::hello::Hello;

use crate::role::Kind;
use crate::time::{Micros, Time};
use crate::who::Who;

/// A connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) u64);

/// A frame and what it says, for those who cannot read.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) from: Who,
    /// Its notation, if a trace is kept.
    pub(crate) text: Option<String>,
    /// Whether a bit was flipped on the way.
    pub(crate) damaged: bool,
}

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    /// The far side's hello.
    Opened(Hello),
    /// The far side is gone.
    Closed,
    /// A frame.
    Frame(Frame),
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Who dialled.
    Dialler,
    /// Who was dialled.
    Listener,
}

impl End {
    pub(crate) fn other(self) -> End {
        match self {
            End::Dialler => End::Listener,
            End::Listener => End::Dialler,
        }
    }
}

#[derive(Debug)]
struct Side {
    who: Who,
    open: bool,
    /// When the last thing that was sent here arrives.
    last_arrival: Time,
    /// What waits for the path to be free.
    held: Vec<Cargo>,
}

#[derive(Debug)]
struct Conn {
    dialler: Side,
    listener: Side,
}

impl Conn {
    fn side(&self, end: End) -> &Side {
        match end {
            End::Dialler => &self.dialler,
            End::Listener => &self.listener,
        }
    }

    fn side_mut(&mut self, end: End) -> &mut Side {
        match end {
            End::Dialler => &mut self.dialler,
            End::Listener => &mut self.listener,
        }
    }
}

/// All connections that are open at either end.
#[derive(Debug, Default)]
pub(crate) struct Network {
    conns: BTreeMap<ConnId, Conn>,
    made: u64,
    blocked: BTreeSet<(Who, Who)>,
    /// How much longer a path takes.
    slow: BTreeMap<(Who, Who), Micros>,
}

impl Network {
    /// A new connection.
    pub(crate) fn dial(&mut self, from: Who, to: Who) -> ConnId {
        self.made += 1;
        let id = ConnId(self.made);
        let side = |who| Side {
            who,
            open: true,
            last_arrival: Time::default(),
            held: Vec::new(),
        };
        let conn = Conn {
            dialler: side(from),
            listener: side(to),
        };
        self.conns.insert(id, conn);
        id
    }

    /// Who is at that end.
    pub(crate) fn who(&self, id: ConnId, end: End) -> Option<Who> {
        self.conns.get(&id).map(|conn| conn.side(end).who)
    }

    /// Which end `who` is at.
    pub(crate) fn end_of(&self, id: ConnId, who: Who) -> Option<End> {
        let conn = self.conns.get(&id)?;
        if conn.dialler.who == who {
            Some(End::Dialler)
        } else {
            (conn.listener.who == who).then_some(End::Listener)
        }
    }

    pub(crate) fn is_open(&self, id: ConnId, end: End) -> bool {
        self.conns.get(&id).is_some_and(|conn| conn.side(end).open)
    }

    /// Sends `cargo` towards `to`. Says when it arrives, with the cargo; `None` if it is held up.
    pub(crate) fn post(
        &mut self,
        id: ConnId,
        to: End,
        cargo: Cargo,
        now: Time,
        latency: Micros,
    ) -> Option<(Time, Cargo)> {
        let conn = self.conns.get_mut(&id)?;
        let from = conn.side(to.other()).who;
        let side = conn.side_mut(to);
        let path = (from, side.who);
        if self.blocked.contains(&path) {
            side.held.push(cargo);
            return None;
        }
        let slow = self.slow.get(&path).copied().unwrap_or_default();
        // What was sent first arrives first.
        let at = (now + latency + slow).max(side.last_arrival + 1);
        side.last_arrival = at;
        Some((at, cargo))
    }

    /// Closes one end. Says whether the other end is still open and has to learn it.
    pub(crate) fn close(&mut self, id: ConnId, end: End) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else {
            return false;
        };
        let was_open = std::mem::replace(&mut conn.side_mut(end).open, false);
        let other_open = conn.side(end.other()).open;
        if !other_open {
            self.conns.remove(&id);
        }
        was_open && other_open
    }

    /// Every connection that is open at `who`'s end.
    pub(crate) fn conns_of(&self, who: Who) -> Vec<(ConnId, End)> {
        let ends = |(&id, conn): (&ConnId, &Conn)| {
            let end = if conn.dialler.who == who {
                End::Dialler
            } else if conn.listener.who == who {
                End::Listener
            } else {
                return None;
            };
            conn.side(end).open.then_some((id, end))
        };
        self.conns.iter().filter_map(ends).collect()
    }

    /// Connections between two that are open at `hearer`'s end.
    pub(crate) fn conns_between(&self, hearer: Who, other: Who) -> Vec<(ConnId, End)> {
        let mut found = self.conns_of(hearer);
        found.retain(|&(id, end)| self.who(id, end.other()) == Some(other));
        found
    }

    pub(crate) fn is_blocked(&self, from: Who, to: Who) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Blocks one direction. Says whether it was free.
    pub(crate) fn block(&mut self, from: Who, to: Who) -> bool {
        self.blocked.insert((from, to))
    }

    /// Frees one direction; returns what waited, oldest first. `None` if it was free.
    pub(crate) fn unblock(&mut self, from: Who, to: Who) -> Option<Vec<(ConnId, End, Cargo)>> {
        if !self.blocked.remove(&(from, to)) {
            return None;
        }
        let mut freed = Vec::new();
        for (&id, conn) in &mut self.conns {
            for end in [End::Dialler, End::Listener] {
                if conn.side(end).who == to && conn.side(end.other()).who == from {
                    let held = std::mem::take(&mut conn.side_mut(end).held);
                    freed.extend(held.into_iter().map(|cargo| (id, end, cargo)));
                }
            }
        }
        Some(freed)
    }

    /// Every blocked direction.
    pub(crate) fn blocked(&self) -> Vec<(Who, Who)> {
        self.blocked.iter().copied().collect()
    }

    /// Makes one direction slower by that much; 0 for as fast as the others.
    pub(crate) fn set_slow(&mut self, from: Who, to: Who, by: Micros) {
        if by == 0 {
            self.slow.remove(&(from, to));
        } else {
            self.slow.insert((from, to), by);
        }
    }

    /// All paths are as fast as each other.
    pub(crate) fn clear_slow(&mut self) {
        self.slow.clear();
    }
}
