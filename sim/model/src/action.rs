//! What can happen next.

use protocol::coordinator::CoordinatorTimer;
use protocol::participant::ParticipantTimer;

/// One thing that can happen. Numbers are places in the scenario: `c` of a coordinator, `n` of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client's call arrives.
    Call {
        /// Whose.
        client: usize,
        /// Which of those on their way.
        call: usize,
    },
    /// A client waits no longer and asks again.
    GiveUp {
        /// Which client.
        client: usize,
    },
    /// The oldest message to the node arrives.
    ToNode {
        /// From.
        c: usize,
        /// To.
        n: usize,
        /// Whether a second copy of it will follow, some time.
        copied: bool,
    },
    /// The oldest message to the coordinator arrives.
    ToCoordinator {
        /// To.
        c: usize,
        /// From.
        n: usize,
        /// Whether a second copy of it will follow, some time.
        copied: bool,
    },
    /// A second copy arrives at the node.
    CopyToNode {
        /// From.
        c: usize,
        /// To.
        n: usize,
        /// Which of the copies.
        copy: usize,
    },
    /// A second copy arrives at the coordinator.
    CopyToCoordinator {
        /// To.
        c: usize,
        /// From.
        n: usize,
        /// Which of the copies.
        copy: usize,
    },
    /// The oldest message to the node is lost.
    LoseToNode {
        /// From.
        c: usize,
        /// To.
        n: usize,
    },
    /// The oldest message to the coordinator is lost.
    LoseToCoordinator {
        /// To.
        c: usize,
        /// From.
        n: usize,
    },
    /// The connection breaks, and the coordinator notices first.
    BreakAtCoordinator {
        /// One end.
        c: usize,
        /// The other.
        n: usize,
    },
    /// The connection breaks, and the node notices first.
    BreakAtNode {
        /// One end.
        c: usize,
        /// The other.
        n: usize,
    },
    /// The coordinator notices that its connection is gone; what was on its way to it is lost.
    Notice {
        /// Who notices.
        c: usize,
        /// The other end.
        n: usize,
    },
    /// A new connection is made, and the two accept each other.
    Connect {
        /// One end.
        c: usize,
        /// The other.
        n: usize,
    },
    /// A coordinator syncs.
    SyncCoordinator {
        /// Which.
        c: usize,
    },
    /// A node syncs.
    SyncNode {
        /// Which.
        n: usize,
    },
    /// A coordinator dies and starts again; of what was not synced, the first few records survive.
    CrashCoordinator {
        /// Which.
        c: usize,
        /// How many records.
        kept: usize,
    },
    /// A node dies and starts again; of what was not synced, the first few records survive.
    CrashNode {
        /// Which.
        n: usize,
        /// How many records.
        kept: usize,
    },
    /// A coordinator's timer fires.
    FireCoordinator {
        /// Which.
        c: usize,
        /// Which timer.
        timer: CoordinatorTimer,
    },
    /// A node's timer fires.
    FireNode {
        /// Which.
        n: usize,
        /// Which timer.
        timer: ParticipantTimer,
    },
}
