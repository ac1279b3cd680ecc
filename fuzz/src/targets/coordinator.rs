//! A whole coordinator, fed whatever nodes, clients, a driver and a bad day can make of its inputs.
//!
//! An input is a story, as for the node. After each step a shadow that knows nothing but records and messages says what may
//! be decided and told: COMMIT only with every vote, ABORT never after it, no money made by a PREPARE, one answer a call.

use std::collections::{BTreeMap, BTreeSet};

use protocol::coordinator::{
    ClientRef, Coordinator, CoordinatorConfig, CoordinatorInput, CoordinatorMessage, CoordinatorRecord,
    CoordinatorState, CoordinatorTimer, CoordinatorTo,
};
use protocol::effects::{Effects, Machine, Outgoing, TimerChange};
use protocol::fold::{Fold, Seq};
use protocol::id::{NodeId, StoreId, TxnId};
use protocol::message::{Answer, Outcome, Reply, ToNode};
use protocol::reason::Decision;

use super::coordinator_shadow::{Shadow, Stage};
use super::coordinator_word::Heard;
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
    /// Calls of this life that nobody has answered, and whether they may have been sent before.
    pub(super) open_calls: BTreeMap<ClientRef, bool>,
    pub(super) shadow: Shadow,
    /// Votes, acknowledgements and words of single participants, heard in this life.
    pub(super) heard: BTreeSet<(TxnId, NodeId, Heard)>,
    /// Transactions whose COMMIT was told to somebody.
    pub(super) told: BTreeSet<TxnId>,
    /// Transactions of whose end a home has said something, true or not.
    pub(super) claimed: BTreeSet<TxnId>,
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
            open_calls: BTreeMap::new(),
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
        assert_repeats(before.clone(), input.clone(), &self.machine, &effects);
        let known = self.shadow.clone();
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
        self.may_be_said(&input, &effects.sends, newest, seen);
        self.is_used_rightly(&input, &known);
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
