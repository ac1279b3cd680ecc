//! Two transfers want one account: the second comer aborts at once, and the first one is not disturbed.
//!
//! So that it comes out the same every time, the first transfer is held in the middle: N1 sleeps before it votes, and
//! meanwhile N2 holds B for it.

use std::thread;
use std::time::{Duration, Instant};

use client::{BalanceAnswer, Order, Outcome, Reason, Submission, Target};
use cluster::story::{CONFLICTING, Transfer};

use super::stage::{Stage, order, outcome, player, shown};
use super::wrong::Wrong;

/// How long N1 sleeps, in milliseconds: shorter than nodes may take to vote, long enough for everything in between.
const SLEEP_MS: u32 = 1500;

/// How long the first transfer may take to reach N2.
const REACH_MAX: Duration = Duration::from_secs(10);

/// Tells the story.
pub(super) fn tell(stage: &mut Stage) -> Result<(), Wrong> {
    stage.say("Transfer 1 moves 100 from N1/A to N2/B, transfer 2 moves 150 from N2/B to N3/C. Both want B.");
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    stage.arm(
        Target::Node(player("N1/A").node),
        &format!("sending.vote=sleep:{SLEEP_MS}"),
    )?;
    stage.say("Transfer 1 begins; N1 takes its time to vote.");
    let mut client = stage.client();
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(move || client.submit(None, order_of(CONFLICTING[0])));
        let second = while_held(stage);
        (first.join().expect("a demo's thread does not panic"), second)
    });
    let (first, second) = (first?, second?);
    stage.say(&format!("Transfer 2: {}.", outcome(&second)));
    stage.say(&format!("Transfer 1: {}.", outcome(&first)));
    let contention = Reason::LockContention(player("N2/B").account);
    let refused = matches!(&second.outcome, Outcome::Aborted { refusal, .. } if refusal.reason == contention);
    if !refused {
        let other = &second.outcome;
        return Err(Wrong::Story(format!(
            "transfer 2 must abort with {contention}, but: {other}"
        )));
    }
    if !matches!(first.outcome, Outcome::Committed { .. }) {
        return Err(Wrong::Story(format!(
            "transfer 1 must commit, but: {}",
            first.outcome
        )));
    }
    stage.settle()?;
    stage.check(before, [-100, 100, 0])
}

fn order_of((from, to, amount): Transfer) -> Order {
    order(from, to, amount)
}

/// Runs transfer 2 once N2 holds B for transfer 1.
fn while_held(stage: &Stage) -> Result<Submission, Wrong> {
    // A read of B waits for the hold; one that waits only a moment comes back with its name.
    let mut reader = stage.client_for(Duration::from_millis(100));
    let began = Instant::now();
    loop {
        // In so short a time a question may also get no answer at all.
        if let Ok(BalanceAnswer::InDoubt {
            holders,
            lowest,
            highest,
        }) = reader.balance(player("N2/B"))
        {
            let holder = holders.first().map(ToString::to_string).unwrap_or_default();
            stage.say(&format!(
                "N2 has promised: B is held by {holder} and will be {lowest} or {highest}."
            ));
            break;
        }
        if began.elapsed() > REACH_MAX {
            return Err(Wrong::Story("transfer 1 never held B".to_owned()));
        }
        stage.pause()?;
    }
    stage.say("Transfer 2 begins.");
    Ok(stage.client().submit(None, order_of(CONFLICTING[1]))?)
}
