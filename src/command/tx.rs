//! `tx show`, `tx list`, `tx resolve` and `adopt`: single transactions, and what only an operator may do.

use client::report::{DoneLine, OpenLine, TxnLine, TxnNodeLine, coordinator_in_words};
use client::{Client, Error, TxnReport};

mod receipt;

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

fn show(args: &ShowArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    match (client.show(args.reference), args.diagram) {
        (Ok(report), None) => print_report(output, &report),
        (Ok(report), Some(form)) => receipt::print(output, &report, form, &args.connect),
        (Err(error), _) => failed(output, &error, NO_MONEY_MOVED),
    }
}

fn print_report(output: Output, report: &TxnReport) -> Exit {
    let line = TxnLine::of(report);
    let mut text = vec![name(&line)];
    text.extend(durable_lines(report, &line));
    output.print(&text.join("\n"), &line);
    Exit::Ok
}

fn name(line: &TxnLine) -> String {
    line.txn.as_ref().map_or_else(
        || format!("request {}: no transaction is known for it", line.id),
        |txn| format!("transaction {txn}"),
    )
}

/// What the coordinator and the nodes hold of it.
fn durable_lines(report: &TxnReport, line: &TxnLine) -> Vec<String> {
    let mut text = vec![format!(
        "coordinator: {}",
        coordinator_in_words(&report.coordinator)
    )];
    let mut table = Table::new(&["NODE", "STATE", "REQUEST", "OPERATIONS"]);
    for node in &line.nodes {
        table.row(node_cells(node));
    }
    text.extend(table.lines());
    for node in &line.nodes {
        let forced = node.forced.as_ref();
        text.extend(forced.map(|why| format!("{}: forced by an operator: {why}", node.node)));
    }
    text
}

fn node_cells(node: &TxnNodeLine) -> Vec<String> {
    let state = match (&node.reason, node.state) {
        (Some(reason), state) => format!("{state} ({reason})"),
        (None, "no_answer") => "no answer".to_owned(),
        (None, "unknown") => "not known here".to_owned(),
        (None, "forgotten") => "ended, details no longer kept".to_owned(),
        (None, state) => state.to_owned(),
    };
    let request = node.request_id.clone().unwrap_or_else(|| "-".to_owned());
    vec![node.node.clone(), state, request, node.operations.join(", ")]
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
    let lines: Vec<OpenLine> = open.iter().map(OpenLine::of).collect();
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
        table.row(open_cells(line));
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

fn open_cells(line: &OpenLine) -> Vec<String> {
    let prepared = line.prepared.iter();
    let prepared: Vec<String> = prepared
        .map(|at| format!("{} ({})", at.node, at.operations.join(", ")))
        .collect();
    vec![
        line.txn.clone(),
        format!("{} s", line.age_s),
        line.state.replace('_', " "),
        if prepared.is_empty() {
            "-".to_owned()
        } else {
            prepared.join(", ")
        },
        line.participants.join(", "),
    ]
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
            output.print(&message, &DoneLine::of(&message));
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
