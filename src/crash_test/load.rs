//! The clients: each sends one request after the other and writes down what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Error, Leg, Order, Outcome, RequestId};
use engine::Dice;

use super::finding::{Findings, Rule};
use super::history::Heard;
use super::workload::Accounts;

/// How long a client waits for an answer: longer than a freeze, shorter than a round.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);

/// Between two requests. Keeps a fast machine from filling its memory with history.
const PAUSE: Duration = Duration::from_millis(1);

/// Between two attempts to reach anybody.
const NOBODY_THERE: Duration = Duration::from_millis(20);

/// Requests that a client remembers, to send them again.
const RECENT: usize = 50;

/// Counted while it happens, for the progress line.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) committed: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) audits: AtomicU64,
}

/// What all clients share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) config: &'a ClientConfig,
    pub(super) accounts: &'a Accounts,
    pub(super) stop: &'a AtomicBool,
    pub(super) counters: &'a Counters,
    pub(super) findings: &'a Findings,
}

/// One client.
struct Worker<'a> {
    shared: Shared<'a>,
    client: Client,
    dice: Dice,
    recent: VecDeque<(RequestId, Order, bool)>,
    heard: Vec<Heard>,
}

/// Works until it is told to stop. Returns what it heard, in order.
pub(super) fn work(shared: Shared<'_>, dice: Dice) -> Vec<Heard> {
    let config = ClientConfig {
        timeout: ANSWER_PATIENCE,
        ..shared.config.clone()
    };
    let mut worker = Worker {
        shared,
        client: Client::new(config).expect("it names a coordinator and a timeout"),
        dice,
        recent: VecDeque::new(),
        heard: Vec::new(),
    };
    while !shared.stop.load(Ordering::Relaxed) {
        worker.next();
        thread::sleep(PAUSE);
    }
    worker.heard
}

impl Worker<'_> {
    fn next(&mut self) {
        match self.dice.below(100) {
            0 => self.reuse(),
            1..8 => self.repeat(),
            _ => {
                let order = self.shared.accounts.order(&mut self.dice);
                self.submit(None, order);
            }
        }
    }

    /// The same request again: it must have the same end.
    fn repeat(&mut self) {
        if let Some((request, order, _)) = self.one_of_recent() {
            self.submit(Some(request), order);
        }
    }

    /// Another body under the id of a request that happened: nothing may run.
    fn reuse(&mut self) {
        let Some((request, order, true)) = self.one_of_recent() else {
            return;
        };
        // Of the same accounts, so that it has the same home.
        let twice = |leg: &Leg| {
            let delta = (2 * leg.delta.get()).try_into().ok()?;
            let place = leg.place.clone();
            Some(Leg { place, delta })
        };
        let legs: Option<Vec<Leg>> = order.legs().iter().map(twice).collect();
        let Some(other) = legs.and_then(|legs| Order::new(&legs).ok()) else {
            return;
        };
        // Without an answer nothing is known, so nothing is wrong.
        let Ok(submission) = self.client.submit(Some(request), other.clone()) else {
            return;
        };
        match submission.outcome {
            Outcome::Reused | Outcome::Unknown { .. } | Outcome::Aborted { .. } => {}
            outcome @ (Outcome::Committed { .. } | Outcome::Rejected { .. }) => {
                let what = format!(
                    "request {request} committed as {order}, then sent as {other} it was answered: {outcome}"
                );
                let look = format!("twopence tx show {request}");
                self.shared.findings.add(Rule::V5, what, look);
            }
        }
    }

    fn submit(&mut self, again: Option<RequestId>, order: Order) {
        let began = Instant::now();
        let (request, outcome) = match self.client.submit(again, order.clone()) {
            Ok(submission) => (submission.request, submission.outcome),
            Err(Error::NoCoordinator(_)) => return thread::sleep(NOBODY_THERE), // Nothing was sent.
            Err(error @ (Error::Failed(_) | Error::NoAnswer(_) | Error::Config(_))) => {
                let what = format!("a submit ({order}) has no outcome, not even an unknown one: {error}");
                return self.shared.findings.add(Rule::V4, what, "the coordinator's log");
            }
        };
        let counters = self.shared.counters;
        let counter = match &outcome {
            Outcome::Committed { .. } => &counters.committed,
            Outcome::Unknown { .. } => &counters.unknown,
            Outcome::Aborted { .. } | Outcome::Reused | Outcome::Rejected { .. } => &counters.aborted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let committed = matches!(outcome, Outcome::Committed { .. });
        self.recent.push_back((request, order.clone(), committed));
        self.heard.push(Heard {
            request,
            order,
            repeated: again.is_some(),
            outcome,
            at: Instant::now(),
            took: began.elapsed(),
        });
    }

    fn one_of_recent(&mut self) -> Option<(RequestId, Order, bool)> {
        let count = u64::try_from(self.recent.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(self.dice.below(count)).expect("an index");
        self.recent.get(index).cloned()
    }
}
