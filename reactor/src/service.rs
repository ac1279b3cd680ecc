//! What a process adds to the loop: the meaning of frames, names and timers of its machine.

use std::fmt::Display;
use std::time::Duration;

use engine::Stats;
use protocol::codec::BadBody;
use protocol::effects::Machine;
use protocol::fold::Fold;
use protocol::id::TxnId;
use protocol::message::watch::Party;

use crate::{Counters, Meaning, Peer, Session};

/// What may happen to the machine of service `S`.
pub type Input<S> = <<S as Service>::Machine as Machine>::Input;
/// Whom the machine of service `S` talks to.
pub type To<S> = <<S as Service>::Machine as Machine>::To;
/// What the machine of service `S` says.
pub type Message<S> = <<S as Service>::Machine as Machine>::Message;
/// The timers of the machine of service `S`.
pub type Timer<S> = <<S as Service>::Machine as Machine>::Timer;

/// What the machine of service `S` writes down.
pub type Record<S> = <<<S as Service>::Machine as Machine>::State as Fold>::Record;

/// Translates between a machine and the loop that drives it. Holds nothing that must survive the process.
pub trait Service {
    /// The machine that is served.
    type Machine: Machine;

    /// The first input, stepped and synced before anybody is listened to.
    fn start(&mut self) -> Option<Input<Self>>;

    /// A peer said hello and was accepted: a client came, a link is up. The service remembers the session for
    /// [`Service::route`]. The same peer may open a second connection before the first is known to be dead; the
    /// newer one counts.
    fn opened(&mut self, peer: &Peer) -> Option<Input<Self>>;

    /// An open connection is gone, for whatever reason. Called once for every [`Service::opened`].
    fn closed(&mut self, peer: &Peer) -> Option<Input<Self>>;

    /// Decodes the message that `body` begins with, and leaves what follows it in `body`.
    ///
    /// # Errors
    /// If it isn't one that `from` may send. Its connection is closed; messages before it in the same frame count.
    fn decode(&mut self, from: &Peer, body: &mut &[u8]) -> Result<Input<Self>, BadBody>;

    /// The first word of the received message's notation, such as `prepare`. Asked only while a failpoint is armed.
    fn kind(&self, input: &Input<Self>) -> String;

    /// The connection to somebody, if there is one. Messages without are lost, as if on the way.
    fn route(&self, to: &To<Self>) -> Option<Session>;

    /// Appends the encoded message to `body`, which is empty.
    fn encode(&self, message: &Message<Self>, body: &mut Vec<u8>);

    /// How long a timer runs.
    fn duration(&self, timer: &Timer<Self>) -> Duration;

    /// A timer has run out.
    fn fired(&mut self, timer: Timer<Self>) -> Input<Self>;

    /// The disk has room for new promises again, or no longer. Before the first call it has.
    fn room(&mut self, room: bool) -> Option<Input<Self>>;

    /// How many transactions are open: what the disk must reserve space for, and what pauses clients.
    fn load(&self, machine: &Self::Machine) -> usize;

    /// What a received message means to those who look on; `None` if it is about no transaction.
    fn heard(&self, input: &Input<Self>) -> Option<Meaning>;

    /// Who sent a received message, and the message in the notation of logs. Asked only where somebody may look at it.
    fn heard_line(&self, input: &Input<Self>) -> (Party, String);

    /// What a message means to those who look on.
    fn said(&self, message: &Message<Self>) -> Option<Meaning>;

    /// What a record means to those who look on.
    fn recorded(&self, record: &Record<Self>) -> Option<Meaning>;

    /// The request that `record` begins a transaction for, in the notation of logs.
    fn request_line(&self, record: &Record<Self>, repeated: bool) -> Option<String> {
        let _ = (record, repeated);
        None
    }

    /// A receiver as those see it who look on.
    fn party(&self, to: &To<Self>) -> Party;

    /// Transactions that this process has promised and waits for the decision of, and for about how long.
    fn in_doubt(&self, machine: &Self::Machine) -> Vec<(TxnId, Duration)> {
        let _ = machine;
        Vec::new()
    }

    /// Numbers as of the end of a turn, for whoever shows them.
    fn watch(&mut self, counters: &Counters, stats: Stats) {
        let _ = (counters, stats);
    }
}

/// The first word of a message's notation.
pub fn kind(message: &impl Display) -> String {
    let text = message.to_string();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
