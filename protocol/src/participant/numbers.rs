//! Where a node keeps record numbers.

use super::{NodeRecord, Participant};
use crate::numbers::{Log, Numbered, Visit};

impl Numbered for Participant {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        self.state.each_number(own, visit);
        visit(own, &mut self.forced);
        for session in self.sessions.values_mut() {
            visit(Log::Coordinator(session.coordinator), &mut session.proved);
        }
    }
}

impl Numbered for NodeRecord {
    fn each_number(&mut self, _: Log, visit: &mut Visit<'_>) {
        match self {
            NodeRecord::Proved { coordinator, through } | NodeRecord::AcceptLog { coordinator, through } => {
                visit(Log::Coordinator(*coordinator), through);
            }
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::PrepareOk { .. }
            | NodeRecord::PrepareFailed { .. }
            | NodeRecord::Commit { .. }
            | NodeRecord::CommitOnePhase { .. }
            | NodeRecord::Abort { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::Resolve { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => {}
        }
    }
}
