//! When has everything that was begun ended, and how does everything come to work again?

use protocol::effects::Machine;

use super::{Event, World};
use crate::who::Who;

impl World {
    /// Whether everything that was begun has ended, everywhere.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.clients_are_done()
            && self
                .processes()
                .into_iter()
                .all(|who| self.host(who).load() == Some(0) && self.is_free(who))
            && self.links.values().all(|link| self.is_whole(link))
    }

    /// Whether a process is neither frozen nor waiting longer for its disk than a sync takes.
    fn is_free(&self, who: Who) -> bool {
        self.hindered_until(who) <= self.now + self.weather.sync.1 + 1
    }

    /// Who has not come to rest, for a person.
    pub(crate) fn what_is_left(&self) -> String {
        let mut left = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            if !client.is_idle() || !client.open.is_empty() {
                left.push(format!("{} waits {:?}", Who::Client(number), client.open));
            }
        }
        for who in self.processes().into_iter().filter(|&who| !self.is_free(who)) {
            left.push(format!("{who} is hindered until {:?}", self.hindered_until(who)));
        }
        for ((from, to), link) in &self.links {
            if !self.is_whole(link) {
                left.push(format!(
                    "{} has no link to {}",
                    Who::Coordinator(*from),
                    Who::Node(*to)
                ));
            }
        }
        for who in self.processes() {
            match self.host(who).load() {
                None => left.push(format!("{who} is down")),
                Some(0) => {}
                Some(open) => left.push(format!("{who} has {open} open")),
            }
        }
        for participant in self.participants() {
            let prepared = participant.state().prepared().keys();
            left.extend(prepared.map(|txn| format!("{txn} is prepared")));
        }
        left.join("; ")
    }

    /// Everything works again: whoever is dead starts at once, every path is free, every disk has room.
    pub(crate) fn heal(&mut self) {
        self.trace.world(self.now, || "everything heals".to_owned());
        self.healed = true;
        self.nemesis.calm();
        self.frozen_since.clear();
        for (from, to) in self.network.blocked() {
            self.free(from, to);
        }
        self.network.clear_slow();
        for who in self.processes() {
            let armed = self.nemesis.take_armed(who);
            if self.disk(who).calm().is_some() && armed.is_some_and(|armed| armed.fault.is_some()) {
                // It was met and survived: only a checkpoint or a new segment is put off for lack of space.
                self.tally.deed();
                self.tally.fire("D9");
                self.tally.fire("K-d");
            }
            self.disk(who).set_capacity(None);
            let now = self.now;
            let body = self.host_mut(who).body_mut();
            body.frozen_until = now;
            body.doomed_sends = None;
            if self.is_up(who) {
                self.wake(who, self.now);
            } else {
                self.put(self.now, Event::Start(who));
            }
        }
        for client in &mut self.clients {
            client.idle_until = self.now;
        }
        self.wake_clients();
    }
}
