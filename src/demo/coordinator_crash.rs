//! The coordinator is killed in the middle of a transfer. What it had decided it finishes, the rest it aborts.

use std::time::{Duration, Instant};

use client::{Ask, Pipeline, RequestId, Target, fresh_request_id};
use client::{Error, Order};

use super::Demo;
use super::stage::{Stage, order, shown};
use super::wrong::Wrong;
use crate::cli::CoordinatorCrashPoint;

const AMOUNT: i64 = 50;

/// How long the coordinator may take to die.
const DEATH_MAX: Duration = Duration::from_secs(30);

struct Point {
    name: &'static str,
    failpoint: &'static str,
    tells: &'static str,
    commits: bool,
}

/// The demo at one point, or at all.
pub(super) fn demos(at: Option<CoordinatorCrashPoint>) -> Vec<Demo> {
    let all = [
        CoordinatorCrashPoint::Prepare,
        CoordinatorCrashPoint::BeforeCommit,
        CoordinatorCrashPoint::AfterCommit,
    ];
    let chosen = all
        .into_iter()
        .filter(|point| at.is_none_or(|at| at == *point))
        .map(point);
    chosen
        .map(|point| {
            Demo::new(&format!("coordinator-crash --at {}", point.name), move |stage| {
                tell(stage, &point)
            })
        })
        .collect()
}

fn point(at: CoordinatorCrashPoint) -> Point {
    match at {
        CoordinatorCrashPoint::Prepare => Point {
            name: "prepare",
            failpoint: "sent.prepare=kill@2",
            tells: "It dies when both nodes have been asked to prepare: nothing is decided, so the transfer aborts.",
            commits: false,
        },
        CoordinatorCrashPoint::BeforeCommit => Point {
            name: "before-commit",
            failpoint: "append.COMMIT=kill",
            tells: "It dies when both nodes have voted YES, before it notes a decision: the transfer aborts.",
            commits: false,
        },
        CoordinatorCrashPoint::AfterCommit => Point {
            name: "after-commit",
            failpoint: "synced.COMMIT=kill",
            tells: "It dies when COMMIT is on its disk and nobody knows yet: decided is decided, it commits.",
            commits: true,
        },
    }
}

fn tell(stage: &mut Stage, point: &Point) -> Result<(), Wrong> {
    stage.say(&format!("N1/A → N2/B {AMOUNT}. {}", point.tells));
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let epoch = stage.epoch()?;
    stage.arm(Target::Coordinator, point.failpoint)?;
    let order = order("N1/A", "N2/B", AMOUNT);
    let request = fresh_request_id();
    lose_the_answer(stage, request, &order)?;
    stage.see_die_and_return(Target::Coordinator, epoch)?;
    see_recovery(stage, point)?;
    stage.settle()?;
    stage.see_agreement(request)?;
    stage.ask_again(request, &order, point.commits)?;
    let moved = if point.commits { AMOUNT } else { 0 };
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
fn see_recovery(stage: &mut Stage, point: &Point) -> Result<(), Wrong> {
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
    let found = lines
        .iter()
        .find_map(|line| line.find("Found ").map(|start| &line[start..]));
    stage.say(&match found {
        Some(found) => format!("The coordinator: {found}."),
        None => "The coordinator finds no record of it.".to_owned(),
    });
    let counts = found.map_or(Some((0, 0)), counts);
    match (counts, point.commits) {
        (Some((1, 0)), true) | (Some((0, 1)), false) => Ok(()),
        // Only a decision is forced to disk. That a transaction began need not be, and no record means abort.
        (Some((0, 0)), false) if !every_append_is_written => Ok(()),
        (Some(_) | None, commits) => {
            let expected = if commits {
                "1 to commit, 0 to abort"
            } else {
                "0 to commit, 1 to abort"
            };
            Err(Wrong::Story(format!("it must have found {expected}")))
        }
    }
}

/// How many transactions a coordinator found to commit and to abort. What their node has to tell is not counted: such
/// can be left of deposits made a moment before.
fn counts(found: &str) -> Option<(u32, u32)> {
    let (_, rest) = found.split_once(": ")?;
    let (commit, rest) = rest.split_once(" to commit, ")?;
    let (abort, _) = rest.split_once(" to abort")?;
    Some((commit.parse().ok()?, abort.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_coordinator_found_is_read_from_its_line() {
        let line = "Found 3 incomplete transactions from previous run: 1 to commit, 2 to abort";
        assert_eq!(counts(line), Some((1, 2)));
        assert_eq!(counts(&format!("{line}, 1 for their node to tell")), Some((1, 2)));
        assert_eq!(counts("Found nothing"), None);
    }
}
