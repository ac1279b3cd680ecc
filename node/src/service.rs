//! What the event loop needs to know about a participant: frames, timers, names.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::{Stats, failpoint};
use protocol::codec::{self, BadBody};
use protocol::id::{CoordinatorId, StoreId, TxnId};
use protocol::message::watch::Party;
use protocol::message::{FromNode, NodeAnswer, NodeQuestion, OperatorWord, ToNode, Work};
use protocol::participant::{NodeRecord, Participant, ParticipantInput, ParticipantTimer, SessionId};
use protocol::reason::Reason;
use reactor::{Counters, End, Meaning, Moment, Peer, Service, Session};

/// How often in-doubt transactions are asked about.
const TICK: Duration = Duration::from_secs(1);

/// How long a freeze for an audit may last.
const THAW: Duration = Duration::from_secs(1);

/// Translates between the loop and the machine.
#[derive(Debug, Default)]
pub(crate) struct NodeService {
    /// What the store had done at the end of the last turn.
    work: Work,
    /// Open connections, and whose they are.
    open: BTreeMap<SessionId, CoordinatorId>,
}

impl NodeService {
    /// The message with what only the driver knows, if there is such a part in it.
    fn filled_in(&self, message: &FromNode) -> Option<FromNode> {
        let FromNode::Answer { ask, answer } = message else {
            return None;
        };
        let NodeAnswer::Status(status) = &**answer else {
            return None;
        };
        let mut status = status.clone();
        status.work = self.work;
        Some(FromNode::Answer {
            ask: *ask,
            answer: Box::new(NodeAnswer::Status(status)),
        })
    }
}

impl Service for NodeService {
    type Machine = Participant;

    fn start(&mut self) -> Option<ParticipantInput> {
        Some(ParticipantInput::Start)
    }

    fn opened(&mut self, peer: &Peer) -> Option<ParticipantInput> {
        let session = peer.session.0;
        self.open.insert(session, peer.hello.store);
        Some(ParticipantInput::Connected {
            session,
            coordinator: peer.hello.store,
        })
    }

    fn closed(&mut self, peer: &Peer) -> Option<ParticipantInput> {
        let session = peer.session.0;
        self.open.remove(&session);
        Some(ParticipantInput::Disconnected { session })
    }

    fn decode(&mut self, from: &Peer, body: &mut &[u8]) -> Result<ParticipantInput, BadBody> {
        let session = from.session.0;
        let message: ToNode = codec::decode_next(body)?;
        if let ToNode::Ask {
            ask,
            question: NodeQuestion::Arm(text),
        } = &message
        {
            let result = failpoint::arm(text).map(|()| format!("armed {text}"));
            return Ok(ParticipantInput::Armed {
                session,
                ask: *ask,
                result,
            });
        }
        Ok(ParticipantInput::Message { session, message })
    }

    fn kind(&self, input: &ParticipantInput) -> String {
        match input {
            ParticipantInput::Message { message, .. } => reactor::kind(message),
            ParticipantInput::Start
            | ParticipantInput::Connected { .. }
            | ParticipantInput::Disconnected { .. }
            | ParticipantInput::Timer(_)
            | ParticipantInput::Room(_)
            | ParticipantInput::Armed { .. } => String::new(),
        }
    }

    fn route(&self, to: &SessionId) -> Option<Session> {
        self.open.contains_key(to).then_some(Session(*to))
    }

    fn encode(&self, message: &FromNode, body: &mut Vec<u8>) {
        match self.filled_in(message) {
            Some(filled) => codec::encode_into(&filled, body),
            None => codec::encode_into(message, body),
        }
    }

    fn duration(&self, timer: &ParticipantTimer) -> Duration {
        match timer {
            ParticipantTimer::Tick => TICK,
            ParticipantTimer::Thaw => THAW,
            ParticipantTimer::Read { wait_ms, .. } => Duration::from_millis(u64::from(*wait_ms)),
        }
    }

    fn fired(&mut self, timer: ParticipantTimer) -> ParticipantInput {
        ParticipantInput::Timer(timer)
    }

    fn room(&mut self, room: bool) -> Option<ParticipantInput> {
        Some(ParticipantInput::Room(room))
    }

    fn load(&self, machine: &Participant) -> usize {
        machine.load()
    }

    fn heard(&self, input: &ParticipantInput) -> Option<Meaning> {
        let ParticipantInput::Message { message, .. } = input else {
            return None;
        };
        let moment = match message {
            ToNode::Prepare(_) | ToNode::Execute(_) => Moment::Comes,
            ToNode::Join { .. }
            | ToNode::Decide { .. }
            | ToNode::Query { .. }
            | ToNode::Recall { .. }
            | ToNode::Pending { .. }
            | ToNode::NotMine { .. }
            | ToNode::Mark { .. }
            | ToNode::Ask { .. } => Moment::Passes,
        };
        message.txn().map(|txn| Meaning::of(txn, moment))
    }

    fn heard_line(&self, input: &ParticipantInput) -> (Party, String) {
        let ParticipantInput::Message { session, message } = input else {
            unreachable!("only messages are heard");
        };
        (self.party(session), message.to_string())
    }

    fn said(&self, message: &FromNode) -> Option<Meaning> {
        message.txn().map(|txn| Meaning::of(txn, Moment::Passes))
    }

    fn recorded(&self, record: &NodeRecord) -> Option<Meaning> {
        let aborted = |reason: &Reason| End::Aborted(reason.word());
        let moment = match record {
            NodeRecord::PrepareOk { .. } => Moment::UnderWay,
            NodeRecord::PrepareFailed { reason, .. } => Moment::Ends(aborted(reason)),
            NodeRecord::Commit { .. } | NodeRecord::CommitOnePhase { .. } => Moment::Ends(End::Committed),
            NodeRecord::Abort { reason, .. } => Moment::Ends(aborted(reason)),
            NodeRecord::Resolve { word, .. } => Moment::Ends(match word {
                OperatorWord::Commit => End::Committed,
                OperatorWord::Abort => aborted(&Reason::OperatorDecision),
            }),
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => Moment::Passes,
        };
        record.txn().map(|txn| Meaning::of(txn, moment))
    }

    fn party(&self, to: &SessionId) -> Party {
        Party::Coordinator(self.open.get(to).copied().unwrap_or(StoreId(0)))
    }

    fn in_doubt(&self, machine: &Participant) -> Vec<(TxnId, Duration)> {
        let in_doubt = machine.in_doubt();
        in_doubt
            .map(|(txn, held_s)| (txn, Duration::from_secs(held_s)))
            .collect()
    }

    fn watch(&mut self, _: &Counters, stats: Stats) {
        self.work = stats.into();
    }
}

#[cfg(test)]
mod tests {
    use protocol::reason::Decision;

    use super::*;

    #[test]
    fn what_a_node_hears_and_writes_down_has_its_meaning() {
        let service = NodeService::default();
        let txn = TxnId::new(StoreId(0xc), 1, 7);
        let heard = |message| {
            let session = 5;
            service.heard(&ParticipantInput::Message { session, message })
        };
        let abort = ToNode::Decide {
            txn,
            decision: Decision::Abort(Reason::PresumedAbort),
            bind: None,
            durable: 0,
        };
        assert_eq!(heard(abort), Some(Meaning::of(txn, Moment::Passes)));
        let question = ToNode::Ask {
            ask: 1,
            question: NodeQuestion::Cut,
        };
        assert_eq!(heard(question), None, "questions are about none");
        let refused = NodeRecord::PrepareFailed {
            txn,
            reason: Reason::LockContention("B".parse().unwrap()),
            holder: None,
            home: None,
        };
        let ends = Moment::Ends(End::Aborted("lock_contention"));
        assert_eq!(service.recorded(&refused), Some(Meaning::of(txn, ends)));
        let committed = Moment::Ends(End::Committed);
        assert_eq!(
            service.recorded(&NodeRecord::Commit { txn }),
            Some(Meaning::of(txn, committed))
        );
        assert_eq!(
            service.said(&FromNode::Ack { txn, durable: 3 }),
            Some(Meaning::of(txn, Moment::Passes))
        );
    }
}
