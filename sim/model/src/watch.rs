//! What some run must show: a check that can pass by doing nothing proves nothing.
//!
//! A sight is noted when a step shows it, beside the state and not in it, so that watching costs no states.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::coordinator::{Coordinator, CoordinatorInput, CoordinatorMessage};
use protocol::effects::Machine;
use protocol::message::{Executed, FromNode, ToNode, Vote};
use protocol::participant::{NodeRecord, Participant, ParticipantInput};
use protocol::reason::{Decision, Reason};
use stateright::Property;

use crate::model::Model;
use crate::process::Done;
use crate::state::State;

macro_rules! sights {
    ($($(#[doc = $what:literal])+ $sight:ident,)+) => {
        /// Something worth seeing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Sight {
            $($(#[doc = $what])+ $sight,)+
        }

        impl Sight {
            /// All of them.
            pub const ALL: &[Sight] = &[$(Sight::$sight,)+];

            /// What is seen.
            pub fn what(self) -> &'static str {
                match self {
                    $(Sight::$sight => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// The property that some run shows it.
            pub(crate) fn property(self) -> Property<Model> {
                match self {
                    $(Sight::$sight => Property::sometimes(self.what(), |model: &Model, _: &State| {
                        model.seen.has(Sight::$sight)
                    }),)+
                }
            }
        }
    };
}

sights! {
    /// every request is told committed
    AllCommitted,
    /// a request is told aborted
    Aborted,
    /// every request is told aborted
    AllAborted,
    /// a client that had to ask again is told committed
    RepeatCommitted,
    /// a client that had to ask again is told aborted
    RepeatAborted,
    /// a coordinator crashes with COMMIT in its log, and a node commits after that
    CommitOutlivesCoordinator,
    /// a crash keeps a record that was not synced
    UnsyncedKept,
    /// a crash loses a record that was not synced
    UnsyncedLost,
    /// an in-doubt node asks and hears commit
    InquiryHearsCommit,
    /// an in-doubt node asks and hears abort
    InquiryHearsAbort,
    /// an in-doubt node asks while votes are collected
    InquiryHearsPending,
    /// a repeated COMMIT is acknowledged again
    CommitAcknowledgedAgain,
    /// a COMMIT below the low-water mark is acknowledged
    CommitBelowMark,
    /// a tombstone refuses a late PREPARE
    TombstoneRefuses,
    /// the low-water mark refuses a late PREPARE
    MarkRefuses,
    /// a transaction is refused because another one holds the account
    Contention,
    /// a transaction waits for a younger one
    Waits,
    /// one that has waited is prepared
    WaitsAndIsPrepared,
    /// one that waits is given up
    WaitsInVain,
    /// a home refuses a second attempt of a request
    DuplicateRefused,
    /// a home is asked again how the first attempt ended
    Recalled,
    /// an abort is bound to a repeated request
    AbortBound,
    /// a lost order to a single participant leaves a tombstone
    QueryBuries,
    /// a coordinator learns by asking that a single participant did it
    QueryHearsCommit,
    /// an audit finds all the money while something is prepared
    AuditAmidst,
    /// an audit is exact
    AuditExact,
    /// an audit is incomplete
    AuditIncomplete,
    /// an operator forces an outcome
    Forced,
    /// an operator's word and the decision agree
    ForcedRight,
    /// an operator's word and the decision disagree, and both sides say so
    ForcedMixed,
}

/// What has been seen in any run so far.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicU64);

impl Seen {
    pub(crate) fn note(&self, sight: Sight) {
        let bit = 1 << (sight as u8);
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    pub(crate) fn has(&self, sight: Sight) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << (sight as u8)) != 0
    }
}

/// What a node's step shows. `before` is the machine as it was.
pub(crate) fn node_step(
    before: &Participant,
    after: &Participant,
    input: &ParticipantInput,
    done: &Done<Participant>,
    seen: &Seen,
) {
    for record in &done.records {
        if let NodeRecord::PrepareFailed {
            reason: Reason::LockContention(_),
            ..
        } = record
        {
            seen.note(Sight::Contention);
        }
        if let NodeRecord::Abort { bind: Some(_), .. } = record {
            seen.note(Sight::AbortBound);
        }
        if let NodeRecord::Resolve { .. } = record {
            seen.note(Sight::Forced);
        }
        if let NodeRecord::Truth { txn, truth } = record {
            let forced = before.state().finished(txn).map(|finished| finished.word());
            seen.note(if forced == Some(*truth) {
                Sight::ForcedRight
            } else {
                Sight::ForcedMixed
            });
        }
    }
    if let ParticipantInput::Message { message, .. } = input {
        node_message(before, message, done, seen);
    }
    if before.waiting() < after.waiting() {
        seen.note(Sight::Waits);
    }
    if before.waiting() > after.waiting() {
        let promised = |record: &NodeRecord| matches!(record, NodeRecord::PrepareOk { .. });
        seen.note(if done.records.iter().any(promised) {
            Sight::WaitsAndIsPrepared
        } else {
            Sight::WaitsInVain
        });
    }
}

fn node_message(before: &Participant, message: &ToNode, done: &Done<Participant>, seen: &Seen) {
    let state = before.state();
    let said = |wanted: fn(&FromNode) -> bool| done.said.iter().any(|out| wanted(&out.message));
    if let ToNode::Prepare(prepare) = message {
        if said(|answer| {
            matches!(
                answer,
                FromNode::Vote {
                    vote: Vote::Duplicate(_),
                    ..
                }
            )
        }) {
            seen.note(Sight::DuplicateRefused);
        }
        if said(|answer| {
            matches!(
                answer,
                FromNode::Vote {
                    vote: Vote::No(_),
                    ..
                }
            )
        }) {
            if state.finished(&prepare.txn).is_some() {
                seen.note(Sight::TombstoneRefuses);
            } else if state.is_below_mark(prepare.txn) {
                seen.note(Sight::MarkRefuses);
            }
        }
    }
    if let ToNode::Decide {
        txn,
        decision: Decision::Commit,
        ..
    } = message
    {
        let acknowledged = said(|answer| matches!(answer, FromNode::Ack { .. }));
        if acknowledged && state.finished(txn).is_some() {
            seen.note(Sight::CommitAcknowledgedAgain);
        } else if acknowledged && !state.prepared().contains_key(txn) {
            seen.note(Sight::CommitBelowMark);
        }
        let sender = state.coordinator(txn.coordinator).epoch;
        if state.prepared().contains_key(txn) && txn.at.epoch < sender {
            seen.note(Sight::CommitOutlivesCoordinator);
        }
    }
    if let ToNode::Query { .. } = message
        && done
            .records
            .iter()
            .any(|record| matches!(record, NodeRecord::Abort { .. }))
    {
        seen.note(Sight::QueryBuries);
    }
}

/// What a coordinator's step shows. `before` is the machine as it was.
pub(crate) fn coordinator_step(
    before: &Coordinator,
    input: &CoordinatorInput,
    done: &Done<Coordinator>,
    seen: &Seen,
) {
    let CoordinatorInput::Node(_, message) = input else {
        return;
    };
    let said = |wanted: fn(&ToNode) -> bool| {
        done.said.iter().any(|out| match &out.message {
            CoordinatorMessage::Node(message) => wanted(message),
            CoordinatorMessage::Client(_) => false,
        })
    };
    if let FromNode::Inquiry { .. } = message {
        if said(|answer| {
            matches!(
                answer,
                ToNode::Decide {
                    decision: Decision::Commit,
                    ..
                }
            )
        }) {
            seen.note(Sight::InquiryHearsCommit);
        }
        if said(|answer| {
            matches!(
                answer,
                ToNode::Decide {
                    decision: Decision::Abort(_),
                    ..
                }
            )
        }) {
            seen.note(Sight::InquiryHearsAbort);
        }
        if said(|answer| matches!(answer, ToNode::Pending { .. })) {
            seen.note(Sight::InquiryHearsPending);
        }
    }
    if let FromNode::Recalled { .. } = message {
        seen.note(Sight::Recalled);
    }
    if let FromNode::Executed {
        txn,
        executed: Executed::Committed,
        ..
    } = message
        && txn.at.epoch < before.state().epoch()
        && before.state().open().contains_key(txn)
    {
        seen.note(Sight::QueryHearsCommit);
    }
}
