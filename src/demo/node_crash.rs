//! N2 is killed in the middle of a transfer. Whatever it had promised it keeps; both sides agree in the end.

use client::{Outcome, Target};
use cluster::story::NodePoint;

use super::Demo;
use super::stage::{Stage, order, outcome, player, shown};
use super::wrong::Wrong;
use crate::cli::NodeCrashPoint;

const AMOUNT: i64 = 50;

/// The demo at one point, or at all.
pub(super) fn demos(at: Option<NodeCrashPoint>) -> Vec<Demo> {
    let at = at.map(|at| match at {
        NodeCrashPoint::BeforeVote => NodePoint::BeforeVote,
        NodeCrashPoint::AfterVote => NodePoint::AfterVote,
        NodeCrashPoint::BeforeApply => NodePoint::BeforeApply,
        NodeCrashPoint::AfterApply => NodePoint::AfterApply,
    });
    let chosen = NodePoint::ALL
        .into_iter()
        .filter(|point| at.is_none_or(|at| at == *point));
    chosen
        .map(|point| {
            Demo::new(&format!("node-crash --at {}", point.name()), move |stage| {
                tell(stage, point)
            })
        })
        .collect()
}

fn tell(stage: &mut Stage, point: NodePoint) -> Result<(), Wrong> {
    stage.say(&format!("N1/A → N2/B {AMOUNT}. {}", point.tells()));
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let node = Target::Node(player("N2/B").node);
    let epoch = stage.epoch()?;
    stage.arm(node, &format!("{}=kill", point.failpoint()))?;
    let order = order("N1/A", "N2/B", AMOUNT);
    let submission = stage.client().submit(None, order.clone())?;
    stage.say(&format!("The client hears: {}.", outcome(&submission)));
    match (&submission.outcome, point.commits()) {
        (Outcome::Committed { .. }, true) | (Outcome::Aborted { .. }, false) => {}
        (other, _) => {
            let expected = if point.commits() { "commit" } else { "abort" };
            return Err(Wrong::Story(format!(
                "the transfer must {expected}, but: {other}"
            )));
        }
    }
    stage.see_die_and_return(node, epoch)?;
    stage.settle()?;
    stage.see_agreement(submission.request)?;
    stage.ask_again(submission.request, &order, point.commits())?;
    let moved = if point.commits() { AMOUNT } else { 0 };
    stage.check(before, [-moved, moved, 0])
}
