//! The load generator: one thread, any number of connections, no waiting but for the next event.
//!
//! It shares the machine with what it measures, so it works like the servers do: one turn takes all that arrived,
//! answers it with the next requests, and writes what gathered with one system call a connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use client::{Answer, ClientConfig};
use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use protocol::codec;
use protocol::hello::Control;
use protocol::message::Reply;

use crate::alarm::Alarm;
use crate::calibrate::Calibration;
use crate::latency::Latencies;
use crate::line::Line;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::wire::Encoder;
use crate::workload::{Part, Workload};

/// How often the caller is told how it goes.
const TELL: Duration = Duration::from_millis(200);

/// A wait that ends so much later than asked for means that this process did not get to run.
const STALL: Duration = Duration::from_millis(500);

/// With one request at a time: a sync of the calibration's file after every so many.
const SYNC_EVERY: u64 = 4;

/// What is sent, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Connections.
    pub clients: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
    /// Transactions in each request.
    pub batch: usize,
    /// When requests are due.
    pub pace: Pace,
    /// Time before anything counts.
    pub warmup: Duration,
    /// Time that counts.
    pub time: Duration,
    /// How long answers are waited for at the end.
    pub drain: Duration,
}

impl Plan {
    /// Whether what happens then counts.
    fn counts(&self, at: Duration) -> bool {
        at >= self.warmup && at < self.warmup + self.time
    }
}

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// How the requests ended whose answers came in the time that counts.
    pub tally: Tally,
    /// How all requests ended, those of the warm-up too.
    pub whole: Tally,
    /// Times of those that count and committed.
    pub times: Latencies,
    /// What came in each second that counts.
    pub seconds: Vec<Second>,
    /// Requests without an answer at the end.
    pub unanswered: u64,
    /// Time in which this process did not get to run. The clock stood still meanwhile.
    pub stalled: Duration,
}

/// A second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Commits.
    pub committed: u64,
    /// The longest time without any answer that ended in this second.
    pub longest_gap: Duration,
}

impl Heard {
    /// The second in which `now` lies, which must count.
    fn second(&mut self, now: Duration, plan: &Plan) -> &mut Second {
        let second = usize::try_from((now - plan.warmup).as_secs()).expect("seconds of one run");
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        &mut self.seconds[second]
    }
}

/// How it goes: handed to the caller several times a second.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Time since the begin, the warm-up included.
    pub elapsed: Duration,
    /// Time it will take.
    pub of: Duration,
    /// Commits so far, those of the warm-up included.
    pub committed: u64,
}

/// A load under way.
pub struct Load<'a> {
    plan: Plan,
    encoder: Encoder,
    workload: Workload,
    calibration: Option<&'a mut Calibration>,
    poll: Poll,
    alarm: Alarm,
    lines: Vec<Line>,
    /// One entry for each free place, the longest free first.
    idle: VecDeque<usize>,
    /// Lines that have something to send since this turn.
    touched: Vec<usize>,
    /// Reused: the next transaction.
    parts: Vec<Part>,
    /// When the last answers came.
    answered_at: Duration,
    heard: Heard,
}

impl<'a> Load<'a> {
    /// Connects all clients, over the coordinators in turn. With a `calibration`, and one request at a time, syncs of
    /// its file take turns with the requests.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn connect(
        plan: Plan,
        coordinators: &[ClientConfig],
        encoder: Encoder,
        workload: Workload,
        calibration: Option<&'a mut Calibration>,
    ) -> Result<Load<'a>, String> {
        let text = |error: io::Error| error.to_string();
        let poll = Poll::new().map_err(text)?;
        let mut lines = Vec::new();
        let mut idle = VecDeque::new();
        for (index, config) in coordinators.iter().cycle().take(plan.clients).enumerate() {
            let mut line = Line::open(config, plan.in_flight, plan.batch)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            line.stream
                .register(poll.registry(), Token(index), interest)
                .map_err(text)?;
            lines.push(line);
        }
        for _ in 0..plan.in_flight {
            idle.extend(0..lines.len());
        }
        let alarm = Alarm::new(poll.registry(), Token(lines.len())).map_err(text)?;
        let one_at_a_time = plan.clients * plan.in_flight * plan.batch == 1 && !plan.pace.is_fixed();
        Ok(Load {
            plan,
            encoder,
            workload,
            calibration: calibration.filter(|_| one_at_a_time),
            poll,
            alarm,
            lines,
            idle,
            touched: Vec::new(),
            parts: Vec::new(),
            answered_at: Duration::ZERO,
            heard: Heard::default(),
        })
    }

    /// Sends and listens until the time is up and every answer has come. `tell` hears how it goes, and says whether
    /// to go on.
    ///
    /// # Errors
    /// A text that says what failed: a connection broke, or an answer made no sense.
    pub fn run(mut self, tell: &mut dyn FnMut(Tick) -> bool) -> Result<Heard, String> {
        let of = self.plan.warmup + self.plan.time;
        let mut end = of;
        let mut begin = Instant::now();
        let mut events = Events::with_capacity(1024);
        let mut tell_at = TELL;
        let mut synced_at = 0;
        loop {
            let now = begin.elapsed();
            if now >= tell_at {
                tell_at = now + TELL;
                let tick = Tick {
                    elapsed: now,
                    of,
                    committed: self.heard.whole.committed,
                };
                if !tell(tick) {
                    end = end.min(now);
                }
            }
            let sending = now < end;
            if sending {
                self.send_due(now)?;
            } else if self.open_calls() == 0 || now >= end + self.plan.drain {
                break;
            }
            let patience = self.patience(now, tell_at, sending)?;
            match self.poll.poll(&mut events, Some(patience)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            }
            let mut woken = begin.elapsed();
            let late = woken.saturating_sub(now + patience);
            if late >= STALL {
                // Suspended, or starved: nothing about the cluster can be learnt from that.
                self.heard.stalled += late;
                begin += late;
                woken -= late;
            }
            let now = woken;
            for event in &events {
                let Some(line) = self.lines.get_mut(event.token().0) else {
                    continue; // The alarm: it was set to be awake.
                };
                if event.is_writable() {
                    line.send()?;
                }
                if event.is_readable() || event.is_read_closed() {
                    self.listen(event.token().0, now)?;
                }
            }
            if let Some(calibration) = &mut self.calibration
                && self.heard.whole.all() >= synced_at + SYNC_EVERY
            {
                synced_at = self.heard.whole.all();
                // The clock stands still meanwhile.
                begin += calibration.sync_once().map_err(|error| error.to_string())?;
            }
        }
        let unanswered = self.open_calls();
        self.heard.unanswered = u64::try_from(unanswered).unwrap_or(u64::MAX);
        Ok(self.heard)
    }

    /// Sends every request that is due and has a place.
    fn send_due(&mut self, now: Duration) -> Result<(), String> {
        while let Some(&index) = self.idle.front() {
            let Some(due) = self.plan.pace.take(now) else {
                break;
            };
            self.idle.pop_front();
            let line = &mut self.lines[index];
            if line.output.is_empty() {
                self.touched.push(index);
            }
            let calls = line.places.take(due).expect("an idle line has a place");
            for call in calls {
                self.workload.next(&mut self.parts);
                self.encoder.add(call, &mut self.parts, &mut line.output);
            }
            self.encoder.seal(&mut line.output);
        }
        for index in self.touched.drain(..) {
            self.lines[index].send()?;
        }
        Ok(())
    }

    /// How long there is nothing to do but listen.
    fn patience(&mut self, now: Duration, tell_at: Duration, sending: bool) -> Result<Duration, String> {
        let until_tell = tell_at.saturating_sub(now);
        match self.plan.pace.next() {
            Some(due) if sending && !self.idle.is_empty() => {
                let due = due.saturating_sub(now);
                let patience = self.alarm.set(due).map_err(|error| error.to_string())?;
                Ok(patience.min(until_tell))
            }
            Some(_) | None => Ok(until_tell),
        }
    }

    /// Takes the answers that have arrived on a line.
    fn listen(&mut self, index: usize, now: Duration) -> Result<(), String> {
        let mut batch = Answers::at(now);
        // At a fixed rate there may just be nothing to answer; whoever draws conclusions knows the rate.
        if self.plan.counts(now) && self.plan.counts(self.answered_at) {
            let gap = now.saturating_sub(self.answered_at);
            let second = self.heard.second(now, &self.plan);
            second.longest_gap = second.longest_gap.max(gap);
        }
        self.answered_at = now;
        loop {
            let line = &mut self.lines[index];
            let more = line.receive()?;
            while let Some(body) = line.frame()? {
                let (places, mut body) = line.places_and(body);
                if Control::is_control(body) {
                    continue; // A ping; a refusal closes the connection, which is noticed.
                }
                while !body.is_empty() {
                    let reply: Reply = codec::decode_next(&mut body).map_err(|bad| bad.to_string())?;
                    let place = places.answered(reply.id);
                    let (due, free) = place.ok_or("an answer to a call that is not open")?;
                    if free {
                        self.idle.push_back(index);
                    }
                    batch.note(&reply.answer, due, &mut self.heard, &self.plan);
                }
            }
            if !more {
                batch.end(&mut self.heard, &self.plan);
                return Ok(());
            }
        }
    }

    fn open_calls(&self) -> usize {
        self.lines.iter().map(|line| line.places.open_calls()).sum()
    }
}

/// The answers that came with one look at a line: counted together, since there may be thousands.
struct Answers {
    now: Duration,
    tally: Tally,
    /// Commits among the last answers in a row whose requests were due at the same time.
    due: Duration,
    committed: u64,
}

impl Answers {
    fn at(now: Duration) -> Answers {
        Answers {
            now,
            tally: Tally::default(),
            due: Duration::ZERO,
            committed: 0,
        }
    }

    fn note(&mut self, answer: &Answer, due: Duration, heard: &mut Heard, plan: &Plan) {
        if due != self.due {
            self.record_times(heard, plan);
            self.due = due;
        }
        if self.tally.note(answer) {
            self.committed += 1;
        }
    }

    fn record_times(&mut self, heard: &mut Heard, plan: &Plan) {
        // At a fixed rate the late ones count most of all.
        let at = if plan.pace.is_fixed() { self.due } else { self.now };
        if plan.counts(at) && self.committed > 0 {
            heard
                .times
                .record(self.now.saturating_sub(self.due), self.committed);
        }
        self.committed = 0;
    }

    fn end(mut self, heard: &mut Heard, plan: &Plan) {
        self.record_times(heard, plan);
        heard.whole.add(&self.tally);
        if plan.counts(self.now) {
            heard.tally.add(&self.tally);
            heard.second(self.now, plan).committed += self.tally.committed;
        }
    }
}
