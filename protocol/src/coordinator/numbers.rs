//! Where a coordinator keeps record numbers.

use super::link::Link;
use super::{Coordinator, CoordinatorRecord};
use crate::numbers::{Log, Numbered, Visit};

impl Numbered for Coordinator {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        self.state.each_number(own, visit);
        visit(own, &mut self.forced);
        for (&node, link) in &mut self.links {
            match link {
                Link::Down | Link::Joining => {}
                Link::Up { proved: durable } | Link::Quarantined { durable, .. } => {
                    visit(Log::Node(node), durable)
                }
            }
        }
    }
}

impl Numbered for CoordinatorRecord {
    fn each_number(&mut self, _: Log, visit: &mut Visit<'_>) {
        match self {
            CoordinatorRecord::Proved { node, through }
            | CoordinatorRecord::Node {
                node,
                proved: through,
                ..
            } => {
                visit(Log::Node(*node), through);
            }
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Start { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Commit { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Complete { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. } => {}
        }
    }
}
