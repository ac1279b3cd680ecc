//! What is sent, what becomes of it on the way, and who hears it.

use std::collections::BTreeSet;

use super::{Event, Relief, SILENCE, World};
use crate::nemesis::PostDeed;
use crate::network::{Cargo, ConnId, End, Frame};
use crate::process::{Item, Send};
use crate::role::Kind;
use crate::time::{MS, SECOND, Time};
use crate::who::Who;

impl World {
    pub(super) fn send_all(&mut self, sends: Vec<Send>) {
        for Send { conn, frame } in sends {
            self.send(conn, frame);
        }
    }

    /// A frame leaves its sender.
    pub(super) fn send(&mut self, conn: ConnId, mut frame: Frame) {
        let Some(end) = self.network.end_of(conn, frame.from) else {
            return;
        };
        if !self.network.is_open(conn, end) {
            return;
        }
        let to_end = end.other();
        let to = self.network.who(conn, to_end).expect("just looked");
        self.messages += 1;
        if frame.kind == Kind::Pending {
            self.tally.fire("C13");
        }
        let scripted = self.nemesis.on_message(self.messages, frame.kind);
        if let Some(deed) = scripted.filter(|_| !self.healed) {
            return self.do_to_message(deed, conn, to_end, frame);
        }
        if self.healed || frame.kind == Kind::Handshake {
            self.post(conn, to_end, Cargo::Frame(frame));
            return;
        }
        let mail = self.weather.mail;
        let between_servers = !frame.from.is_client() && !to.is_client();
        // A mark is lost with its connection only: nobody would miss it before the next one is due.
        if self.mail.chance(mail.lost) && frame.kind != Kind::Mark {
            self.lose(&frame, to);
            return;
        }
        if between_servers && self.mail.chance(mail.twice) {
            self.tally.fire("W2");
            self.tally.deed();
            self.post(conn, to_end, Cargo::Frame(frame.clone()));
        }
        // An inquiry is answered before its transaction can end: it never arrives later than its own acknowledgement.
        let comes_again = !matches!(frame.kind, Kind::Other | Kind::Mark | Kind::Inquiry);
        if between_servers && comes_again && self.mail.chance(mail.again) {
            let after = self.mail.skewed(MS, 10 * SECOND);
            let lives = (self.lives(frame.from), self.lives(to));
            self.put(
                self.now + after,
                Event::Again(frame.from, to, lives, frame.clone()),
            );
        }
        if self.mail.chance(mail.damaged) {
            self.tally.fire("W10");
            self.tally.deed();
            let bit = self.mail.below(frame.bytes.len() * 8);
            frame.bytes[bit / 8] ^= 1 << (bit % 8);
            frame.damaged = true;
        }
        self.post(conn, to_end, Cargo::Frame(frame));
    }

    /// What a sweep does to one message.
    fn do_to_message(&mut self, deed: PostDeed, conn: ConnId, to_end: End, frame: Frame) {
        let (from, to) = (frame.from, self.network.who(conn, to_end));
        self.tally.deed();
        match deed {
            PostDeed::Lose => self.lose(&frame, to.expect("it is open")),
            PostDeed::Twice => {
                self.tally.fire("W2");
                self.post(conn, to_end, Cargo::Frame(frame.clone()));
                self.post(conn, to_end, Cargo::Frame(frame));
            }
            PostDeed::Cut => {
                self.tally.fire("W8");
                self.cut(conn, to_end.other());
            }
            PostDeed::KillReceiver => {
                self.post(conn, to_end, Cargo::Frame(frame));
                if let Some(to) = to.filter(|to| !to.is_client()) {
                    self.nemesis.doom_hearing(to);
                }
            }
            PostDeed::KillSender => {
                self.post(conn, to_end, Cargo::Frame(frame));
                if !from.is_client() && self.is_up(from) {
                    let ending = self.nemesis.some_ending();
                    self.kill(from, ending);
                }
            }
        }
    }

    pub(super) fn lose(&mut self, frame: &Frame, to: Who) {
        self.tally.fire("W1");
        self.tally.deed();
        let (from, kind) = (frame.from, frame.kind);
        self.trace
            .world(self.now, || format!("lost: {kind:?} from {from} to {to}"));
    }

    /// A frame from long ago arrives once more.
    pub(super) fn send_again(&mut self, from: Who, to: Who, lives: (u32, u32), frame: Frame) {
        // What begins a transaction does not outlive the process that sent it, nor the one that was to hear it: it was on
        // a connection of theirs.
        let begins = matches!(frame.kind, Kind::Prepare | Kind::Execute);
        if self.healed || (begins && (self.lives(from), self.lives(to)) != lives) {
            return;
        }
        let conns = self.network.conns_between(to, from);
        if let Some(&(conn, end)) = conns.last() {
            self.tally.fire("W2");
            self.tally.deed();
            self.post(conn, end, Cargo::Frame(frame));
        }
    }

    pub(super) fn post(&mut self, conn: ConnId, to: End, cargo: Cargo) {
        let mail = self.weather.mail;
        let mut latency = if self.healed {
            mail.latency.0
        } else {
            self.mail.between(mail.latency.0, mail.latency.1)
        };
        if !self.healed && self.mail.chance(mail.late) {
            self.tally.deed();
            let more = self.mail.skewed(MS, 3 * SECOND);
            if u128::from(more) > self.weather.cast.prepare_timeout.as_micros() {
                self.tally.fire("W4");
            }
            latency += more;
        }
        if let Some((at, cargo)) = self.network.post(conn, to, cargo, self.now, latency) {
            self.put(at, Event::Arrive(conn, to, cargo));
        }
    }

    pub(super) fn arrive(&mut self, conn: ConnId, end: End, cargo: Cargo) {
        if !self.network.is_open(conn, end) {
            return;
        }
        let who = self.network.who(conn, end).expect("it is open");
        let other = self.network.who(conn, end.other());
        if matches!(cargo, Cargo::Closed) {
            self.network.close(conn, end);
        }
        if let Who::Client(number) = who {
            return self.client_hears(number, conn, cargo);
        }
        if !self.is_up(who) {
            return; // Its connections are closed with it.
        }
        if let (Who::Coordinator(from), End::Dialler, Some(Who::Node(to))) = (who, end, other) {
            self.link_changed(from, to, conn, &cargo);
        }
        match &cargo {
            Cargo::Opened(hello) => {
                self.trace
                    .deed(self.now, who, || format!("connection {} with {hello}", conn.0));
            }
            Cargo::Closed => self
                .trace
                .deed(self.now, who, || format!("connection {} is closed", conn.0)),
            Cargo::Frame(_) => {}
        }
        let item = match cargo {
            Cargo::Opened(hello) => Item::Opened(conn, hello),
            Cargo::Closed => Item::Closed(conn),
            Cargo::Frame(frame) => Item::Frame(conn, frame),
        };
        self.host_mut(who).body_mut().inbox.push_back(item);
        if self.nemesis.dies_hearing(who) {
            let ending = self.nemesis.some_ending();
            self.kill(who, ending);
        } else {
            self.wake(who, self.now);
        }
    }

    /// A connection breaks; both sides learn it.
    pub(crate) fn cut(&mut self, conn: ConnId, first: End) {
        self.trace
            .world(self.now, || format!("connection {} breaks", conn.0));
        self.put(self.now, Event::Arrive(conn, first, Cargo::Closed));
        self.post(conn, first.other(), Cargo::Closed);
    }

    /// What is sent from `from` to `to` waits from now on.
    pub(crate) fn block(&mut self, from: Who, to: Who) {
        if self.network.block(from, to) {
            self.blocked_since.insert((from, to), self.now);
            self.trace
                .world(self.now, || format!("{from} no longer reaches {to}"));
            let silent = Event::Silent {
                hearer: to,
                other: from,
                since: self.now,
            };
            self.put(self.now + SILENCE, silent);
        }
    }

    pub(super) fn on_silence(&mut self, hearer: Who, other: Who, since: Time) {
        let blocked = self.network.is_blocked(other, hearer)
            && self.blocked_since.get(&(other, hearer)) == Some(&since);
        let frozen = self.frozen_since.get(&other) == Some(&since);
        if !blocked && !frozen {
            return;
        }
        self.tally.fire("W7");
        for (conn, end) in self.network.conns_between(hearer, other) {
            self.trace.world(self.now, || {
                format!("{hearer} has heard nothing of {other} for too long")
            });
            self.put(self.now, Event::Arrive(conn, end, Cargo::Closed));
            self.post(conn, end.other(), Cargo::Closed);
        }
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Free(from, to) => self.free(from, to),
            Relief::Fast(from, to) => self.network.set_slow(from, to, 0),
            Relief::Room(who) => self.disk(who).set_capacity(None),
            Relief::Thaw(who) => {
                self.frozen_since.remove(&who);
            }
        }
    }

    /// A path is free again: what waited arrives, or its connection turns out to have broken meanwhile.
    pub(crate) fn free(&mut self, from: Who, to: Who) {
        let Some(freed) = self.network.unblock(from, to) else {
            return;
        };
        self.trace
            .world(self.now, || format!("{from} reaches {to} again"));
        self.tally.fire("W5");
        let mut broken = BTreeSet::new();
        for (conn, end, cargo) in freed {
            if self.mail.chance(100) && broken.insert(conn) {
                self.cut(conn, end);
            }
            if !broken.contains(&conn) || matches!(cargo, Cargo::Closed) {
                self.post(conn, end, cargo);
            }
        }
    }
}
