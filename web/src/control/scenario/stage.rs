//! What do all scenarios need of the cluster? That everything runs, what the accounts hold, and a look at the audit.

use std::fmt::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use client::report::PaymentReport;
use client::{
    AuditVerdict, Balance, BalanceAnswer, Client, ClientConfig, Order, Place, Reference, RequestId,
    Submission, Target, TxnReport,
};
use cluster::{Keeper, ProcessState};
use protocol::message::{CoordinatorView, TxnState};

use super::TransactionLine;
use crate::control::Control;
use crate::problem::{Code, MoneyMoved, Problem};

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(20);

/// How long a transaction may stay open once everything runs.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// How long a process may take to come back.
const RETURN_MAX: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(20);

/// The cluster while a scenario is played.
pub(super) struct Stage<'a> {
    pub(super) control: &'a Arc<Control>,
    config: ClientConfig,
}

/// Where the money is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Money {
    /// The accounts that the scenario is about; `None` for one that does not exist.
    pub(super) balances: Vec<(Place, Option<Balance>)>,
    pub(super) brought_in: i128,
    pub(super) in_accounts: i128,
}

impl Money {
    pub(super) fn is_whole(&self) -> bool {
        self.brought_in == self.in_accounts
    }

    /// `3000 = 3000`.
    pub(super) fn equation(&self) -> String {
        let sign = if self.is_whole() { "=" } else { "≠" };
        format!("{} {sign} {}", self.brought_in, self.in_accounts)
    }

    /// What each account held before and holds now.
    pub(super) fn change_since(&self, before: &Money) -> String {
        let mut text = String::new();
        for ((place, now), (_, then)) in self.balances.iter().zip(&before.balances) {
            let gap = if text.is_empty() { "" } else { ", " };
            let shown = |balance: &Option<Balance>| balance.map_or("–".to_owned(), |sum| sum.to_string());
            write!(text, "{gap}{place} {} → {}", shown(then), shown(now)).expect("a string takes all");
        }
        text
    }
}

impl<'a> Stage<'a> {
    /// Sees to it that the scenario can be played.
    pub(super) fn set(control: &'a Arc<Control>) -> Result<Stage<'a>, Problem> {
        for view in control.keeper().processes() {
            if view.state != ProcessState::Running {
                return Err(Problem::new(
                    Code::NotNow,
                    format!(
                        "A scenario needs every process, and {} is {}.",
                        view.name, view.state
                    ),
                )
                .next("Start or thaw it, and play again."));
            }
        }
        if control.is_stepping() {
            return Err(Problem::new(
                Code::NotNow,
                "The coordinator waits before each message, so a scenario would never end.",
            )
            .next("Switch step mode off, and play again."));
        }
        Ok(Stage {
            control,
            config: ClientConfig {
                timeout: CALL_MAX,
                ..control.keeper().client_config()
            },
        })
    }

    pub(super) fn keeper(&self) -> &Keeper {
        self.control.keeper()
    }

    /// A new client.
    pub(super) fn client(&self) -> Client {
        Client::new(self.config.clone()).expect("it names a coordinator and a timeout")
    }

    /// A client that does not wait long.
    pub(super) fn client_for(&self, timeout: Duration) -> Client {
        let config = ClientConfig {
            timeout,
            ..self.config.clone()
        };
        Client::new(config).expect("it names a coordinator and a timeout")
    }

    pub(super) fn client_config(&self) -> &ClientConfig {
        &self.config
    }

    /// The flags that reach this cluster's coordinator.
    pub(super) fn flags(&self) -> String {
        let coordinator = self.config.coordinators.first().map_or("", String::as_str);
        let mut flags = format!(" --coord {coordinator}");
        if self.config.cluster.to_string() != "local" {
            write!(flags, " --cluster {}", self.config.cluster).expect("a string takes all");
        }
        flags
    }

    /// How a person would do it: a transfer, and a kill beside it.
    pub(super) fn by_hand(&self, typed: &str, target: Target) -> String {
        let name = cluster::name(target);
        let pid = self.keeper().find(&name).ok().and_then(|view| view.pid);
        let pid = pid.map_or_else(|| format!("of-{name}"), |pid| pid.to_string());
        format!(
            "{} {typed}{} & kill -KILL {pid}",
            self.control.program.name(),
            self.flags()
        )
    }

    /// How a person would start a process that is to die at a failpoint.
    pub(super) fn armed(&self, target: Target, failpoint: &str) -> String {
        let args = self.keeper().command_line(target).unwrap_or_default();
        format!("{} {args} --failpoint {failpoint}", self.control.program.name())
    }

    /// What these accounts hold, and whether all the money is there.
    pub(super) fn money(&self, places: &[Place]) -> Result<Money, Problem> {
        let mut client = self.client();
        let mut balances = Vec::new();
        for place in places {
            let answer = client.balance(place.clone()).map_err(unreachable)?;
            balances.push((
                place.clone(),
                match answer {
                    BalanceAnswer::Is(balance) => Some(balance),
                    BalanceAnswer::NoSuchAccount => None,
                    BalanceAnswer::InDoubt { holders, .. } => {
                        let holder = holders.first().map(ToString::to_string).unwrap_or_default();
                        return Err(Problem::new(
                            Code::NotNow,
                            format!("{place} is held by transaction {holder}, which does not end."),
                        ));
                    }
                },
            ));
        }
        let report = client.audit().map_err(unreachable)?;
        match report.verdict {
            AuditVerdict::Exact | AuditVerdict::Violated => Ok(Money {
                balances,
                brought_in: report.brought_in,
                in_accounts: report.in_accounts,
            }),
            AuditVerdict::Incomplete(why) => Err(Problem::new(
                Code::NotNow,
                format!("The audit cannot see everything right now: {why}."),
            )
            .next("Play again when the cluster is at rest.")),
        }
    }

    /// Waits until every participant has ended the request's transaction. Returns what is known of it then.
    pub(super) fn settled(&self, request: RequestId) -> Result<TxnReport, Problem> {
        let began = Instant::now();
        let mut client = self.client_for(Duration::from_secs(5));
        loop {
            let seen = match client.show(Reference::Request(request)) {
                Ok(report) => match open(&report) {
                    None => return Ok(report),
                    Some(who) => who,
                },
                Err(error) => error.to_string(),
            };
            if began.elapsed() > SETTLE_MAX {
                return Err(Problem::new(
                    Code::ProcessFailed,
                    format!(
                        "Request {request} has not ended after {} s: {seen}.",
                        SETTLE_MAX.as_secs()
                    ),
                )
                .money(MoneyMoved::Unknown)
                .next("`twopence tx list` tells what is open."));
            }
            thread::sleep(POLL);
        }
    }

    /// Sends a request again under its id, as a client does that has got no answer. Returns also how often.
    pub(super) fn ask_again(
        &self,
        request: RequestId,
        order: &Order,
    ) -> Result<(Submission, usize), Problem> {
        let began = Instant::now();
        let mut tries = 0;
        let mut client = self.client();
        loop {
            let submission = client.submit(Some(request), order.clone()).map_err(unreachable)?;
            tries += 1;
            let unknown = matches!(submission.outcome, client::Outcome::Unknown { .. });
            if !unknown || began.elapsed() > SETTLE_MAX {
                return Ok((submission, tries));
            }
            thread::sleep(POLL);
        }
    }

    /// Starts a process if nobody has, and waits until it works.
    pub(super) fn bring_back(&self, target: Target) -> Result<(), Problem> {
        match self.keeper().start(target) {
            Ok(()) => Ok(()),
            Err(cluster::OrderError::NotNow(_)) => {
                self.keeper()
                    .wait_until(target, RETURN_MAX, "to be back", |view| {
                        view.state == ProcessState::Running
                    })?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Who has not ended the transaction yet, if anybody.
fn open(report: &TxnReport) -> Option<String> {
    for (node, view) in &report.nodes {
        match view {
            None => return Some(format!("{node} does not answer")),
            Some(view) => match view.state {
                TxnState::Prepared => return Some(format!("{node} waits for the decision")),
                TxnState::Unknown | TxnState::Forgotten | TxnState::Committed | TxnState::Aborted(_) => {}
            },
        }
    }
    match &report.coordinator {
        CoordinatorView::Collecting { .. } => Some("the coordinator collects votes".to_owned()),
        CoordinatorView::Delegated { to } => Some(format!("{to} decides")),
        CoordinatorView::Committed { unacknowledged } if !unacknowledged.is_empty() => {
            Some("not all have acknowledged".to_owned())
        }
        CoordinatorView::Committed { .. } | CoordinatorView::NoRecord | CoordinatorView::NotMine => None,
    }
}

/// One of the transactions of a scenario.
pub(super) fn line(submission: &Submission, order: &Order) -> TransactionLine {
    TransactionLine {
        order: order.to_string(),
        report: PaymentReport::of(submission, order),
    }
}

pub(super) fn unreachable(error: client::Error) -> Problem {
    let detail = client::report::capitalised(&error.to_string());
    Problem::new(Code::ProcessFailed, format!("{detail}."))
        .money(MoneyMoved::Unknown)
        .next("GET /v1/control/cluster tells what runs.")
}
