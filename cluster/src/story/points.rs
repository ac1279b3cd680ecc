//! At which moments of a transfer between two nodes does a process die, so that something can be learned from it?

/// Where in a transaction the coordinator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorPoint {
    /// Both nodes have been asked to prepare.
    Prepare,
    /// Both have voted YES, and no decision is noted.
    BeforeCommit,
    /// COMMIT is on disk, and nobody knows yet.
    AfterCommit,
}

impl CoordinatorPoint {
    /// All of them, in the order of a transfer.
    pub const ALL: [CoordinatorPoint; 3] = [
        CoordinatorPoint::Prepare,
        CoordinatorPoint::BeforeCommit,
        CoordinatorPoint::AfterCommit,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CoordinatorPoint::Prepare => "prepare",
            CoordinatorPoint::BeforeCommit => "before-commit",
            CoordinatorPoint::AfterCommit => "after-commit",
        }
    }

    /// The failpoint, and at which hit of it.
    pub fn failpoint(self) -> (&'static str, u32) {
        match self {
            CoordinatorPoint::Prepare => ("sent.prepare", 2),
            CoordinatorPoint::BeforeCommit => ("append.COMMIT", 1),
            CoordinatorPoint::AfterCommit => ("synced.COMMIT", 1),
        }
    }

    /// What happens, and what must come of it.
    pub fn tells(self) -> &'static str {
        match self {
            CoordinatorPoint::Prepare => {
                "It dies when both nodes have been asked to prepare: nothing is decided, so the transfer aborts."
            }
            CoordinatorPoint::BeforeCommit => {
                "It dies when both nodes have voted YES, before it notes a decision: the transfer aborts."
            }
            CoordinatorPoint::AfterCommit => {
                "It dies when COMMIT is on its disk and nobody knows yet: decided is decided, it commits."
            }
        }
    }

    /// Whether the transfer commits in the end.
    pub fn commits(self) -> bool {
        self == CoordinatorPoint::AfterCommit
    }
}

/// Where in a transaction the node that is paid dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePoint {
    /// It has been asked to prepare, and has not voted.
    BeforeVote,
    /// Its YES is on its way.
    AfterVote,
    /// It is told to commit, and has not noted that.
    BeforeApply,
    /// It has committed, and not said so.
    AfterApply,
}

impl NodePoint {
    /// All of them, in the order of a transfer.
    pub const ALL: [NodePoint; 4] = [
        NodePoint::BeforeVote,
        NodePoint::AfterVote,
        NodePoint::BeforeApply,
        NodePoint::AfterApply,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            NodePoint::BeforeVote => "before-vote",
            NodePoint::AfterVote => "after-vote",
            NodePoint::BeforeApply => "before-apply",
            NodePoint::AfterApply => "after-apply",
        }
    }

    /// The failpoint.
    pub fn failpoint(self) -> &'static str {
        match self {
            NodePoint::BeforeVote => "received.prepare",
            NodePoint::AfterVote => "sent.vote",
            NodePoint::BeforeApply => "append.commit",
            NodePoint::AfterApply => "sending.ack",
        }
    }

    /// What happens, and what must come of it.
    pub fn tells(self) -> &'static str {
        match self {
            NodePoint::BeforeVote => {
                "N2 dies when it is asked to prepare: it has promised nothing, so the transfer must abort."
            }
            NodePoint::AfterVote => {
                "N2 dies right after its YES: that promise is on disk, so the transfer commits without it."
            }
            NodePoint::BeforeApply => {
                "N2 dies when it is told to commit, before it notes that: it is told again when it is back."
            }
            NodePoint::AfterApply => {
                "N2 dies after it has committed, before it says so: it must not apply the credit twice."
            }
        }
    }

    /// Whether the transfer commits in the end.
    pub fn commits(self) -> bool {
        self != NodePoint::BeforeVote
    }
}
