//! A whole coordinator, fed whatever nodes, clients, a driver and a bad day can make of its inputs.
//!
//! An input is a story, as for the node. After each step a shadow that knows nothing but records and messages says what may
//! be decided and told: COMMIT only with every vote, ABORT never after it, no money made by a PREPARE, one answer a call.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codec;
use protocol::coordinator::{
    ClientRef, Coordinator, CoordinatorConfig, CoordinatorInput, CoordinatorMessage, CoordinatorRecord,
    CoordinatorState, CoordinatorTimer, CoordinatorTo,
};
use protocol::effects::{Effects, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::frame::BODY_LEN_MAX;
use protocol::id::{NodeId, StoreId, TxnId};
use protocol::message::{
    Answer, AuditVerdict, Executed, FromNode, Knowledge, Outcome, Prepare, Reply, ToNode, Vote,
};
use protocol::reason::Decision;

use super::{coordinator_seeds, coordinator_story};
use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "coordinator",
    holds: "whatever arrives, decisions follow votes, are told as they were made and survive crashes; nothing panics",
    judge,
    seeds: coordinator_seeds::seeds,
    memory: (8 << 20, 4096),
    shows: &[
        "EPOCH",
        "START",
        "PREPARE",
        "COMMIT",
        "ABORT",
        "COMPLETE",
        "MARK",
        "NODE",
        "QUARANTINE",
        "SUSPECT",
        "TRUST",
        "PROVED",
        "committed told",
        "aborted told",
        "unknown told",
        "rejected told",
        "audit exact",
        "audit violated",
        "audit incomplete",
        "crash",
        "stopped",
        "nothing changed",
        "raw taken",
        "raw refused",
        "not mine",
        "pending",
        "abort sent",
        "not started",
    ],
    faults: &[
        "C2", "C5", "C9", "C13", "C14", "I1", "I4", "I6", "I8", "I11", "O2", "P5", "P6", "W2",
    ],
};

/// Most steps in one story.
const STEPS_MAX: usize = 200;

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let mut coordinator = Driven::new(seen);
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        coordinator_story::event(&mut coordinator, &mut choices, seen);
    }
    coordinator.crash(usize::MAX, &coordinator_story::nodes(), seen);
}

/// A coordinator with its log, its timers and its shadow.
pub(super) struct Driven {
    machine: Coordinator,
    lives: u64,
    records: Vec<(Seq, CoordinatorRecord)>,
    synced: Seq,
    /// The disk is slow: what is forced waits for the story to go on.
    pub(super) lagging: bool,
    waiting: Vec<Outgoing<CoordinatorTo, CoordinatorMessage>>,
    pub(super) timers: BTreeSet<CoordinatorTimer>,
    /// Questions to nodes that were asked in this life.
    pub(super) asked: Vec<(NodeId, u64)>,
    /// Transactions of this and former lives, in the order of their START.
    pub(super) begun: Vec<TxnId>,
    pub(super) next_call: u64,
    /// Calls of this life that nobody has answered.
    open_calls: BTreeSet<ClientRef>,
    shadow: Shadow,
    /// Votes, acknowledgements and words of single participants, heard in this life.
    heard: BTreeSet<(TxnId, NodeId, Heard)>,
    /// Transactions whose COMMIT was told to somebody.
    told: BTreeSet<TxnId>,
    /// Transactions of whose end a home has said something, true or not.
    claimed: BTreeSet<TxnId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    Yes,
    Ack,
    Executed,
}

/// How far a transaction has come, by the records alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Committed(Seq),
    Aborted,
    Complete,
}

#[derive(Clone, Debug, Default)]
struct Shadow {
    txns: BTreeMap<TxnId, (Vec<NodeId>, Stage)>,
}

impl Shadow {
    fn note(&mut self, seq: Seq, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::Start { txn, order, .. } => {
                let net: i128 = order.legs().iter().map(|leg| i128::from(leg.delta.get())).sum();
                assert_eq!(net, 0, "{txn} makes money");
                let before = self.txns.insert(*txn, (order.participants(), Stage::Open));
                assert!(before.is_none(), "{txn} begins twice");
            }
            CoordinatorRecord::Commit { txn } => self.go(txn, &[Stage::Open], Stage::Committed(seq)),
            CoordinatorRecord::Abort { txn, .. } => self.go(txn, &[Stage::Open], Stage::Aborted),
            CoordinatorRecord::Complete { txn } => {
                let (participants, stage) = &self.txns[txn];
                let due = match stage {
                    Stage::Committed(_) => participants.len() > 1,
                    Stage::Open => participants.len() == 1,
                    Stage::Aborted | Stage::Complete => false,
                };
                assert!(due, "{txn} completes at {stage:?}");
                self.txns.get_mut(txn).expect("just looked up").1 = Stage::Complete;
            }
            CoordinatorRecord::Mark { node, below } => {
                let open = |(participants, stage): &(Vec<NodeId>, Stage)| {
                    participants.contains(node) && matches!(stage, Stage::Open | Stage::Committed(_))
                };
                let passed = self
                    .txns
                    .iter()
                    .find(|(txn, entry)| txn.at < *below && open(entry));
                assert!(passed.is_none(), "a mark passes {passed:?}");
            }
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => {}
        }
    }

    fn go(&mut self, txn: &TxnId, from: &[Stage], to: Stage) {
        let (_, stage) = self.txns.get_mut(txn).expect("what is decided has begun");
        assert!(from.contains(stage), "{txn} goes from {stage:?} to {to:?}");
        *stage = to;
    }

    fn committed(&self, txn: &TxnId) -> Option<Seq> {
        match self.txns.get(txn) {
            Some((_, Stage::Committed(seq))) => Some(*seq),
            Some((_, Stage::Open | Stage::Aborted | Stage::Complete)) | None => None,
        }
    }
}

/// The coordinator's identity.
pub(super) const SELF: StoreId = StoreId(0xc);

fn config(lives: u64, nodes: &[NodeId]) -> CoordinatorConfig {
    CoordinatorConfig {
        id: SELF,
        incarnation: lives,
        nodes: nodes.to_vec(),
    }
}

impl Driven {
    fn new(seen: &mut Seen) -> Driven {
        let config = config(1, &coordinator_story::nodes());
        let machine = Coordinator::new(config, CoordinatorState::empty());
        let mut driven = Driven {
            machine: machine.expect("an empty log needs no node"),
            lives: 1,
            records: Vec::new(),
            synced: 0,
            lagging: false,
            waiting: Vec::new(),
            timers: BTreeSet::new(),
            asked: Vec::new(),
            begun: Vec::new(),
            next_call: 1,
            open_calls: BTreeSet::new(),
            shadow: Shadow::default(),
            heard: BTreeSet::new(),
            told: BTreeSet::new(),
            claimed: BTreeSet::new(),
        };
        driven.step(CoordinatorInput::Start, seen);
        driven
    }

    pub(super) fn state(&self) -> &CoordinatorState {
        self.machine.state()
    }

    /// One step, with everything that must hold after each.
    pub(super) fn step(&mut self, input: CoordinatorInput, seen: &mut Seen) {
        self.hear(&input);
        seen.tell(|| format!("{input:?}"));
        let before = self.machine.clone();
        let mut effects = Effects::new();
        self.machine.step(input.clone(), &mut effects);
        assert_repeats(before.clone(), input, &self.machine, &effects);
        if effects.records.is_empty() {
            assert_eq!(
                self.machine.state(),
                before.state(),
                "the state changed without a record"
            );
            seen.way("nothing changed");
        }
        for (seq, record) in &effects.records {
            seen.tell(|| format!("    append {seq} {record}"));
            assert_eq!(self.records.last().map_or(0, |(seq, _)| *seq) + 1, *seq);
            self.has_cause(record);
            self.shadow.note(*seq, record);
            if let CoordinatorRecord::Start { txn, .. } = record {
                self.begun.push(*txn);
            }
            self.records.push((*seq, record.clone()));
            seen.way(
                record
                    .to_string()
                    .split(' ')
                    .next()
                    .expect("a record has an action"),
            );
        }
        for send in &effects.sends {
            seen.tell(|| format!("    → {:?} {} (shows {})", send.to, send.message, send.shows));
        }
        let newest = self.machine.state().seq();
        assert!(effects.force <= newest, "what does not exist cannot be forced");
        self.may_be_said(&effects.sends, newest, seen);
        for note in &effects.notes {
            assert!(
                !note.text.chars().any(char::is_control),
                "{:?} goes to the log",
                note.text
            );
        }
        for change in effects.timers {
            match change {
                TimerChange::Set(timer) => self.timers.insert(timer),
                TimerChange::Cancel(timer) => self.timers.remove(&timer),
            };
        }
        self.waiting.extend(effects.sends);
        if effects.force > self.synced && !self.lagging {
            self.sync();
        } else {
            self.release();
        }
        if let Some(why) = effects.stop {
            assert!(!why.chars().any(char::is_control), "{why:?} goes to the log");
            seen.way("stopped");
            self.crash(usize::MAX, &coordinator_story::nodes(), seen);
        }
    }

    fn hear(&mut self, input: &CoordinatorInput) {
        match input {
            CoordinatorInput::Node(node, message) => {
                let heard = match message {
                    FromNode::Vote {
                        txn, vote: Vote::Yes, ..
                    } => (*txn, *node, Heard::Yes),
                    FromNode::Ack { txn, .. } | FromNode::Mixed { txn, .. } => (*txn, *node, Heard::Ack),
                    FromNode::Executed {
                        txn,
                        executed: Executed::Duplicate(knows),
                        ..
                    } => {
                        self.claimed.extend(claim(knows));
                        (*txn, *node, Heard::Executed)
                    }
                    FromNode::Executed { txn, .. } => (*txn, *node, Heard::Executed),
                    FromNode::Vote {
                        vote: Vote::Duplicate(knows),
                        ..
                    }
                    | FromNode::Aborted { knows, .. }
                    | FromNode::Recalled { knows, .. } => {
                        self.claimed.extend(claim(knows));
                        return;
                    }
                    FromNode::Welcome { .. }
                    | FromNode::Refuse { .. }
                    | FromNode::Vote { .. }
                    | FromNode::Inquiry { .. }
                    | FromNode::Unmatched { .. }
                    | FromNode::Answer { .. } => return,
                };
                self.heard.insert(heard);
            }
            CoordinatorInput::Client(session, call) => {
                let client = ClientRef {
                    session: *session,
                    call: call.id,
                };
                self.open_calls.insert(client);
            }
            CoordinatorInput::Armed(client, _) => {
                self.open_calls.insert(*client);
            }
            CoordinatorInput::Start
            | CoordinatorInput::Connected(_)
            | CoordinatorInput::Disconnected(_)
            | CoordinatorInput::Timer(_)
            | CoordinatorInput::Room(_) => {}
        }
    }

    /// COMMIT needs every vote, COMPLETE every acknowledgement, all from this life.
    fn has_cause(&self, record: &CoordinatorRecord) {
        let heard = |txn: &TxnId, node: &NodeId, what| self.heard.contains(&(*txn, *node, what));
        match record {
            CoordinatorRecord::Commit { txn } => {
                let participants = &self.shadow.txns[txn].0;
                let all = participants.iter().all(|node| heard(txn, node, Heard::Yes));
                assert!(all, "{txn} commits without a vote");
            }
            CoordinatorRecord::Complete { txn } => {
                let participants = &self.shadow.txns[txn].0;
                // An operator who adopts a node gives up what it has not acknowledged.
                let done = |node: &NodeId| {
                    let given_up = txn.at < self.state().node(*node).forgiven;
                    match participants.len() {
                        1 => heard(txn, node, Heard::Executed),
                        _ => heard(txn, node, Heard::Ack) || given_up,
                    }
                };
                assert!(
                    participants.iter().all(done),
                    "{txn} completes while somebody is missing"
                );
            }
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Start { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => {}
        }
    }

    /// What is said is true, and waits for what it shows.
    fn may_be_said(
        &mut self,
        sends: &[Outgoing<CoordinatorTo, CoordinatorMessage>],
        newest: Seq,
        seen: &mut Seen,
    ) {
        let mut prepares: BTreeMap<TxnId, Vec<(NodeId, &Prepare)>> = BTreeMap::new();
        for send in sends {
            assert!(send.shows <= newest, "{} shows what does not exist", send.message);
            match (&send.to, &send.message) {
                (CoordinatorTo::Node(node), CoordinatorMessage::Node(message)) => {
                    let len = codec::encode(message).len();
                    assert!(len <= BODY_LEN_MAX, "{len} bytes");
                    match message {
                        ToNode::Prepare(prepare) | ToNode::Execute(prepare) => {
                            prepares.entry(prepare.txn).or_default().push((*node, prepare));
                        }
                        ToNode::Decide { txn, decision, .. } => {
                            self.may_decide(txn, decision, send.shows, seen)
                        }
                        ToNode::Ask { ask, .. } => self.asked.push((*node, *ask)),
                        ToNode::NotMine { txn } => {
                            assert_ne!(txn.coordinator, SELF);
                            seen.way("not mine");
                        }
                        ToNode::Pending { .. } => seen.way("pending"),
                        ToNode::Join { .. }
                        | ToNode::Query { .. }
                        | ToNode::Recall { .. }
                        | ToNode::Mark { .. } => {}
                    }
                }
                (CoordinatorTo::Client(session), CoordinatorMessage::Client(reply)) => {
                    let client = ClientRef {
                        session: *session,
                        call: reply.id,
                    };
                    assert!(
                        self.open_calls.remove(&client),
                        "{client:?} is answered twice: {reply}"
                    );
                    self.may_tell(&reply.answer, send.shows, seen);
                }
                (to, message) => panic!("{message} goes to {to:?}"),
            }
        }
        prepares
            .iter()
            .for_each(|(txn, parts)| self.moves_no_money(txn, parts));
    }

    fn may_decide(&self, txn: &TxnId, decision: &Decision, shows: Seq, seen: &mut Seen) {
        assert_eq!(txn.coordinator, SELF, "somebody else's transaction");
        match decision {
            Decision::Commit => {
                let seq = self
                    .shadow
                    .committed(txn)
                    .expect("COMMIT is told of what has committed");
                assert!(shows >= seq, "COMMIT {txn} leaves before it is synced");
            }
            Decision::Abort(reason) => {
                assert_eq!(
                    self.shadow.committed(txn),
                    None,
                    "ABORT for {txn}, which has committed"
                );
                let deciding = self
                    .shadow
                    .txns
                    .get(txn)
                    .is_some_and(|(_, stage)| *stage == Stage::Open);
                assert!(!deciding, "ABORT for {txn} ({reason}), which is not decided");
                seen.way("abort sent");
            }
        }
    }

    /// A client is told what the log or the only participant says, or what a home says of another attempt.
    fn may_tell(&self, answer: &Answer, shows: Seq, seen: &mut Seen) {
        match answer {
            Answer::Outcome(Outcome::Committed { txn }) => {
                seen.way("committed told");
                match self.shadow.txns.get(txn).map(|(_, stage)| *stage) {
                    Some(Stage::Committed(seq)) => assert!(shows >= seq, "{txn} is told before it is synced"),
                    Some(Stage::Complete) => {}
                    Some(Stage::Open | Stage::Aborted) | None => {
                        assert!(self.claimed.contains(txn), "{txn} has not committed");
                    }
                }
            }
            Answer::Outcome(Outcome::Aborted { txn: Some(txn), .. }) => {
                seen.way("aborted told");
                let committed = self.shadow.committed(txn).is_some() && !self.claimed.contains(txn);
                assert!(!committed, "{txn} has committed");
            }
            Answer::Outcome(Outcome::Unknown { .. }) => seen.way("unknown told"),
            Answer::Outcome(Outcome::Rejected { .. }) => seen.way("rejected told"),
            Answer::Audit(report) => seen.way(match report.verdict {
                AuditVerdict::Exact => "audit exact",
                AuditVerdict::Violated => "audit violated",
                AuditVerdict::Incomplete(_) => "audit incomplete",
            }),
            Answer::Outcome(Outcome::Reused | Outcome::Aborted { txn: None, .. })
            | Answer::Balance(_)
            | Answer::Accounts(_)
            | Answer::Status(_)
            | Answer::Txn(_)
            | Answer::List(_)
            | Answer::Done(_)
            | Answer::Failed(_) => {}
        }
    }

    /// All PREPAREs of a transaction leave in one step, to all its participants, and add up to nothing.
    fn moves_no_money(&self, txn: &TxnId, parts: &[(NodeId, &Prepare)]) {
        let operations = parts.iter().flat_map(|(_, prepare)| &prepare.operations);
        let net: i128 = operations
            .map(|operation| i128::from(operation.delta.get()))
            .sum();
        assert_eq!(net, 0, "{txn} makes money");
        let nodes: Vec<NodeId> = parts.iter().map(|(node, _)| *node).collect();
        assert!(
            parts.iter().all(|(_, prepare)| prepare.participants == nodes),
            "{parts:?}"
        );
        assert_eq!(self.shadow.txns[txn].0, nodes);
        let homes = parts.iter().filter(|(_, prepare)| prepare.home.is_some());
        assert_eq!(homes.count(), 1, "one home: {parts:?}");
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.machine.state().seq();
        self.release();
    }

    fn release(&mut self) {
        let synced = self.synced;
        for send in self.waiting.extract_if(.., |send| send.shows <= synced) {
            let txn = match send.message {
                CoordinatorMessage::Node(ToNode::Decide {
                    txn,
                    decision: Decision::Commit,
                    ..
                }) => txn,
                CoordinatorMessage::Client(Reply {
                    answer: Answer::Outcome(Outcome::Committed { txn }),
                    ..
                }) if self.shadow.committed(&txn).is_some() => txn,
                CoordinatorMessage::Client(_) | CoordinatorMessage::Node(_) => continue,
            };
            self.told.insert(txn);
        }
    }

    /// Dies and comes back with what was synced and the first `kept` records behind it, to use these nodes.
    pub(super) fn crash(&mut self, kept: usize, nodes: &[NodeId], seen: &mut Seen) {
        seen.way("crash");
        seen.tell(|| format!("crash, with {} records synced and {kept} more kept", self.synced));
        seen.fault("C14");
        for (_, record) in self
            .records
            .iter()
            .skip(usize::try_from(self.synced).expect("a short story"))
        {
            match record {
                CoordinatorRecord::Start { .. } => seen.fault("C2"),
                CoordinatorRecord::Commit { .. } => seen.fault("C5"),
                CoordinatorRecord::Complete { .. } => seen.fault("C9"),
                CoordinatorRecord::Epoch { .. }
                | CoordinatorRecord::Prepare { .. }
                | CoordinatorRecord::Abort { .. }
                | CoordinatorRecord::Mark { .. }
                | CoordinatorRecord::Node { .. }
                | CoordinatorRecord::Quarantine { .. }
                | CoordinatorRecord::Suspect { .. }
                | CoordinatorRecord::Trust { .. }
                | CoordinatorRecord::Proved { .. } => {}
            }
        }
        let synced = usize::try_from(self.synced).expect("a short story");
        self.records.truncate(synced.saturating_add(kept));
        self.lagging = false;
        self.waiting.clear();
        self.timers.clear();
        self.asked.clear();
        self.open_calls.clear();
        self.heard.clear();
        let mut state = CoordinatorState::empty();
        self.shadow = Shadow::default();
        for (seq, record) in &self.records {
            state.apply(*seq, record, &mut Vec::new());
            self.shadow.note(*seq, record);
        }
        let entries: Vec<_> = state.entries().collect();
        let restored = CoordinatorState::restore(state.seq(), &mut entries.into_iter());
        assert_eq!(restored.as_ref(), Ok(&state), "a state is what its entries say");
        self.synced = state.seq();
        for txn in &self.told {
            let stage = self.shadow.txns.get(txn).map(|(_, stage)| *stage);
            assert!(
                matches!(stage, Some(Stage::Committed(_) | Stage::Complete)),
                "the decision about {txn} is forgotten: {stage:?}"
            );
        }
        self.lives += 1;
        self.machine = Coordinator::new(config(self.lives, nodes), state.clone()).unwrap_or_else(|why| {
            // A node that is needed was left out; with all of them it starts.
            assert!(nodes.len() < coordinator_story::nodes().len(), "{why}");
            seen.way("not started");
            let config = config(self.lives, &coordinator_story::nodes());
            Coordinator::new(config, state).expect("every node is there")
        });
        self.step(CoordinatorInput::Start, seen);
        self.sync();
    }
}

/// Of which transaction a home claims to know the end.
fn claim(knows: &Knowledge) -> Option<TxnId> {
    match knows {
        Knowledge::Committed(txn) | Knowledge::Aborted(txn, _) => Some(*txn),
        Knowledge::Nothing | Knowledge::Reused | Knowledge::Open(_) => None,
    }
}

/// The same input in the same state has the same effects.
fn assert_repeats(
    mut before: Coordinator,
    input: CoordinatorInput,
    after: &Coordinator,
    effects: &Effects<Coordinator>,
) {
    let mut again = Effects::new();
    before.step(input, &mut again);
    assert_eq!(before, *after);
    assert_eq!(again.records, effects.records);
    assert_eq!(again.sends, effects.sends);
    assert_eq!(again.timers, effects.timers);
}
