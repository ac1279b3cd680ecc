//! What does the store of a process that does not run hold? For the panel's verdicts: whether a promise or a decision was
//! on disk when the process died.

use std::path::Path;

use client::{Target, TxnId};
use engine::Owner;
use protocol::coordinator::{CoordinatorRecord, CoordinatorState, Phase};
use protocol::message::OperatorWord;
use protocol::participant::NodeState;
use web::control::{OnDisk, Stored};
use web::{Code, Problem};

/// Reads a store without changing it.
///
/// # Errors
/// If its process runs, there is none, or it is damaged.
pub(super) fn read(dir: &Path, owner: Target) -> Result<Box<dyn Stored>, Problem> {
    Ok(match owner {
        Target::Coordinator => {
            let found = engine::inspect::<CoordinatorState>(dir, Owner::Coordinator);
            let content = found.map_err(|error| unreadable(&error))?.content;
            Box::new(OfCoordinator {
                state: content.recover(),
                records: content.records.into_iter().map(|(_, record)| record).collect(),
            })
        }
        Target::Node(node) => {
            let found = engine::inspect::<NodeState>(dir, Owner::Node(node));
            let content = found.map_err(|error| unreadable(&error))?.content;
            Box::new(OfNode(content.recover()))
        }
    })
}

fn unreadable(error: &engine::Error) -> Problem {
    let code = match error {
        engine::Error::Locked { .. } => Code::NotNow,
        engine::Error::Mismatch(_) | engine::Error::Corrupt(_) | engine::Error::Io { .. } => {
            Code::ProcessFailed
        }
    };
    Problem::new(code, format!("{error}."))
}

struct OfNode(NodeState);

impl Stored for OfNode {
    fn about(&self, txn: TxnId) -> OnDisk {
        if self.0.prepared().contains_key(&txn) {
            return OnDisk::Promised;
        }
        match self.0.finished(&txn).map(|finished| finished.word()) {
            Some(OperatorWord::Commit) => OnDisk::Committed,
            Some(OperatorWord::Abort) => OnDisk::Aborted,
            None => OnDisk::Nothing,
        }
    }
}

/// A coordinator forgets what has ended; a json log still tells.
struct OfCoordinator {
    state: CoordinatorState,
    records: Vec<CoordinatorRecord>,
}

impl Stored for OfCoordinator {
    fn about(&self, txn: TxnId) -> OnDisk {
        if let Some(open) = self.state.open().get(&txn) {
            return match open.phase {
                Phase::Started => OnDisk::Begun,
                Phase::Committed(_) => OnDisk::Committed,
            };
        }
        let ends = self.records.iter().rev().find_map(|record| match record {
            CoordinatorRecord::Complete { txn: ended } if *ended == txn => Some(OnDisk::Complete),
            CoordinatorRecord::Abort { txn: ended, .. } if *ended == txn => Some(OnDisk::Aborted),
            CoordinatorRecord::Complete { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Start { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Commit { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => None,
        });
        ends.unwrap_or(OnDisk::Nothing)
    }
}
