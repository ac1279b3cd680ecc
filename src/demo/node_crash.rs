//! N2 is killed in the middle of a transfer. Whatever it had promised it keeps; both sides agree in the end.

use client::{Outcome, Target};

use super::Demo;
use super::stage::{Stage, order, outcome, player, shown};
use super::wrong::Wrong;
use crate::cli::NodeCrashPoint;

const AMOUNT: i64 = 50;

struct Point {
    name: &'static str,
    failpoint: &'static str,
    tells: &'static str,
    commits: bool,
}

/// The demo at one point, or at all.
pub(super) fn demos(at: Option<NodeCrashPoint>) -> Vec<Demo> {
    let all = [
        NodeCrashPoint::BeforeVote,
        NodeCrashPoint::AfterVote,
        NodeCrashPoint::BeforeApply,
        NodeCrashPoint::AfterApply,
    ];
    let chosen = all
        .into_iter()
        .filter(|point| at.is_none_or(|at| at == *point))
        .map(point);
    chosen
        .map(|point| {
            Demo::new(&format!("node-crash --at {}", point.name), move |stage| {
                tell(stage, &point)
            })
        })
        .collect()
}

fn point(at: NodeCrashPoint) -> Point {
    match at {
        NodeCrashPoint::BeforeVote => Point {
            name: "before-vote",
            failpoint: "received.prepare=kill",
            tells: "N2 dies when it is asked to prepare: it has promised nothing, so the transfer must abort.",
            commits: false,
        },
        NodeCrashPoint::AfterVote => Point {
            name: "after-vote",
            failpoint: "sent.vote=kill",
            tells: "N2 dies right after its YES: that promise is on disk, so the transfer commits without it.",
            commits: true,
        },
        NodeCrashPoint::BeforeApply => Point {
            name: "before-apply",
            failpoint: "append.commit=kill",
            tells: "N2 dies when it is told to commit, before it notes that: it is told again when it is back.",
            commits: true,
        },
        NodeCrashPoint::AfterApply => Point {
            name: "after-apply",
            failpoint: "sending.ack=kill",
            tells: "N2 dies after it has committed, before it says so: it must not apply the credit twice.",
            commits: true,
        },
    }
}

fn tell(stage: &mut Stage, point: &Point) -> Result<(), Wrong> {
    stage.say(&format!("N1/A → N2/B {AMOUNT}. {}", point.tells));
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let node = Target::Node(player("N2/B").node);
    let epoch = stage.epoch()?;
    stage.arm(node, point.failpoint)?;
    let order = order("N1/A", "N2/B", AMOUNT);
    let submission = stage.client().submit(None, order.clone())?;
    stage.say(&format!("The client hears: {}.", outcome(&submission)));
    match (&submission.outcome, point.commits) {
        (Outcome::Committed { .. }, true) | (Outcome::Aborted { .. }, false) => {}
        (other, _) => {
            let expected = if point.commits { "commit" } else { "abort" };
            return Err(Wrong::Story(format!(
                "the transfer must {expected}, but: {other}"
            )));
        }
    }
    stage.see_die_and_return(node, epoch)?;
    stage.settle()?;
    stage.see_agreement(submission.request)?;
    stage.ask_again(submission.request, &order, point.commits)?;
    let moved = if point.commits { AMOUNT } else { 0 };
    stage.check(before, [-moved, moved, 0])
}
