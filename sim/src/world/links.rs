//! How coordinators stay connected to nodes, and clients find coordinators.

use protocol::hello::Hello;

use super::{DIAL_PATIENCE, Event, Link, REDIAL, World};
use crate::network::{Cargo, ConnId, End};
use crate::who::{Who, node_id};

impl World {
    /// A coordinator has started: it dials every node.
    pub(super) fn dial_all(&mut self, from: usize) {
        let life = self.lives(Who::Coordinator(from));
        for to in 0..self.nodes.len() {
            let link = Link {
                wait: REDIAL.0,
                conn: None,
                up: false,
            };
            self.links.insert((from, to), link);
            self.put(self.now, Event::Dial { from, life, to });
        }
    }

    /// A coordinator's connection to a node came up or went down.
    pub(super) fn link_changed(&mut self, from: usize, to: usize, conn: ConnId, cargo: &Cargo) {
        let link = self.links.get_mut(&(from, to)).expect("set at every start");
        if link.conn != Some(conn) {
            return; // One that reached somebody else, or was given up.
        }
        match cargo {
            Cargo::Opened(_) => {
                link.wait = REDIAL.0;
                link.up = true;
            }
            Cargo::Closed => self.redial(from, to),
            Cargo::Frame(_) => {}
        }
    }

    pub(super) fn redial(&mut self, from: usize, to: usize) {
        let link = self.links.get_mut(&(from, to)).expect("set at every start");
        let wait = link.wait;
        *link = Link {
            wait: (wait * 2).min(REDIAL.1),
            conn: None,
            up: false,
        };
        let life = self.lives(Who::Coordinator(from));
        self.put(self.now + wait, Event::Dial { from, life, to });
    }

    pub(super) fn dial(&mut self, from: usize, life: u32, to: usize) {
        let caller = Who::Coordinator(from);
        if !self.is_up(caller) || self.lives(caller) != life || self.links[&(from, to)].conn.is_some() {
            return;
        }
        // Somebody else may answer there; the hello finds out.
        let reached = self.nemesis.misroute(to, self.nodes.len());
        let hello = self.host(caller).hello().expecting(node_id(to));
        match self.open(caller, Who::Node(reached), hello) {
            Some(conn) => self.links.get_mut(&(from, to)).expect("just seen").conn = Some(conn),
            None => self.redial(from, to),
        }
    }

    /// Begins a connection; `None` if nobody is there.
    pub(super) fn open(&mut self, from: Who, to: Who, hello: Hello) -> Option<ConnId> {
        let is_up = self.is_up(to);
        if !is_up && !self.network.is_blocked(from, to) {
            return None;
        }
        let conn = self.network.dial(from, to);
        if is_up {
            self.post(conn, End::Listener, Cargo::Opened(hello));
        } else {
            self.network.close(conn, End::Listener);
        }
        self.put(self.now + DIAL_PATIENCE, Event::DialLate(conn));
        Some(conn)
    }

    pub(super) fn on_dial_late(&mut self, conn: ConnId) {
        let late = self
            .links
            .iter()
            .find(|(_, link)| link.conn == Some(conn) && !link.up);
        let Some((&(from, to), _)) = late else {
            return;
        };
        if self.network.close(conn, End::Dialler) {
            self.post(conn, End::Listener, Cargo::Closed);
        }
        if self.is_up(Who::Coordinator(from)) {
            self.redial(from, to);
        }
    }

    /// Whether both ends of a link are up: a machine that lost power is not missed at once.
    pub(super) fn is_whole(&self, link: &Link) -> bool {
        let is_open = |conn| self.network.is_open(conn, End::Listener);
        link.up && link.conn.is_some_and(is_open)
    }
}
