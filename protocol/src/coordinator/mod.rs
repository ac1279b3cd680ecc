//! The coordinator: drives two-phase commit, as a pure machine.
//!
//! Its durable part is [`CoordinatorState`]: which transactions are open and which of them are decided. What clients
//! wait for, who has voted and which links are up lives only here, and a crash forgets it safely: without a COMMIT
//! on disk a transaction aborts, with one it is driven to its end.

mod ask;
mod audit;
mod decide;
mod link;
mod members;
mod numbers;
mod record;
mod recover;
mod resolve;
mod state;
mod submit;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

pub use record::CoordinatorRecord;
pub use state::{CoordinatorEntry, CoordinatorKey, CoordinatorState, NodeSeen, OpenTxn, Phase};

use crate::effects::{Effects, Machine, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::{CoordinatorId, Incarnation, NodeId, TxnId, TxnPoint};
use crate::index::Key;
use crate::leg::Nodes;
use crate::message::{Answer, Call, FromNode, Home, Outcome, Reply, ToNode};
use crate::reason::{Refusal, one_line};
use crate::table::Keyed;
use ask::Asking;
use link::Link;
use members::Members;

/// Longest text of a node that is logged or passed on, in characters.
const TEXT_LEN_MAX: usize = 1_000;

/// One client's open call; the driver numbers connections and never reuses a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientRef {
    /// The connection.
    pub session: u64,
    /// The client's number for the call.
    pub call: u64,
}

/// Whom a coordinator talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorTo {
    /// A node, over its link.
    Node(NodeId),
    /// A client, over the connection it called on.
    Client(u64),
}

/// What a coordinator says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorMessage {
    /// To a node.
    Node(ToNode),
    /// To a client.
    Client(Reply),
}

impl fmt::Display for CoordinatorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordinatorMessage::Node(message) => message.fmt(f),
            CoordinatorMessage::Client(reply) => reply.fmt(f),
        }
    }
}

/// What a coordinator is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorConfig {
    /// Its identity: that of its log.
    pub id: CoordinatorId,
    /// What this start calls itself: random.
    pub incarnation: Incarnation,
    /// Every node it may use.
    pub nodes: Vec<NodeId>,
}

/// What can happen to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorInput {
    /// Recovery is over; nothing was said or heard yet.
    Start,
    /// A node's connection is up; nothing was said on it.
    Connected(NodeId),
    /// A node's connection is gone.
    Disconnected(NodeId),
    /// A message from a node.
    Node(NodeId, FromNode),
    /// A call from a client; the session is its connection.
    Client(u64, Call),
    /// A timer fired.
    Timer(CoordinatorTimer),
    /// The disk has room for new promises, or has no more.
    Room(bool),
    /// The driver armed a failpoint, or could not.
    Armed(ClientRef, Result<String, String>),
}

/// A coordinator's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorTimer {
    /// Once a second, for ever: send again what was not answered, raise marks, note what nodes proved.
    Tick,
    /// The votes of a transaction are due (`--prepare-timeout-ms`).
    Votes(TxnId),
    /// A client has waited long enough for an answer that only a node can give: say "unknown".
    Answer(TxnId),
    /// Ask the home again how the first attempt of a request ended.
    Recall(TxnId),
    /// A question to nodes has waited long enough. Carries its own duration in milliseconds.
    Ask {
        /// Which question.
        ask: u64,
        /// After how long.
        wait_ms: u32,
    },
}

impl Key for CoordinatorTimer {
    fn bucket(&self) -> u32 {
        match self {
            CoordinatorTimer::Tick => 0,
            CoordinatorTimer::Votes(txn) | CoordinatorTimer::Answer(txn) | CoordinatorTimer::Recall(txn) => {
                txn.bucket()
            }
            CoordinatorTimer::Ask { ask, .. } => ask.bucket(),
        }
    }
}

/// What a transaction of this life waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Votes; these nodes have said YES.
    Collecting(Members),
    /// Its only participant's word.
    Delegated,
    /// Acknowledgements of COMMIT, from these.
    Committed(Members),
    /// It aborted; its home must hold that durably before a repeated request is told.
    Binding(Box<Refusal>),
    /// It aborted because another attempt of the request came first; how did that one end?
    Recalling,
}

/// A transaction of this life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Live {
    /// Who waits for the outcome; `None` once told or after a restart.
    client: Option<ClientRef>,
    home_node: NodeId,
    home: Home,
    participants: Nodes,
    stage: Stage,
    /// The tick in which it reached this stage.
    since: u64,
}

impl Live {
    /// Where a node stands among the participants, if it takes part.
    fn place_of(&self, node: NodeId) -> Option<usize> {
        self.participants
            .iter()
            .position(|&participant| participant == node)
    }

    /// Those participants.
    fn nodes(&self, members: Members) -> impl Iterator<Item = NodeId> {
        let places = self.participants.iter().enumerate();
        places
            .filter(move |(place, _)| members.contains(*place))
            .map(|(_, &node)| node)
    }
}

/// Drives two-phase commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    config: CoordinatorConfig,
    state: CoordinatorState,
    /// The newest record that was forced.
    forced: Seq,
    /// The sequence of the next transaction in this epoch.
    next_sequence: u64,
    links: BTreeMap<NodeId, Link>,
    live: Keyed<TxnId, Live>,
    asking: BTreeMap<u64, Asking>,
    next_ask: u64,
    tick: u64,
    has_room: bool,
}

/// Where a handful of transactions stand in a table.
type Slots = SmallVec<[u32; 32]>;

impl Machine for Coordinator {
    type State = CoordinatorState;
    type Input = CoordinatorInput;
    type To = CoordinatorTo;
    type Message = CoordinatorMessage;
    type Timer = CoordinatorTimer;

    fn look_ahead(&self, inputs: &[CoordinatorInput]) {
        let (mut live, mut open) = (Slots::new(), Slots::new());
        for input in inputs {
            if let CoordinatorInput::Node(
                _,
                FromNode::Vote { txn, .. } | FromNode::Ack { txn, .. } | FromNode::Executed { txn, .. },
            ) = input
            {
                live.extend(self.live.likely(txn));
                open.extend(self.state.open().likely(txn));
            }
        }
        // Now that the indexes have said where it is: reads it, from one end to the other, since one read does not bring all
        // of it near.
        for slot in live {
            self.live.look_at(slot, |live| {
                let first = live.participants.first().copied();
                (live.since, first, live.home.digest, live.client)
            });
        }
        for slot in open {
            self.state
                .open()
                .look_at(slot, |open| (open.phase, open.participants.len(), open.request));
        }
    }

    fn step(&mut self, input: CoordinatorInput, effects: &mut Effects<Coordinator>) {
        match input {
            CoordinatorInput::Start => self.on_start(effects),
            CoordinatorInput::Connected(node) => self.on_connected(node, effects),
            CoordinatorInput::Disconnected(node) => self.on_disconnected(node, effects),
            CoordinatorInput::Node(node, message) => self.on_node(node, message, effects),
            CoordinatorInput::Client(session, call) => self.on_call(session, call, effects),
            CoordinatorInput::Timer(CoordinatorTimer::Tick) => self.on_tick(effects),
            CoordinatorInput::Timer(CoordinatorTimer::Votes(txn)) => self.on_votes_timeout(txn, effects),
            CoordinatorInput::Timer(CoordinatorTimer::Answer(txn)) => self.on_answer_timeout(txn, effects),
            CoordinatorInput::Timer(CoordinatorTimer::Recall(txn)) => self.recall(txn, effects),
            CoordinatorInput::Timer(CoordinatorTimer::Ask { ask, .. }) => self.on_ask_timeout(ask, effects),
            CoordinatorInput::Room(has_room) => self.has_room = has_room,
            CoordinatorInput::Armed(client, result) => {
                let answer = match result {
                    Ok(done) => Answer::Done(done),
                    Err(failed) => Answer::Failed(failed),
                };
                self.reply(client, answer, effects);
            }
        }
    }

    fn state(&self) -> &CoordinatorState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut CoordinatorState {
        &mut self.state
    }
}

impl Coordinator {
    /// How many transactions are open: what the log must keep room for.
    pub fn load(&self) -> usize {
        self.live.len()
    }

    fn on_node(&mut self, node: NodeId, message: FromNode, effects: &mut Effects<Coordinator>) {
        match message {
            FromNode::Welcome {
                store,
                durable,
                quarantine,
            } => {
                let quarantine = quarantine.map(|why| one_line(&why, TEXT_LEN_MAX));
                self.on_welcome(node, store, durable, quarantine, effects);
            }
            FromNode::Refuse { why } => {
                let why = one_line(&why, TEXT_LEN_MAX);
                effects.stop = Some(alloc::format!("{node} refuses this coordinator: {why}"));
            }
            FromNode::Vote { txn, vote, durable } => {
                self.on_proof(node, durable);
                self.on_vote(node, txn, vote, effects);
            }
            FromNode::Ack { txn, durable } => {
                self.on_proof(node, durable);
                self.on_ack(node, txn, effects);
            }
            FromNode::Aborted { txn, knows } => self.on_bound(node, txn, knows, effects),
            FromNode::Executed {
                txn,
                executed,
                durable,
            } => {
                self.on_proof(node, durable);
                self.on_executed(node, txn, executed, effects);
            }
            FromNode::Inquiry { txn } => self.on_inquiry(node, txn, effects),
            FromNode::Unmatched { txn } => self.on_unmatched(node, txn, effects),
            FromNode::Mixed { txn, forced } => {
                effects.alarm(alloc::format!(
                    "HEURISTIC_MIXED {txn}: {node} was forced to {forced} by an operator, against this log's decision. \
                     `twopence tx show {txn}` lists what each node did; compensate by hand"
                ));
                self.on_ack(node, txn, effects);
            }
            FromNode::Recalled { txn, knows } => self.on_recalled(node, txn, knows, effects),
            FromNode::Answer { ask, answer } => self.on_answer(node, ask, *answer, effects),
        }
    }

    fn append(
        &mut self,
        record: CoordinatorRecord,
        urgency: Urgency,
        effects: &mut Effects<Coordinator>,
    ) -> Seq {
        let seq = effects.append(&mut self.state, record, urgency);
        if urgency == Urgency::Forced {
            self.forced = seq;
        }
        seq
    }

    fn tell(&self, node: NodeId, message: ToNode, shows: Seq, effects: &mut Effects<Coordinator>) {
        effects.send(
            CoordinatorTo::Node(node),
            CoordinatorMessage::Node(message),
            shows,
        );
    }

    /// Answers a call. Whatever is answered shows at most what was forced.
    fn reply(&self, client: ClientRef, answer: Answer, effects: &mut Effects<Coordinator>) {
        let reply = Reply {
            id: client.call,
            answer,
        };
        effects.send(
            CoordinatorTo::Client(client.session),
            CoordinatorMessage::Client(reply),
            self.forced,
        );
    }

    fn reply_outcome(&self, client: ClientRef, outcome: Outcome, effects: &mut Effects<Coordinator>) {
        self.reply(client, Answer::Outcome(outcome), effects);
    }

    /// Tells whoever waits for `txn`, once.
    fn conclude(&mut self, txn: TxnId, outcome: Outcome, effects: &mut Effects<Coordinator>) {
        let client = self.live.get_mut(&txn).and_then(|live| live.client.take());
        if let Some(client) = client {
            self.reply_outcome(client, outcome, effects);
        }
    }

    /// Forgets a live transaction and its timers.
    fn forget(&mut self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        if let Some(live) = self.live.remove(&txn) {
            match live.stage {
                Stage::Collecting(_) => effects.cancel(CoordinatorTimer::Votes(txn)),
                Stage::Committed(_) => {}
                Stage::Delegated | Stage::Binding(_) => effects.cancel(CoordinatorTimer::Answer(txn)),
                Stage::Recalling => {
                    effects.cancel(CoordinatorTimer::Answer(txn));
                    effects.cancel(CoordinatorTimer::Recall(txn));
                }
            }
        }
    }

    /// The point that the next transaction will have.
    fn next_point(&self) -> TxnPoint {
        TxnPoint {
            epoch: self.state.epoch(),
            sequence: self.next_sequence,
        }
    }

    fn knows_future(&self, txn: TxnId) -> bool {
        txn.at >= self.next_point()
    }

    fn durable_now(&mut self, effects: &mut Effects<Coordinator>) -> Seq {
        let newest = self.state.seq();
        effects.force(newest);
        self.forced = newest;
        newest
    }
}
