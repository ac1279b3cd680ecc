//! What is known of a transaction?

use protocol::id::NodeId;
use protocol::leg::Operation;
use protocol::message::{CoordinatorView, Freshness, InDoubt, NodeView, TxnReport, TxnState};
use serde::Serialize;

/// Everything known about a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TxnLine {
    /// What was asked for.
    pub id: String,
    /// The transaction, if anyone knows it.
    pub txn: Option<String>,
    /// `collecting`, `committed`, `delegated`, `no_record` or `not_mine`.
    pub coordinator: &'static str,
    /// Nodes that the coordinator still waits for.
    pub waiting_for: Vec<String>,
    /// What each node holds.
    pub nodes: Vec<TxnNodeLine>,
}

/// A transaction at one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TxnNodeLine {
    /// The node.
    pub node: String,
    /// `unknown`, `forgotten`, `prepared`, `committed`, `aborted` or `no_answer`.
    pub state: &'static str,
    /// Why it aborted.
    pub reason: Option<String>,
    /// Why an operator forced this state.
    pub forced: Option<String>,
    /// The request, where this node still remembers it.
    pub request_id: Option<String>,
    /// What it does or would do here, while prepared.
    pub operations: Vec<String>,
}

impl TxnLine {
    /// Of an answer.
    pub fn of(report: &TxnReport) -> TxnLine {
        let (coordinator, waiting_for) = view(&report.coordinator);
        let nodes = report.nodes.iter();
        TxnLine {
            id: report.reference.to_string(),
            txn: report.txn.map(|txn| txn.to_string()),
            coordinator,
            waiting_for: waiting_for.iter().map(NodeId::to_string).collect(),
            nodes: nodes
                .map(|(node, view)| TxnNodeLine::new(*node, view.as_ref()))
                .collect(),
        }
    }
}

/// The coordinator's view as one word, and the nodes it waits for.
fn view(view: &CoordinatorView) -> (&'static str, Vec<NodeId>) {
    match view {
        CoordinatorView::Collecting { participants } => ("collecting", participants.clone()),
        CoordinatorView::Committed { unacknowledged } => ("committed", unacknowledged.clone()),
        CoordinatorView::Delegated { to } => ("delegated", vec![*to]),
        CoordinatorView::NoRecord => ("no_record", Vec::new()),
        CoordinatorView::NotMine => ("not_mine", Vec::new()),
    }
}

/// What the coordinator holds of it, in words.
pub fn coordinator_in_words(view: &CoordinatorView) -> String {
    let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
    match view {
        CoordinatorView::Collecting { participants } => format!("collects votes of {}", names(participants)),
        CoordinatorView::Committed { unacknowledged } => {
            format!(
                "decided to commit, waits for acknowledgements of {}",
                names(unacknowledged)
            )
        }
        CoordinatorView::Delegated { to } => format!("{to} decides, its only participant"),
        CoordinatorView::NoRecord => "no open record: it has ended everywhere, or never committed".to_owned(),
        CoordinatorView::NotMine => "not of this coordinator's log".to_owned(),
    }
}

impl TxnNodeLine {
    fn new(node: NodeId, view: Option<&NodeView>) -> TxnNodeLine {
        let Some(view) = view else {
            return TxnNodeLine {
                node: node.to_string(),
                state: "no_answer",
                reason: None,
                forced: None,
                request_id: None,
                operations: Vec::new(),
            };
        };
        let (state, reason) = match &view.state {
            TxnState::Unknown => ("unknown", None),
            TxnState::Forgotten => ("forgotten", None),
            TxnState::Prepared => ("prepared", None),
            TxnState::Committed => ("committed", None),
            TxnState::Aborted(reason) => ("aborted", Some(reason.to_string())),
        };
        TxnNodeLine {
            node: node.to_string(),
            state,
            reason,
            forced: view.forced.clone(),
            request_id: view.request.map(|request| request.to_string()),
            operations: view.operations.iter().map(Operation::to_string).collect(),
        }
    }
}

/// An open transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenLine {
    /// The transaction.
    pub txn: String,
    /// Seconds since the first node that has it learned of it.
    pub age_s: u64,
    /// `deciding` or `in_doubt`.
    pub state: &'static str,
    /// As in [`TxnLine`].
    pub coordinator: &'static str,
    /// Who takes part.
    pub participants: Vec<String>,
    /// Where it is prepared.
    pub prepared: Vec<PreparedLine>,
}

/// Where an open transaction is prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreparedLine {
    /// The node.
    pub node: String,
    /// What it would do there.
    pub operations: Vec<String>,
}

impl OpenLine {
    /// Of an answer.
    pub fn of(open: &InDoubt) -> OpenLine {
        let prepared = open.prepared.iter().map(|(node, operations)| PreparedLine {
            node: node.to_string(),
            operations: operations.iter().map(Operation::to_string).collect(),
        });
        OpenLine {
            txn: open.txn.to_string(),
            age_s: open.age_s,
            state: match open.freshness {
                Freshness::Deciding => "deciding",
                Freshness::InDoubt => "in_doubt",
            },
            coordinator: view(&open.coordinator).0,
            participants: open.participants.iter().map(NodeId::to_string).collect(),
            prepared: prepared.collect(),
        }
    }
}

/// What an operator's word did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoneLine<'a> {
    /// `done`.
    pub outcome: &'static str,
    /// What was done.
    pub message: &'a str,
}

impl DoneLine<'_> {
    /// Of the coordinator's words.
    pub fn of(message: &str) -> DoneLine<'_> {
        DoneLine {
            outcome: "done",
            message,
        }
    }
}
