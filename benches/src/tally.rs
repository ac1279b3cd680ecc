//! How requests ended, counted.

use std::collections::BTreeMap;

use client::{Answer, Outcome};
use serde::Serialize;

/// How requests ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// They happened.
    pub committed: u64,
    /// They did not, by reason; the account's name is left out.
    pub aborted: BTreeMap<String, u64>,
    /// Nobody can tell.
    pub unknown: u64,
    /// Not even begun: refused as senseless. There should be none.
    pub refused: u64,
}

impl Tally {
    /// Notes one answer. Returns whether it was a commit.
    pub fn note(&mut self, answer: &Answer) -> bool {
        match answer {
            Answer::Outcome(outcome) => return self.note_outcome(outcome),
            Answer::Balance(_)
            | Answer::Accounts(_)
            | Answer::Audit(_)
            | Answer::Status(_)
            | Answer::Txn(_)
            | Answer::List(_)
            | Answer::Done(_)
            | Answer::Failed(_) => self.refused += 1,
        }
        false
    }

    fn note_outcome(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Committed { .. } => {
                self.committed += 1;
                return true;
            }
            Outcome::Aborted { refusal, .. } => {
                let text = refusal.reason.to_string();
                let reason = text
                    .split_once("_on_")
                    .map_or(text.as_str(), |(reason, _)| reason);
                match self.aborted.get_mut(reason) {
                    Some(count) => *count += 1,
                    None => {
                        self.aborted.insert(reason.to_owned(), 1);
                    }
                }
            }
            Outcome::Unknown { .. } => self.unknown += 1,
            Outcome::Reused | Outcome::Rejected { .. } => self.refused += 1,
        }
        false
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Tally) {
        self.committed += other.committed;
        self.unknown += other.unknown;
        self.refused += other.refused;
        for (reason, count) in &other.aborted {
            *self.aborted.entry(reason.clone()).or_default() += count;
        }
    }

    /// All that did not happen for sure.
    pub fn aborts(&self) -> u64 {
        self.aborted.values().sum()
    }

    /// All together.
    pub fn all(&self) -> u64 {
        self.committed + self.aborts() + self.unknown + self.refused
    }
}

#[cfg(test)]
mod tests {
    use client::{Reason, Refusal};

    use super::*;

    #[test]
    fn aborts_are_counted_by_reason_whatever_the_account() {
        let mut tally = Tally::default();
        for reason in [
            "lock_contention_on_a1",
            "lock_contention_on_a2",
            "cannot_reach_N2",
        ] {
            let reason: Reason = reason.parse().unwrap();
            tally.note(&Answer::Outcome(Outcome::Aborted {
                txn: None,
                refusal: Refusal::from(reason),
            }));
        }
        tally.note(&Answer::Outcome(Outcome::Reused));
        assert_eq!(
            tally.aborted.into_iter().collect::<Vec<_>>(),
            [
                ("cannot_reach_N2".to_owned(), 1),
                ("lock_contention".to_owned(), 2)
            ]
        );
        assert_eq!(tally.refused, 1);
    }
}
