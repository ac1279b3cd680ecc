//! Three transfers at once: all commit in the end, and the sums come out exactly.

use std::sync::Barrier;
use std::thread;

use client::{Client, Outcome};
use cluster::story::{CONCURRENT, Transfer, until_it_commits};

use super::stage::{Stage, order, outcome, shown};
use super::wrong::Wrong;

/// Tells the story.
pub(super) fn tell(stage: &mut Stage) -> Result<(), Wrong> {
    stage.say(
        "Three clients start a transfer at the same moment, and all of them want N1/A. A transfer that meets",
    );
    stage.say("another one aborts at once (no-wait locks); its client tries again under a new request id.");
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let start = Barrier::new(CONCURRENT.len());
    let ends: Result<Vec<String>, Wrong> = thread::scope(|scope| {
        let spawn = |transfer| {
            let client = stage.client();
            let start = &start;
            scope.spawn(move || at_once(client, start, transfer))
        };
        let threads: Vec<_> = CONCURRENT.into_iter().map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a demo's thread does not panic"))
            .collect()
    });
    for end in ends? {
        stage.say(&end);
    }
    stage.settle()?;
    stage.check(before, [20, 0, -20])
}

fn at_once(mut client: Client, start: &Barrier, transfer: Transfer) -> Result<String, Wrong> {
    let (from, to, amount) = transfer;
    let name = format!("{from} → {to} {amount}");
    start.wait();
    let ending = until_it_commits(&mut client, &order(from, to, amount))?;
    if !matches!(ending.submission.outcome, Outcome::Committed { .. }) {
        return Err(Wrong::Story(format!("{name}: {}", outcome(&ending.submission))));
    }
    let met = if ending.met.is_empty() {
        String::new()
    } else {
        format!(", after {}", ending.met.join(", "))
    };
    Ok(format!("{name}: committed at try {}{met}", ending.tries()))
}
