//! What clients asked for and what they were told: the oracle's own memory, kept apart from everything it judges.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{Birth, Place, RequestId, TxnId};
use protocol::leg::Order;
use protocol::message::Outcome;

use crate::time::Time;

/// A request as its client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its id.
    pub(crate) id: RequestId,
    /// What it asks for.
    pub(crate) order: Order,
    /// When it was first sent; nothing of it can be seen before.
    pub(crate) began: Time,
    /// What the client was told, once that was final.
    pub(crate) told: Option<Told>,
    /// Whether it must never happen.
    pub(crate) never: bool,
}

/// A final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// When.
    pub(crate) at: Time,
    /// The transaction if it happened, nothing if it did not.
    pub(crate) committed: Option<TxnId>,
    /// Whether whoever asks again must be told the same. An abort that answers a first send leaves no trace: presumed
    /// abort suffices while nobody else can ask under that id.
    pub(crate) bound: bool,
}

/// An account that was read.
#[derive(Clone, Debug)]
struct Read {
    place: Place,
    began: Time,
    ended: Time,
    found: i64,
}

/// Everything clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    asked: Vec<Asked>,
    reads: Vec<Read>,
    /// Audits that saw everything and found all the money.
    pub(crate) exact_audits: u64,
    /// How much money the last of them says was brought in.
    brought_in: Option<i128>,
    /// What must not be: each line one violation.
    pub(crate) violations: Vec<String>,
}

/// More choices than this are not tried out: a read that so many unfinished transactions might explain says nothing.
const OPTIONAL_MAX: usize = 18;

impl History {
    /// Notes a new request; returns its number.
    pub(crate) fn ask(&mut self, order: Order, began: Time, never: bool) -> usize {
        let number = self.asked.len();
        self.asked.push(Asked {
            id: request_id(number),
            order,
            began,
            told: None,
            never,
        });
        number
    }

    /// All requests.
    pub(crate) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// Notes what a client was told about request `number`. What was said once must stay true.
    pub(crate) fn tell(&mut self, number: usize, outcome: &Outcome, repeated: bool, at: Time) {
        let asked = &mut self.asked[number];
        let committed = match outcome {
            Outcome::Committed { txn } => Some(*txn),
            Outcome::Aborted { .. } | Outcome::Rejected { .. } => None,
            Outcome::Reused => {
                self.violations.push(format!(
                    "V5: request {} has always had one body and is told that it had another before",
                    asked.id
                ));
                return;
            }
            Outcome::Unknown { .. } => return,
        };
        if asked.never && committed.is_some() {
            self.violations
                .push(format!("request {} must never happen, and {outcome}", asked.id));
        }
        match &asked.told {
            None => {
                let bound = committed.is_some() || repeated;
                asked.told = Some(Told { at, committed, bound });
            }
            Some(before) if before.committed == committed => {}
            Some(before) => self.violations.push(format!(
                "V5: request {} was told {:?}, and now {outcome}",
                asked.id, before.committed
            )),
        }
    }

    /// Notes a balance that was read.
    pub(crate) fn read(&mut self, place: Place, began: Time, ended: Time, found: i64) {
        if found < 0 {
            self.violations.push(format!("V2: {place} was read as {found}"));
        }
        self.reads.push(Read {
            place,
            began,
            ended,
            found,
        });
    }

    /// Notes an audit that calls itself exact.
    pub(crate) fn audited(&mut self, brought_in: i128) {
        self.exact_audits += 1;
        self.brought_in = Some(brought_in);
    }

    /// Whether the last audit found what clients know to have been brought in (V8). Nothing may be under way.
    pub(crate) fn judge_last_audit(&mut self) {
        let deposits = self.asked.iter().filter(|asked| {
            let committed = asked.told.as_ref().is_some_and(|told| told.committed.is_some());
            committed && asked.order.opens()
        });
        let legs = deposits.flat_map(|asked| asked.order.legs());
        let credits = legs.filter(|leg| !leg.delta.is_debit());
        let expected: i128 = credits.map(|leg| i128::from(leg.delta.get())).sum();
        if self.brought_in.is_some_and(|found| found != expected) {
            self.violations.push(format!(
                "V8: an audit says that {:?} was brought in, and clients know of {expected}",
                self.brought_in
            ));
        }
    }

    /// Judges every read (V7): it shows all that anybody was told before it began, and besides only what was asked for
    /// before it ended. Requires that every request has been answered.
    pub(crate) fn judge_reads(&mut self) {
        let mut by_place: BTreeMap<&Place, Vec<(Time, Time, i64)>> = BTreeMap::new();
        for (told, asked) in self
            .asked
            .iter()
            .filter_map(|asked| Some((asked.told.as_ref()?, asked)))
        {
            if told.committed.is_some() {
                for leg in asked.order.legs() {
                    let change = (asked.began, told.at, leg.delta.get());
                    by_place.entry(&leg.place).or_default().push(change);
                }
            }
        }
        let mut found = Vec::new();
        for read in &self.reads {
            let changes = by_place.get(&read.place).map(Vec::as_slice).unwrap_or_default();
            let (must, may): (Vec<_>, Vec<_>) = changes
                .iter()
                .filter(|(began, _, _)| *began <= read.ended)
                .partition(|(_, told, _)| *told < read.began);
            let sure: i64 = must.iter().map(|(_, _, delta)| delta).sum();
            if may.len() > OPTIONAL_MAX {
                continue;
            }
            let mut possible = BTreeSet::from([sure]);
            for (_, _, delta) in may {
                let with: Vec<i64> = possible.iter().map(|sum| sum + delta).collect();
                possible.extend(with);
            }
            if !possible.contains(&read.found) {
                found.push(format!(
                    "V7: {} was read as {} between {} and {}, but {} is certain and only {possible:?} can be",
                    read.place, read.found, read.began, read.ended, sure
                ));
            }
        }
        self.violations.append(&mut found);
    }
}

/// The id of request `number`. Mostly it is about as old as its number says; some are much older, as if they had been tried
/// before, and some do not tell.
pub(crate) fn request_id(number: usize) -> RequestId {
    let number = u64::try_from(number).expect("a small number");
    let birth = match number % 10 {
        8 => number / 2,
        9 => return RequestId(u128::from(number) + 1),
        _ => number ^ 3,
    };
    RequestId::born(Birth(birth), u128::from(number))
}

#[cfg(test)]
mod tests {
    use protocol::id::StoreId;
    use protocol::leg::Order;

    use super::*;

    fn transfer(amount: i64) -> Order {
        let (from, to) = ("N1/A".parse().unwrap(), "N2/B".parse().unwrap());
        Order::transfer(from, to, amount.try_into().unwrap()).unwrap()
    }

    fn committed(sequence: u64) -> Outcome {
        Outcome::Committed {
            txn: TxnId::new(StoreId(1), 1, sequence),
        }
    }

    #[test]
    fn a_read_may_show_what_is_under_way_and_must_show_what_was_told() {
        let place: Place = "N2/B".parse().unwrap();
        let cases = [(5, true), (12, true), (0, false), (7, false), (20, false)];
        for (found, fine) in cases {
            let mut history = History::default();
            let first = history.ask(transfer(5), Time(0), false);
            history.tell(first, &committed(1), false, Time(10));
            let second = history.ask(transfer(7), Time(15), false);
            history.read(place.clone(), Time(11), Time(20), found);
            history.tell(second, &committed(2), false, Time(30));
            history.judge_reads();
            assert_eq!(
                history.violations.is_empty(),
                fine,
                "{found}: {:?}",
                history.violations
            );
        }
    }

    #[test]
    fn an_answer_that_changes_is_a_violation() {
        let mut history = History::default();
        let number = history.ask(transfer(5), Time(0), false);
        history.tell(number, &committed(1), false, Time(1));
        history.tell(number, &committed(1), true, Time(2));
        assert!(history.violations.is_empty());
        history.tell(number, &committed(2), true, Time(3));
        assert_eq!(history.violations.len(), 1);
    }

    #[test]
    fn what_must_never_happen_is_noticed() {
        let mut history = History::default();
        let number = history.ask(transfer(5), Time(0), true);
        history.tell(number, &committed(1), false, Time(1));
        assert_eq!(history.violations.len(), 1);
    }
}
