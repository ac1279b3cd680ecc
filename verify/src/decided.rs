//! How each transaction ended in the whole cluster, and whether everyone agrees (V3).

use std::collections::BTreeMap;
use std::fmt;

use protocol::fold::Seq;
use protocol::id::{CoordinatorId, NodeId, TxnId};
use protocol::leg::{Leg, Operation, Order};
use protocol::message::OperatorWord;

use crate::book::net;
use crate::coordinator::{Coordinator, Decision};
use crate::findings::{At, Findings, Store, Why};
use crate::node::{Node, Standing};
use crate::report::{CoordinatorWord, Forced, Invariant};
use crate::stories::Story;

/// Everyone who is there.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    pub(crate) nodes: BTreeMap<NodeId, Node<'a>>,
    pub(crate) coordinators: BTreeMap<CoordinatorId, Coordinator<'a>>,
}

/// Which transactions happened; the others did not, or not yet.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    by_txn: BTreeMap<TxnId, bool>,
    /// Forced ends that differ from the decision.
    pub(crate) against: Vec<(TxnId, NodeId, OperatorWord)>,
}

impl Decided {
    pub(crate) fn happened(&self, txn: TxnId) -> bool {
        self.by_txn.get(&txn) == Some(&true)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_txn.len()
    }

    pub(crate) fn committed(&self) -> usize {
        self.by_txn.values().filter(|happened| **happened).count()
    }
}

/// Looks at every transaction that anyone knows of.
pub(crate) fn decide(cluster: &Cluster<'_>, findings: &mut Findings) -> Decided {
    let told = cluster
        .nodes
        .values()
        .flat_map(|node| node.stories.iter().map(|(txn, _)| txn));
    let decided = cluster
        .coordinators
        .values()
        .flat_map(|coordinator| coordinator.decisions.keys().copied());
    let mut txns: Vec<TxnId> = told.chain(decided).collect();
    txns.sort(); // Of several sorted lists; the stable sort finds that out.
    txns.dedup();
    let mut decided = Decided::default();
    for txn in txns {
        let case = Case::of(cluster, txn);
        let outcome = case.check(findings, &mut decided.against);
        decided.by_txn.insert(txn, outcome);
    }
    decided
}

/// The first one who has it as committed.
#[derive(Clone, Copy, Debug)]
struct Witness {
    store: Store,
    seq: Seq,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is committed at {} in record {}", self.store, self.seq)
    }
}

/// One transaction.
struct Case<'c, 'a> {
    cluster: &'c Cluster<'a>,
    txn: TxnId,
    coordinator: Option<&'c Coordinator<'a>>,
    decision: Option<&'c Decision<'a>>,
    /// Everyone who has a story about it.
    stories: Vec<(NodeId, &'c Story<'a>)>,
    /// Everyone who takes part, as far as that is known, and everyone who has done something.
    participants: Vec<NodeId>,
}

impl<'c, 'a> Case<'c, 'a> {
    fn of(cluster: &'c Cluster<'a>, txn: TxnId) -> Case<'c, 'a> {
        let coordinator = cluster.coordinators.get(&txn.coordinator);
        let decision = coordinator.and_then(|coordinator| coordinator.decisions.get(&txn));
        let stories: Vec<(NodeId, &Story<'a>)> = cluster
            .nodes
            .iter()
            .filter_map(|(&node, its)| Some((node, its.stories.get(&txn)?)))
            .collect();
        let named = stories.iter().flat_map(|(_, story)| story.participants);
        let in_log = decision.into_iter().flat_map(|decision| &decision.participants);
        let active = stories.iter().filter(|(_, story)| story.operations.is_some());
        let active = active.map(|(node, _)| node);
        let mut participants: Vec<NodeId> = named.chain(in_log).chain(active).copied().collect();
        participants.sort_unstable();
        participants.dedup();
        Case {
            cluster,
            txn,
            coordinator,
            decision,
            stories,
            participants,
        }
    }

    /// Reports what does not fit. Returns whether the transaction happened.
    fn check(&self, findings: &mut Findings, against: &mut Vec<(TxnId, NodeId, OperatorWord)>) -> bool {
        self.check_parties(findings);
        let committed = self.committed();
        let aborted = self.is_aborted();
        let forced = self.forced_word(OperatorWord::Commit).is_some();
        let happened = committed.is_some() || (forced && !aborted);
        self.report_forced(committed.is_some(), aborted, findings);
        for (node, story) in &self.stories {
            if let Some(end) = &story.end
                && end.forced.is_some()
                && (end.word == OperatorWord::Commit) != happened
            {
                against.push((self.txn, *node, end.word));
            }
        }
        if let Some(witness) = committed {
            self.check_coordinator(findings);
            for &node in &self.participants {
                self.check_participant(node, witness, findings);
            }
            self.check_legs(findings);
        }
        happened
    }

    /// Who has it as committed, without an operator's help: the coordinator, or else a node.
    fn committed(&self) -> Option<Witness> {
        let coordinator = self.decision.and_then(|decision| decision.committed);
        if let Some(seq) = coordinator {
            let store = Store::Coordinator(self.txn.coordinator);
            return Some(Witness { store, seq });
        }
        self.stories.iter().find_map(|(node, story)| {
            let end = story.end.filter(|end| end.word == OperatorWord::Commit)?;
            let truth = self.truth(*node) == Some(OperatorWord::Commit);
            (end.forced.is_none() || truth).then_some(Witness {
                store: Store::Node(*node),
                seq: end.seq,
            })
        })
    }

    /// What a node has learned since an operator forced an outcome there.
    fn truth(&self, node: NodeId) -> Option<OperatorWord> {
        let ended = self.cluster.nodes.get(&node)?.book.finished.get(&self.txn)?;
        ended.forced.flatten()
    }

    /// Whether somebody has it as aborted, without an operator's help.
    fn is_aborted(&self) -> bool {
        let word = self.coordinator.map(|coordinator| coordinator.word(self.txn));
        let node = |(node, story): &(NodeId, &Story<'a>)| {
            let end = story.end.filter(|end| end.forced.is_none());
            let end = end.map(|end| end.word).or(self.truth(*node));
            end == Some(OperatorWord::Abort)
        };
        word == Some(CoordinatorWord::Abort) || self.stories.iter().any(node)
    }

    fn forced_word(&self, word: OperatorWord) -> Option<NodeId> {
        let forced = |story: &Story<'_>| {
            story
                .end
                .is_some_and(|end| end.forced.is_some() && end.word == word)
        };
        self.stories
            .iter()
            .find(|(_, story)| forced(story))
            .map(|(node, _)| *node)
    }

    fn report_forced(&self, committed: bool, aborted: bool, findings: &mut Findings) {
        for (node, story) in &self.stories {
            let Some((end, why)) = story.end.and_then(|end| Some((end, end.forced?))) else {
                continue;
            };
            let other = match end.word {
                OperatorWord::Commit => OperatorWord::Abort,
                OperatorWord::Abort => OperatorWord::Commit,
            };
            let elsewhere = if committed {
                Some(OperatorWord::Commit)
            } else if aborted {
                Some(OperatorWord::Abort)
            } else {
                self.forced_word(other).map(|_| other)
            };
            findings.forced.push(Forced::Outcome {
                txn: self.txn,
                node: *node,
                seq: end.seq,
                word: end.word,
                why: Some(why.to_owned()),
                elsewhere,
            });
        }
    }

    /// Everyone names the same participants, and nobody else took part.
    fn check_parties(&self, findings: &mut Findings) {
        let in_log = self.decision.map(|decision| decision.participants.as_slice());
        let named = self.stories.iter().map(|(_, story)| story.participants);
        let mut lists = in_log.into_iter().chain(named).filter(|list| !list.is_empty());
        let Some(first) = lists.next() else { return };
        let active = self
            .stories
            .iter()
            .filter(|(_, story)| story.operations.is_some());
        let stray = active.map(|(node, _)| *node).find(|node| !first.contains(node));
        if let Some(other) = lists.find(|list| *list != first) {
            let at = At::store(Store::All).txn(self.txn);
            let expected = format_args!("the participants {first:?}");
            findings.violation(Invariant::V3, at, expected, format_args!("{other:?}"));
        } else if let Some(node) = stray {
            let at = At::store(Store::Node(node)).txn(self.txn);
            let expected = format_args!("only {first:?} take part");
            findings.violation(Invariant::V3, at, expected, "it takes part too");
        }
    }

    /// What a node committed, its coordinator had decided.
    fn check_coordinator(&self, findings: &mut Findings) {
        let at = At::store(Store::Coordinator(self.txn.coordinator)).txn(self.txn);
        let ended = self
            .stories
            .iter()
            .filter_map(|(node, story)| Some((*node, story.end?)));
        let mut commits = ended.filter(|(_, end)| end.word == OperatorWord::Commit && end.forced.is_none());
        let Some((node, end)) = commits.next() else {
            return; // Decided, and nobody has applied it yet.
        };
        let Some(coordinator) = self.coordinator else {
            return findings.unchecked(Invariant::V3, Why::NoCoordinator(self.txn.coordinator));
        };
        // A node that decides alone needs nobody's word, but nobody may have said abort either.
        let is_alone = end.alone || self.participants.len() == 1;
        if is_alone && self.decision.is_none_or(|decision| decision.aborted.is_none()) {
            return;
        }
        let found = match coordinator.word(self.txn) {
            CoordinatorWord::Commit => return,
            // It may have been alone, and its START lost: then only the node knew of it.
            CoordinatorWord::Abort if self.participants.is_empty() => {
                return findings.unchecked(Invariant::V3, Why::OnlyTheEnd(node));
            }
            CoordinatorWord::Unknown => {
                return findings.unchecked(Invariant::V3, Why::CoordinatorForgot(coordinator.id));
            }
            CoordinatorWord::Abort if coordinator.has_lost => {
                return findings.forced.push(Forced::LogAccepted {
                    txn: self.txn,
                    coordinator: coordinator.id,
                });
            }
            CoordinatorWord::Abort => match self.decision.and_then(|decision| decision.aborted) {
                Some(seq) => format!("ABORT in record {seq}"),
                None => "no record of it, which means abort".to_owned(),
            },
            CoordinatorWord::Undecided => "START and no decision".to_owned(),
        };
        let expected = format_args!("COMMIT, since {node} committed it in record {}", end.seq);
        findings.violation(Invariant::V3, at, expected, found);
    }

    /// A participant of a transaction that happened.
    fn check_participant(&self, node: NodeId, witness: Witness, findings: &mut Findings) {
        let Some(its) = self.cluster.nodes.get(&node) else {
            return findings.unchecked(Invariant::V3, Why::NoNode(node));
        };
        let at = At::store(Store::Node(node)).txn(self.txn);
        let forgives = |coordinator: &Coordinator<'_>| coordinator.forgives(node, self.txn);
        let is_forgiven = self.cluster.coordinators.values().any(forgives);
        match its.standing(self.txn) {
            Standing::Ended(end) if end.forced.is_some() => {} // Reported as such.
            Standing::Ended(end) if end.word == OperatorWord::Abort => {
                let found = format_args!("aborted in record {}", end.seq);
                findings.violation(Invariant::V3, at.seq(end.seq), witness, found);
            }
            Standing::Ended(end) if end.alone && self.participants.len() > 1 => {
                let others = self.participants.len() - 1;
                let expected = format_args!("a decision with {others} others");
                findings.violation(Invariant::V3, at.seq(end.seq), expected, "committed alone");
            }
            Standing::Ended(_) => {}
            Standing::Prepared(seq) => {
                let completed = self.decision.and_then(|decision| decision.completed);
                if let Some(completed) = completed.filter(|_| !is_forgiven) {
                    let expected = format_args!(
                        "committed and acknowledged, as coordinator {} has it in record {completed}",
                        self.txn.coordinator
                    );
                    findings.violation(Invariant::V3, at.seq(seq), expected, "still prepared");
                }
            }
            Standing::Forgotten => findings.unchecked(Invariant::V3, Why::NodeForgot(node)),
            Standing::Unheard if is_forgiven => {
                let txn = self.txn;
                findings.forced.push(Forced::GivenUp { txn, node });
            }
            Standing::Unheard => findings.violation(Invariant::V3, at, witness, "no trace of it"),
        }
    }

    /// Every part of what happened is what was asked for; if that is not known, at least the parts add up.
    fn check_legs(&self, findings: &mut Findings) {
        let part = |node: &NodeId| {
            let story = self.stories.iter().find(|(with, _)| with == node);
            story.and_then(|(_, story)| story.operations)
        };
        if let Some(order) = self.decision.and_then(|decision| decision.order) {
            for (node, operations) in self
                .participants
                .iter()
                .filter_map(|node| Some((node, part(node)?)))
            {
                if !is_part(order, *node, operations) {
                    let at = At::store(Store::Node(*node)).txn(self.txn);
                    let expected = format_args!("its part of {order}");
                    findings.violation(Invariant::V3, at, expected, words(operations));
                }
            }
        }
        let parts: Option<Vec<i128>> = self.participants.iter().map(|node| part(node).map(net)).collect();
        let sum: i128 = parts.into_iter().flatten().sum();
        if sum != 0 {
            let at = At::store(Store::All).txn(self.txn);
            let found = format_args!("they add up to {sum:+}");
            findings.violation(Invariant::V1, at, "parts that add up to 0", found);
        }
    }
}

/// Whether `operations` are what `order` asks of `node`.
pub(crate) fn is_part(order: &Order, node: NodeId, operations: &[Operation]) -> bool {
    let asked = order.legs().iter().filter(|leg| leg.place.node == node);
    let same = |(leg, operation): (&Leg, &Operation)| {
        leg.place.account == operation.account && leg.delta == operation.delta
    };
    asked.clone().count() == operations.len() && asked.zip(operations).all(same)
}

/// Operations as a person writes them.
pub(crate) fn words(operations: &[Operation]) -> String {
    let each: Vec<String> = operations.iter().map(ToString::to_string).collect();
    each.join(", ")
}
