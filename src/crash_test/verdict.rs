//! What the run says about each invariant: from what was found, and from what could be looked at at all.

use serde::Serialize;
use verify::Invariant;

use super::finding::{Finding, Findings, Rule};
use super::watch::Audits;

/// The word about one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    Holds,
    /// Wherever it could be checked; where it could not, and why.
    HoldsBut(String),
    Violated,
    NotJudged(String),
}

/// One line of the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) rule: Rule,
    pub(super) says: &'static str,
    pub(super) word: Word,
}

/// What has been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked<'a> {
    /// Rounds that came to rest and were checked.
    pub(super) rounds: u32,
    pub(super) audits: &'a Audits,
    /// The check of the stores, if it came to that.
    pub(super) stores: Option<&'a verify::Report>,
}

/// The verdict over every invariant.
pub(super) fn verdict(found: &[Finding], looked: Looked<'_>) -> Vec<Line> {
    let line = |rule: Rule| Line {
        rule,
        says: rule.text(),
        word: if found.iter().any(|finding| finding.rule == rule) {
            Word::Violated
        } else {
            unviolated(rule, looked)
        },
    };
    Rule::ALL.into_iter().map(line).collect()
}

/// The word about a rule that nothing was found against.
fn unviolated(rule: Rule, looked: Looked<'_>) -> Word {
    let stores = |rule| match looked.stores {
        None => Word::NotJudged("the stores were not read".to_owned()),
        Some(report) => {
            let of_rule = report
                .unchecked
                .iter()
                .filter(|unchecked| unchecked.invariant == rule);
            let unchecked: Vec<_> = of_rule.collect();
            match unchecked.first() {
                None => Word::Holds,
                Some(first) => {
                    let cases: u64 = unchecked.iter().map(|unchecked| unchecked.count).sum();
                    let others = if unchecked.len() > 1 {
                        ", and more of the kind"
                    } else {
                        ""
                    };
                    Word::HoldsBut(format!(
                        "{cases} cases could not be checked: {}{others}",
                        first.why
                    ))
                }
            }
        }
    };
    let seen = |seen: bool, why: &str| {
        if seen {
            Word::Holds
        } else {
            Word::NotJudged(why.to_owned())
        }
    };
    match rule {
        Rule::V1 => stores(Invariant::V1),
        Rule::V2 => stores(Invariant::V2),
        Rule::V3 => stores(Invariant::V3),
        Rule::V4 => stores(Invariant::V4),
        Rule::V5 => stores(Invariant::V5),
        Rule::V6 => stores(Invariant::V6),
        Rule::V9 => stores(Invariant::V9),
        Rule::V7 => seen(
            false,
            "not judged here; the simulator judges reads of single accounts",
        ),
        Rule::V11 => seen(
            false,
            "not judged here; the simulator looks at outcomes and log segments",
        ),
        Rule::V8 => seen(looked.audits.exact > 0, "no audit came to its end"),
        Rule::V10 => seen(looked.rounds > 0, "no round came to its end"),
    }
}

/// Adds what the offline check of the stores found.
pub(super) fn take_stores(report: &verify::Report, findings: &Findings) {
    for violation in &report.violations {
        let rule = match violation.invariant {
            Invariant::V1 => Rule::V1,
            Invariant::V2 => Rule::V2,
            Invariant::V3 => Rule::V3,
            Invariant::V4 => Rule::V4,
            Invariant::V5 => Rule::V5,
            Invariant::V6 => Rule::V6,
            Invariant::V9 => Rule::V9,
        };
        let place = match (&violation.txn, violation.seq) {
            (Some(txn), Some(seq)) => format!(", transaction {txn}, record {seq}"),
            (Some(txn), None) => format!(", transaction {txn}"),
            (None, Some(seq)) => format!(", record {seq}"),
            (None, None) => String::new(),
        };
        let what = format!("expected {}; found {}", violation.expected, violation.found);
        findings.add(rule, what, format!("the store of {}{place}", violation.store));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use client::{Order, Outcome, RequestId};

    use super::*;
    use crate::crash_test::history::{Heard, History};

    fn exact() -> Audits {
        Audits {
            exact: 1,
            ..Audits::default()
        }
    }

    fn words(found: &[Finding], stores: Option<&verify::Report>) -> Vec<(Rule, Word)> {
        let audits = exact();
        let looked = Looked {
            rounds: 1,
            audits: &audits,
            stores,
        };
        verdict(found, looked)
            .into_iter()
            .map(|line| (line.rule, line.word))
            .collect()
    }

    #[test]
    fn what_was_looked_at_and_not_found_wanting_holds() {
        let report = verify::Report::default();
        for (rule, word) in words(&[], Some(&report)) {
            let expected = matches!(rule, Rule::V7 | Rule::V11);
            assert_eq!(matches!(word, Word::NotJudged(_)), expected, "{rule}: {word:?}");
            assert_ne!(word, Word::Violated);
        }
        let judged = words(&[], None)
            .into_iter()
            .filter(|(_, word)| *word == Word::Holds)
            .map(|(rule, _)| rule);
        assert_eq!(
            judged.collect::<Vec<Rule>>(),
            [Rule::V8, Rule::V10],
            "without the stores little can be said"
        );
    }

    #[test]
    fn what_was_found_is_violated_whatever_else_was_looked_at() {
        let findings = Findings::default();
        let report = verify::Report {
            violations: vec![verify::Violation {
                invariant: Invariant::V3,
                store: "N2".to_owned(),
                txn: Some("9f3c-1-7".parse().unwrap()),
                seq: None,
                expected: "commit".to_owned(),
                found: "abort".to_owned(),
            }],
            ..verify::Report::default()
        };
        take_stores(&report, &findings);
        findings.add(Rule::V8, "an audit was wrong", "");
        let words = words(&findings.all(), Some(&report));
        let violated = words
            .iter()
            .filter(|(_, word)| *word == Word::Violated)
            .map(|(rule, _)| *rule);
        assert_eq!(violated.collect::<Vec<Rule>>(), [Rule::V3, Rule::V8]);
        assert!(findings.all()[0].look.contains("N2") && findings.all()[0].what.contains("found abort"));
    }

    #[test]
    fn a_history_that_no_honest_cluster_tells_is_found_out() {
        let order = Order::transfer(
            "N1/A".parse().unwrap(),
            "N2/B".parse().unwrap(),
            "5".parse().unwrap(),
        )
        .unwrap();
        let heard = |outcome| Heard {
            request: RequestId(7),
            order: order.clone(),
            repeated: true,
            outcome,
            at: Instant::now(),
            took: Duration::ZERO,
        };
        let committed = |txn: &str| Outcome::Committed {
            txn: txn.parse().unwrap(),
        };
        let findings = Findings::default();
        let mut history = History::default();
        history.hear(heard(committed("9f3c-1-7")), &findings);
        history.hear(heard(committed("9f3c-1-7")), &findings);
        assert_eq!(history.balances()[&"N2/B".parse().unwrap()], 5, "counted once");
        assert!(!findings.any());
        history.hear(heard(Outcome::Reused), &findings);
        assert!(findings.any(), "the same body is no other one");

        // The stores of no nodes at all hold nothing of it.
        history.hear(heard(committed("9f3c-1-8")), &findings);
        let claims = verify::Claims {
            told: history.told,
            complete: true,
            settled: true,
        };
        let report = verify::check(&verify::Images::default(), &claims);
        assert!(
            report
                .violations
                .iter()
                .any(|violation| violation.invariant == Invariant::V4),
            "{report}"
        );
    }
}
