//! Questions that need nodes to answer: reads, status, lists. Each is sent to some nodes, gathered, and answered when
//! all have answered, when a link breaks, or when it has waited long enough.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::audit::Audit;
use super::link::Link;
use super::{ClientRef, Coordinator, CoordinatorTimer, CoordinatorTo, Phase, Stage, TEXT_LEN_MAX};
use crate::effects::Effects;
use crate::fold::Fold;
use crate::id::{NodeId, TxnId};
use crate::message::{
    Answer, Ask, Call, ClusterStatus, CoordinatorStatus, CoordinatorView, Freshness, InDoubt, LinkState,
    NodeAnswer, NodeQuestion, NodeView, OperatorWord, Reference, Target, ToNode, TxnReport, Work,
};
use crate::participant::bounded;
use crate::reason::one_line;

/// How long nodes may take to answer a question, in milliseconds; a read adds its own waiting time.
const ASK_WAIT_MS: u32 = 3_000;

/// A question under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asking {
    pub(super) client: ClientRef,
    pub(super) topic: Topic,
    /// How many were asked.
    pub(super) asked: usize,
    /// Who has not answered.
    pub(super) waiting: BTreeSet<NodeId>,
    pub(super) answers: BTreeMap<NodeId, NodeAnswer>,
    pub(super) wait_ms: u32,
}

/// What a question is about, and what it has found out so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// One node's answer is the client's.
    Relay(NodeId),
    /// So it is, and the node does something.
    Order(NodeId),
    Status,
    List {
        in_doubt: bool,
    },
    /// By request: first find the transaction, then what everyone holds of it.
    Find(Reference),
    Show(Reference, TxnId),
    /// Look at everyone before forcing anything.
    ResolveLook {
        txn: TxnId,
        word: OperatorWord,
        why: String,
    },
    ResolveDo,
    Audit(Audit),
}

impl Coordinator {
    pub(super) fn on_call(&mut self, session: u64, call: Call, effects: &mut Effects<Coordinator>) {
        let client = ClientRef {
            session,
            call: call.id,
        };
        match call.ask {
            Ask::Submit {
                request,
                repeated,
                order,
            } => {
                self.on_submit(client, request, repeated, order, effects);
            }
            Ask::Balance { place, wait_ms } => {
                let question = NodeQuestion::Balance {
                    account: place.account,
                    wait_ms,
                };
                self.relay(client, place.node, question, wait_ms, effects);
            }
            Ask::Accounts { node, after } => {
                self.relay(client, node, NodeQuestion::Accounts(after), 0, effects);
            }
            Ask::Audit => self.on_audit(client, effects),
            Ask::Status => {
                self.ask_all(client, Topic::Status, &NodeQuestion::Status, effects);
            }
            Ask::Show(Reference::Txn(txn)) => {
                let reference = Reference::Txn(txn);
                self.ask_all(
                    client,
                    Topic::Show(reference, txn),
                    &NodeQuestion::Show(reference),
                    effects,
                );
            }
            Ask::Show(reference @ Reference::Request(_)) => {
                self.ask_all(
                    client,
                    Topic::Find(reference),
                    &NodeQuestion::Show(reference),
                    effects,
                );
            }
            Ask::List { in_doubt } => {
                self.ask_all(client, Topic::List { in_doubt }, &NodeQuestion::List, effects);
            }
            Ask::Resolve { txn, word, why } => self.on_resolve(client, txn, word, why, effects),
            Ask::Adopt { node } => self.on_adopt(client, node, effects),
            Ask::Arm {
                target: Target::Node(node),
                failpoint,
            } => {
                self.order(client, node, NodeQuestion::Arm(failpoint), effects);
            }
            Ask::Arm {
                target: Target::Coordinator,
                ..
            } => {
                let refused = "this process has no failpoints".to_string();
                self.reply(client, Answer::Failed(refused), effects);
            }
        }
    }

    fn relay(
        &mut self,
        client: ClientRef,
        node: NodeId,
        question: NodeQuestion,
        wait_ms: u32,
        effects: &mut Effects<Coordinator>,
    ) {
        if let Some(unknown) = self.unknown(node) {
            return self.reply(client, unknown, effects);
        }
        if let (NodeQuestion::Balance { .. }, Some(Link::Quarantined { why, .. })) =
            (&question, self.links.get(&node))
        {
            let text = format!("what {node} would say cannot be trusted: {why}");
            return self.reply(client, Answer::Failed(text), effects);
        }
        let wait_ms = wait_ms.saturating_add(ASK_WAIT_MS);
        self.ask(client, Topic::Relay(node), &[node], &question, wait_ms, effects);
    }

    /// Lets one node do something that an operator wants done.
    fn order(
        &mut self,
        client: ClientRef,
        node: NodeId,
        question: NodeQuestion,
        effects: &mut Effects<Coordinator>,
    ) {
        match self.unknown(node) {
            Some(unknown) => self.reply(client, unknown, effects),
            None => self.ask(
                client,
                Topic::Order(node),
                &[node],
                &question,
                ASK_WAIT_MS,
                effects,
            ),
        }
    }

    fn unknown(&self, node: NodeId) -> Option<Answer> {
        let nodes = &self.config.nodes;
        (!nodes.contains(&node)).then(|| {
            let known: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            Answer::Failed(format!(
                "there is no node {node}; this coordinator has {}",
                known.join(", ")
            ))
        })
    }

    /// An operator accepts a node as it is, on both sides of its link.
    fn on_adopt(&mut self, client: ClientRef, node: NodeId, effects: &mut Effects<Coordinator>) {
        if self.can_hear(node) {
            self.adopt(node, effects);
        }
        let durable = self.durable_now(effects);
        self.order(client, node, NodeQuestion::Adopt { durable }, effects);
        if self.is_up(node) {
            self.say_again(node, effects);
        }
    }

    pub(super) fn ask_all(
        &mut self,
        client: ClientRef,
        topic: Topic,
        question: &NodeQuestion,
        effects: &mut Effects<Coordinator>,
    ) {
        let nodes = self.config.nodes.clone();
        self.ask(client, topic, &nodes, question, ASK_WAIT_MS, effects);
    }

    /// Asks those of `nodes` that can hear; the others count as silent.
    pub(super) fn ask(
        &mut self,
        client: ClientRef,
        topic: Topic,
        nodes: &[NodeId],
        question: &NodeQuestion,
        wait_ms: u32,
        effects: &mut Effects<Coordinator>,
    ) {
        let ask = self.next_ask;
        self.next_ask += 1;
        let waiting: BTreeSet<NodeId> = nodes
            .iter()
            .copied()
            .filter(|&node| self.can_hear(node))
            .collect();
        for &node in &waiting {
            // A question shows as much as the newest decision, so that it never overtakes one on its link.
            self.tell(
                node,
                ToNode::Ask {
                    ask,
                    question: question.clone(),
                },
                self.forced,
                effects,
            );
        }
        self.asking.insert(
            ask,
            Asking {
                client,
                topic,
                asked: waiting.len(),
                waiting,
                answers: BTreeMap::new(),
                wait_ms,
            },
        );
        effects.set(CoordinatorTimer::Ask { ask, wait_ms });
        self.check_ask(ask, effects);
    }

    fn can_hear(&self, node: NodeId) -> bool {
        match self.links.get(&node) {
            Some(Link::Up { .. } | Link::Quarantined { .. }) => true,
            Some(Link::Down | Link::Joining) | None => false,
        }
    }

    pub(super) fn on_answer(
        &mut self,
        node: NodeId,
        ask: u64,
        answer: NodeAnswer,
        effects: &mut Effects<Coordinator>,
    ) {
        let Some(asking) = self.asking.get_mut(&ask) else {
            return; // Too late.
        };
        if asking.waiting.remove(&node) {
            let answer = match answer {
                NodeAnswer::Done(text) => NodeAnswer::Done(one_line(&text, TEXT_LEN_MAX)),
                NodeAnswer::Failed(text) => NodeAnswer::Failed(one_line(&text, TEXT_LEN_MAX)),
                NodeAnswer::Balance(_)
                | NodeAnswer::Accounts(_)
                | NodeAnswer::Cut { .. }
                | NodeAnswer::Thawed { .. }
                | NodeAnswer::Status(_)
                | NodeAnswer::Show(_)
                | NodeAnswer::List(_) => answer,
            };
            asking.answers.insert(node, answer);
            self.check_ask(ask, effects);
        }
    }

    /// A link broke: its node will not answer any more.
    pub(super) fn asks_lost(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let lost = self
            .asking
            .iter_mut()
            .filter_map(|(&ask, asking)| asking.waiting.remove(&node).then_some(ask));
        for ask in lost.collect::<BTreeSet<u64>>() {
            self.check_ask(ask, effects);
        }
    }

    pub(super) fn on_ask_timeout(&mut self, ask: u64, effects: &mut Effects<Coordinator>) {
        if let Some(asking) = self.asking.get_mut(&ask) {
            asking.waiting.clear();
            self.check_ask(ask, effects);
        }
    }

    /// Goes on with a question that nobody has to answer any more.
    fn check_ask(&mut self, ask: u64, effects: &mut Effects<Coordinator>) {
        if self
            .asking
            .get(&ask)
            .is_none_or(|asking| !asking.waiting.is_empty())
        {
            return;
        }
        let Asking {
            client,
            topic,
            asked,
            mut answers,
            wait_ms,
            ..
        } = self.asking.remove(&ask).expect("just looked up");
        effects.cancel(CoordinatorTimer::Ask { ask, wait_ms });
        let silent = answers.len() < asked;
        match topic {
            Topic::Order(_) | Topic::ResolveDo if silent => {
                // Whoever did not answer may have done it all the same. The client will say so when it loses its
                // connection, as if ours had broken.
                effects.hangups.push(CoordinatorTo::Client(client.session));
            }
            Topic::Relay(node) | Topic::Order(node) => {
                let answer = relayed(node, answers.remove(&node));
                self.reply(client, answer, effects);
            }
            Topic::Status => {
                let status = Answer::Status(self.cluster_status(&answers));
                self.reply(client, status, effects);
            }
            Topic::List { in_doubt } => {
                let list = Answer::List(self.open_transactions(in_doubt, &answers));
                self.reply(client, list, effects);
            }
            Topic::Find(reference) => match answers.values().find_map(found) {
                Some(txn) => {
                    let question = NodeQuestion::Show(Reference::Txn(txn));
                    self.ask_all(client, Topic::Show(reference, txn), &question, effects);
                }
                None => {
                    let report = self.txn_report(reference, None, &answers);
                    self.reply(client, Answer::Txn(report), effects);
                }
            },
            Topic::Show(reference, txn) => {
                let report = self.txn_report(reference, Some(txn), &answers);
                self.reply(client, Answer::Txn(report), effects);
            }
            Topic::ResolveLook { txn, word, why } => {
                self.on_resolve_looked(client, txn, word, why, &answers, effects);
            }
            Topic::ResolveDo => {
                let answer = Coordinator::resolved(&answers);
                self.reply(client, answer, effects);
            }
            Topic::Audit(audit) => self.on_audit_answers(client, ask, audit, &answers, effects),
        }
    }

    fn cluster_status(&self, answers: &BTreeMap<NodeId, NodeAnswer>) -> ClusterStatus {
        let count = |len: usize| u64::try_from(len).expect("a length fits");
        let committed = |live: &super::Live| matches!(live.stage, Stage::Committed(_));
        let coordinator = CoordinatorStatus {
            id: self.config.id,
            epoch: self.state.epoch(),
            sequence: self.state.seq(),
            open: count(self.live.len()),
            unacknowledged: count(self.live.count(committed)),
            asking: count(self.asking.len()),
            work: Work::default(),
        };
        let nodes = self
            .config
            .nodes
            .iter()
            .map(|&node| match (self.links.get(&node), answers.get(&node)) {
                (Some(Link::Quarantined { why, .. }), _) => LinkState::Quarantined(node, why.clone()),
                (Some(Link::Up { .. }), Some(NodeAnswer::Status(status))) => {
                    LinkState::Up(node, status.clone())
                }
                (Some(Link::Up { .. } | Link::Down | Link::Joining) | None, _) => LinkState::Down(node),
            });
        ClusterStatus {
            coordinator,
            nodes: nodes.collect(),
        }
    }

    fn open_transactions(&self, in_doubt: bool, answers: &BTreeMap<NodeId, NodeAnswer>) -> Vec<InDoubt> {
        let mut open: BTreeMap<TxnId, InDoubt> = BTreeMap::new();
        for (&txn, live) in self.live.iter() {
            let line = InDoubt {
                txn,
                age_s: self.tick - live.since,
                participants: live.participants.to_vec(),
                prepared: Vec::new(),
                coordinator: self.txn_view(txn),
                freshness: Freshness::Deciding,
            };
            open.insert(txn, line);
        }
        for (&node, answer) in answers {
            let NodeAnswer::List(lines) = answer else { continue };
            for line in lines {
                let entry = open.entry(line.txn).or_insert_with(|| InDoubt {
                    txn: line.txn,
                    age_s: 0,
                    participants: line.participants.clone(),
                    prepared: Vec::new(),
                    coordinator: self.txn_view(line.txn),
                    freshness: Freshness::Deciding,
                });
                entry.age_s = entry.age_s.max(line.age_s);
                entry.prepared.push((node, line.operations.clone()));
                if !line.coordinator_connected {
                    entry.freshness = Freshness::InDoubt;
                }
            }
        }
        let names = |line: &InDoubt| {
            let operations: usize = line.prepared.iter().map(|(_, operations)| operations.len()).sum();
            operations + line.participants.len()
        };
        let wanted = open
            .into_values()
            .filter(|line| !in_doubt || line.freshness == Freshness::InDoubt);
        bounded(wanted, names).collect()
    }

    pub(super) fn txn_view(&self, txn: TxnId) -> CoordinatorView {
        if txn.coordinator != self.config.id {
            return CoordinatorView::NotMine;
        }
        match self.state.open().get(&txn) {
            None => CoordinatorView::NoRecord,
            Some(open) => match (open.phase, open.participants.as_slice(), self.live.get(&txn)) {
                (Phase::Started, [to], _) => CoordinatorView::Delegated { to: *to },
                (Phase::Started, participants, _) => CoordinatorView::Collecting {
                    participants: participants.to_vec(),
                },
                (
                    Phase::Committed(_),
                    _,
                    Some(
                        live @ super::Live {
                            stage: Stage::Committed(unacknowledged),
                            ..
                        },
                    ),
                ) => CoordinatorView::Committed {
                    unacknowledged: live.nodes(*unacknowledged).collect(),
                },
                (Phase::Committed(_), ..) => CoordinatorView::Committed {
                    unacknowledged: Vec::new(),
                },
            },
        }
    }

    fn txn_report(
        &self,
        reference: Reference,
        txn: Option<TxnId>,
        answers: &BTreeMap<NodeId, NodeAnswer>,
    ) -> TxnReport {
        let nodes = self
            .config
            .nodes
            .iter()
            .map(|&node| (node, answers.get(&node).and_then(as_view).cloned()));
        let coordinator = txn.map_or(CoordinatorView::NoRecord, |txn| self.txn_view(txn));
        TxnReport {
            reference,
            txn,
            coordinator,
            nodes: nodes.collect(),
        }
    }
}

fn relayed(node: NodeId, answer: Option<NodeAnswer>) -> Answer {
    match answer {
        None => Answer::Failed(format!(
            "cannot reach {node}, or it did not answer in time; nothing was changed"
        )),
        Some(NodeAnswer::Balance(balance)) => Answer::Balance(balance),
        Some(NodeAnswer::Accounts(page)) => Answer::Accounts(page),
        Some(NodeAnswer::Done(text)) => Answer::Done(text),
        Some(NodeAnswer::Failed(text)) => Answer::Failed(text),
        Some(
            other @ (NodeAnswer::Cut { .. }
            | NodeAnswer::Thawed { .. }
            | NodeAnswer::Status(_)
            | NodeAnswer::Show(_)
            | NodeAnswer::List(_)),
        ) => Answer::Failed(format!("{node} gave the wrong kind of answer: {other}")),
    }
}

pub(super) fn as_view(answer: &NodeAnswer) -> Option<&NodeView> {
    match answer {
        NodeAnswer::Show(view) => Some(view),
        NodeAnswer::Balance(_)
        | NodeAnswer::Accounts(_)
        | NodeAnswer::Cut { .. }
        | NodeAnswer::Thawed { .. }
        | NodeAnswer::Status(_)
        | NodeAnswer::List(_)
        | NodeAnswer::Done(_)
        | NodeAnswer::Failed(_) => None,
    }
}

fn found(answer: &NodeAnswer) -> Option<TxnId> {
    as_view(answer).and_then(|view| view.txn)
}
