//! A client: the real request machine, one request at a time, over the world's connections and clock.

use std::collections::BTreeMap;

use protocol::id::Place;
use protocol::message::{Answer, Ask, Call};
use protocol::request::{Effect, End, Input, Request, Resend, Timer};

use crate::dice::Dice;
use crate::network::ConnId;
use crate::time::{MS, Micros, SECOND, Time};

/// What a client is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// A request.
    Order {
        /// Its number in the history.
        order: usize,
        /// Whether it may have been sent before.
        repeated: bool,
    },
    /// A request id that has happened is sent again with another body.
    Reuse,
    /// Reading an account.
    Read(Place),
    /// An audit.
    Audit,
}

/// What a client wants from the world.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// Connect to that coordinator; answered by [`Client::connected`] or [`Client::lost`].
    Dial(usize),
    /// Close that connection.
    Close(ConnId),
    /// Send this.
    Call(ConnId, Call),
    /// The job is over.
    Done { job: Job, began: Time, end: End },
}

/// The connection a client has or is making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    coordinator: usize,
    conn: ConnId,
    up: bool,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    coordinators: usize,
    preferred: usize,
    line: Option<Line>,
    running: Option<Running>,
    calls: u64,
    /// When it thinks of something to do.
    pub(crate) idle_until: Time,
    /// Requests whose outcome it still wants to know.
    pub(crate) open: Vec<usize>,
    /// Requests that go out in one frame with the next.
    pub(crate) along: Vec<usize>,
    /// Requests that went out with another and are not answered, by their calls.
    pub(crate) riding: BTreeMap<u64, usize>,
    pub(crate) dice: Dice,
}

#[derive(Debug)]
struct Running {
    job: Job,
    began: Time,
    request: Request,
    patience: Micros,
    patient: bool,
    attempt: u32,
    call: u64,
    timers: BTreeMap<Timer, Time>,
}

impl Client {
    pub(crate) fn new(coordinators: usize, preferred: usize, dice: Dice) -> Client {
        Client {
            coordinators,
            preferred,
            line: None,
            running: None,
            calls: 0,
            idle_until: Time::default(),
            open: Vec::new(),
            along: Vec::new(),
            riding: BTreeMap::new(),
            dice,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Whether it knows the outcome of all that it has asked for.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.open.is_empty() && self.along.is_empty() && self.riding.is_empty()
    }

    /// The number of another call.
    pub(crate) fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// Gives up waiting for what went out with another request: it will be asked about by itself.
    pub(crate) fn ask_about_riders(&mut self) {
        let riders = std::mem::take(&mut self.riding).into_values();
        self.open.extend(riders.chain(self.along.drain(..)));
    }

    /// When it next has something to do by itself.
    pub(crate) fn deadline(&self) -> Time {
        match &self.running {
            None => self.idle_until,
            Some(running) => {
                let next = running.timers.values().min();
                *next.expect("the deadline runs until the end")
            }
        }
    }

    /// Begins a job with the coordinator that answered last, or with `first`.
    pub(crate) fn begin(
        &mut self,
        job: Job,
        ask: Ask,
        first: Option<usize>,
        patience: Micros,
        now: Time,
    ) -> Vec<Wish> {
        let patient = self.coordinators == 1 || Resend::of(&ask) == Resend::Freely;
        self.running = Some(Running {
            job,
            began: now,
            request: Request::new(ask, self.coordinators, first.unwrap_or(self.preferred)),
            patience,
            patient,
            attempt: 0,
            call: 0,
            timers: BTreeMap::new(),
        });
        self.step(Input::Start, now)
    }

    /// The connection that was asked for is being made.
    pub(crate) fn dialled(&mut self, coordinator: usize, conn: ConnId) {
        self.line = Some(Line {
            coordinator,
            conn,
            up: false,
        });
    }

    /// A connection is up.
    pub(crate) fn connected(&mut self, conn: ConnId, now: Time) -> Vec<Wish> {
        match &mut self.line {
            Some(line) if line.conn == conn => line.up = true,
            Some(_) | None => return Vec::new(),
        }
        let attempt = self.attempt();
        self.step(Input::Connected { attempt }, now)
    }

    /// A connection is gone or could not be made.
    pub(crate) fn lost(&mut self, conn: ConnId, now: Time) -> Vec<Wish> {
        if self.line.is_none_or(|line| line.conn != conn) {
            return Vec::new();
        }
        self.line = None;
        let attempt = self.attempt();
        let why = "the connection is gone".to_owned();
        self.step(Input::Lost { attempt, why }, now)
    }

    /// A reply arrived.
    pub(crate) fn heard(&mut self, conn: ConnId, call: u64, answer: Answer, now: Time) -> Vec<Wish> {
        let ours = self.line.is_some_and(|line| line.conn == conn);
        let Some(running) = self
            .running
            .as_ref()
            .filter(|running| ours && running.call == call)
        else {
            return Vec::new();
        };
        let attempt = running.attempt;
        self.step(Input::Answered { attempt, answer }, now)
    }

    /// Fires the timers that are due.
    pub(crate) fn fire(&mut self, now: Time) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Some(running) = &mut self.running {
            let due = running.timers.iter().map(|(&timer, &at)| (at, timer)).min();
            match due {
                Some((at, timer)) if at <= now => {
                    running.timers.remove(&timer);
                    wishes.extend(self.step(Input::Expired(timer), now));
                }
                Some(_) | None => break,
            }
        }
        wishes
    }

    fn attempt(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.attempt)
    }

    fn step(&mut self, input: Input, now: Time) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let Some(running) = &mut self.running else {
                break;
            };
            let mut effects = Vec::new();
            running.request.step(input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Set(timer) => {
                        let at = now + duration(timer, running, &mut self.dice);
                        running.timers.insert(timer, at);
                    }
                    Effect::Cancel(timer) => {
                        running.timers.remove(&timer);
                    }
                    Effect::Hangup => wishes.extend(self.line.take().map(|line| Wish::Close(line.conn))),
                    Effect::Connect { attempt, coordinator } => {
                        running.attempt = attempt;
                        match self.line {
                            Some(line) if line.up && line.coordinator == coordinator => {
                                next = Some(Input::Connected { attempt });
                            }
                            Some(line) => {
                                wishes.push(Wish::Close(line.conn));
                                self.line = None;
                                wishes.push(Wish::Dial(coordinator));
                            }
                            None => wishes.push(Wish::Dial(coordinator)),
                        }
                    }
                    Effect::Send { attempt: _, ask } => {
                        self.calls += 1;
                        running.call = self.calls;
                        let line = self.line.expect("the machine sends where it is connected");
                        let call = Call { id: self.calls, ask };
                        wishes.push(Wish::Call(line.conn, call));
                    }
                    Effect::End(end) => {
                        self.preferred = running.request.coordinator();
                        let (job, began) = (running.job.clone(), running.began);
                        wishes.push(Wish::Done { job, began, end });
                        self.running = None;
                        break;
                    }
                }
            }
        }
        wishes
    }
}

/// As the client library has them.
fn duration(timer: Timer, running: &Running, dice: &mut Dice) -> Micros {
    let patience = running.patience;
    match timer {
        Timer::Connect => (patience / 2).min(3 * SECOND),
        Timer::Answer if running.patient => patience * 2 / 3,
        Timer::Answer => patience / 3,
        Timer::Backoff { round } => {
            let longest = ((50 * MS) << (round.clamp(1, 8) - 1)).min(SECOND);
            dice.between(longest / 2, longest)
        }
        Timer::Deadline => patience,
    }
}
