//! Peace after a round: everything runs and hears each other again. Then nothing may stay open, and all must add up.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use client::{AuditVerdict, Client, ClientConfig, Outcome, Place};
use cluster::{Cluster, Error};

use super::finding::{Findings, Rule};
use super::havoc::judge_end;
use super::history::{Heard, History};
use super::load::Counters;
use super::pulse::Pulse;
use super::watch::{Audits, look_for_quarantine};

/// How long anything may stay open once all is well.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// How long one question may take now.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the last unknown outcomes may take to be learnt.
const LEARN_MAX: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(20);

/// Something was found, so that there is no use in going on.
#[derive(Debug)]
pub(super) struct Halt;

/// Starts whatever does not run and waits until all works.
pub(super) fn bring_up(cluster: &mut Cluster, pulse: &Pulse, findings: &Findings) -> Result<(), Halt> {
    loop {
        let clock = pulse.clock();
        let error = match cluster.start_all() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error {
            Error::Interrupted => {} // Something was found meanwhile.
            Error::TooSlow { .. } if !clock.stalled().is_zero() => continue,
            Error::Exited(exit) => {
                let targets = cluster.targets();
                let target = targets
                    .into_iter()
                    .find(|target| cluster::name(*target) == exit.name);
                judge_end(target.expect("one of the cluster's"), &exit, findings);
            }
            error @ (Error::Config(_)
            | Error::PortInUse(_)
            | Error::Io(..)
            | Error::TooSlow { .. }
            | Error::NotRunning(_)) => {
                look_for_quarantine(&mut client(cluster), findings);
                let what = format!("the cluster does not come up again: {error}");
                findings.add(Rule::V10, what, "the logs beside the stores");
            }
        }
        return Err(Halt);
    }
}

/// Learns every outcome that is still unknown, under the request's own id.
pub(super) fn learn(
    cluster: &Cluster,
    history: &mut History,
    pulse: &Pulse,
    findings: &Findings,
) -> Result<(), Halt> {
    let mut client = client(cluster);
    let clock = pulse.clock();
    for (request, order) in history.unknown() {
        loop {
            let began = Instant::now();
            let submission = client.submit(Some(request), order.clone());
            let why = match submission {
                Ok(submission) if !matches!(submission.outcome, Outcome::Unknown { .. }) => {
                    let heard = Heard {
                        request,
                        order: order.clone(),
                        repeated: true,
                        outcome: submission.outcome,
                        at: Instant::now(),
                        took: began.elapsed(),
                    };
                    history.hear(heard, findings);
                    break;
                }
                Ok(submission) => submission.outcome.to_string(),
                Err(error) => error.to_string(),
            };
            if clock.is_over(LEARN_MAX) {
                let what = format!("the outcome of request {request} ({order}) stays unknown: {why}");
                findings.add(Rule::V10, what, format!("twopence tx show {request}"));
                return Err(Halt);
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Checks that nothing stays open and that every account holds what it must.
pub(super) fn check(
    cluster: &Cluster,
    history: &History,
    audits: &mut Audits,
    counters: &Counters,
    pulse: &Pulse,
    findings: &Findings,
) -> Result<(), Halt> {
    let mut client = client(cluster);
    nothing_stays_open(&mut client, pulse, findings)?;
    look_for_quarantine(&mut client, findings);
    audits.count(&mut client, counters, findings);
    match client.audit() {
        Ok(report) if report.verdict == AuditVerdict::Exact => {
            if report.brought_in != history.brought_in() {
                let what = format!(
                    "{} was brought in as the clients were told, {} as the nodes say",
                    history.brought_in(),
                    report.brought_in
                );
                findings.add(Rule::V1, what, "the balances of @world");
            }
        }
        Ok(report) => {
            let what = format!("with all at peace the audit is {}", report.verdict);
            findings.add(Rule::V8, what, "the balances of all accounts");
        }
        Err(error) => findings.add(
            Rule::V10,
            format!("with all at peace there is no audit: {error}"),
            "the logs beside the stores",
        ),
    }
    balances_are_as_told(cluster, &mut client, history, findings);
    if findings.any() { Err(Halt) } else { Ok(()) }
}

fn nothing_stays_open(client: &mut Client, pulse: &Pulse, findings: &Findings) -> Result<(), Halt> {
    let clock = pulse.clock();
    loop {
        let seen = match client.list(false) {
            Ok(open) if open.is_empty() => return Ok(()),
            Ok(open) => format!("{} transactions, the first is {}", open.len(), open[0].txn),
            Err(error) => error.to_string(),
        };
        if clock.is_over(OPEN_MAX) {
            let what = format!(
                "after {} s of peace something is still open: {seen}",
                OPEN_MAX.as_secs()
            );
            findings.add(Rule::V10, what, "twopence tx list");
            return Err(Halt);
        }
        thread::sleep(POLL);
    }
}

fn balances_are_as_told(cluster: &Cluster, client: &mut Client, history: &History, findings: &Findings) {
    let mut found: BTreeMap<Place, i64> = BTreeMap::new();
    for node in cluster.nodes() {
        match client.all_accounts(node) {
            Ok(accounts) => {
                let ours = accounts.into_iter().filter(|(account, _)| !account.is_world());
                found.extend(ours.map(|(account, balance)| (Place { node, account }, balance)));
            }
            Err(error) => {
                let what = format!("with all at peace {node} does not tell its balances: {error}");
                return findings.add(Rule::V10, what, "the logs beside the stores");
            }
        }
    }
    for (place, told) in history.balances() {
        let is = found.remove(place);
        if is != Some(*told) {
            let is = is.map_or("is not there".to_owned(), |is| format!("holds {is}"));
            let what = format!("{place} {is}; by what the clients were told it is {told}");
            findings.add(
                Rule::V4,
                what,
                format!("the records of {place} in the log of {}", place.node),
            );
        }
    }
    for (place, balance) in found {
        let what = format!("{place} holds {balance}, and nobody opened it");
        findings.add(
            Rule::V4,
            what,
            format!("the records of {place} in the log of {}", place.node),
        );
    }
}

fn client(cluster: &Cluster) -> Client {
    let config = ClientConfig {
        timeout: PATIENCE,
        ..cluster.client_config()
    };
    Client::new(config).expect("it names a coordinator and a timeout")
}
