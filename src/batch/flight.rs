//! What is on its way: many lines at once over one connection, asked again under their ids until they have an outcome.
//!
//! A connection that breaks, or brings nothing for a while, is given up: its lines go out again over the next one, to
//! another coordinator if there is one. Every line goes out as repeated, the first time too: nobody knows what an
//! earlier run has sent. So an abort is told only once it is final, and no line can happen twice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use client::{Answer, Ask, BATCH_MAX, ClientConfig, Error, Order, Outcome, Pipeline, RequestId};

/// Pause before a line, or a connection, is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one coordinator may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long the first connection may take: nothing hangs on it yet.
const FIRST_CONNECT_MAX: Duration = Duration::from_secs(1);

/// A line that was sent and has no outcome yet.
#[derive(Debug)]
struct Flying {
    ask: Ask,
    since: Instant,
    /// Whether it may have left.
    sent: bool,
    /// What its coordinator said when it could not tell.
    why: Option<String>,
}

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Landed {
    /// It has an outcome.
    Known(Outcome),
    /// It has none within its time.
    Unknown(String),
}

/// Lines on their way.
#[derive(Debug)]
pub(crate) struct Flight {
    config: ClientConfig,
    pipeline: Option<Pipeline>,
    lines: HashMap<u64, Flying>,
    /// The line of each call on the present connection.
    calls: HashMap<u64, u64>,
    /// Lines that go out next.
    due: Vec<u64>,
    /// Lines that go out again at a time.
    pausing: BinaryHeap<Reverse<(Instant, u64)>>,
    /// When a reply came last, or there was nothing to wait for.
    heard: Instant,
    /// Since when there is no connection.
    away: Option<Instant>,
    /// Whether anything was ever sent.
    sent: bool,
}

impl Flight {
    pub(crate) fn new(config: ClientConfig) -> Flight {
        Flight {
            config,
            pipeline: None,
            lines: HashMap::new(),
            calls: HashMap::new(),
            due: Vec::new(),
            pausing: BinaryHeap::new(),
            heard: Instant::now(),
            away: None,
            sent: false,
        }
    }

    /// How many lines have no outcome yet.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines that may have left and have no outcome yet.
    pub(crate) fn sent_lines(&self) -> impl Iterator<Item = u64> {
        let sent = self.lines.iter().filter(|(_, flying)| flying.sent);
        sent.map(|(&line, _)| line)
    }

    /// Takes a line; [`Flight::wait`] sends it.
    pub(crate) fn add(&mut self, line: u64, request: RequestId, order: Order) {
        let ask = Ask::Submit {
            request,
            repeated: true,
            order,
        };
        let flying = Flying {
            ask,
            since: Instant::now(),
            sent: false,
            why: None,
        };
        self.lines.insert(line, flying);
        self.due.push(line);
    }

    /// Sends what is due, waits until something lands or `patience` is over, and hands over all that has landed.
    ///
    /// # Errors
    /// If no coordinator could be reached for as long as a line may take: why.
    pub(crate) fn wait(
        &mut self,
        patience: Duration,
        mut land: impl FnMut(u64, Landed),
    ) -> Result<(), String> {
        let until = Instant::now() + patience;
        self.wake(&mut land);
        if self.pipeline.is_none() && !self.due.is_empty() {
            self.connect()?;
        }
        if let Err(error) = self.send_and_receive(until, &mut land) {
            self.break_off(&error.to_string());
        } else if !self.calls.is_empty() && self.heard.elapsed() > self.silence() {
            self.break_off("it answers nothing");
            self.config.coordinators.rotate_left(1);
        }
        Ok(())
    }

    /// How long a coordinator may answer nothing. Where there is another one, it is not waited for as long.
    fn silence(&self) -> Duration {
        match self.config.coordinators.len() {
            1 => self.config.timeout,
            _ => self.config.timeout / 3,
        }
    }

    fn send_and_receive(&mut self, until: Instant, land: &mut impl FnMut(u64, Landed)) -> Result<(), Error> {
        let now = Instant::now();
        let next = self
            .pausing
            .peek()
            .map_or(until, |Reverse((at, _))| until.min(*at));
        let patience = next.saturating_duration_since(now);
        let Some(pipeline) = &mut self.pipeline else {
            std::thread::sleep(patience);
            return Ok(());
        };
        if self.calls.is_empty() {
            self.heard = now;
        }
        for batch in self.due.chunks(BATCH_MAX) {
            self.sent = true;
            for line in batch {
                self.lines.get_mut(line).expect("it flies").sent = true;
            }
            let calls = pipeline.send_batch(batch.iter().map(|line| &self.lines[line].ask))?;
            self.calls.extend(calls.zip(batch.iter().copied()));
        }
        self.due.clear();
        if self.calls.is_empty() {
            std::thread::sleep(patience);
            return Ok(());
        }
        let mut received = pipeline.receive(patience)?;
        while let Some((call, answer)) = received {
            self.heard = now;
            if let Some(line) = self.calls.remove(&call) {
                let outcome = match answer {
                    Answer::Outcome(Outcome::Unknown { why }) | Answer::Failed(why) => Err(why),
                    Answer::Outcome(outcome) => Ok(outcome),
                    Answer::Balance(_)
                    | Answer::Accounts(_)
                    | Answer::Audit(_)
                    | Answer::Status(_)
                    | Answer::Txn(_)
                    | Answer::List(_)
                    | Answer::Done(_) => Err("it answered another question".to_owned()),
                };
                match outcome {
                    Ok(outcome) => {
                        self.lines.remove(&line);
                        land(line, Landed::Known(outcome));
                    }
                    Err(why) => {
                        self.lines.get_mut(&line).expect("it flies").why = Some(why);
                        self.pausing.push(Reverse((now + PAUSE, line)));
                    }
                }
            }
            received = pipeline.received()?;
        }
        Ok(())
    }

    /// Lines whose pause is over go out again, those whose time is over land without an outcome.
    fn wake(&mut self, land: &mut impl FnMut(u64, Landed)) {
        let now = Instant::now();
        while let Some(Reverse((at, line))) = self.pausing.peek().copied() {
            if at > now {
                break;
            }
            self.pausing.pop();
            let flying = &self.lines[&line];
            if now.duration_since(flying.since) < self.config.timeout {
                self.due.push(line);
            } else if let Some(flying) = self.lines.remove(&line) {
                land(line, Landed::Unknown(flying.why.unwrap_or_default()));
            }
        }
    }

    /// The connection is of no more use: its lines go out again.
    fn break_off(&mut self, why: &str) {
        log::warn!("{why}: asking again");
        self.pipeline = None;
        self.away = Some(Instant::now());
        self.due.extend(self.calls.drain().map(|(_, line)| line));
        self.due.sort_unstable();
        self.due.dedup();
    }

    /// Connects to the first coordinator that accepts, or pauses a little.
    fn connect(&mut self) -> Result<(), String> {
        let mut failures = Vec::new();
        for coordinator in &self.config.coordinators {
            let alone = ClientConfig {
                coordinators: vec![coordinator.clone()],
                timeout: self.config.timeout.min(CONNECT_MAX),
                ..self.config.clone()
            };
            match Pipeline::connect(&alone) {
                Ok(pipeline) => {
                    self.pipeline = Some(pipeline);
                    self.away = None;
                    self.heard = Instant::now();
                    return Ok(());
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        let since = *self.away.get_or_insert_with(Instant::now);
        let patience = if self.sent {
            self.config.timeout
        } else {
            self.config.timeout.min(FIRST_CONNECT_MAX)
        };
        if since.elapsed() >= patience {
            return Err(failures.join("; "));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
