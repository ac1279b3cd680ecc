//! What the event loop needs to know about a coordinator: frames, timers, names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::{Stats, failpoint};
use protocol::codec::{self, BadBody};
use protocol::coordinator::{
    ClientRef, Coordinator, CoordinatorInput, CoordinatorMessage, CoordinatorRecord, CoordinatorTimer,
    CoordinatorTo,
};
use protocol::id::NodeId;
use protocol::message::watch::Party;
use protocol::message::{Answer, Ask, Call, FromNode, Outcome, Reply, Target, Work};
use reactor::{Counters, End, Meaning, Moment, Peer, Service, Session};

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

    fn heard(&self, input: &CoordinatorInput) -> Option<Meaning> {
        match input {
            CoordinatorInput::Node(_, message) => message.txn().map(|txn| Meaning::of(txn, Moment::Passes)),
            CoordinatorInput::Client(_, call) => {
                let Ask::Submit { repeated, .. } = call.ask else {
                    return None;
                };
                Some(Meaning {
                    txn: None,
                    moment: Moment::Asked { repeated },
                })
            }
            CoordinatorInput::Start
            | CoordinatorInput::Connected(_)
            | CoordinatorInput::Disconnected(_)
            | CoordinatorInput::Timer(_)
            | CoordinatorInput::Room(_)
            | CoordinatorInput::Armed(..) => None,
        }
    }

    fn heard_line(&self, input: &CoordinatorInput) -> (Party, String) {
        let CoordinatorInput::Node(node, message) = input else {
            unreachable!("only messages of nodes name a transaction");
        };
        (Party::Node(*node), message.to_string())
    }

    fn said(&self, message: &CoordinatorMessage) -> Option<Meaning> {
        let moment = match message {
            CoordinatorMessage::Node(_) => Moment::Passes,
            CoordinatorMessage::Client(reply) => {
                let Answer::Outcome(outcome) = &reply.answer else {
                    return None;
                };
                match outcome {
                    Outcome::Committed { .. } => Moment::Ends(End::Committed),
                    Outcome::Aborted { refusal, .. } => Moment::Ends(End::Aborted(refusal.reason.word())),
                    Outcome::Unknown { .. } => Moment::Ends(End::Unknown),
                    Outcome::Reused | Outcome::Rejected { .. } => return None,
                }
            }
        };
        let txn = message.txn();
        (txn.is_some() || moment != Moment::Passes).then_some(Meaning { txn, moment })
    }

    fn recorded(&self, record: &CoordinatorRecord) -> Option<Meaning> {
        let moment = match record {
            CoordinatorRecord::Start { .. } => Moment::Begins,
            CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Commit { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Complete { .. }
            | CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => Moment::Passes,
        };
        record.txn().map(|txn| Meaning::of(txn, moment))
    }

    fn request_line(&self, record: &CoordinatorRecord, repeated: bool) -> Option<String> {
        let CoordinatorRecord::Start { request, order, .. } = record else {
            return None;
        };
        let submit = Ask::Submit {
            request: *request,
            repeated,
            order: order.clone(),
        };
        Some(submit.to_string())
    }

    fn party(&self, to: &CoordinatorTo) -> Party {
        match to {
            CoordinatorTo::Node(node) => Party::Node(*node),
            CoordinatorTo::Client(_) => Party::Client,
        }
    }

    fn watch(&mut self, _: &Counters, stats: Stats) {
        self.work = stats.into();
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{RequestId, StoreId, TxnId};
    use protocol::leg::Order;
    use protocol::message::Vote;
    use protocol::reason::Reason;

    use super::*;

    fn service() -> CoordinatorService {
        CoordinatorService::new(vec!["N1".parse().unwrap()], 1_000)
    }

    #[test]
    fn a_submit_gets_its_transaction_from_the_record_that_begins_it() {
        let (service, txn) = (service(), TxnId::new(StoreId(0xc), 1, 7));
        let (from, to) = ("N1/A".parse().unwrap(), "N2/B".parse().unwrap());
        let order = Order::transfer(from, to, "10".parse().unwrap()).unwrap();
        let ask = Ask::Submit {
            request: RequestId(9),
            repeated: true,
            order: order.clone(),
        };
        let line = ask.to_string();
        let heard = service.heard(&CoordinatorInput::Client(1, Call { id: 1, ask }));
        let asked = Moment::Asked { repeated: true };
        assert_eq!(
            heard,
            Some(Meaning {
                txn: None,
                moment: asked
            })
        );
        let start = CoordinatorRecord::Start {
            txn,
            request: RequestId(9),
            order,
        };
        assert_eq!(service.recorded(&start), Some(Meaning::of(txn, Moment::Begins)));
        assert_eq!(service.request_line(&start, true), Some(line));
    }

    #[test]
    fn outcomes_are_ends_and_all_else_about_a_transaction_passes() {
        let (service, txn) = (service(), TxnId::new(StoreId(0xc), 1, 7));
        let reply = |answer| service.said(&CoordinatorMessage::Client(Reply { id: 1, answer }));
        assert_eq!(
            reply(Answer::Outcome(Outcome::Committed { txn })),
            Some(Meaning::of(txn, Moment::Ends(End::Committed)))
        );
        let refused = Outcome::Aborted {
            txn: None,
            refusal: Reason::CoordinatorDiskFull.into(),
        };
        let ends = Moment::Ends(End::Aborted("coordinator_disk_full"));
        let meaning = Meaning {
            txn: None,
            moment: ends,
        };
        assert_eq!(reply(Answer::Outcome(refused)), Some(meaning));
        assert_eq!(reply(Answer::Done("armed".to_owned())), None);
        let vote = FromNode::Vote {
            txn,
            vote: Vote::Yes,
            durable: 3,
        };
        let input = CoordinatorInput::Node("N1".parse().unwrap(), vote);
        assert_eq!(service.heard(&input), Some(Meaning::of(txn, Moment::Passes)));
        assert_eq!(service.heard_line(&input).1, format!("vote {txn} yes"));
        let completed = CoordinatorRecord::Complete { txn };
        assert_eq!(
            service.recorded(&completed),
            Some(Meaning::of(txn, Moment::Passes))
        );
    }
}
