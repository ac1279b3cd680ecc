//! What those who look on ask, and what they are told. The machine never hears of any of it.

use protocol::codec;
use protocol::effects::Machine;
use protocol::fold::Fold;
use protocol::frame::BODY_LEN_MAX;
use protocol::hello::Refused;
use protocol::message::watch::{Numbers, Seen, StateEntry, StatePage, Told, Traffic, WatchAnswer, WatchAsk};

use super::{Loop, Post, Said};
use crate::service::Service;
use crate::tap::millis;
use crate::watchers::WATCHERS_MAX;
use crate::{Counters, Session};

/// Entries on a page of the state.
const PAGE_LEN: usize = 100;

/// Bytes of a page's entries above which it ends early: an entry may name many accounts.
const PAGE_BYTES_MAX: usize = 128 * 1024;

const NO_GATE: &str = "only a coordinator with --enable-failpoints can be stepped through";
const NOT_YOURS: &str =
    "somebody else steps through transactions just now; the gate opens when they are done";

impl<S: Service> Loop<'_, S> {
    /// Somebody comes who only looks on.
    pub(super) fn on_watcher(&mut self, session: Session) {
        if !self.watchers.open(session) {
            let busy = format!("busy: {WATCHERS_MAX} watch already; try again");
            self.net.refuse_visitor(Refused(busy));
        }
    }

    /// Such a one goes.
    pub(super) fn on_watcher_gone(&mut self, session: Session) {
        self.watchers.close(session);
        if let Some(gate) = &mut self.gate
            && gate.is_of(session)
        {
            let waited = gate.open_for_good();
            self.let_go(waited);
        }
    }

    /// Answers the next question of the watcher whose messages are being handled. Says whether there may be another.
    pub(super) fn on_question(&mut self) -> bool {
        let (peer, body) = self.net.message();
        let (session, mut rest) = (peer.session, body);
        let ask = match codec::decode_next(&mut rest) {
            Ok(ask) => ask,
            Err(bad) => {
                self.net.refuse_message(Refused(bad.to_string()));
                return false;
            }
        };
        let len = body.len() - rest.len();
        self.net.handled(len, 1);
        let answer = self.answer(session, ask);
        let mut body = codec::encode(&Told::Answer(Box::new(answer)));
        if body.len() > BODY_LEN_MAX {
            let too_long =
                WatchAnswer::Cannot(format!("the answer has {} bytes, too many to send", body.len()));
            body = codec::encode(&Told::Answer(Box::new(too_long)));
        }
        self.net.tell_visitor(&body);
        true
    }

    fn answer(&mut self, session: Session, ask: WatchAsk) -> WatchAnswer {
        match ask {
            WatchAsk::Follow { replay } => {
                self.watchers.follow(session, replay, &self.tap);
                WatchAnswer::Following {
                    every: self.tap.every(),
                }
            }
            WatchAsk::Recall(txn) => WatchAnswer::Recalled(self.tap.recall(txn)),
            WatchAsk::Numbers => WatchAnswer::Numbers(self.numbers()),
            WatchAsk::State { after } => match self.page(after.as_deref()) {
                Ok(page) => WatchAnswer::State(page),
                Err(why) => WatchAnswer::Cannot(why),
            },
            WatchAsk::Nodes => WatchAnswer::Nodes(self.net.nodes()),
            WatchAsk::Gate(true) => self.close_gate(session),
            WatchAsk::Gate(false) => self.open_gate(session),
            WatchAsk::Step => self.step_gate(session),
        }
    }

    fn close_gate(&mut self, session: Session) -> WatchAnswer {
        let Some(gate) = &mut self.gate else {
            return WatchAnswer::Cannot(NO_GATE.to_owned());
        };
        if gate.close(session) {
            WatchAnswer::Holding(gate.holding())
        } else {
            WatchAnswer::Cannot(NOT_YOURS.to_owned())
        }
    }

    fn open_gate(&mut self, session: Session) -> WatchAnswer {
        let Some(gate) = &mut self.gate else {
            return WatchAnswer::Cannot(NO_GATE.to_owned());
        };
        let Some(waited) = gate.open(session) else {
            return WatchAnswer::Cannot(NOT_YOURS.to_owned());
        };
        let holding = gate.holding();
        self.let_go(waited);
        WatchAnswer::Holding(holding)
    }

    fn step_gate(&mut self, session: Session) -> WatchAnswer {
        let Some(gate) = &mut self.gate else {
            return WatchAnswer::Cannot(NO_GATE.to_owned());
        };
        if gate.is_closed() && !gate.is_of(session) {
            return WatchAnswer::Cannot(NOT_YOURS.to_owned());
        }
        let next = gate.step();
        let holding = gate.holding();
        self.let_go(next.into_iter().collect());
        WatchAnswer::Holding(holding)
    }

    /// Sends what has waited long enough.
    fn let_go(&mut self, waited: Vec<Said<S>>) {
        let mut post = Post::past_gate(
            &mut self.net,
            &*self.service,
            &mut self.tap,
            &mut self.body,
            self.now,
        );
        waited.into_iter().for_each(|outgoing| post.send(outgoing));
    }

    /// Tells followers what is new, if it is time.
    pub(super) fn feed_watchers(&mut self) {
        if let Some(gate) = &mut self.gate
            && gate.take_changed()
        {
            self.watchers.gate_changed();
        }
        let (net, gate) = (&mut self.net, &self.gate);
        let holding = || gate.as_ref().map(|gate| gate.holding());
        self.watchers
            .feed(self.now, &self.tap, holding, |session, seen: Option<&Seen>| {
                if let Some(seen) = seen {
                    net.send(session, &codec::encode(&Told::Seen(seen.clone())));
                }
                net.queued_len(session)
            });
    }

    fn numbers(&self) -> Numbers {
        let in_doubt = self.service.in_doubt(self.machine);
        let ages = in_doubt.iter();
        let ages = ages.map(|&(txn, about)| self.tap.age(txn, self.now).unwrap_or(about));
        Numbers {
            open: count(self.service.load(self.machine)),
            in_doubt: count(in_doubt.len()),
            oldest_in_doubt_ms: millis(ages.max().unwrap_or_default()),
            dropped: self.watchers.dropped(),
            work: self.turn.stats().into(),
            traffic: traffic(&self.net.counters),
            ..self.tap.numbers(self.now)
        }
    }

    fn page(&self, after: Option<&str>) -> Result<StatePage, String> {
        type State<S> = <<S as Service>::Machine as Machine>::State;
        let after = after.map(serde_json::from_str).transpose();
        let after = after.map_err(|error| format!("not the key of an entry: {error}"))?;
        let state = self.machine.state();
        // One more than fits, to know whether there is one.
        let found = state.page(after.as_ref(), PAGE_LEN + 1);
        let (mut bytes, mut next) = (0, None);
        let mut entries: Vec<StateEntry> = Vec::new();
        for entry in &found {
            let key = State::<S>::key(entry);
            let shown = StateEntry {
                tree: State::<S>::table(&key).name().to_owned(),
                key: json(&key),
                value: json(entry),
            };
            let full = entries.len() == PAGE_LEN || bytes + shown.value.len() > PAGE_BYTES_MAX;
            if let Some(last) = entries.last().filter(|_| full) {
                next = Some(last.key.clone());
                break;
            }
            bytes += shown.value.len();
            entries.push(shown);
        }
        Ok(StatePage {
            seq: state.seq(),
            entries,
            next,
        })
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("keys and entries are JSON")
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits")
}

fn traffic(counters: &Counters) -> Traffic {
    Traffic {
        accepted: counters.accepted,
        refused: counters.refused,
        frames_in: counters.frames_in,
        frames_out: counters.frames_out,
        bytes_in: counters.bytes_in,
        bytes_out: counters.bytes_out,
        turns: counters.turns,
    }
}
