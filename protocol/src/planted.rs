//! Bugs that can be planted on purpose, to see that the simulator and the tests find them.
//!
//! Each is a mistake that somebody could well make, at the place where the rule that forbids it is kept. That place asks
//! [`planted!`](crate::planted!) whether to break its rule. In every ordinary build the answer is the constant `false`,
//! so that nothing a user gets contains any of them. Built with `--cfg planted`, the environment variable
//! [`VARIABLE`], or a call, picks the one bug that this process has, so that a single build serves for all.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Whether this build was made to have `$bug` and has been told to. With an arrow: what is right, unless it does, and what
/// it would do instead.
///
/// ```
/// # use protocol::planted;
/// # let durable = 7;
/// let shows = planted!(VoteBeforeSync: durable => 0);
/// assert_eq!(shows, 7, "this is an ordinary build");
/// ```
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is_on($crate::planted::Bug::$bug)
    };
    ($bug:ident: $right:expr => $wrong:expr) => {
        if $crate::planted!($bug) { $wrong } else { $right }
    };
}

/// Names the planted bug, where there can be one.
pub const VARIABLE: &str = "TWOPENCE_PLANTED";

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $breaks:literal,)+) => {
        /// A mistake to make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$bug,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => stringify!($bug),)+
                }
            }

            /// What it does wrong.
            pub fn what(self) -> &'static str {
                match self {
                    $(Bug::$bug => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// The rule that it breaks, by its number in `ARCHITECTURE.md`.
            pub fn breaks(self) -> &'static str {
                match self {
                    $(Bug::$bug => $breaks,)+
                }
            }
        }
    };
}

bugs! {
    /// Holds are let go of when the vote is given, not when the decision is applied.
    HoldsEndWithPrepare = "R1",
    /// A prepared debit reserves nothing: the next one may spend the same money.
    DebitsNotReserved = "R1",
    /// A vote is neither forced nor waits for its record's sync.
    VoteBeforeSync = "R2",
    /// A prepared credit reserves no headroom, so that another one can fill the account up before its commit.
    HeadroomNotReserved = "R3",
    /// A credit is not checked against the largest balance there can be.
    OverflowUnchecked = "R3",
    /// Neither the client nor the nodes wait until COMMIT is synced.
    DecisionBeforeSync = "R4",
    /// An inquiry about a transaction that is still being decided is told abort.
    ActivePresumedAborted = "R5",
    /// An inquiry about a transaction that this log has not begun yet is told abort.
    FuturePresumedAborted = "R5",
    /// A log that lost records goes on presuming abort for its earlier epochs.
    SuspectLogPresumes = "R5",
    /// A restarted coordinator ends what it had committed, without telling anybody.
    RecoveryEndsCommits = "R6",
    /// A COMMIT that nobody acknowledged in time is sent again as ABORT.
    GivesUpCommit = "R7",
    /// A vote that did not come in time counts as YES.
    SilenceCommits = "R7",
    /// COMMIT for a transaction that is not known here is acknowledged.
    UnknownCommitAcked = "R8",
    /// A store that keeps one entry per key is not told that a transaction is no longer prepared.
    EndNotTold = "R8",
    /// A transaction that has ended can be prepared again.
    PreparedAgain = "R9",
    /// A transaction below the low-water mark can be prepared again.
    StalePrepared = "R9",
    /// A snapshot shows accounts as they are when it comes to them, not as they were when it began.
    SnapshotMoves = "R25",
    /// A snapshot lacks requests that were forgotten before it came to them.
    SnapshotForgets = "R25",
    /// A node forgets a commit as soon as it is applied.
    OutcomeForgotten = "R9",
    /// A mark leaves before it and the ends below it are synced.
    MarkBeforeSync = "R9",
    /// A mark is raised past transactions that have not ended.
    MarkPastOpen = "R9",
    /// An ABORT that overtakes its PREPARE leaves nothing behind.
    NoTombstone = "R10",
    /// A restarted coordinator goes on in its old epoch and counts from 1.
    EpochNotRaised = "R11",
    /// A coordinator joins before its new epoch is synced.
    EpochNotSynced = "R11",
    /// A node talks to coordinators of an epoch that is over.
    OldEpochAccepted = "R12",
    /// An acknowledgement leaves before the commit is synced.
    AckBeforeSync = "R13",
    /// A repeated acknowledgement does not wait for the sync that the first one waits for.
    RepeatedAckBeforeSync = "R13",
    /// A coordinator forgets a commit with the first acknowledgement.
    ForgottenAfterOneAck = "R13",
    /// A home writes a request down when it ends, not when it is prepared.
    OpenRequestForgotten = "R14",
    /// Every participant checks and keeps the request id, not its home alone.
    EveryNodeIsHome = "R14",
    /// A refusal leaves no record, so that an earlier attempt may still succeed.
    RefusalForgotten = "R14",
    /// What was refused for lack of room may be done once there is room again.
    NoRoomForgotten = "R18",
    /// A repeated request is told aborted before its home holds that.
    AbortToldUnbound = "R14",
    /// A home tells what it knows of a request before that is synced.
    KnowledgeBeforeSync = "R14",
    /// A request id that is used again with another body gets the first one's answer.
    ReuseUnnoticed = "R14",
    /// A client sends again without saying so.
    RetryUnmarked = "R14",
    /// Who has waited long enough for an outcome is told aborted.
    UnknownToldAborted = "R15",
    /// Where the home cannot be reached, a repeated request is told aborted.
    SilentHomeMeansAbort = "R15",
    /// A client whose answer got lost says that nothing was sent.
    LostAnswerIsFailure = "R15",
    /// A read does not wait for the holds on its account.
    ReadsSkipHolds = "R16",
    /// An audit counts a transaction that is decided and not yet applied as aborted.
    AuditSkipsDecided = "R16",
    /// An audit believes to be alone while other coordinators move money.
    AuditAlone = "R16",
    /// A node that is frozen for an audit goes on preparing.
    AuditWithoutLocks = "R16",
    /// A node says that it is frozen while transactions are still prepared.
    FrozenTooEarly = "R16",
    /// Where the older of two waits, the younger one waits as well.
    YoungerWaits = "R17",
    /// Whoever finds an account free takes it, although others wait to have it together with another one.
    QueueOvertaken = "R17",
    /// Nobody tells those that wait for a transaction that it has ended.
    WaitersForgotten = "R17",
    /// A node says that it has executed a transaction before that is synced.
    ExecutedBeforeSync = "R18",
    /// A coordinator takes a lost link for the abort of what only the node decides.
    LostLinkDecides = "R18",
    /// "Never seen" leaves no tombstone.
    NeverSeenForgotten = "R18",
    /// Legs on one account are checked one by one.
    LegsNotMerged = "R19",
    /// A node that has been in doubt for a while guesses abort.
    InDoubtGuesses = "R20",
    /// An operator is told that an outcome is forced before that is synced.
    ResolvedBeforeSync = "R21",
    /// A coordinator never hears that an operator forced the opposite of its decision.
    MixedUnreported = "R21",
    /// A node trusts a coordinator's log that has lost records.
    ShortLogTrusted = "R22",
    /// A coordinator trusts a node's store that has lost records.
    ShortStoreTrusted = "R22",
    /// A node does not write down that it has put a coordinator in quarantine.
    QuarantineForgotten = "R22",
    /// What a checkpoint holds as prepared comes back without its holds.
    HoldsNotRetaken = "R22",
    /// A node's checkpoint leaves out what is prepared.
    PreparedNotKept = "R3",
    /// A node's checkpoint leaves out how transactions ended.
    OutcomesNotKept = "R9",
    /// A node's checkpoint leaves out the request ids.
    RequestsNotKept = "R14",
    /// A node's checkpoint leaves out the coordinators' epochs and marks.
    EpochsNotKept = "R12",
    /// A coordinator's checkpoint leaves out what is open and decided.
    DecisionsNotKept = "R6",
    /// A message leaves before the newest record whose effect it can show is synced.
    SentBeforeSync = "R13",
    /// A lazy record waits until some other one is forced.
    LazyForEver = "R13",
    /// What is said before a hangup waits for a later sync, and is lost with the connection.
    LastWordsUnforced = "R12",
    /// The log is written and not synced.
    UnsyncedLog = "R2",
    /// sled's own flush is taken for a sync.
    FlushIsNoSync = "R2",
    /// A failed sync is tried again, and the second one believed.
    SyncRetried = "R24",
    /// After a failed sync the store takes more records.
    FailureForgotten = "R24",
    /// Promises are made until the disk is full.
    ReserveIgnored = "R24",
    /// A segment is closed without a sync.
    UnsyncedClosedSegment = "R25",
    /// The next segment is put in place unsynced.
    UnsyncedNextSegment = "R25",
    /// The active segment loses its name before that of the next one is durable.
    UnsyncedNextName = "R25",
    /// The next segment takes the active one's name before the closed one's is durable.
    UnsyncedClosedName = "R25",
    /// The next segment is written to before its name is durable.
    UnsyncedActiveName = "R25",
    /// A checkpoint is put in place unsynced (K3).
    UnsyncedCheckpoint = "R25",
    /// Segments go before the directory with the new checkpoint is synced (K6).
    UnsyncedCheckpointName = "R25",
    /// Segments that the last checkpoint needs go before the new one is in place (K10).
    SegmentsGoEarly = "R25",
    /// Recovery acts on a copy of the log that is not synced.
    UnsyncedRecovery = "R23",
    /// Recovery acts before the directory with its copy of the log is synced.
    UnsyncedRecoveryName = "R23",
    /// The log of a first start is put in place unsynced.
    UnsyncedFirstLog = "R22",
    /// A manifest is put in place unsynced.
    UnsyncedManifest = "R22",
    /// A first start goes on before its manifest's name is durable.
    UnsyncedManifestName = "R22",
    /// Recovery replays what its checkpoint holds already.
    ReplayedTwice = "R8",
    /// Recovery keeps the torn end of the log and goes on behind it.
    TornTailKept = "R25",
    /// Recovery cuts the log at its first bad line, whatever stands behind it.
    CutAtFirstBadLine = "R25",
    /// Recovery does not look at checksums.
    ChecksumUnchecked = "R25",
    /// Recovery does not look at whether segments follow each other.
    ChainUnchecked = "R25",
    /// The log says that it is synced up to a record that it is about to write.
    MarkNamesUnsynced = "R25",
}

impl Bug {
    /// The bug with that name.
    ///
    /// # Errors
    /// A text with all names.
    pub fn named(name: &str) -> Result<Bug, String> {
        let found = Bug::ALL.iter().copied().find(|bug| bug.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            format!(
                "no planted bug is called {name:?}; there are: {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(all(planted, not(debug_assertions)))]
compile_error!("planted bugs never go into a release build; use the profile `planted`");

#[cfg(planted)]
mod choice {
    extern crate std;

    use alloc::string::String;
    use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    use super::{Bug, VARIABLE};

    const NONE: u8 = u8::MAX;
    const NOT_ASKED: u8 = u8::MAX - 1;

    const _: () = assert!(Bug::ALL.len() < 254, "no bug's number is one of these");

    static PLANTED: AtomicU8 = AtomicU8::new(NOT_ASKED);
    static REACHED: AtomicU64 = AtomicU64::new(0);

    /// The bug that the environment asks for.
    ///
    /// # Errors
    /// A text with all names, if it asks for one that does not exist.
    pub fn from_environment() -> Result<Option<Bug>, String> {
        std::env::var(VARIABLE)
            .ok()
            .map(|name| Bug::named(&name))
            .transpose()
    }

    /// Plants one bug in this process, or takes it out again, whatever the environment says.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(NONE, |bug| bug as u8), Ordering::Relaxed);
    }

    /// Whether `bug` is planted.
    ///
    /// # Panics
    /// If the environment asks for a bug that does not exist.
    pub fn is_on(bug: Bug) -> bool {
        let mut planted = PLANTED.load(Ordering::Relaxed);
        if planted == NOT_ASKED {
            plant(from_environment().unwrap_or_else(|unknown| panic!("{unknown}")));
            planted = PLANTED.load(Ordering::Relaxed);
        }
        let on = planted == bug as u8;
        if on {
            REACHED.fetch_add(1, Ordering::Relaxed);
        }
        on
    }

    /// How often a place of the planted bug was passed: at 0 nothing can have come of it.
    pub fn reached() -> u64 {
        REACHED.load(Ordering::Relaxed)
    }
}

#[cfg(not(planted))]
mod choice {
    use super::Bug;

    /// Whether `bug` is planted: never, in this build.
    pub const fn is_on(_bug: Bug) -> bool {
        false
    }

    const _: () = assert!(
        !is_on(Bug::VoteBeforeSync),
        "an ordinary build has no planted bugs"
    );
}

pub use choice::*;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_bug_is_found_by_its_name_and_an_unknown_name_is_answered_with_all() {
        for &bug in Bug::ALL {
            assert_eq!(Bug::named(bug.name()), Ok(bug));
            assert!(bug.what().ends_with('.') && !bug.breaks().is_empty(), "{bug:?}");
        }
        let names: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        let refused = Bug::named("NoSuchBug").unwrap_err();
        assert!(names.iter().all(|name| refused.contains(name)), "{refused}");
    }

    #[test]
    #[cfg(not(planted))]
    fn an_ordinary_build_has_no_planted_bugs() {
        assert!(Bug::ALL.iter().all(|&bug| !is_on(bug)));
    }
}
