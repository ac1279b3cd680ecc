//! `transfer`, `submit`, `deposit`: one line that says how it ended, and an explanation where it did not commit.

use client::report::PaymentReport;
use client::{Error, Order, Outcome, RequestId, Submission};

use super::{no_coordinator_next, reasons, start};
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

    fn on_submission(&self, submission: &Submission) -> PaymentReport {
        let mut report = PaymentReport::of(submission, &self.order);
        let request = submission.request;
        report.message += &match &submission.outcome {
            Outcome::Committed { .. } => String::new(),
            Outcome::Aborted { refusal, .. } => {
                let flags = self.connect.repeat();
                let next = reasons::next(&refusal.reason, &self.order, request, &self.command, &flags);
                format!(" {next}")
            }
            Outcome::Unknown { .. } => format!(
                " Ask again under the same request id, it cannot move twice:\n  {}",
                self.repeat(request)
            ),
            Outcome::Reused => format!(
                " Leave out --request-id to make a new request; see what the id stands for with:\n  {} tx show \
                 {request}{}",
                own_name(),
                self.connect.repeat()
            ),
            Outcome::Rejected { .. } => " Correct the command.".to_owned(),
        };
        report
    }

    fn on_error(&self, error: &Error) -> PaymentReport {
        let mut report = PaymentReport::of_error(error, self.request);
        report.message += &match error {
            Error::NoCoordinator(_) | Error::NoAnswer(_) => no_coordinator_next(),
            Error::Config(_) | Error::Failed(_) => String::new(),
        };
        // Nothing ran now, but an id that was given may have been sent before.
        if let Some(request) = self.request {
            report.message += &format!(" Keep the request id:\n  {}", self.repeat(request));
        }
        report
    }

    /// The command that asks for the same request again.
    fn repeat(&self, request: RequestId) -> String {
        format!("{} --request-id {request}", self.command)
    }

    fn print(&self, output: Output, report: &PaymentReport) {
        if report.success != Some(true) {
            explain(&report.message);
        }
        output.print(&line(self.word, report), report);
    }
}

/// `TRANSFER_RESULT(success=true, txn=…, request_id=…)`.
fn line(word: &str, report: &PaymentReport) -> String {
    let success = match report.success {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    };
    let retryable = (report.outcome == "aborted").then(|| report.retryable.to_string());
    let parts = [
        ("reason", report.reason.as_ref()),
        ("retryable", retryable.as_ref()),
        ("txn", report.txn.as_ref()),
        ("request_id", report.request_id.as_ref()),
    ];
    let parts: String = parts
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!(", {name}={value}")))
        .collect();
    format!("{word}(success={success}{parts})")
}
