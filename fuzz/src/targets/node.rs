//! A whole participant, fed whatever a coordinator, a driver and a bad day can make of its inputs.
//!
//! An input is a story: connections, joins, prepares, decisions, questions, raw bytes, ticks, full disks, syncs and crashes,
//! with few names, so that they meet. After each step a shadow that knows nothing but records and messages says what the
//! accounts must hold, and what may not happen to a transaction twice.

use std::collections::{BTreeMap, BTreeSet};

use protocol::effects::{Effects, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::id::{StoreId, TxnId};
use protocol::locking::Locking;
use protocol::message::{FromNode, NodeAnswer, Vote};
use protocol::participant::{
    NodeEntry, NodeKey, NodeRecord, NodeState, Participant, ParticipantConfig, ParticipantInput,
    ParticipantTimer, SessionId, waits_for_ever,
};

use super::node_shadow::Shadow;
use super::node_word::{Talk, is_asked_for};
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
    pub(super) config: ParticipantConfig,
    records: Vec<(Seq, NodeRecord)>,
    synced: Seq,
    /// The disk is slow: what is forced waits for the story to go on.
    pub(super) lagging: bool,
    waiting: Vec<Outgoing<SessionId, FromNode>>,
    pub(super) timers: BTreeSet<ParticipantTimer>,
    /// Every connection of this life, and whose it is.
    pub(super) sessions: Vec<(SessionId, StoreId)>,
    pub(super) next_session: SessionId,
    pub(super) next_ask: u64,
    pub(super) shadow: Shadow,
    pub(super) talk: Talk,
    /// YES votes and acknowledgements that have left.
    voted: BTreeSet<TxnId>,
    acknowledged: BTreeSet<TxnId>,
}

impl Node {
    fn new(choices: &mut Choices<'_>) -> Node {
        let locking = match choices.byte() & 3 {
            0 => Locking::NoWait,
            2 => Locking::Wait,
            _ => Locking::Escrow,
        };
        let config = ParticipantConfig {
            node: "N1".parse().expect("a good name"),
            store: StoreId(0x11),
            store_kind: "memory".to_owned(),
            locking,
            request_window: *choices.pick(&[1_000_000, 2, 1]),
        };
        // Some begin nearly full, with balances that somebody wrote by hand.
        let records = if choices.below(4) == 3 {
            let full = ["A", "B"]
                .map(|name| name.parse().expect("a good name"))
                .into_iter();
            let adopted = NodeRecord::AdoptBalances {
                accounts: full.zip([i64::MAX - 60, 20]).collect(),
                file_digest: 7,
            };
            vec![(1, adopted)]
        } else {
            Vec::new()
        };
        let mut state = NodeState::empty();
        for (seq, record) in &records {
            state.apply(*seq, record, &mut Vec::new());
        }
        let mut node = Node {
            synced: state.seq(),
            machine: Participant::new(config.clone(), state),
            config,
            lagging: false,
            waiting: Vec::new(),
            timers: BTreeSet::new(),
            sessions: Vec::new(),
            next_session: 1,
            next_ask: 1,
            shadow: Shadow::of(&records),
            talk: Talk::default(),
            voted: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            records,
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
        tells_what_changed(&before, &self.machine, &effects);
        let known = self.shadow.clone();
        self.talk.hear(&input, &known);
        for (seq, record) in &effects.records {
            seen.tell(|| format!("    append {seq} {record}"));
            assert_eq!(self.records.last().map_or(0, |(seq, _)| *seq) + 1, *seq);
            is_asked_for(record, &input, self.config.locking, &self.talk);
            self.shadow.note(*seq, record);
            self.talk.note(record);
            self.records.push((*seq, record.clone()));
            seen.way(
                record
                    .to_string()
                    .split(' ')
                    .next()
                    .expect("a record has an action"),
            );
        }
        assert_eq!(waits_for_ever([&self.machine].into_iter()), None);
        self.shadow.compare(self.machine.state());
        if self.config.request_window > 1_000 {
            self.shadow.once_each();
        }
        for send in &effects.sends {
            seen.tell(|| format!("    → {:?} {} (shows {})", send.to, send.message, send.shows));
        }
        let newest = self.machine.state().seq();
        assert!(effects.force <= newest, "what does not exist cannot be forced");
        for send in &effects.sends {
            let forced_now = effects
                .records
                .iter()
                .filter(|(_, record)| is_an_operators(record))
                .map(|(seq, _)| *seq)
                .max();
            self.may_be_said(send, &input, &known, newest, forced_now.unwrap_or(0));
            note(&send.message, seen);
        }
        self.leaves_tombstones(&input);
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
                FromNode::Ack { txn, .. } if self.shadow.committed(&txn).is_some() => {
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
        self.talk = Talk::default();
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
            assert!(
                self.shadow.committed(txn).is_some(),
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

/// A store that keeps one entry per key hears of every entry that changed.
fn tells_what_changed(before: &Participant, after: &Participant, effects: &Effects<Participant>) {
    let entries = |machine: &Participant| -> BTreeMap<NodeKey, NodeEntry> {
        let state = machine.state();
        state
            .entries()
            .map(|entry| (NodeState::key(&entry), entry))
            .collect()
    };
    let (before, after) = (entries(before), entries(after));
    for key in before.keys().chain(after.keys()) {
        let told = before.get(key) == after.get(key) || effects.touched.contains(key);
        assert!(told, "{key:?} changed, and no store is told");
    }
}

fn is_an_operators(record: &NodeRecord) -> bool {
    matches!(record, NodeRecord::Resolve { .. } | NodeRecord::AcceptLog { .. })
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
