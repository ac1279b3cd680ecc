//! The audit: does all the money add up, while transfers run?
//!
//! With this coordinator alone, one turn asks every node for its sums. Links are FIFO and the question waits for the
//! same sync as the decisions before it, so each transaction lies wholly before or behind the cut: what a node lists
//! as prepared counts if and only if it was decided COMMIT when the question was asked. (Chandy and Lamport's
//! distributed snapshots, 1985, with the coordinator as the only source of messages.)
//!
//! Where other coordinators have been seen, their transactions may straddle such a cut. Then all nodes refuse new
//! prepares until nothing is prepared anywhere, for at most a second, and are asked afterwards whether that had held.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};

use super::ask::Topic;
use super::{ClientRef, Coordinator, Stage};
use crate::effects::Effects;
use crate::id::{NodeId, TxnId};
use crate::message::{Answer, AuditReport, AuditVerdict, NodeAnswer, NodeQuestion};
use crate::planted;

/// How far an audit has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Audit {
    /// Sums were asked for; these transactions were decided COMMIT at that moment.
    Cut { committed: BTreeSet<TxnId> },
    /// All nodes were asked to freeze.
    Freeze,
    /// The freeze is being ended; the sums it gave.
    Thaw { sums: Sums, problem: Option<String> },
}

/// What the nodes' answers add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sums {
    total: i128,
    world: i128,
    prepared: u64,
}

impl Coordinator {
    pub(super) fn on_audit(&mut self, client: ClientRef, effects: &mut Effects<Coordinator>) {
        if let Some(&node) = self.config.nodes.iter().find(|&&node| !self.is_up(node)) {
            return self.incomplete(
                client,
                format!("cannot reach {node}; try again when it is back"),
                effects,
            );
        }
        let decided = |live: &super::Live| matches!(live.stage, Stage::Committed(_));
        let committed = self
            .live
            .that(|_, live| decided(live))
            .map(|(&txn, _)| txn)
            .collect();
        self.ask_all(
            client,
            Topic::Audit(Audit::Cut { committed }),
            &NodeQuestion::Cut,
            effects,
        );
    }

    pub(super) fn on_audit_answers(
        &mut self,
        client: ClientRef,
        ask: u64,
        audit: Audit,
        answers: &BTreeMap<NodeId, NodeAnswer>,
        effects: &mut Effects<Coordinator>,
    ) {
        let silent = self.config.nodes.iter().find(|node| !answers.contains_key(node));
        let problem = silent.map(|node| format!("lost {node} during the audit; try again"));
        match audit {
            Audit::Cut { committed } => {
                if let Some(problem) = problem {
                    return self.incomplete(client, problem, effects);
                }
                if answers.values().any(sees_others) && !planted!(AuditAlone) {
                    return self.ask_all(
                        client,
                        Topic::Audit(Audit::Freeze),
                        &NodeQuestion::Freeze,
                        effects,
                    );
                }
                let (sums, problem) = add_up(answers, &committed);
                self.conclude_audit(client, sums, problem, effects);
            }
            Audit::Freeze => {
                let (sums, unfrozen) = add_up(answers, &BTreeSet::new());
                let problem = problem.or(unfrozen);
                let thaw = Topic::Audit(Audit::Thaw { sums, problem });
                self.ask_all(client, thaw, &NodeQuestion::Thaw { freeze: ask }, effects);
            }
            Audit::Thaw {
                sums,
                problem: before,
            } => {
                let held = answers
                    .values()
                    .all(|answer| *answer == NodeAnswer::Thawed { held: true });
                let thawed = (!held).then(|| "the freeze ended too early; try again".to_string());
                self.conclude_audit(client, sums, before.or(problem).or(thawed), effects);
            }
        }
    }

    fn conclude_audit(
        &self,
        client: ClientRef,
        sums: Sums,
        problem: Option<String>,
        effects: &mut Effects<Coordinator>,
    ) {
        let verdict = match problem {
            Some(why) => AuditVerdict::Incomplete(why),
            None if sums.total == 0 => AuditVerdict::Exact,
            None => {
                effects.alarm(format!(
                    "AUDIT VIOLATED: all balances add up to {} instead of 0",
                    sums.total
                ));
                AuditVerdict::Violated
            }
        };
        let report = AuditReport {
            verdict,
            in_accounts: sums.total.saturating_sub(sums.world),
            brought_in: -sums.world,
            prepared: sums.prepared,
        };
        self.reply(client, Answer::Audit(report), effects);
    }

    fn incomplete(&self, client: ClientRef, why: String, effects: &mut Effects<Coordinator>) {
        self.conclude_audit(client, Sums::default(), Some(why), effects);
    }
}

fn sees_others(answer: &NodeAnswer) -> bool {
    matches!(answer, NodeAnswer::Cut { others: true, .. })
}

/// Adds up the nodes' sums; what is prepared counts if `committed` holds it.
fn add_up(answers: &BTreeMap<NodeId, NodeAnswer>, committed: &BTreeSet<TxnId>) -> (Sums, Option<String>) {
    let mut sums = Sums::default();
    let mut problem = None;
    for (node, answer) in answers {
        let NodeAnswer::Cut {
            sum, world, prepared, ..
        } = answer
        else {
            problem = Some(format!(
                "{node}: {answer}; `twopence tx list` shows what is in doubt"
            ));
            continue;
        };
        let counts = |txn: &TxnId| committed.contains(txn) && !planted!(AuditSkipsDecided);
        let decided = prepared.iter().filter(|(txn, _)| counts(txn));
        let mut parts = decided.map(|(_, net)| net).chain([sum]);
        match parts.try_fold(sums.total, |total, part| total.checked_add(*part)) {
            Some(total) => sums.total = total,
            None => problem = Some(format!("{node}: its sums cannot be right; look at its data")),
        }
        sums.world += i128::from(*world);
        sums.prepared += u64::try_from(prepared.len()).expect("a length fits");
    }
    (sums, problem)
}
