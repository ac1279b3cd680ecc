//! The `twopence` command: one binary for every role.

mod again;
mod batch;
mod bench;
mod cli;
mod command;
mod crash_test;
mod demo;
mod exit;
mod logging;
mod memory;
mod output;
#[cfg(planted)]
mod planted;
mod power_cut;
mod serve;
mod up;

use std::process::ExitCode;

use clap::Parser;
use clap::error::Error as UsageError;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::output::explain;

fn main() -> ExitCode {
    #[cfg(planted)]
    if let Some(exit) = planted::announce() {
        return exit.into();
    }
    let exit = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => on_usage_error(&error),
    };
    exit.into()
}

fn run(command: Command) -> Exit {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Gateway(args) => command::gateway(&args),
        Command::Node(args) => serve::node(&args),
        Command::Coordinator(args) => serve::coordinator(&args),
        Command::Transfer(args) if args.stdin => batch::transfer(&args),
        Command::Transfer(args) => command::transfer(&args),
        Command::Submit(args) => command::submit(&args),
        Command::SubmitBatch(args) => batch::submit(&args),
        Command::Deposit(args) => command::deposit(&args),
        Command::Balance(args) => command::balance(&args),
        Command::Accounts(args) => command::accounts(&args),
        Command::Audit(args) => command::audit(&args),
        Command::Status(args) => command::status(&args),
        Command::Verify(args) => command::verify(&args),
        Command::Tx(command) => command::tx(&command),
        Command::Adopt(args) => command::adopt(&args),
        Command::Demo(command) => demo::run(&command),
        Command::CrashTest(args) => crash_test::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Help and version are "errors" to clap too; they are printed on stdout and are none.
fn on_usage_error(error: &UsageError) -> Exit {
    // There is nowhere left to report that the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        explain("Nothing was sent or started; no money moved.");
        Exit::Usage
    } else {
        Exit::Ok
    }
}
