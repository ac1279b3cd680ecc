//! `transfer`, `submit`, `deposit`: one line that says how it ended, and an explanation where it did not commit.

use client::{Error, Order, Outcome, RequestId, Submission};
use serde::Serialize;

use super::{capitalised, no_coordinator_next, reasons, start};
use crate::cli::{ConnectArgs, DepositArgs, RequestArgs, SubmitArgs, TransferArgs};
use crate::exit::Exit;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

/// Runs `twopence transfer`.
pub(crate) fn transfer(args: &TransferArgs) -> Exit {
    let (from, to, amount) = args.parts();
    let typed = format!("{} transfer {from} {to} {amount}", own_name());
    match Order::transfer(from, to, amount) {
        Ok(order) => Payment::new("TRANSFER_RESULT", typed, order, &args.request, &args.connect).run(),
        Err(bad) => nonsense(&bad.to_string()),
    }
}

/// Runs `twopence submit`.
pub(crate) fn submit(args: &SubmitArgs) -> Exit {
    match args.order() {
        Ok(order) => {
            let typed = format!("{} submit {order}", own_name());
            Payment::new("SUBMIT_RESULT", typed, order, &args.request, &args.connect).run()
        }
        Err(bad) => nonsense(&bad.to_string()),
    }
}

/// Runs `twopence deposit`.
pub(crate) fn deposit(args: &DepositArgs) -> Exit {
    let typed = format!("{} deposit {} {}", own_name(), args.to, args.amount);
    let order = Order::deposit(args.to.clone(), args.amount);
    Payment::new("DEPOSIT_RESULT", typed, order, &args.request, &args.connect).run()
}

fn nonsense(why: &str) -> Exit {
    explain(&format!("error: {why}\n\nNothing was sent; no money moved."));
    Exit::Usage
}

/// One request to move money.
struct Payment<'a> {
    /// The first word of its result line.
    word: &'static str,
    /// The command that asks for the same again, under a fresh id.
    command: String,
    order: Order,
    request: Option<RequestId>,
    retry_of: Option<RequestId>,
    connect: &'a ConnectArgs,
}

/// The result as programs read it.
#[derive(Debug, Serialize)]
struct Report {
    /// `committed`, `aborted`, `unknown`, `reused`, `rejected`, `failed` or `not_sent`.
    outcome: &'static str,
    /// `null` while nobody can tell.
    success: Option<bool>,
    reason: Option<String>,
    /// Whether a new request may succeed without anyone changing anything.
    retryable: bool,
    /// The transaction that holds the account, if that is the reason.
    holder: Option<String>,
    /// For how many seconds it has held it.
    held_s: Option<u64>,
    txn: Option<String>,
    request_id: Option<String>,
    message: String,
}

impl<'a> Payment<'a> {
    fn new(
        word: &'static str,
        typed: String,
        order: Order,
        request: &RequestArgs,
        connect: &'a ConnectArgs,
    ) -> Payment<'a> {
        Payment {
            word,
            command: typed + &connect.repeat(),
            order,
            request: request.request_id,
            retry_of: request.retry_of,
            connect,
        }
    }

    fn run(self) -> Exit {
        let (mut client, output) = match start(self.connect) {
            Ok(started) => started,
            Err(exit) => return exit,
        };
        let order = self.order.clone();
        let submitted = match self.retry_of {
            Some(first) => client.retry(first, order),
            None => client.submit(self.request, order),
        };
        let (report, exit) = match submitted {
            Ok(submission) => (self.on_submission(&submission), Exit::from(&submission.outcome)),
            Err(error) => (self.on_error(&error), Exit::from(&error)),
        };
        self.print(output, &report);
        exit
    }

    fn on_submission(&self, submission: &Submission) -> Report {
        let request = submission.request;
        let report = Report {
            outcome: "",
            success: Some(false),
            reason: None,
            retryable: false,
            holder: None,
            held_s: None,
            txn: None,
            request_id: Some(request.to_string()),
            message: String::new(),
        };
        match &submission.outcome {
            Outcome::Committed { txn } => Report {
                outcome: "committed",
                success: Some(true),
                txn: Some(txn.to_string()),
                message: format!("Committed: {}.", self.order),
                ..report
            },
            Outcome::Aborted { txn, refusal } => Report {
                outcome: "aborted",
                reason: Some(refusal.reason.to_string()),
                retryable: refusal.reason.retryable(),
                holder: refusal.holder.map(|holder| holder.txn.to_string()),
                held_s: refusal.holder.map(|holder| holder.held_s),
                txn: txn.map(|txn| txn.to_string()),
                message: reasons::explain(
                    refusal,
                    &self.order,
                    request,
                    &self.command,
                    &self.connect.repeat(),
                ),
                ..report
            },
            Outcome::Unknown { why } => Report {
                outcome: "unknown",
                success: None,
                retryable: true,
                message: format!(
                    "Outcome unknown: {why}. The money moved once or not at all. Ask again under the same request id, it \
                     cannot move twice:\n  {}",
                    self.repeat(request)
                ),
                ..report
            },
            Outcome::Reused => Report {
                outcome: "reused",
                reason: Some("request_id_reused".to_owned()),
                message: format!(
                    "Refused: request id {request} was used before for something else. Nothing ran now, no money moved. \
                     Leave out --request-id to make a new request; see what the id stands for with:\n  \
                     {} tx show {request}{}",
                    own_name(),
                    self.connect.repeat()
                ),
                ..report
            },
            Outcome::Rejected { why } => Report {
                outcome: "rejected",
                reason: Some("rejected".to_owned()),
                message: format!("Rejected: {why}. Nothing ran, no money moved. Correct the command."),
                ..report
            },
        }
    }

    fn on_error(&self, error: &Error) -> Report {
        let (outcome, reason) = match error {
            Error::Config(_) => ("rejected", "usage"),
            Error::NoCoordinator(_) => ("not_sent", "no_coordinator"),
            // Not for a submit: it becomes an unknown outcome.
            Error::NoAnswer(_) => ("unknown", "no_answer"),
            Error::Failed(_) => ("failed", "failed"),
        };
        let text = capitalised(&error.to_string());
        let next = match error {
            Error::NoCoordinator(_) | Error::NoAnswer(_) => no_coordinator_next(),
            Error::Config(_) | Error::Failed(_) => String::new(),
        };
        // Nothing ran now, but an id that was given may have been sent before.
        let message = match self.request {
            None => format!("{text}. No money moved.{next}"),
            Some(request) => format!(
                "{text}. No money moved now; whether it did when request {request} was sent before is unknown.{next} \
                 Keep the request id:\n  {}",
                self.repeat(request)
            ),
        };
        Report {
            outcome,
            success: self.request.is_none().then_some(false),
            reason: Some(reason.to_owned()),
            retryable: false,
            holder: None,
            held_s: None,
            txn: None,
            request_id: self.request.map(|request| request.to_string()),
            message,
        }
    }

    /// The command that asks for the same request again.
    fn repeat(&self, request: RequestId) -> String {
        format!("{} --request-id {request}", self.command)
    }

    fn print(&self, output: Output, report: &Report) {
        if report.success != Some(true) {
            explain(&report.message);
        }
        output.print(&report.line(self.word), report);
    }
}

impl Report {
    /// `TRANSFER_RESULT(success=true, txn=…, request_id=…)`.
    fn line(&self, word: &str) -> String {
        let success = match self.success {
            Some(true) => "true",
            Some(false) => "false",
            None => "unknown",
        };
        let retryable = (self.outcome == "aborted").then(|| self.retryable.to_string());
        let parts = [
            ("reason", self.reason.as_ref()),
            ("retryable", retryable.as_ref()),
            ("txn", self.txn.as_ref()),
            ("request_id", self.request_id.as_ref()),
        ];
        let parts: String = parts
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!(", {name}={value}")))
            .collect();
        format!("{word}(success={success}{parts})")
    }
}
