//! `tx show`, `tx list`, `tx resolve` and `adopt`: single transactions, and what only an operator may do.

use client::{Client, Error, TxnReport};
use protocol::id::NodeId;
use protocol::leg::Operation;
use protocol::message::{CoordinatorView, Freshness, InDoubt, NodeView, TxnState};
use serde::Serialize;

use super::table::Table;
use super::{failed, start};
use crate::cli::{AdoptArgs, ConnectArgs, ListArgs, ResolveArgs, ShowArgs, TxCommand};
use crate::exit::Exit;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

const NO_MONEY_MOVED: &str = "It was only a question: no money moved.";

/// Runs `twopence tx …`.
pub(crate) fn tx(command: &TxCommand) -> Exit {
    match command {
        TxCommand::Show(args) => show(args),
        TxCommand::List(args) => list(args),
        TxCommand::Resolve(args) => resolve(args),
    }
}

/// A transaction as programs read it.
#[derive(Serialize)]
struct TxnLine {
    id: String,
    txn: Option<String>,
    /// `collecting`, `committed`, `delegated`, `no_record` or `not_mine`.
    coordinator: &'static str,
    /// Nodes that the coordinator still waits for.
    waiting_for: Vec<String>,
    nodes: Vec<TxnNodeLine>,
}

/// A transaction at one node.
#[derive(Serialize)]
struct TxnNodeLine {
    node: String,
    /// `unknown`, `forgotten`, `prepared`, `committed`, `aborted` or `no_answer`.
    state: &'static str,
    reason: Option<String>,
    /// Why an operator forced this state.
    forced: Option<String>,
    request_id: Option<String>,
    operations: Vec<String>,
}

fn show(args: &ShowArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    match client.show(args.reference) {
        Ok(report) => print_report(output, &report),
        Err(error) => failed(output, &error, NO_MONEY_MOVED),
    }
}

fn print_report(output: Output, report: &TxnReport) -> Exit {
    let (coordinator, waiting_for) = view(&report.coordinator);
    let line = TxnLine {
        id: report.reference.to_string(),
        txn: report.txn.map(|txn| txn.to_string()),
        coordinator,
        waiting_for: waiting_for.iter().map(NodeId::to_string).collect(),
        nodes: report
            .nodes
            .iter()
            .map(|(node, view)| TxnNodeLine::new(*node, view.as_ref()))
            .collect(),
    };
    let name = line.txn.as_ref().map_or_else(
        || format!("request {}: no transaction is known for it", line.id),
        |txn| format!("transaction {txn}"),
    );
    let mut text = vec![name, format!("coordinator: {}", in_words(&report.coordinator))];
    let mut table = Table::new(&["NODE", "STATE", "REQUEST", "OPERATIONS"]);
    for node in &line.nodes {
        table.row(node.cells());
    }
    text.extend(table.lines());
    for node in &line.nodes {
        let forced = node.forced.as_ref();
        text.extend(forced.map(|why| format!("{}: forced by an operator: {why}", node.node)));
    }
    output.print(&text.join("\n"), &line);
    Exit::Ok
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

fn in_words(view: &CoordinatorView) -> String {
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

    fn cells(&self) -> Vec<String> {
        let state = match (&self.reason, self.state) {
            (Some(reason), state) => format!("{state} ({reason})"),
            (None, "no_answer") => "no answer".to_owned(),
            (None, "unknown") => "not known here".to_owned(),
            (None, "forgotten") => "ended, details no longer kept".to_owned(),
            (None, state) => state.to_owned(),
        };
        let request = self.request_id.clone().unwrap_or_else(|| "-".to_owned());
        vec![self.node.clone(), state, request, self.operations.join(", ")]
    }
}

/// An open transaction as programs read it.
#[derive(Serialize)]
struct OpenLine {
    txn: String,
    age_s: u64,
    /// `deciding` or `in_doubt`.
    state: &'static str,
    coordinator: &'static str,
    participants: Vec<String>,
    prepared: Vec<PreparedLine>,
}

/// Where an open transaction is prepared.
#[derive(Serialize)]
struct PreparedLine {
    node: String,
    operations: Vec<String>,
}

fn list(args: &ListArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let open = match client.list(args.in_doubt) {
        Ok(open) => open,
        Err(error) => return failed(output, &error, NO_MONEY_MOVED),
    };
    let lines: Vec<OpenLine> = open.iter().map(OpenLine::new).collect();
    if lines.is_empty() {
        explain(if args.in_doubt {
            "Nothing is in doubt."
        } else {
            "All transactions have ended."
        });
        return Exit::Ok;
    }
    let mut table = Table::new(&["TRANSACTION", "AGE", "STATE", "PREPARED AT", "PARTICIPANTS"]);
    for line in &lines {
        table.row(line.cells());
    }
    output.print_text(&table.lines().join("\n"));
    let in_doubt = lines.iter().find(|line| line.state == "in_doubt");
    if let Some(line) = in_doubt {
        explain(&format!(
            "In doubt means that its coordinator is not connected: start that coordinator again. Only if it is gone for \
             good, force an outcome:\n  {} tx resolve {} commit|abort --reason …{}",
            own_name(),
            line.txn,
            args.connect.repeat()
        ));
    }
    // Stops at the first line that nobody reads.
    lines.iter().all(|line| output.print_json(line));
    Exit::Ok
}

impl OpenLine {
    fn new(open: &InDoubt) -> OpenLine {
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

    fn cells(&self) -> Vec<String> {
        let prepared = self.prepared.iter();
        let prepared: Vec<String> = prepared
            .map(|at| format!("{} ({})", at.node, at.operations.join(", ")))
            .collect();
        vec![
            self.txn.clone(),
            format!("{} s", self.age_s),
            self.state.replace('_', " "),
            if prepared.is_empty() {
                "-".to_owned()
            } else {
                prepared.join(", ")
            },
            self.participants.join(", "),
        ]
    }
}

/// What an operator's word did, as programs read it.
#[derive(Serialize)]
struct DoneLine<'a> {
    outcome: &'static str,
    message: &'a str,
}

fn resolve(args: &ResolveArgs) -> Exit {
    let look = format!("{} tx show {}", own_name(), args.txn);
    order(&args.connect, &look, |client| {
        client.resolve(args.txn, args.word.into(), &args.reason)
    })
}

/// Runs `twopence adopt`.
pub(crate) fn adopt(args: &AdoptArgs) -> Exit {
    let look = format!("{} status", own_name());
    order(&args.connect, &look, |client| client.adopt(args.node))
}

/// Gives an operator's word; `look` is the command that shows what became of it.
fn order(connect: &ConnectArgs, look: &str, give: impl FnOnce(&mut Client) -> Result<String, Error>) -> Exit {
    let (mut client, output) = match start(connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    match give(&mut client) {
        Ok(message) => {
            output.print(
                &message,
                &DoneLine {
                    outcome: "done",
                    message: &message,
                },
            );
            Exit::Ok
        }
        Err(error @ Error::NoAnswer(_)) => {
            let money = format!(
                "It may have been done or not. Before you give it again, see:\n  {look}{}\n",
                connect.repeat()
            );
            failed(output, &error, money.trim_end())
        }
        Err(error @ (Error::Config(_) | Error::NoCoordinator(_) | Error::Failed(_))) => {
            failed(output, &error, "Nothing was changed, no money moved.")
        }
    }
}
