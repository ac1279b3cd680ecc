//! The participant: a node's side of two-phase commit, as a pure machine.
//!
//! Its durable part is [`NodeState`]; everything else here (sessions, waiting reads and transactions, a freeze) is gone
//! after a crash, and nothing that anyone was promised depends on it.

mod ahead;
mod cut;
mod decide;
mod numbers;
mod operator;
mod page;
mod prepare;
mod queue;
mod read;
mod record;
mod request_form;
mod requests;
mod session;
mod state;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(crate) use operator::bounded;
pub use queue::waits_for_ever;
pub use record::NodeRecord;
pub use requests::{Progress, REQUEST_WINDOW, RequestEntry, Requests};
pub use state::{CoordinatorSeen, Finished, Forced, NodeEntry, NodeKey, NodeState, Prepared};

use crate::effects::{Effects, Machine, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::{CoordinatorId, NodeId, StoreId, TxnId};
use crate::index::Key;
use crate::locking::Locking;
use crate::message::{FromNode, NodeAnswer, NodeQuestion, ToNode};
use crate::planted;
use crate::reason::Reason;
use crate::table::Keyed;
use ahead::Ahead;
use cut::Freeze;
use queue::Queue;
use read::Read;
use session::Session;

/// One connection from a coordinator; the driver numbers them and never reuses a number.
pub type SessionId = u64;

/// What a participant is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParticipantConfig {
    /// Its name.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// The store's backend, for `status`.
    pub store_kind: String,
    /// What happens when two transactions want the same account.
    pub locking: Locking,
    /// How many finished requests to remember at the least.
    pub request_window: u64,
}

/// What can happen to a participant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParticipantInput {
    /// Recovery is over; nothing was said or heard yet.
    Start,
    /// A coordinator connected and said who it is.
    Connected {
        /// Its connection.
        session: SessionId,
        /// Its identity.
        coordinator: CoordinatorId,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        session: SessionId,
    },
    /// A message arrived.
    Message {
        /// From where.
        session: SessionId,
        /// What.
        message: ToNode,
    },
    /// A timer fired.
    Timer(ParticipantTimer),
    /// The disk has room for new promises, or has no more.
    Room(bool),
    /// The driver armed a failpoint, or could not.
    Armed {
        /// Who asked.
        session: SessionId,
        /// Its number for the question.
        ask: u64,
        /// A line that says what was done or why not.
        result: Result<String, String>,
    },
}

/// A participant's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParticipantTimer {
    /// Once a second, for ever: ask about in-doubt transactions, note what coordinators proved.
    Tick,
    /// A waiting read gives up. Carries its own duration in milliseconds.
    Read {
        /// Which read.
        read: u64,
        /// After how long.
        wait_ms: u32,
    },
    /// A freeze has lasted long enough: one second.
    Thaw,
}

impl Key for ParticipantTimer {
    fn bucket(&self) -> u32 {
        match self {
            ParticipantTimer::Tick => 0,
            ParticipantTimer::Thaw => 1,
            ParticipantTimer::Read { read, .. } => read.bucket(),
        }
    }
}

/// A node's side of two-phase commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participant {
    config: ParticipantConfig,
    state: NodeState,
    /// The newest record that was forced: what reads and refusals may show. Lazy commits are exempt, since their
    /// decision is durable at the coordinator.
    forced: Seq,
    sessions: BTreeMap<SessionId, Session>,
    /// Ticks since the start.
    tick: u64,
    /// Since when a transaction is prepared: the ticks up to then. Each tick notes it of those that are new, since hardly
    /// any lives to see one.
    prepared_since: Keyed<TxnId, u64>,
    queue: Queue,
    reads: BTreeMap<u64, Read>,
    next_read: u64,
    freeze: Option<Freeze>,
    has_room: bool,
    /// Refused for lack of room, which left no record: refused for good all the same (R18).
    turned_away: BTreeSet<TxnId>,
}

impl Machine for Participant {
    type State = NodeState;
    type Input = ParticipantInput;
    type To = SessionId;
    type Message = FromNode;
    type Timer = ParticipantTimer;

    fn look_ahead(&self, inputs: &[ParticipantInput]) {
        let mut ahead = Ahead::of(&self.state);
        for input in inputs {
            if let ParticipantInput::Message { message, .. } = input {
                ahead.message(message);
            }
        }
        ahead.look();
    }

    fn step(&mut self, input: ParticipantInput, effects: &mut Effects<Participant>) {
        match input {
            ParticipantInput::Start => self.on_start(effects),
            ParticipantInput::Connected { session, coordinator } => self.on_connected(session, coordinator),
            ParticipantInput::Disconnected { session } => self.on_disconnected(session, effects),
            ParticipantInput::Message { session, message } => self.on_message(session, message, effects),
            ParticipantInput::Timer(ParticipantTimer::Tick) => self.on_tick(effects),
            ParticipantInput::Timer(ParticipantTimer::Read { read, .. }) => {
                self.on_read_timeout(read, effects)
            }
            ParticipantInput::Timer(ParticipantTimer::Thaw) => self.on_thaw_timer(effects),
            ParticipantInput::Room(has_room) => self.has_room = has_room,
            ParticipantInput::Armed { session, ask, result } => {
                let answer = match result {
                    Ok(done) => NodeAnswer::Done(done),
                    Err(failed) => NodeAnswer::Failed(failed),
                };
                self.answer(session, ask, answer, effects);
            }
        }
    }

    fn state(&self) -> &NodeState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut NodeState {
        &mut self.state
    }
}

impl Participant {
    /// A participant with a recovered state.
    pub fn new(config: ParticipantConfig, state: NodeState) -> Participant {
        Participant {
            config,
            forced: state.seq(),
            state,
            sessions: BTreeMap::new(),
            tick: 0,
            prepared_since: Keyed::default(),
            queue: Queue::default(),
            reads: BTreeMap::new(),
            next_read: 0,
            freeze: None,
            has_room: true,
            turned_away: BTreeSet::new(),
        }
    }

    /// How many transactions are prepared or wait to be: what the log must keep room for.
    pub fn load(&self) -> usize {
        self.state.prepared().len() + self.queue.len()
    }

    fn on_start(&mut self, effects: &mut Effects<Participant>) {
        if self.state.requests().window() != self.config.request_window {
            let requests = self.config.request_window;
            self.append(NodeRecord::RequestWindow { requests }, Urgency::Forced, effects);
        }
        let prepared = self.state.prepared().len();
        if prepared > 0 {
            effects.info(format!(
                "Found {prepared} in-doubt transactions from previous run: their accounts stay held until their \
                 coordinators decide"
            ));
        }
        effects.set(ParticipantTimer::Tick);
    }

    fn on_message(&mut self, session: SessionId, message: ToNode, effects: &mut Effects<Participant>) {
        if let ToNode::Join { .. } = message {
            return self.on_join(session, message, effects);
        }
        let Some(from) = self.live_session(session) else {
            return; // Replaced by a newer connection of the same coordinator, or never joined.
        };
        if let ToNode::Ask { ask, question } = message {
            return self.on_ask(session, ask, question, effects);
        }
        if from.quarantined {
            effects.warning(format!(
                "ignored from quarantined coordinator {}: {message}",
                from.coordinator
            ));
            return;
        }
        match message {
            ToNode::Join { .. } | ToNode::Ask { .. } => unreachable!("handled above"),
            ToNode::Prepare(prepare) => self.on_prepare(session, &from, prepare, effects),
            ToNode::Execute(prepare) => self.on_execute(session, &from, prepare, effects),
            ToNode::Decide {
                txn,
                decision,
                bind,
                durable,
            } => {
                self.on_proof(session, durable);
                self.on_decide(session, &from, txn, decision, bind, effects);
            }
            ToNode::Query { txn, home } => self.on_query(session, txn, &home, effects),
            ToNode::Recall { txn, home } => self.on_recall(session, txn, &home, effects),
            ToNode::Pending { txn: _ } => {} // The tick asks again.
            ToNode::NotMine { txn } => {
                if self.state.prepared().contains_key(&txn) {
                    effects.alarm(format!(
                        "{txn} is in doubt and its coordinator's log is gone: it waits for `twopence tx resolve {txn}`"
                    ));
                }
            }
            ToNode::Mark { below, durable } => {
                self.on_proof(session, durable);
                self.on_mark(&from, below, effects);
            }
        }
    }

    fn on_ask(
        &mut self,
        session: SessionId,
        ask: u64,
        question: NodeQuestion,
        effects: &mut Effects<Participant>,
    ) {
        match question {
            NodeQuestion::Balance { account, wait_ms } => {
                self.on_read(session, ask, account, wait_ms, effects);
            }
            NodeQuestion::Accounts(after) => {
                let page = self.accounts_page(after.as_ref());
                self.answer(session, ask, NodeAnswer::Accounts(page), effects);
            }
            NodeQuestion::Cut => {
                let cut = self.cut(session);
                self.answer(session, ask, cut, effects);
            }
            NodeQuestion::Freeze => self.on_freeze(session, ask, effects),
            NodeQuestion::Thaw { freeze } => self.on_thaw(session, ask, freeze, effects),
            NodeQuestion::Status => {
                let status = NodeAnswer::Status(self.status());
                self.answer(session, ask, status, effects);
            }
            NodeQuestion::Show(reference) => {
                let view = NodeAnswer::Show(self.view(reference));
                self.answer(session, ask, view, effects);
            }
            NodeQuestion::List => {
                let lines = NodeAnswer::List(self.lines());
                self.answer(session, ask, lines, effects);
            }
            NodeQuestion::Resolve { txn, word, why } => {
                self.on_resolve(session, ask, txn, word, &why, effects)
            }
            NodeQuestion::Adopt { durable } => self.on_adopt(session, ask, durable, effects),
            NodeQuestion::Arm(_) => {
                let refused = "this process has no failpoints".to_string();
                self.answer(session, ask, NodeAnswer::Failed(refused), effects);
            }
        }
    }

    /// Once a second: whoever is in doubt asks, until there is an answer with authority (R20).
    fn on_tick(&mut self, effects: &mut Effects<Participant>) {
        let doubtful: Vec<TxnId> = self.prepared_since.keys().copied().collect();
        let prepared = self.state.prepared();
        let new = prepared.that(|txn, _| !self.prepared_since.contains_key(txn));
        let new: Vec<TxnId> = new.map(|(&txn, _)| txn).collect();
        for txn in new {
            self.prepared_since.insert(txn, self.tick);
        }
        self.tick += 1;
        for txn in doubtful {
            self.inquire(txn, effects);
            if planted!(InDoubtGuesses) {
                let (reason, bind) = (Reason::PresumedAbort, None);
                self.append(NodeRecord::Abort { txn, reason, bind }, Urgency::Lazy, effects);
                self.ended(txn, effects);
            }
        }
        for txn in self.state.awaiting_truth().collect::<BTreeSet<TxnId>>() {
            self.inquire(txn, effects);
        }
        self.record_proofs(effects);
        effects.set(ParticipantTimer::Tick);
    }

    fn append(&mut self, record: NodeRecord, urgency: Urgency, effects: &mut Effects<Participant>) -> Seq {
        let seq = effects.append(&mut self.state, record, urgency);
        if urgency == Urgency::Forced {
            self.forced = seq;
        }
        seq
    }

    fn answer(
        &mut self,
        session: SessionId,
        ask: u64,
        answer: NodeAnswer,
        effects: &mut Effects<Participant>,
    ) {
        effects.send(
            session,
            FromNode::Answer {
                ask,
                answer: answer.into(),
            },
            self.forced,
        );
    }

    fn inquire(&self, txn: TxnId, effects: &mut Effects<Participant>) {
        if let Some(session) = self.session_of(txn.coordinator) {
            effects.send(session, FromNode::Inquiry { txn }, self.forced);
        }
    }
}
