//! What the event loop needs to know about a coordinator: frames, timers, names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::{Stats, failpoint};
use protocol::codec::{self, BadBody};
use protocol::coordinator::{
    ClientRef, Coordinator, CoordinatorInput, CoordinatorMessage, CoordinatorTimer, CoordinatorTo,
};
use protocol::id::NodeId;
use protocol::message::{Answer, Ask, Call, FromNode, Reply, Target, Work};
use reactor::{Counters, Peer, Service, Session};

/// How often unanswered messages are sent again and marks are raised.
const TICK: Duration = Duration::from_secs(1);

/// How long a client waits for an answer that only a node can give, before it is told "unknown".
const ANSWER: Duration = Duration::from_secs(5);

/// How often a home is asked about a first attempt that is still open.
const RECALL: Duration = Duration::from_millis(100);

/// Translates between the loop and the machine.
#[derive(Debug)]
pub(crate) struct CoordinatorService {
    /// The nodes in the order of the loop's links.
    nodes: Vec<NodeId>,
    prepare_timeout: Duration,
    links: BTreeMap<NodeId, Session>,
    clients: BTreeSet<u64>,
    /// What the store had done at the end of the last turn.
    work: Work,
}

impl CoordinatorService {
    pub(crate) fn new(nodes: Vec<NodeId>, prepare_timeout_ms: u32) -> CoordinatorService {
        CoordinatorService {
            nodes,
            prepare_timeout: Duration::from_millis(u64::from(prepare_timeout_ms)),
            links: BTreeMap::new(),
            clients: BTreeSet::new(),
            work: Work::default(),
        }
    }

    /// The node behind a connection, or `None` for a client.
    fn node(&self, peer: &Peer) -> Option<NodeId> {
        peer.link.map(|link| self.nodes[link])
    }

    /// The reply with what only the driver knows, if there is such a part in it.
    fn filled_in(&self, reply: &Reply) -> Option<Reply> {
        let Answer::Status(status) = &reply.answer else {
            return None;
        };
        let mut status = status.clone();
        status.coordinator.work = self.work;
        Some(Reply {
            id: reply.id,
            answer: Answer::Status(status),
        })
    }
}

impl Service for CoordinatorService {
    type Machine = Coordinator;

    fn start(&mut self) -> Option<CoordinatorInput> {
        Some(CoordinatorInput::Start)
    }

    fn opened(&mut self, peer: &Peer) -> Option<CoordinatorInput> {
        match self.node(peer) {
            Some(node) => {
                self.links.insert(node, peer.session);
                Some(CoordinatorInput::Connected(node))
            }
            None => {
                self.clients.insert(peer.session.0);
                None
            }
        }
    }

    fn closed(&mut self, peer: &Peer) -> Option<CoordinatorInput> {
        match self.node(peer) {
            Some(node) if self.links.get(&node) == Some(&peer.session) => {
                self.links.remove(&node);
                Some(CoordinatorInput::Disconnected(node))
            }
            Some(_) => None,
            None => {
                self.clients.remove(&peer.session.0);
                None
            }
        }
    }

    fn decode(&mut self, from: &Peer, body: &mut &[u8]) -> Result<CoordinatorInput, BadBody> {
        if let Some(node) = self.node(from) {
            let message: FromNode = codec::decode_next(body)?;
            return Ok(CoordinatorInput::Node(node, message));
        }
        let session = from.session.0;
        let call: Call = codec::decode_next(body)?;
        if let Ask::Arm {
            target: Target::Coordinator,
            failpoint: text,
        } = &call.ask
        {
            let result = failpoint::arm(text).map(|()| format!("armed {text}"));
            return Ok(CoordinatorInput::Armed(
                ClientRef {
                    session,
                    call: call.id,
                },
                result,
            ));
        }
        Ok(CoordinatorInput::Client(session, call))
    }

    fn kind(&self, input: &CoordinatorInput) -> String {
        match input {
            CoordinatorInput::Node(_, message) => reactor::kind(message),
            CoordinatorInput::Client(_, call) => reactor::kind(call),
            CoordinatorInput::Start
            | CoordinatorInput::Connected(_)
            | CoordinatorInput::Disconnected(_)
            | CoordinatorInput::Timer(_)
            | CoordinatorInput::Room(_)
            | CoordinatorInput::Armed(..) => String::new(),
        }
    }

    fn route(&self, to: &CoordinatorTo) -> Option<Session> {
        match to {
            CoordinatorTo::Node(node) => self.links.get(node).copied(),
            CoordinatorTo::Client(session) => self.clients.contains(session).then_some(Session(*session)),
        }
    }

    fn encode(&self, message: &CoordinatorMessage, body: &mut Vec<u8>) {
        match message {
            CoordinatorMessage::Node(message) => codec::encode_into(message, body),
            CoordinatorMessage::Client(reply) => match self.filled_in(reply) {
                Some(filled) => codec::encode_into(&filled, body),
                None => codec::encode_into(reply, body),
            },
        }
    }

    fn duration(&self, timer: &CoordinatorTimer) -> Duration {
        match timer {
            CoordinatorTimer::Tick => TICK,
            CoordinatorTimer::Votes(_) => self.prepare_timeout,
            CoordinatorTimer::Answer(_) => ANSWER,
            CoordinatorTimer::Recall(_) => RECALL,
            CoordinatorTimer::Ask { wait_ms, .. } => Duration::from_millis(u64::from(*wait_ms)),
        }
    }

    fn fired(&mut self, timer: CoordinatorTimer) -> CoordinatorInput {
        CoordinatorInput::Timer(timer)
    }

    fn room(&mut self, room: bool) -> Option<CoordinatorInput> {
        Some(CoordinatorInput::Room(room))
    }

    fn load(&self, machine: &Coordinator) -> usize {
        machine.load()
    }

    fn watch(&mut self, _: &Counters, stats: Stats) {
        self.work = stats.into();
    }
}
