//! What the clients asked for and were told, and what must therefore be in the accounts.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use client::{NodeId, Order, Outcome, Place, ReasonClass, RequestId};
use serde::Serialize;
use verify::{Told, Word};

use super::finding::{Findings, Rule};

/// One answer, or none.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) request: RequestId,
    pub(super) order: Order,
    /// Whether the request was marked as sent before.
    pub(super) repeated: bool,
    pub(super) outcome: Outcome,
    /// When it was heard.
    pub(super) at: Instant,
    /// How long after it was asked for.
    pub(super) took: Duration,
}

/// Answers, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Answers {
    pub(super) committed: u64,
    pub(super) aborted_for_lack_of_money: u64,
    pub(super) aborted_over_a_conflict: u64,
    pub(super) aborted_otherwise: u64,
    /// Those that were not known at once. In the end all are.
    pub(super) unknown_at_first: u64,
    /// Requests sent again under their id. Their answers are among the others.
    pub(super) repeats: u64,
}

/// Everything heard so far.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) told: Vec<Told>,
    pub(super) answers: Answers,
    /// How long answers took.
    pub(super) latencies: Vec<Duration>,
    /// Requests whose outcome nobody has told.
    unknown: BTreeMap<RequestId, Order>,
    committed: HashSet<RequestId>,
    balances: BTreeMap<Place, i64>,
}

impl History {
    /// Takes one answer.
    pub(super) fn hear(&mut self, heard: Heard, findings: &Findings) {
        let Heard {
            request,
            order,
            repeated,
            outcome,
            took,
            ..
        } = heard;
        self.answers.repeats += u64::from(repeated);
        let word = match outcome {
            Outcome::Committed { txn } => {
                self.answers.committed += 1;
                self.unknown.remove(&request);
                if self.committed.insert(request) {
                    self.count(&order);
                }
                Word::Committed(txn)
            }
            Outcome::Aborted { txn, refusal } => {
                match refusal.reason.class() {
                    ReasonClass::Funds => self.answers.aborted_for_lack_of_money += 1,
                    ReasonClass::Conflict => self.answers.aborted_over_a_conflict += 1,
                    ReasonClass::Other => self.answers.aborted_otherwise += 1,
                }
                self.unknown.remove(&request);
                Word::Aborted {
                    txn,
                    is_final: repeated,
                }
            }
            Outcome::Unknown { .. } => {
                self.answers.unknown_at_first += 1;
                if !self.committed.contains(&request) {
                    self.unknown.insert(request, order.clone());
                }
                Word::Unknown
            }
            other @ (Outcome::Reused | Outcome::Rejected { .. }) => {
                let what = format!("request {request} ({order}) was answered: {other}");
                findings.add(Rule::V5, what, format!("twopence tx show {request}"));
                return;
            }
        };
        self.latencies.push(took);
        self.told.push(Told { request, order, word });
    }

    /// What the accounts must hold if exactly the committed requests happened, each once.
    pub(super) fn balances(&self) -> &BTreeMap<Place, i64> {
        &self.balances
    }

    /// The requests whose outcome is not known.
    pub(super) fn unknown(&self) -> Vec<(RequestId, Order)> {
        self.unknown
            .iter()
            .map(|(request, order)| (*request, order.clone()))
            .collect()
    }

    /// What deposits have brought in.
    pub(super) fn brought_in(&self) -> i128 {
        self.balances.values().map(|balance| i128::from(*balance)).sum()
    }

    fn count(&mut self, order: &Order) {
        for leg in order.legs().iter().filter(|leg| !leg.place.account.is_world()) {
            *self.balances.entry(leg.place.clone()).or_default() += leg.delta.get();
        }
    }
}

/// The nodes that a committed answer proves to be at work.
pub(super) fn workers(heard: &Heard) -> Option<Vec<NodeId>> {
    match heard.outcome {
        Outcome::Committed { .. } if !heard.repeated => Some(heard.order.participants().to_vec()),
        Outcome::Committed { .. }
        | Outcome::Aborted { .. }
        | Outcome::Unknown { .. }
        | Outcome::Reused
        | Outcome::Rejected { .. } => None,
    }
}
