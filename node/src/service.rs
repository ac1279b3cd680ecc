//! What the event loop needs to know about a participant: frames, timers, names.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::{Stats, failpoint};
use protocol::codec::{self, BadBody};
use protocol::message::{FromNode, NodeAnswer, NodeQuestion, ToNode, Work};
use protocol::participant::{Participant, ParticipantInput, ParticipantTimer, SessionId};
use reactor::{Counters, Peer, Service, Session};

/// How often in-doubt transactions are asked about.
const TICK: Duration = Duration::from_secs(1);

/// How long a freeze for an audit may last.
const THAW: Duration = Duration::from_secs(1);

/// Translates between the loop and the machine.
#[derive(Debug, Default)]
pub(crate) struct NodeService {
    /// What the store had done at the end of the last turn.
    work: Work,
    open: BTreeSet<SessionId>,
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
        self.open.insert(session);
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
        self.open.contains(to).then_some(Session(*to))
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

    fn watch(&mut self, _: &Counters, stats: Stats) {
        self.work = stats.into();
    }
}
