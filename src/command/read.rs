//! `balance`, `accounts`, `audit`: questions about money.

use client::report::{AccountLine, AuditLine, BalanceLine};
use client::{AccountId, AuditVerdict, Balance, BalanceAnswer, Client, Error, NodeId, Place, TxnId};

use super::table::Table;
use super::{failed, start};
use crate::cli::{AccountsArgs, AuditArgs, BalanceArgs};
use crate::exit::Exit;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

const NO_MONEY_MOVED: &str = "It was only a question: no money moved.";

/// Runs `twopence balance`.
pub(crate) fn balance(args: &BalanceArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let flags = args.connect.repeat();
    let answer = match client.balance(args.place.clone()) {
        Ok(answer) => answer,
        Err(error) => return failed(output, &error, NO_MONEY_MOVED),
    };
    let line = BalanceLine::of(&args.place, &answer);
    match answer {
        BalanceAnswer::Is(balance) => {
            output.print(&balance.to_string(), &line);
            Exit::Ok
        }
        BalanceAnswer::InDoubt {
            holders,
            lowest,
            highest,
        } => {
            explain(&in_doubt(&args.place, &holders, lowest, highest, &flags));
            output.print_json(&line);
            Exit::Unknown
        }
        BalanceAnswer::NoSuchAccount => {
            explain(&format!(
                "There is no account {}. {NO_MONEY_MOVED} A deposit opens it:\n  {} deposit {0} AMOUNT{flags}",
                args.place,
                own_name()
            ));
            output.print_json(&line);
            Exit::Other
        }
    }
}

fn in_doubt(place: &Place, holders: &[TxnId], lowest: Balance, highest: Balance, flags: &str) -> String {
    let (possible, waits) = match holders {
        [_] => (format!("{lowest} or {highest}"), "a transaction"),
        _ => (format!("between {lowest} and {highest}"), "transactions"),
    };
    let holders: Vec<String> = holders.iter().map(TxnId::to_string).collect();
    let show = holders
        .first()
        .map(|txn| format!("\n  {} tx show {txn}{flags}", own_name()))
        .unwrap_or_default();
    format!(
        "The balance of {place} is in doubt: {possible}. It is held by {waits} whose outcome did not become known in \
         time ({}). {NO_MONEY_MOVED} Ask again, or see who has to decide:{show}",
        holders.join(", ")
    )
}

/// Runs `twopence accounts`.
pub(crate) fn accounts(args: &AccountsArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let nodes = match args.node {
        Some(node) => vec![node],
        None => match client.status() {
            Ok(status) => status.nodes.iter().map(|link| link.node()).collect(),
            Err(error) => return failed(output, &error, NO_MONEY_MOVED),
        },
    };
    let mut listing = Listing {
        output,
        heading: true,
    };
    let mut exit = Exit::Ok;
    for &node in &nodes {
        match listing.node(&mut client, node) {
            Ok(true) => {}
            Ok(false) => return exit,
            Err(error) => {
                let failure = failed(output, &error, NO_MONEY_MOVED);
                // Of several nodes the others still can be listed: an incomplete answer.
                exit = if args.node.is_some() {
                    failure
                } else {
                    Exit::Unknown
                };
            }
        }
    }
    exit
}

/// A list of accounts that is printed page by page.
struct Listing {
    output: Output,
    heading: bool,
}

impl Listing {
    /// Lists a node's accounts. Returns whether anybody still reads.
    fn node(&mut self, client: &mut Client, node: NodeId) -> Result<bool, Error> {
        let mut after: Option<AccountId> = None;
        loop {
            let page = client.accounts(node, after)?;
            if !self.print(node, &page.accounts) {
                return Ok(false);
            }
            after = page.accounts.last().map(|(account, _)| account.clone());
            if !page.more || after.is_none() {
                return Ok(true);
            }
        }
    }

    fn print(&mut self, node: NodeId, accounts: &[(AccountId, Balance)]) -> bool {
        let mut table = Table::new(&["ACCOUNT              ", "             BALANCE"]);
        for (account, balance) in accounts {
            table.row(vec![format!("{node}/{account}"), balance.to_string()]);
        }
        let skip = usize::from(!self.heading);
        self.heading = false;
        let texts = table
            .lines()
            .into_iter()
            .skip(skip)
            .all(|line| self.output.print_text(&line));
        texts
            && accounts.iter().all(|(account, balance)| {
                let line = AccountLine::of(node, account, *balance);
                self.output.print_json(&line)
            })
    }
}

/// Runs `twopence audit`.
pub(crate) fn audit(args: &AuditArgs) -> Exit {
    let (mut client, output) = match start(&args.connect) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let report = match client.audit() {
        Ok(report) => report,
        Err(error) => return failed(output, &error, NO_MONEY_MOVED),
    };
    let nodes = client.status().ok().map(|status| status.nodes.len());
    let mut line = AuditLine::of(&report, nodes);
    let program = own_name();
    line.message += &match &report.verdict {
        AuditVerdict::Exact => String::new(),
        AuditVerdict::Violated => format!(
            " Stop transfers, keep a copy of the data directories, and look at {program} tx list and the logs."
        ),
        AuditVerdict::Incomplete(_) => {
            format!(" Try again; if it stays so, see {program} status and {program} tx list --in-doubt.")
        }
    };
    match &report.verdict {
        AuditVerdict::Exact => {}
        AuditVerdict::Violated | AuditVerdict::Incomplete(_) => explain(&line.message),
    }
    match &report.verdict {
        AuditVerdict::Exact | AuditVerdict::Violated => output.print(&line.message, &line),
        AuditVerdict::Incomplete(_) => output.print_json(&line),
    };
    Exit::from(&report.verdict)
}
