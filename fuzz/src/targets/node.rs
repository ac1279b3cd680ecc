//! A whole participant, fed whatever a coordinator, a driver and a bad day can make of its inputs.
//!
//! An input is a story: connections, joins, prepares, decisions, questions, raw bytes, ticks, full disks, syncs and crashes,
//! with few names, so that they meet. After each step a shadow that knows nothing but records and messages says what the
//! accounts must hold, and what may not happen to a transaction twice.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codec;
use protocol::effects::{Effects, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::frame::BODY_LEN_MAX;
use protocol::id::{AccountId, StoreId, TxnId};
use protocol::ledger::HoldKind;
use protocol::leg::Operation;
use protocol::message::{FromNode, NodeAnswer, OperatorWord, ToNode, Vote};
use protocol::participant::{
    NodeRecord, NodeState, Participant, ParticipantConfig, ParticipantInput, ParticipantTimer, SessionId,
};
use protocol::reason::Decision;

use super::{node_seeds, node_story};
use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "node",
    holds: "whatever arrives, accounts hold what the log says, promises survive crashes, nothing happens twice, nothing panics",
    judge,
    seeds: node_seeds::seeds,
    memory: (8 << 20, 4096),
    shows: &[
        "prepare_ok",
        "prepare_failed",
        "commit",
        "commit_one_phase",
        "abort",
        "mark",
        "resolve",
        "truth",
        "quarantine",
        "accept_log",
        "proved",
        "coordinator",
        "vote yes kept",
        "ack kept",
        "crash",
        "nothing changed",
        "raw taken",
        "raw refused",
        "read answered",
        "unmatched",
        "mixed",
        "frozen",
    ],
    faults: &[
        "I1", "I2", "I3", "I7", "I8", "I9", "I11", "N4", "O2", "O3", "P9", "W2", "W3",
    ],
};

/// Most steps in one story.
const STEPS_MAX: usize = 200;

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let mut node = Node::new(&mut choices);
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        node_story::event(&mut node, &mut choices, seen);
    }
    node.crash(usize::MAX, seen);
}

/// A node with its disk, its timers and its shadow.
pub(super) struct Node {
    machine: Participant,
    config: ParticipantConfig,
    records: Vec<(Seq, NodeRecord)>,
    synced: Seq,
    /// The disk is slow: what is forced waits for the story to go on.
    pub(super) lagging: bool,
    waiting: Vec<Outgoing<SessionId, FromNode>>,
    pub(super) timers: BTreeSet<ParticipantTimer>,
    /// Every connection of this life, and whose it is.
    pub(super) sessions: Vec<(SessionId, StoreId)>,
    pub(super) next_session: SessionId,
    shadow: Shadow,
    /// YES votes and acknowledgements that have left.
    voted: BTreeSet<TxnId>,
    acknowledged: BTreeSet<TxnId>,
}

/// What the records say of money, told by somebody who has never seen the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shadow {
    balances: BTreeMap<AccountId, i128>,
    prepared: BTreeMap<TxnId, Vec<Operation>>,
    /// Whether it committed.
    ended: BTreeMap<TxnId, bool>,
}

impl Shadow {
    fn of(records: &[(Seq, NodeRecord)]) -> Shadow {
        let mut shadow = Shadow::default();
        records.iter().for_each(|(_, record)| shadow.note(record));
        shadow
    }

    fn note(&mut self, record: &NodeRecord) {
        match record {
            NodeRecord::PrepareOk { txn, operations, .. } => {
                assert!(
                    !self.ended.contains_key(txn),
                    "{txn} has ended and is prepared again"
                );
                let before = self.prepared.insert(*txn, operations.clone());
                assert_eq!(before, None, "{txn} is prepared twice");
            }
            NodeRecord::Commit { txn } => self.end_prepared(*txn, true),
            NodeRecord::Resolve { txn, word, .. } => self.end_prepared(*txn, *word == OperatorWord::Commit),
            NodeRecord::CommitOnePhase { txn, operations, .. } => {
                let net: i128 = operations
                    .iter()
                    .map(|operation| i128::from(operation.delta.get()))
                    .sum();
                assert_eq!(net, 0, "{txn} makes money");
                self.end(*txn, true);
                self.apply(operations);
            }
            NodeRecord::PrepareFailed { txn, .. } => self.end(*txn, false),
            NodeRecord::Abort { txn, .. } => {
                self.prepared.remove(txn);
                let before = self.ended.insert(*txn, false);
                assert_ne!(before, Some(true), "{txn} has committed and aborts");
            }
            NodeRecord::AdoptBalances { .. } => panic!("nobody wrote a file"),
            NodeRecord::Coordinator { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => {}
        }
    }

    fn end_prepared(&mut self, txn: TxnId, committed: bool) {
        let operations = self
            .prepared
            .remove(&txn)
            .expect("only what is prepared is decided");
        self.end(txn, committed);
        if committed {
            self.apply(&operations);
        }
    }

    fn end(&mut self, txn: TxnId, committed: bool) {
        assert_eq!(self.ended.insert(txn, committed), None, "{txn} ends twice");
    }

    fn apply(&mut self, operations: &[Operation]) {
        for Operation { account, delta } in operations {
            let balance = self.balances.entry(account.clone()).or_default();
            *balance += i128::from(delta.get());
            assert!(
                *balance >= 0 || account.is_world(),
                "{account} falls to {balance}"
            );
            assert!(i64::try_from(*balance).is_ok(), "{account} holds {balance}");
        }
    }

    /// The accounts hold what the records say, and whatever is prepared can still be paid.
    fn compare(&self, state: &NodeState) {
        let found: BTreeMap<AccountId, i128> = state
            .ledger()
            .accounts()
            .map(|(id, account)| (id.clone(), account.balance.into()))
            .collect();
        assert_eq!(found, self.balances);
        assert_eq!(state.ledger().total(), self.balances.values().sum::<i128>());
        assert!(
            state.prepared().keys().eq(self.prepared.keys()),
            "{:?}",
            state.prepared()
        );
        for account in found.keys().filter(|account| !account.is_world()) {
            let held: i128 = state
                .ledger()
                .holds(account)
                .map(|(_, delta)| i128::from(delta.get().min(0)))
                .sum();
            assert!(
                found[account] + held >= 0,
                "more is promised of {account} than it has"
            );
        }
    }
}

impl Node {
    fn new(choices: &mut Choices<'_>) -> Node {
        let hold = if choices.flag() {
            HoldKind::Escrow
        } else {
            HoldKind::Exclusive
        };
        let config = ParticipantConfig {
            node: "N1".parse().expect("a good name"),
            store: StoreId(0x11),
            store_kind: "memory".to_owned(),
            hold,
            request_window: *choices.pick(&[1_000_000, 2, 1]),
        };
        let mut node = Node {
            machine: Participant::new(config.clone(), NodeState::empty()),
            config,
            records: Vec::new(),
            synced: 0,
            lagging: false,
            waiting: Vec::new(),
            timers: BTreeSet::new(),
            sessions: Vec::new(),
            next_session: 1,
            shadow: Shadow::default(),
            voted: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
        };
        node.step(ParticipantInput::Start, &mut Seen::new());
        node
    }

    pub(super) fn state(&self) -> &NodeState {
        self.machine.state()
    }

    /// One step, with everything that must hold after each.
    pub(super) fn step(&mut self, input: ParticipantInput, seen: &mut Seen) {
        seen.tell(|| format!("{input:?}"));
        let before = self.machine.clone();
        let mut effects = Effects::new();
        self.machine.step(input.clone(), &mut effects);
        assert_repeats(before.clone(), input.clone(), &self.machine, &effects);
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
            is_asked_for(record, &input);
            self.shadow.note(record);
            self.records.push((*seq, record.clone()));
            seen.way(
                record
                    .to_string()
                    .split(' ')
                    .next()
                    .expect("a record has an action"),
            );
        }
        self.shadow.compare(self.machine.state());
        for send in &effects.sends {
            seen.tell(|| format!("    → {:?} {} (shows {})", send.to, send.message, send.shows));
        }
        let newest = self.machine.state().seq();
        assert!(effects.force <= newest, "what does not exist cannot be forced");
        for send in &effects.sends {
            self.may_be_said(send, newest);
            note(&send.message, seen);
        }
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
        assert_eq!(effects.stop, None, "no coordinator can stop a node");
        self.waiting.extend(effects.sends);
        if effects.force > self.synced && !self.lagging {
            self.sync(seen);
        } else {
            self.release(seen);
        }
        for session in effects.hangups {
            self.disconnect(session, seen);
        }
    }

    /// What a message claims is true, and it waits for what it shows.
    fn may_be_said(&self, send: &Outgoing<SessionId, FromNode>, newest: Seq) {
        assert!(send.shows <= newest, "{} shows what does not exist", send.message);
        let len = codec::encode(&send.message).len();
        assert!(len <= BODY_LEN_MAX, "{len} bytes");
        match &send.message {
            FromNode::Vote {
                txn, vote: Vote::Yes, ..
            } => {
                let seq = self
                    .state()
                    .prepared()
                    .get(txn)
                    .expect("YES is said of what is prepared")
                    .seq;
                assert!(
                    send.shows >= seq,
                    "a vote for {txn} leaves before its promise is synced"
                );
            }
            FromNode::Ack { txn, .. } => {
                let below = self.state().is_below_mark(*txn);
                let committed = self.shadow.ended.get(txn) == Some(&true);
                assert!(committed || below, "{txn} is acknowledged and has not committed");
                if let Some(finished) = self.state().finished(txn) {
                    assert!(
                        send.shows >= finished.seq,
                        "{txn} is acknowledged before it is synced"
                    );
                }
            }
            FromNode::Welcome { .. }
            | FromNode::Refuse { .. }
            | FromNode::Vote { .. }
            | FromNode::Aborted { .. }
            | FromNode::Executed { .. }
            | FromNode::Inquiry { .. }
            | FromNode::Unmatched { .. }
            | FromNode::Mixed { .. }
            | FromNode::Recalled { .. }
            | FromNode::Answer { .. } => {}
        }
    }

    /// Everything appended is durable now.
    pub(super) fn sync(&mut self, seen: &mut Seen) {
        self.synced = self.machine.state().seq();
        self.release(seen);
    }

    /// What shows synced records only leaves; what was said cannot be taken back.
    fn release(&mut self, seen: &mut Seen) {
        let synced = self.synced;
        for send in self.waiting.extract_if(.., |send| send.shows <= synced) {
            match send.message {
                FromNode::Vote {
                    txn, vote: Vote::Yes, ..
                } => {
                    self.voted.insert(txn);
                    seen.way("vote yes kept");
                }
                // Below a mark any COMMIT is acknowledged: its coordinator has said that it is over.
                FromNode::Ack { txn, .. } if self.shadow.ended.get(&txn) == Some(&true) => {
                    self.acknowledged.insert(txn);
                    seen.way("ack kept");
                }
                FromNode::Welcome { .. }
                | FromNode::Refuse { .. }
                | FromNode::Vote { .. }
                | FromNode::Ack { .. }
                | FromNode::Aborted { .. }
                | FromNode::Executed { .. }
                | FromNode::Inquiry { .. }
                | FromNode::Unmatched { .. }
                | FromNode::Mixed { .. }
                | FromNode::Recalled { .. }
                | FromNode::Answer { .. } => {}
            }
        }
    }

    pub(super) fn disconnect(&mut self, session: SessionId, seen: &mut Seen) {
        self.sessions.retain(|(open, _)| *open != session);
        self.step(ParticipantInput::Disconnected { session }, seen);
    }

    /// Dies and comes back with what was synced and the first `kept` records behind it.
    pub(super) fn crash(&mut self, kept: usize, seen: &mut Seen) {
        seen.way("crash");
        seen.tell(|| format!("crash, with {} records synced and {kept} more kept", self.synced));
        let synced = usize::try_from(self.synced).expect("a short story");
        if self.records.len() > synced {
            seen.fault("N4");
        }
        self.records.truncate(synced.saturating_add(kept));
        self.lagging = false;
        self.waiting.clear();
        self.timers.clear();
        self.sessions.clear();
        let mut state = NodeState::empty();
        for (seq, record) in &self.records {
            state.apply(*seq, record, &mut Vec::new());
        }
        let entries: Vec<_> = state.entries().collect();
        let restored = NodeState::restore(state.seq(), &mut entries.into_iter());
        assert_eq!(restored.as_ref(), Ok(&state), "a state is what its entries say");
        self.synced = state.seq();
        self.shadow = Shadow::of(&self.records);
        self.shadow.compare(&state);
        for txn in &self.voted {
            let kept = self.shadow.prepared.contains_key(txn) || self.shadow.ended.contains_key(txn);
            assert!(kept, "the vote for {txn} is forgotten");
        }
        for txn in &self.acknowledged {
            assert_eq!(
                self.shadow.ended.get(txn),
                Some(&true),
                "the commit of {txn} is forgotten"
            );
        }
        self.machine = Participant::new(self.config.clone(), state);
        self.step(ParticipantInput::Start, seen);
    }
}

/// The same input in the same state has the same effects.
fn assert_repeats(
    mut before: Participant,
    input: ParticipantInput,
    after: &Participant,
    effects: &Effects<Participant>,
) {
    let mut again = Effects::new();
    before.step(input, &mut again);
    assert_eq!(before, *after);
    assert_eq!(again.records, effects.records);
    assert_eq!(again.sends, effects.sends);
    assert_eq!(again.timers, effects.timers);
}

/// Money moves only because somebody with authority said so.
fn is_asked_for(record: &NodeRecord, input: &ParticipantInput) {
    let message = match input {
        ParticipantInput::Message { message, .. } => Some(message),
        ParticipantInput::Start
        | ParticipantInput::Connected { .. }
        | ParticipantInput::Disconnected { .. }
        | ParticipantInput::Timer(_)
        | ParticipantInput::Room(_)
        | ParticipantInput::Armed { .. } => None,
    };
    let right = match record {
        NodeRecord::PrepareOk { txn, operations, .. } => {
            matches!(message, Some(ToNode::Prepare(asked)) if asked.txn == *txn && asked.operations == *operations)
        }
        NodeRecord::CommitOnePhase { txn, operations, .. } => {
            matches!(message, Some(ToNode::Execute(asked)) if asked.txn == *txn && asked.operations == *operations)
        }
        NodeRecord::Commit { txn } => {
            matches!(message, Some(ToNode::Decide { txn: told, decision: Decision::Commit, .. }) if told == txn)
        }
        NodeRecord::Resolve { .. } => matches!(message, Some(ToNode::Ask { .. })),
        NodeRecord::AdoptBalances { .. } => false,
        NodeRecord::Coordinator { .. }
        | NodeRecord::PrepareFailed { .. }
        | NodeRecord::Abort { .. }
        | NodeRecord::Mark { .. }
        | NodeRecord::Proved { .. }
        | NodeRecord::Quarantine { .. }
        | NodeRecord::AcceptLog { .. }
        | NodeRecord::Truth { .. }
        | NodeRecord::RequestWindow { .. } => true,
    };
    assert!(right, "{record} because of {input:?}");
}

fn note(message: &FromNode, seen: &mut Seen) {
    match message {
        FromNode::Unmatched { .. } => seen.way("unmatched"),
        FromNode::Mixed { .. } => {
            seen.way("mixed");
            seen.fault("O3");
        }
        FromNode::Vote {
            vote: Vote::Duplicate(_),
            ..
        } => seen.fault("I8"),
        FromNode::Answer { answer, .. } => match **answer {
            NodeAnswer::Balance(_) => seen.way("read answered"),
            NodeAnswer::Cut { .. } => seen.way("frozen"),
            NodeAnswer::Accounts(_)
            | NodeAnswer::Thawed { .. }
            | NodeAnswer::Status(_)
            | NodeAnswer::Show(_)
            | NodeAnswer::List(_)
            | NodeAnswer::Done(_)
            | NodeAnswer::Failed(_) => {}
        },
        FromNode::Welcome { .. }
        | FromNode::Refuse { .. }
        | FromNode::Vote { .. }
        | FromNode::Ack { .. }
        | FromNode::Aborted { .. }
        | FromNode::Executed { .. }
        | FromNode::Inquiry { .. }
        | FromNode::Recalled { .. } => {}
    }
}
