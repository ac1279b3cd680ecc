//! Record numbers, for whoever compares whole worlds.
//!
//! A machine only compares record numbers, and counts on from the newest. So two worlds that differ in their numbers
//! but not in the order of any two of one log go on alike, and the model check may take the one for the other. Here is
//! what it needs for that: a look at every number, wherever it has travelled. 0 means "nothing" and must stay 0.

use crate::fold::Seq;
use crate::id::{CoordinatorId, NodeId};
use crate::message::{FromNode, ToNode};

/// Whose log a record number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// A coordinator's.
    Coordinator(CoordinatorId),
    /// A node's.
    Node(NodeId),
}

/// Sees, and may change, a record number.
pub type Visit<'a> = dyn FnMut(Log, &mut Seq) + 'a;

/// Something that holds record numbers.
pub trait Numbered {
    /// Shows every number. `own` is the log of the process that holds this.
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>);
}

impl ToNode {
    /// Shows every number. Numbers in questions are for people alone and left out.
    pub fn each_number(&mut self, coordinator: Log, node: Log, visit: &mut Visit<'_>) {
        match self {
            ToNode::Join { durable, proved, .. } => {
                visit(coordinator, durable);
                if let Some((_, through)) = proved {
                    visit(node, through);
                }
            }
            ToNode::Decide { durable, .. } | ToNode::Mark { durable, .. } => visit(coordinator, durable),
            ToNode::Prepare(_)
            | ToNode::Execute(_)
            | ToNode::Query { .. }
            | ToNode::Recall { .. }
            | ToNode::Pending { .. }
            | ToNode::NotMine { .. }
            | ToNode::Ask { .. } => {}
        }
    }
}

impl FromNode {
    /// Shows every number. Numbers in answers are for people alone and left out.
    pub fn each_number(&mut self, node: Log, visit: &mut Visit<'_>) {
        match self {
            FromNode::Welcome { durable, .. }
            | FromNode::Vote { durable, .. }
            | FromNode::Ack { durable, .. }
            | FromNode::Executed { durable, .. } => visit(node, durable),
            FromNode::Refuse { .. }
            | FromNode::Aborted { .. }
            | FromNode::Inquiry { .. }
            | FromNode::Unmatched { .. }
            | FromNode::Mixed { .. }
            | FromNode::Recalled { .. }
            | FromNode::Answer { .. } => {}
        }
    }
}
