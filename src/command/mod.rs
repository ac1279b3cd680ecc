//! The client commands: what is typed becomes a call, its answer becomes a line, an explanation and an exit code.

mod gateway;
mod pay;
mod read;
mod reasons;
mod status;
mod table;
mod tx;
mod verify;

use client::report::capitalised;
use client::{Client, Error};
use serde::Serialize;

pub(crate) use gateway::gateway;
pub(crate) use pay::{deposit, submit, transfer};
pub(crate) use read::{accounts, audit, balance};
pub(crate) use status::status;
pub(crate) use tx::{adopt, tx};
pub(crate) use verify::verify;

use crate::cli::ConnectArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

/// A client and its stdout, as the flags say.
fn start(args: &ConnectArgs) -> Result<(Client, Output), Exit> {
    logging::start(args.log_level);
    let output = Output::new(args.output);
    match Client::new(args.client_config()) {
        Ok(client) => Ok((client, output)),
        Err(error) => Err(failed(output, &error, "No money moved.")),
    }
}

/// A question or an operator's word that brought no result.
#[derive(Serialize)]
struct Failure<'a> {
    outcome: &'static str,
    message: &'a str,
}

/// Reports `error`, whether money moved and what to do about it.
fn failed(output: Output, error: &Error, money: &str) -> Exit {
    let (outcome, next) = match error {
        Error::Config(_) => ("usage", String::new()),
        Error::NoCoordinator(_) => ("not_sent", no_coordinator_next()),
        Error::NoAnswer(_) => (
            "unknown",
            format!(" Look at the cluster ({} status), then ask again.", own_name()),
        ),
        Error::Failed(_) => ("failed", String::new()),
    };
    let message = format!("{}. {money}{next}", capitalised(&error.to_string()));
    explain(&message);
    output.print_json(&Failure {
        outcome,
        message: &message,
    });
    Exit::from(error)
}

/// What to do when nobody is there.
fn no_coordinator_next() -> String {
    let program = own_name();
    format!(" Start one with `{program} up`, or name a running one with --coord HOST:PORT, then try again.")
}
