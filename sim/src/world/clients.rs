//! What clients think of, ask and are told.

use protocol::codec;
use protocol::frame::{self, Growing};
use protocol::hello::Hello;
use protocol::message::{Answer, Ask, AuditVerdict, BalanceAnswer, Call, Outcome, Reply};
use protocol::reason::Reason;
use protocol::request;

use super::{Event, World};
use crate::client::{Job, Wish};
use crate::history::request_id;
use crate::network::{Cargo, ConnId, End, Frame};
use crate::role::{Kind, cluster};
use crate::time::Time;
use crate::trace::Event as Told;
use crate::who::Who;
use crate::workload;

impl World {
    pub(super) fn wake_clients(&mut self) {
        for number in 0..self.clients.len() {
            self.put(self.now, Event::Client(number));
        }
    }

    pub(super) fn on_client(&mut self, number: usize) {
        if self.clients[number].deadline() > self.now {
            return;
        }
        let wishes = if self.clients[number].is_idle() {
            self.think(number)
        } else {
            self.clients[number].fire(self.now)
        };
        self.grant(number, wishes);
    }

    pub(super) fn client_hears(&mut self, number: usize, conn: ConnId, cargo: Cargo) {
        let now = self.now;
        let wishes = match cargo {
            Cargo::Opened(_) => self.clients[number].connected(conn, now),
            Cargo::Closed => self.clients[number].lost(conn, now),
            Cargo::Frame(frame) => {
                let body = frame::read(&frame.bytes).ok().flatten();
                match body.map(codec::decode::<Reply>) {
                    Some(Ok(Reply {
                        id,
                        answer: Answer::Outcome(outcome),
                    })) if !frame.damaged && self.clients[number].riding.contains_key(&id) => {
                        self.rider_hears(number, id, &outcome);
                        Vec::new()
                    }
                    Some(Ok(reply)) if !frame.damaged => {
                        if let Some(text) = frame.text {
                            let (from, to) = (frame.from, Who::Client(number));
                            self.trace.tell(now, Told::Message { from, to, text });
                        }
                        self.clients[number].heard(conn, reply.id, reply.answer, now)
                    }
                    Some(Ok(_)) => {
                        let wrong = "W10: a damaged frame reads as if it were whole".to_owned();
                        self.history.violations.push(wrong);
                        Vec::new()
                    }
                    Some(Err(_)) | None => {
                        self.cut(conn, End::Dialler);
                        Vec::new()
                    }
                }
            }
        };
        self.grant(number, wishes);
    }

    /// Does what a client wants.
    pub(super) fn grant(&mut self, number: usize, wishes: Vec<Wish>) {
        let who = Who::Client(number);
        for wish in wishes {
            match wish {
                Wish::Dial(coordinator) => {
                    let hello = Hello::client(cluster());
                    match self.open(who, Who::Coordinator(coordinator), hello) {
                        Some(conn) => self.clients[number].dialled(coordinator, conn),
                        None => {
                            // Refused at once; the client hears of it a moment later.
                            let conn = self.network.dial(who, Who::Coordinator(coordinator));
                            self.network.close(conn, End::Listener);
                            self.clients[number].dialled(coordinator, conn);
                            self.put(self.now + 100, Event::Arrive(conn, End::Dialler, Cargo::Closed));
                        }
                    }
                }
                Wish::Close(conn) => {
                    if self.network.close(conn, End::Dialler) {
                        self.post(conn, End::Listener, Cargo::Closed);
                    }
                }
                Wish::Call(conn, call) => {
                    let mut calls = vec![call];
                    if let Ask::Submit { .. } = calls[0].ask {
                        calls.extend(self.riders(number));
                    }
                    let mut bytes = Vec::new();
                    let open = Growing::begin(&mut bytes);
                    calls.iter().for_each(|call| codec::encode_into(call, &mut bytes));
                    open.seal(&mut bytes);
                    let kind = match calls[0].ask {
                        Ask::Submit { .. } => Kind::Submit,
                        Ask::Balance { .. }
                        | Ask::Accounts { .. }
                        | Ask::Audit
                        | Ask::Status
                        | Ask::Show(_)
                        | Ask::List { .. }
                        | Ask::Resolve { .. }
                        | Ask::Adopt { .. }
                        | Ask::Arm { .. } => Kind::Other,
                    };
                    let frame = Frame {
                        bytes,
                        kind,
                        from: who,
                        text: self.trace.is_on().then(|| {
                            let texts: Vec<String> = calls.iter().map(ToString::to_string).collect();
                            texts.join(" + ")
                        }),
                        damaged: false,
                    };
                    self.send(conn, frame);
                }
                Wish::Done { job, began, end } => self.on_done(number, job, began, end),
            }
        }
        let at = self.clients[number].deadline().max(self.now);
        if at > self.now || !self.clients[number].is_idle() {
            self.put(at, Event::Client(number));
        }
    }

    /// The calls that go out in one frame with a client's request.
    fn riders(&mut self, number: usize) -> Vec<Call> {
        let client = &mut self.clients[number];
        let orders = std::mem::take(&mut client.along);
        let riders = orders.into_iter().map(|order| {
            let id = client.next_call();
            client.riding.insert(id, order);
            let ask = Ask::Submit {
                request: request_id(order),
                repeated: false,
                order: self.history.asked()[order].order.clone(),
            };
            Call { id, ask }
        });
        riders.collect()
    }

    /// The outcome of a request that went out with another.
    fn rider_hears(&mut self, number: usize, call: u64, outcome: &Outcome) {
        let client = &mut self.clients[number];
        let order = client.riding.remove(&call).expect("it was looked up");
        if let Outcome::Unknown { .. } = outcome {
            client.open.push(order);
        }
        self.history.tell(order, outcome, false, self.now);
    }

    /// An idle client thinks of something to do.
    pub(super) fn think(&mut self, number: usize) -> Vec<Wish> {
        let habits = self.weather.habits;
        let (now, nodes) = (self.now, self.nodes.len());
        let coordinators = self.coordinators.len();
        let client = &mut self.clients[number];
        client.ask_about_riders();
        let first = client.dice.chance(200).then(|| client.dice.below(coordinators));
        if !client.open.is_empty() && (self.requests_left == 0 || client.dice.chance(300)) {
            let at = client.dice.below(client.open.len());
            let order = client.open.swap_remove(at);
            return self.ask(number, order, first);
        }
        if self.requests_left == 0 {
            return Vec::new();
        }
        if client.dice.chance(habits.audit) {
            return client.begin(Job::Audit, Ask::Audit, first, habits.patience, now);
        }
        if client.dice.chance(habits.read) {
            let place = workload::place(client.dice.below(nodes), client.dice.below(habits.accounts));
            let ask = Ask::Balance {
                place: place.clone(),
                wait_ms: 1000,
            };
            return client.begin(Job::Read(place), ask, first, habits.patience, now);
        }
        if client.dice.chance(20)
            && let Some(again) = self.some_committed(number)
        {
            if self.clients[number].dice.chance(500) {
                self.tally.fire("I8");
                return self.ask(number, again, first);
            }
            self.tally.fire("I9");
            let asked = &self.history.asked()[again];
            let ask = Ask::Submit {
                request: asked.id,
                repeated: true,
                order: workload::other_body(&asked.order),
            };
            return self.clients[number].begin(Job::Reuse, ask, first, habits.patience, now);
        }
        if habits.batch > 0 && self.clients[number].dice.chance(habits.batch) {
            for _ in 0..self.clients[number].dice.between(1, 6) {
                if self.requests_left > 1 {
                    let order = self.new_order(number);
                    self.asked_before.insert(order);
                    self.clients[number].along.push(order);
                }
            }
        }
        let order = self.new_order(number);
        self.ask(number, order, first)
    }

    /// A client thinks of a new request.
    fn new_order(&mut self, number: usize) -> usize {
        self.requests_left -= 1;
        let (habits, nodes) = (self.weather.habits, self.nodes.len());
        let idea = workload::idea(&mut self.clients[number].dice, &habits, nodes);
        if let Some(id) = idea.fault {
            self.tally.fire(id);
        }
        self.history.ask(idea.order, self.now, idea.never)
    }

    /// A transfer that this client was told to have happened; a deposit would have to be repeated as one.
    pub(super) fn some_committed(&mut self, number: usize) -> Option<usize> {
        let asked = self.history.asked();
        let at = self.clients[number].dice.below(asked.len());
        (at..asked.len()).find(|&order| {
            let asked = &asked[order];
            !asked.order.opens() && asked.told.as_ref().is_some_and(|told| told.committed.is_some())
        })
    }

    pub(super) fn ask(&mut self, client: usize, order: usize, first: Option<usize>) -> Vec<Wish> {
        let asked = &self.history.asked()[order];
        // Only its own client knows whether it was sent before.
        let repeated = !self.asked_before.insert(order);
        let ask = Ask::Submit {
            request: request_id(order),
            repeated,
            order: asked.order.clone(),
        };
        let (patience, now) = (self.weather.habits.patience, self.now);
        self.clients[client].begin(Job::Order { order, repeated }, ask, first, patience, now)
    }

    pub(super) fn on_done(&mut self, number: usize, job: Job, began: Time, end: request::End) {
        let think = self.clients[number].dice.skewed(1, self.weather.habits.think);
        self.clients[number].idle_until = self.now + if self.healed { 1 } else { think };
        let answer = match end {
            request::End::Answer(answer) => Some(answer),
            request::End::NoCoordinator { .. } | request::End::Unknown { .. } => None,
        };
        match job {
            Job::Order { order, repeated } => match answer {
                Some(Answer::Outcome(outcome)) => {
                    if let Outcome::Aborted { refusal, .. } = &outcome
                        && let Reason::CreditOverflow(_) = refusal.reason
                    {
                        self.tally.fire("I2");
                    }
                    self.history.tell(order, &outcome, repeated, self.now);
                }
                Some(_) | None => {
                    if self.history.asked()[order].told.is_none() {
                        self.clients[number].open.push(order);
                    }
                }
            },
            Job::Reuse => {
                if let Some(Answer::Outcome(outcome)) = answer
                    && outcome != Outcome::Reused
                {
                    self.history.violations.push(format!(
                        "V5: a request that had happened was sent again with another body, and the answer is {outcome}"
                    ));
                }
            }
            Job::Read(place) => match answer {
                Some(Answer::Balance(BalanceAnswer::Is(found))) => {
                    self.history.read(place, began, self.now, found);
                }
                Some(Answer::Balance(BalanceAnswer::NoSuchAccount)) => {
                    self.history.violations.push(format!("V7: {place} is not there"));
                }
                Some(_) | None => {}
            },
            Job::Audit => {
                if let Some(Answer::Audit(report)) = answer {
                    match report.verdict {
                        AuditVerdict::Exact => self.history.audited(report.brought_in),
                        AuditVerdict::Incomplete(_) => {}
                        AuditVerdict::Violated => {
                            self.history
                                .violations
                                .push(format!("V8: an audit says {report:?}"));
                        }
                    }
                }
            }
        }
    }

    /// Lets a client do one more thing.
    pub(crate) fn employ(&mut self, number: usize, job: Job, ask: Ask, first: usize) {
        let (patience, now) = (self.weather.habits.patience, self.now);
        let wishes = self.clients[number].begin(job, ask, Some(first), patience, now);
        self.grant(number, wishes);
    }

    /// Lets a client ask once more about a request.
    pub(crate) fn ask_again(&mut self, number: usize, order: usize) {
        self.clients[number].open.push(order);
        self.put(self.now, Event::Client(number));
    }

    /// Clients drop what they have not thought of yet.
    pub(crate) fn stop_requests(&mut self) {
        self.requests_left = 0;
    }

    pub(crate) fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// Whether clients have thought of half of their requests.
    pub(crate) fn half_is_asked(&self) -> bool {
        2 * self.requests_left <= self.weather.habits.requests
    }

    /// Whether every client has nothing more to ask.
    pub(crate) fn clients_are_done(&self) -> bool {
        self.requests_left == 0
            && self
                .clients
                .iter()
                .all(|client| client.is_idle() && client.owes_nothing())
    }
}
