//! Watcher ↔ process: what somebody sees who looks into a coordinator or a node while it works.
//!
//! A watcher never reaches the machine: the driver of every process keeps a ring of its newest sights, counts what
//! happens, and serves watchers from that. Nothing here can hold a transaction up, but for the gate, which is there to
//! do just that. A process answers a watcher's questions in the order they came; what a follower is sent comes in
//! between.
//!
//! Under load a process keeps one transaction in 2^k ([`is_kept`]), by the rate it sees itself. Since powers of two
//! nest, the transactions that the busiest process keeps are kept by all that take part.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::histogram::Histogram;
use crate::id::{CoordinatorId, NodeId, TxnId};
use crate::message::report::Work;

/// Longest line of a sight, in bytes; the rest is cut.
pub const LINE_LEN_MAX: usize = 512;

/// Whether a process that keeps one transaction in `every`, a power of two, keeps `txn`.
pub fn is_kept(txn: TxnId, every: u64) -> bool {
    txn.at.sequence & (every - 1) == 0
}

/// Watcher → process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WatchAsk {
    /// Send sights as they come, from now on. Answered by [`WatchAnswer::Following`]; then comes
    /// [`Told::Seen`].
    Follow {
        /// Begin with those that are still kept.
        replay: bool,
    },
    /// What is still kept about one transaction. Answered by [`WatchAnswer::Recalled`].
    Recall(TxnId),
    /// Counters. Answered by [`WatchAnswer::Numbers`].
    Numbers,
    /// A page of the entries that the live state consists of. Answered by [`WatchAnswer::State`].
    State {
        /// Start behind this place, as the page before said it; from the first if `None`.
        after: Option<String>,
    },
    /// The nodes that a coordinator dials, and where. Answered by [`WatchAnswer::Nodes`].
    Nodes,
    /// Close or open the gate of a coordinator: while it is closed, messages about transactions wait for
    /// [`WatchAsk::Step`]. It opens by itself when the watcher that closed it goes. Answered by [`WatchAnswer::Holding`].
    Gate(bool),
    /// Let one waiting message go. Answered by [`WatchAnswer::Holding`].
    Step,
}

/// Process → watcher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Told {
    /// What a follower is told, as it comes.
    Seen(Seen),
    /// The answer to the watcher's oldest open question.
    Answer(Box<WatchAnswer>),
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Seen {
    /// Something happened.
    Sight(Sighting),
    /// So many sights were lost to this watcher since the last one it was sent: it reads too slowly.
    Dropped(u64),
    /// From here on the process keeps one transaction in so many.
    Sampling {
        /// A power of two.
        every: u64,
    },
    /// What the coordinator's gate holds now.
    Holding(Holding),
}

/// A process's answer to a watcher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WatchAnswer {
    /// From here on, sights come.
    Following {
        /// One transaction in so many is kept now.
        every: u64,
    },
    /// What was kept about a transaction, oldest first. Empty if nothing is.
    Recalled(Vec<Sighting>),
    /// Counters.
    Numbers(Numbers),
    /// A page of the state.
    State(StatePage),
    /// The nodes and their addresses, in the order of the coordinator's command line.
    Nodes(Vec<(NodeId, String)>),
    /// What the gate holds.
    Holding(Holding),
    /// This process cannot do that: why.
    Cannot(String),
}

/// A process as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    /// A client.
    Client,
    /// A coordinator.
    Coordinator(CoordinatorId),
    /// A node.
    Node(NodeId),
}

/// Something that happened in one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The process's number for it: 1, 2, 3, … since it started.
    pub n: u64,
    /// When, in microseconds since 1970, by the process's wall clock: for display only.
    pub at_us: u64,
    /// The transaction that it is about.
    pub txn: TxnId,
    /// What happened.
    pub what: Sight,
}

/// What can be seen of a transaction in one process. A `line` is in the notation of logs and transcripts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sight {
    /// A message came in and is being handled.
    Received {
        /// From whom.
        from: Party,
        /// The message.
        line: String,
    },
    /// A message leaves: what it shows is synced (R2, R4).
    Sent {
        /// To whom.
        to: Party,
        /// The message.
        line: String,
    },
    /// A message waits at the gate.
    Held {
        /// To whom.
        to: Party,
        /// The message.
        line: String,
    },
    /// A record was appended to the log. It is not on disk yet.
    Recorded {
        /// Its number.
        seq: Seq,
        /// The record.
        line: String,
        /// Whether somebody waits for its sync.
        forced: bool,
    },
    /// Records of this transaction are on disk now.
    Synced {
        /// Everything up to this record is.
        through: Seq,
        /// How long the sync took.
        took_us: u64,
    },
}

/// Messages at a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holding {
    /// Whether the gate is closed.
    pub closed: bool,
    /// How many messages wait.
    pub waiting: u64,
    /// The first of them, in the order in which they will go.
    pub first: Vec<Held>,
}

/// A message that waits at a gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// Its transaction.
    pub txn: TxnId,
    /// To whom.
    pub to: Party,
    /// The message.
    pub line: String,
}

/// Counters of one process, since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Numbers {
    /// How long ago it started, in milliseconds.
    pub up_ms: u64,
    /// Transactions that committed: told to clients by a coordinator, written down by a node.
    pub committed: u64,
    /// Transactions that aborted, by [`Reason::word`](crate::reason::Reason::word), in order of the words.
    pub aborted: Vec<(String, u64)>,
    /// Clients that were told "unknown", by a coordinator.
    pub unknown: u64,
    /// Transactions that have not ended here.
    pub open: u64,
    /// Transactions that this node has promised and waits for the decision of. A coordinator has none: it decides.
    pub in_doubt: u64,
    /// For how long the oldest of them has waited, in milliseconds; for those that were found at the start since the start, and
    /// as for those that thousands have overtaken, in whole seconds.
    pub oldest_in_doubt_ms: u64,
    /// How long syncs took.
    pub syncs: Histogram,
    /// How long transactions were under way: at a coordinator from reading a submit to releasing its outcome, at a node
    /// from the promise to the end.
    pub decisions: Histogram,
    /// One transaction in so many is kept for watchers.
    pub every: u64,
    /// Sights seen.
    pub sights: u64,
    /// Sights that watchers lost because they read too slowly, all together.
    pub dropped: u64,
    /// What the store has done.
    pub work: Work,
    /// What the sockets have done.
    pub traffic: Traffic,
}

/// What the sockets of a process have done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused.
    pub refused: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Frames handed to connections.
    pub frames_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes the kernel took.
    pub bytes_out: u64,
    /// Turns of the loop.
    pub turns: u64,
}

/// A page of a live state's entries, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StatePage {
    /// The newest record that the state contains.
    pub seq: Seq,
    /// The entries.
    pub entries: Vec<StateEntry>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<String>,
}

/// One entry of a live state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateEntry {
    /// The group it belongs to: `accounts`, `prepared`, `outcomes` or `meta`.
    pub tree: String,
    /// Its key as JSON.
    pub key: String,
    /// What stands there, as JSON, in the words of a state file.
    pub value: String,
}

impl Sight {
    /// What happened, in one word: `received`, `sent`, `held`, `recorded` or `synced`.
    pub fn word(&self) -> &'static str {
        match self {
            Sight::Received { .. } => "received",
            Sight::Sent { .. } => "sent",
            Sight::Held { .. } => "held",
            Sight::Recorded { .. } => "recorded",
            Sight::Synced { .. } => "synced",
        }
    }

    /// The message or the record; nothing for a sync.
    pub fn line(&self) -> &str {
        match self {
            Sight::Received { line, .. }
            | Sight::Sent { line, .. }
            | Sight::Held { line, .. }
            | Sight::Recorded { line, .. } => line,
            Sight::Synced { .. } => "",
        }
    }

    /// The line's first word, which names the kind of message or record: `prepare`, `COMMIT`.
    pub fn kind(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    /// The other side of a message.
    pub fn peer(&self) -> Option<Party> {
        match self {
            Sight::Received { from, .. } => Some(*from),
            Sight::Sent { to, .. } | Sight::Held { to, .. } => Some(*to),
            Sight::Recorded { .. } | Sight::Synced { .. } => None,
        }
    }
}

/// `client`, `coordinator` or the node's name: enough where there is one coordinator, as on a diagram.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Client => f.pad("client"),
            Party::Coordinator(_) => f.pad("coordinator"),
            Party::Node(node) => node.fmt(f),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c → {} {}", self.to, self.line)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::codec;
    use crate::id::StoreId;

    fn txn(sequence: u64) -> TxnId {
        TxnId::new(StoreId(0xc), 1, sequence)
    }

    #[test]
    fn what_the_busiest_process_keeps_is_kept_by_all() {
        for sequence in 0..4096 {
            for k in 0..12 {
                let (busy, calm) = (1 << (k + 1), 1 << k);
                assert!(!is_kept(txn(sequence), busy) || is_kept(txn(sequence), calm));
            }
        }
        let kept = (1..=4096).filter(|&sequence| is_kept(txn(sequence), 64)).count();
        assert_eq!(kept, 64);
    }

    #[test]
    fn the_bytes_of_what_watchers_and_processes_say_are_pinned() {
        let n1 = || "N1".parse().unwrap();
        for (ask, golden) in [
            (WatchAsk::Follow { replay: true }, &b"\x00\x01"[..]),
            (WatchAsk::Recall(txn(7)), b"\x01\x0c\x01\x07"),
            (WatchAsk::Numbers, b"\x02"),
            (WatchAsk::State { after: None }, b"\x03\x00"),
            (WatchAsk::Nodes, b"\x04"),
            (WatchAsk::Gate(true), b"\x05\x01"),
            (WatchAsk::Step, b"\x06"),
        ] {
            assert_eq!(codec::encode(&ask), golden, "{ask:?}");
            assert_eq!(codec::decode(golden), Ok(ask));
        }
        let sighting = Sighting {
            n: 3,
            at_us: 5,
            txn: txn(7),
            what: Sight::Received {
                from: Party::Node(n1()),
                line: "ack c-1-7".to_string(),
            },
        };
        let golden = b"\x00\x00\x03\x05\x0c\x01\x07\x00\x02\x02N1\x09ack c-1-7";
        assert_eq!(codec::encode(&Told::Seen(Seen::Sight(sighting.clone()))), golden);
        assert_eq!(codec::decode(golden), Ok(Told::Seen(Seen::Sight(sighting))));
        assert_eq!(
            codec::encode(&Told::Answer(Box::new(WatchAnswer::Nodes(vec![(
                n1(),
                "h:1".to_string()
            )])))),
            b"\x01\x04\x01\x02N1\x03h:1"
        );
        assert_eq!(codec::encode(&Told::Seen(Seen::Dropped(9))), b"\x00\x01\x09");
    }

    #[test]
    fn a_sight_tells_its_kind_and_its_other_side() {
        let recorded = Sight::Recorded {
            seq: 4,
            line: "COMMIT c-1-7".to_string(),
            forced: true,
        };
        assert_eq!(
            (recorded.word(), recorded.kind(), recorded.peer()),
            ("recorded", "COMMIT", None)
        );
        let synced = Sight::Synced {
            through: 4,
            took_us: 90,
        };
        assert_eq!((synced.word(), synced.kind()), ("synced", ""));
        let sent = Sight::Sent {
            to: Party::Client,
            line: "outcome committed c-1-7".to_string(),
        };
        assert_eq!((sent.kind(), sent.peer()), ("outcome", Some(Party::Client)));
    }
}
