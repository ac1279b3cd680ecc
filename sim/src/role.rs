//! What a process adds to its machine: names, frames, timers. The simulator's counterpart of the services in `node` and
//! `coordinator`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::Owner;
use protocol::codec::{self, BadBody};
use protocol::coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorInput, CoordinatorMessage, CoordinatorRecord,
    CoordinatorState, CoordinatorTimer, CoordinatorTo,
};
use protocol::effects::Machine;
use protocol::fold::Fold;
use protocol::hello::{self, Hello};
use protocol::id::{ClusterName, Incarnation, NodeId, StoreId};
use protocol::locking::Locking;
use protocol::message::{Answer, Call, FromNode, Reply, ToNode, Vote};
use protocol::participant::{
    NodeRecord, NodeState, Participant, ParticipantConfig, ParticipantInput, ParticipantTimer,
};
use protocol::reason::Decision;

use crate::autopsy::RecordKind;
use crate::network::ConnId;
use crate::who::{Who, node_id};

/// What kind of message a frame holds, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Part of joining; a connection that loses it is of no use, so it is lost with its connection only.
    Handshake,
    /// `prepare` or `execute`.
    Prepare,
    /// `execute`: the one participant decides.
    Execute,
    /// A YES.
    VoteYes,
    /// Any other vote.
    VoteNo,
    /// COMMIT.
    Commit,
    /// ABORT.
    Abort,
    /// An acknowledgement.
    Ack,
    /// The one participant's word.
    Executed,
    /// A question of a node in doubt.
    Inquiry,
    /// Not decided yet: ask again.
    Pending,
    /// A low-water mark: said once on a connection, and again on the next.
    Mark,
    /// A client's request.
    Submit,
    /// What a client is told about it.
    Outcome,
    /// Everything else.
    Other,
}

/// What a role's machine writes to its log.
pub(crate) type Record<R> = <<<R as Role>::Machine as Machine>::State as Fold>::Record;

/// One kind of process.
pub(crate) trait Role: Sized {
    type Machine: Machine;

    /// The machine of a process that has just recovered `state`.
    fn awake(
        cast: &Cast,
        who: Who,
        store: StoreId,
        incarnation: Incarnation,
        state: <Self::Machine as Machine>::State,
    ) -> Result<(Self, Self::Machine), String>;

    fn owner(who: Who) -> Owner;
    fn start() -> <Self::Machine as Machine>::Input;
    fn room(room: bool) -> <Self::Machine as Machine>::Input;
    fn fired(timer: <Self::Machine as Machine>::Timer) -> <Self::Machine as Machine>::Input;
    /// Whose connections it takes.
    fn accepts() -> &'static [hello::Role];
    fn hello(&self) -> Hello;
    fn opened(&mut self, conn: ConnId, peer: &Hello) -> Option<<Self::Machine as Machine>::Input>;
    fn closed(&mut self, conn: ConnId) -> Option<<Self::Machine as Machine>::Input>;
    fn decode(&self, conn: ConnId, body: &mut &[u8]) -> Result<<Self::Machine as Machine>::Input, BadBody>;
    fn route(&self, to: &<Self::Machine as Machine>::To) -> Option<ConnId>;
    fn encode(message: &<Self::Machine as Machine>::Message) -> Vec<u8>;
    fn kind(message: &<Self::Machine as Machine>::Message) -> Kind;
    fn record_kind(record: &Record<Self>) -> RecordKind;
    fn duration(&self, timer: &<Self::Machine as Machine>::Timer) -> Duration;
    fn load(machine: &Self::Machine) -> usize;
}

/// Who there is, and how they are configured.
#[derive(Clone, Debug)]
pub struct Cast {
    /// How many coordinators.
    pub coordinators: usize,
    /// How many nodes.
    pub nodes: usize,
    /// How many clients.
    pub clients: usize,
    /// Conflict policies of the nodes.
    pub locking: Policies,
    /// How long nodes may take to vote.
    pub prepare_timeout: Duration,
    /// How many finished requests a home remembers.
    pub request_window: u64,
}

/// Which node has which conflict policy, and when.
#[derive(Clone, Debug)]
pub enum Policies {
    /// Each its own, for ever; they go round where there are more nodes.
    ByNode(Vec<Locking>),
    /// With every start the next one: what is prepared then has been granted another kind of hold.
    ByStart(Vec<Locking>),
}

impl Policies {
    fn of(&self, node: usize, incarnation: Incarnation) -> Locking {
        match self {
            Policies::ByNode(policies) => policies[node % policies.len()],
            Policies::ByStart(policies) => {
                let start = usize::try_from(incarnation).expect("a small number");
                policies[start % policies.len()]
            }
        }
    }
}

/// The cluster's name.
pub(crate) fn cluster() -> ClusterName {
    "sim".parse().expect("a good name")
}

/// A node.
#[derive(Debug)]
pub(crate) struct NodeRole {
    hello: Hello,
    open: BTreeSet<ConnId>,
}

impl Role for NodeRole {
    type Machine = Participant;

    fn awake(
        cast: &Cast,
        who: Who,
        store: StoreId,
        incarnation: Incarnation,
        state: NodeState,
    ) -> Result<(NodeRole, Participant), String> {
        let Who::Node(number) = who else {
            unreachable!("a node is a node");
        };
        let node = node_id(number);
        let config = ParticipantConfig {
            node,
            store,
            store_kind: "json".to_owned(),
            locking: cast.locking.of(number, incarnation),
            request_window: cast.request_window,
        };
        let role = NodeRole {
            hello: Hello::node(cluster(), store, node),
            open: BTreeSet::new(),
        };
        Ok((role, Participant::new(config, state)))
    }

    fn owner(who: Who) -> Owner {
        match who {
            Who::Node(number) => Owner::Node(node_id(number)),
            Who::Coordinator(_) | Who::Client(_) => unreachable!("a node is a node"),
        }
    }

    fn start() -> ParticipantInput {
        ParticipantInput::Start
    }

    fn room(room: bool) -> ParticipantInput {
        ParticipantInput::Room(room)
    }

    fn fired(timer: ParticipantTimer) -> ParticipantInput {
        ParticipantInput::Timer(timer)
    }

    fn accepts() -> &'static [hello::Role] {
        &[hello::Role::Coordinator]
    }

    fn hello(&self) -> Hello {
        self.hello.clone()
    }

    fn opened(&mut self, conn: ConnId, peer: &Hello) -> Option<ParticipantInput> {
        self.open.insert(conn);
        Some(ParticipantInput::Connected {
            session: conn.0,
            coordinator: peer.store,
        })
    }

    fn closed(&mut self, conn: ConnId) -> Option<ParticipantInput> {
        self.open
            .remove(&conn)
            .then_some(ParticipantInput::Disconnected { session: conn.0 })
    }

    fn decode(&self, conn: ConnId, body: &mut &[u8]) -> Result<ParticipantInput, BadBody> {
        let message: ToNode = codec::decode_next(body)?;
        Ok(ParticipantInput::Message {
            session: conn.0,
            message,
        })
    }

    fn route(&self, to: &u64) -> Option<ConnId> {
        self.open.contains(&ConnId(*to)).then_some(ConnId(*to))
    }

    fn encode(message: &FromNode) -> Vec<u8> {
        codec::encode(message)
    }

    fn kind(message: &FromNode) -> Kind {
        match message {
            FromNode::Welcome { .. } | FromNode::Refuse { .. } => Kind::Handshake,
            FromNode::Vote { vote: Vote::Yes, .. } => Kind::VoteYes,
            FromNode::Vote {
                vote: Vote::No(_) | Vote::Duplicate(_),
                ..
            } => Kind::VoteNo,
            FromNode::Ack { .. } => Kind::Ack,
            FromNode::Executed { .. } => Kind::Executed,
            FromNode::Inquiry { .. } => Kind::Inquiry,
            FromNode::Aborted { .. }
            | FromNode::Unmatched { .. }
            | FromNode::Mixed { .. }
            | FromNode::Recalled { .. }
            | FromNode::Answer { .. } => Kind::Other,
        }
    }

    fn record_kind(record: &NodeRecord) -> RecordKind {
        match record {
            NodeRecord::PrepareOk { .. } => RecordKind::PrepareOk,
            NodeRecord::Commit { .. } => RecordKind::Apply,
            NodeRecord::CommitOnePhase { .. } => RecordKind::OnePhase,
            NodeRecord::Abort { .. } => RecordKind::Release,
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::PrepareFailed { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Resolve { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => RecordKind::Other,
        }
    }

    fn duration(&self, timer: &ParticipantTimer) -> Duration {
        match timer {
            ParticipantTimer::Tick | ParticipantTimer::Thaw => Duration::from_secs(1),
            ParticipantTimer::Read { wait_ms, .. } => Duration::from_millis(u64::from(*wait_ms)),
        }
    }

    fn load(machine: &Participant) -> usize {
        machine.load()
    }
}

/// A coordinator.
#[derive(Debug)]
pub(crate) struct CoordinatorRole {
    hello: Hello,
    prepare_timeout: Duration,
    links: BTreeMap<NodeId, ConnId>,
    clients: BTreeSet<ConnId>,
}

impl CoordinatorRole {
    /// The node behind a connection; `None` for a client.
    fn node(&self, conn: ConnId) -> Option<NodeId> {
        let link = self.links.iter().find(|&(_, &link)| link == conn);
        link.map(|(&node, _)| node)
    }
}

impl Role for CoordinatorRole {
    type Machine = Coordinator;

    fn awake(
        cast: &Cast,
        _who: Who,
        store: StoreId,
        incarnation: Incarnation,
        state: CoordinatorState,
    ) -> Result<(CoordinatorRole, Coordinator), String> {
        let config = CoordinatorConfig {
            id: store,
            incarnation,
            nodes: (0..cast.nodes).map(node_id).collect(),
        };
        let role = CoordinatorRole {
            hello: Hello::coordinator(cluster(), store),
            prepare_timeout: cast.prepare_timeout,
            links: BTreeMap::new(),
            clients: BTreeSet::new(),
        };
        Ok((role, Coordinator::new(config, state)?))
    }

    fn owner(_who: Who) -> Owner {
        Owner::Coordinator
    }

    fn start() -> CoordinatorInput {
        CoordinatorInput::Start
    }

    fn room(room: bool) -> CoordinatorInput {
        CoordinatorInput::Room(room)
    }

    fn fired(timer: CoordinatorTimer) -> CoordinatorInput {
        CoordinatorInput::Timer(timer)
    }

    fn accepts() -> &'static [hello::Role] {
        &[hello::Role::Client]
    }

    fn hello(&self) -> Hello {
        self.hello.clone()
    }

    fn opened(&mut self, conn: ConnId, peer: &Hello) -> Option<CoordinatorInput> {
        match peer.name {
            Some(node) => {
                self.links.insert(node, conn);
                Some(CoordinatorInput::Connected(node))
            }
            None => {
                self.clients.insert(conn);
                None
            }
        }
    }

    fn closed(&mut self, conn: ConnId) -> Option<CoordinatorInput> {
        self.clients.remove(&conn);
        let node = self.node(conn)?;
        self.links.remove(&node);
        Some(CoordinatorInput::Disconnected(node))
    }

    fn decode(&self, conn: ConnId, body: &mut &[u8]) -> Result<CoordinatorInput, BadBody> {
        if let Some(node) = self.node(conn) {
            let message: FromNode = codec::decode_next(body)?;
            return Ok(CoordinatorInput::Node(node, message));
        }
        let call: Call = codec::decode_next(body)?;
        Ok(CoordinatorInput::Client(conn.0, call))
    }

    fn route(&self, to: &CoordinatorTo) -> Option<ConnId> {
        match to {
            CoordinatorTo::Node(node) => self.links.get(node).copied(),
            CoordinatorTo::Client(session) => {
                let conn = ConnId(*session);
                self.clients.contains(&conn).then_some(conn)
            }
        }
    }

    fn encode(message: &CoordinatorMessage) -> Vec<u8> {
        match message {
            CoordinatorMessage::Node(message) => codec::encode(message),
            CoordinatorMessage::Client(reply) => codec::encode(reply),
        }
    }

    fn kind(message: &CoordinatorMessage) -> Kind {
        match message {
            CoordinatorMessage::Node(ToNode::Join { .. }) => Kind::Handshake,
            CoordinatorMessage::Node(ToNode::Prepare(_)) => Kind::Prepare,
            CoordinatorMessage::Node(ToNode::Execute(_)) => Kind::Execute,
            CoordinatorMessage::Node(ToNode::Decide {
                decision: Decision::Commit,
                ..
            }) => Kind::Commit,
            CoordinatorMessage::Node(ToNode::Decide {
                decision: Decision::Abort(_),
                ..
            }) => Kind::Abort,
            CoordinatorMessage::Node(ToNode::Pending { .. }) => Kind::Pending,
            CoordinatorMessage::Node(ToNode::Mark { .. }) => Kind::Mark,
            CoordinatorMessage::Client(Reply {
                answer: Answer::Outcome(_),
                ..
            }) => Kind::Outcome,
            CoordinatorMessage::Node(
                ToNode::Query { .. } | ToNode::Recall { .. } | ToNode::NotMine { .. } | ToNode::Ask { .. },
            )
            | CoordinatorMessage::Client(_) => Kind::Other,
        }
    }

    fn record_kind(record: &CoordinatorRecord) -> RecordKind {
        match record {
            CoordinatorRecord::Start { .. } => RecordKind::Start,
            CoordinatorRecord::Commit { .. } => RecordKind::Decision,
            CoordinatorRecord::Complete { .. } => RecordKind::Complete,
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => RecordKind::Other,
        }
    }

    fn duration(&self, timer: &CoordinatorTimer) -> Duration {
        match timer {
            CoordinatorTimer::Tick => Duration::from_secs(1),
            CoordinatorTimer::Votes(_) => self.prepare_timeout,
            CoordinatorTimer::Answer(_) => Duration::from_secs(5),
            CoordinatorTimer::Recall(_) => Duration::from_millis(100),
            CoordinatorTimer::Ask { wait_ms, .. } => Duration::from_millis(u64::from(*wait_ms)),
        }
    }

    fn load(machine: &Coordinator) -> usize {
        machine.load()
    }
}
