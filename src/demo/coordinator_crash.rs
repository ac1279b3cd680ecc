//! The coordinator is killed in the middle of a transfer. What it had decided it finishes, the rest it aborts.

use std::time::{Duration, Instant};

use client::{Ask, Pipeline, RequestId, Target, fresh_request_id};
use client::{Error, Order};
use cluster::story::{CoordinatorPoint, Found};

use super::Demo;
use super::stage::{Stage, order, shown};
use super::wrong::Wrong;
use crate::cli::CoordinatorCrashPoint;

const AMOUNT: i64 = 50;

/// How long the coordinator may take to die.
const DEATH_MAX: Duration = Duration::from_secs(30);

/// The demo at one point, or at all.
pub(super) fn demos(at: Option<CoordinatorCrashPoint>) -> Vec<Demo> {
    let at = at.map(|at| match at {
        CoordinatorCrashPoint::Prepare => CoordinatorPoint::Prepare,
        CoordinatorCrashPoint::BeforeCommit => CoordinatorPoint::BeforeCommit,
        CoordinatorCrashPoint::AfterCommit => CoordinatorPoint::AfterCommit,
    });
    let chosen = CoordinatorPoint::ALL
        .into_iter()
        .filter(|point| at.is_none_or(|at| at == *point));
    chosen
        .map(|point| {
            Demo::new(
                &format!("coordinator-crash --at {}", point.name()),
                move |stage| tell(stage, point),
            )
        })
        .collect()
}

fn tell(stage: &mut Stage, point: CoordinatorPoint) -> Result<(), Wrong> {
    stage.say(&format!("N1/A → N2/B {AMOUNT}. {}", point.tells()));
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let epoch = stage.epoch()?;
    let (failpoint, hit) = point.failpoint();
    stage.arm(Target::Coordinator, &format!("{failpoint}=kill@{hit}"))?;
    let order = order("N1/A", "N2/B", AMOUNT);
    let request = fresh_request_id();
    lose_the_answer(stage, request, &order)?;
    stage.see_die_and_return(Target::Coordinator, epoch)?;
    see_recovery(stage, point)?;
    stage.settle()?;
    stage.see_agreement(request)?;
    stage.ask_again(request, &order, point.commits())?;
    let moved = if point.commits() { AMOUNT } else { 0 };
    stage.check(before, [-moved, moved, 0])
}

/// Sends the request once, on one connection, and sees that break.
fn lose_the_answer(stage: &Stage, request: RequestId, order: &Order) -> Result<(), Wrong> {
    let mut connection = Pipeline::connect(stage.client_config())?;
    connection.send(Ask::Submit {
        request,
        repeated: false,
        order: order.clone(),
    })?;
    let until = Instant::now() + DEATH_MAX;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match connection.receive(left.min(Duration::from_millis(100))) {
            Err(Error::NoAnswer(_)) => {
                stage.say("The client hears nothing: the connection broke. To it the outcome is unknown.");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
            Ok(Some((_, answer))) => {
                return Err(Wrong::Story(format!(
                    "the coordinator should have died, and it says: {answer}"
                )));
            }
            Ok(None) if left.is_zero() => {
                return Err(Wrong::Story(
                    "the coordinator should have died, and it says nothing".to_owned(),
                ));
            }
            Ok(None) => stage.pause()?,
        }
    }
}

/// Shows what the restarted coordinator found in its log.
fn see_recovery(stage: &mut Stage, point: CoordinatorPoint) -> Result<(), Wrong> {
    let Some(cluster) = stage.cluster() else {
        stage.say(
            "Its log line \"Found 1 incomplete transactions …\" stands in the terminal of `twopence up`.",
        );
        return Ok(());
    };
    let every_append_is_written = cluster.config().store == "json";
    // Recovery is over when it serves.
    cluster.wait_line(Target::Coordinator, "serves on")?;
    let lines = cluster.log_lines(Target::Coordinator);
    let found = Found::among(lines.iter().map(String::as_str));
    stage.say(&match &found {
        Some(found) => format!("The coordinator: {}.", found.text),
        None => "The coordinator finds no record of it.".to_owned(),
    });
    let counts = found.map_or((0, 0), |found| (found.commit, found.abort));
    match (counts, point.commits()) {
        ((1, 0), true) | ((0, 1), false) => Ok(()),
        // Only a decision is forced to disk. That a transaction began need not be, and no record means abort.
        ((0, 0), false) if !every_append_is_written => Ok(()),
        (_, commits) => {
            let expected = if commits {
                "1 to commit, 0 to abort"
            } else {
                "0 to commit, 1 to abort"
            };
            Err(Wrong::Story(format!("it must have found {expected}")))
        }
    }
}
