//! Where is the money, and is it all there?

use protocol::id::{AccountId, NodeId, Place, TxnId};
use protocol::message::{AuditReport, AuditVerdict, BalanceAnswer};
use protocol::money::Balance;
use serde::Serialize;

/// The balance of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceLine {
    /// `ok`, `in_doubt` or `no_such_account`.
    pub outcome: &'static str,
    /// The account with its node.
    pub account: String,
    /// What it holds.
    pub balance: Option<Balance>,
    /// In doubt: the lowest balance that the holders' outcomes allow.
    pub lowest: Option<Balance>,
    /// The highest.
    pub highest: Option<Balance>,
    /// The transactions whose outcome did not become known in time.
    pub holders: Vec<String>,
}

impl BalanceLine {
    /// Of an answer.
    pub fn of(place: &Place, answer: &BalanceAnswer) -> BalanceLine {
        let line = BalanceLine {
            outcome: "ok",
            account: place.to_string(),
            balance: None,
            lowest: None,
            highest: None,
            holders: Vec::new(),
        };
        match answer {
            BalanceAnswer::Is(balance) => BalanceLine {
                balance: Some(*balance),
                ..line
            },
            BalanceAnswer::InDoubt {
                holders,
                lowest,
                highest,
            } => BalanceLine {
                outcome: "in_doubt",
                lowest: Some(*lowest),
                highest: Some(*highest),
                holders: holders.iter().map(TxnId::to_string).collect(),
                ..line
            },
            BalanceAnswer::NoSuchAccount => BalanceLine {
                outcome: "no_such_account",
                ..line
            },
        }
    }
}

/// One account of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// Its node.
    pub node: String,
    /// Its name there.
    pub account: String,
    /// What it holds.
    pub balance: Balance,
}

impl AccountLine {
    /// Of an account of `node`.
    pub fn of(node: NodeId, account: &AccountId, balance: Balance) -> AccountLine {
        AccountLine {
            node: node.to_string(),
            account: account.to_string(),
            balance,
        }
    }
}

/// An audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// `exact`, `violated` or `incomplete`.
    pub outcome: &'static str,
    /// Money in accounts, over all nodes.
    pub in_accounts: i128,
    /// Money brought in by deposits: what must be in accounts.
    pub brought_in: i128,
    /// Prepared transactions that the cut found.
    pub prepared: u64,
    /// How many nodes there are, if known.
    pub nodes: Option<usize>,
    /// What that means, in words.
    pub message: String,
}

impl AuditLine {
    /// Of an audit over so many nodes.
    pub fn of(report: &AuditReport, nodes: Option<usize>) -> AuditLine {
        let over = match nodes {
            Some(1) => "1 node, ".to_owned(),
            Some(nodes) => format!("{nodes} nodes, "),
            None => String::new(),
        };
        let (there, came) = (report.in_accounts, report.brought_in);
        let (outcome, message) = match &report.verdict {
            AuditVerdict::Exact => (
                "exact",
                format!("Money conserved: {there} = {came} ({over}consistent cut)"),
            ),
            AuditVerdict::Violated => {
                let by = (there - came).unsigned_abs();
                let how = if there > came { "too much" } else { "missing" };
                (
                    "violated",
                    format!(
                        "MONEY NOT CONSERVED: {there} in accounts, {came} brought in, {by} {how} ({over}consistent cut)."
                    ),
                )
            }
            AuditVerdict::Incomplete(why) => (
                "incomplete",
                format!("Audit incomplete: {why}. Nothing is known to be wrong."),
            ),
        };
        AuditLine {
            outcome,
            in_accounts: there,
            brought_in: came,
            prepared: report.prepared,
            nodes,
            message,
        }
    }
}
