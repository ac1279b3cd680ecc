//! `tx show --diagram`: the receipt of a transaction.

use client::TxnReport;
use client::receipt::{LegLine, Receipt, gather};
use client::report::TxnLine;

use super::{durable_lines, name};
use crate::cli::{ConnectArgs, DiagramForm};
use crate::exit::Exit;
use crate::output::Output;

/// Gathers what all processes saw, and prints it.
pub(super) fn print(output: Output, report: &TxnReport, form: DiagramForm, connect: &ConnectArgs) -> Exit {
    let found = report.txn.map(|txn| gather(&connect.client_config(), txn));
    let receipt = Receipt::of(report, found.unwrap_or_default());
    let text = match form {
        DiagramForm::Text => in_full(report, &receipt),
        DiagramForm::Mermaid => vec![receipt.diagram().mermaid()],
    };
    output.print(&text.join("\n"), &receipt);
    Exit::Ok
}

fn in_full(report: &TxnReport, receipt: &Receipt) -> Vec<String> {
    let durable: &TxnLine = &receipt.durable;
    let mut text = vec![name(durable)];
    text.extend(
        receipt
            .request_id
            .as_ref()
            .map(|request| format!("request {request}")),
    );
    if !receipt.legs.is_empty() {
        let legs: Vec<String> = receipt.legs.iter().map(leg).collect();
        text.push(format!("legs: {}", legs.join(", ")));
    }
    text.push(format!("outcome: {}", outcome(receipt)));
    if !receipt.events.is_empty() {
        text.push(String::new());
        text.extend(receipt.diagram().text());
    }
    text.push(String::new());
    text.extend(durable_lines(report, durable));
    if let Some(note) = receipt.note.as_ref().filter(|_| report.txn.is_some()) {
        text.push(format!("note: {note}"));
    }
    text
}

fn leg(leg: &LegLine) -> String {
    format!("{}/{} {:+}", leg.node, leg.account, leg.delta)
}

fn outcome(receipt: &Receipt) -> String {
    let mut text = match receipt.outcome {
        "open" => "open, it has not ended everywhere".to_owned(),
        "unknown" => "unknown, nobody remembers how it ended".to_owned(),
        ended => ended.to_owned(),
    };
    if let Some(reason) = &receipt.reason {
        text += &format!(": {reason}");
    }
    if let Some(holder) = &receipt.holder {
        text += &format!(", held by {holder}");
    }
    text
}
