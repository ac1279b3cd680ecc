//! Three transfers at once: all commit in the end, and the sums come out exactly.

use std::hash::{BuildHasher, RandomState};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use client::{Client, Outcome};

use super::stage::{Stage, order, outcome, shown};
use super::wrong::Wrong;

const TRANSFERS: [(&str, &str, i64); 3] = [("N1/A", "N2/B", 10), ("N2/B", "N1/A", 10), ("N3/C", "N1/A", 20)];

const TRIES_MAX: u32 = 100;

/// Tells the story.
pub(super) fn tell(stage: &mut Stage) -> Result<(), Wrong> {
    stage.say(
        "Three clients start a transfer at the same moment, and all of them want N1/A. A transfer that meets",
    );
    stage.say("another one aborts at once (no-wait locks); its client tries again under a new request id.");
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    let start = Barrier::new(TRANSFERS.len());
    let ends: Result<Vec<String>, Wrong> = thread::scope(|scope| {
        let spawn = |transfer| {
            let client = stage.client();
            let start = &start;
            scope.spawn(move || until_it_commits(client, start, transfer))
        };
        let threads: Vec<_> = TRANSFERS.into_iter().map(spawn).collect();
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

fn until_it_commits(
    mut client: Client,
    start: &Barrier,
    transfer: (&str, &str, i64),
) -> Result<String, Wrong> {
    let (from, to, amount) = transfer;
    let name = format!("{from} → {to} {amount}");
    start.wait();
    let mut met = Vec::new();
    for attempt in 1..=TRIES_MAX {
        let submission = client.submit(None, order(from, to, amount))?;
        match &submission.outcome {
            Outcome::Committed { .. } => {
                let met = if met.is_empty() {
                    String::new()
                } else {
                    format!(", after {}", met.join(", "))
                };
                return Ok(format!("{name}: committed at try {attempt}{met}"));
            }
            Outcome::Aborted { refusal, .. } if refusal.reason.retryable() => {
                met.push(refusal.reason.to_string())
            }
            Outcome::Aborted { .. }
            | Outcome::Unknown { .. }
            | Outcome::Reused
            | Outcome::Rejected { .. } => {
                return Err(Wrong::Story(format!("{name}: {}", outcome(&submission))));
            }
        }
        thread::sleep(jittered(attempt));
    }
    Err(Wrong::Story(format!("{name}: no luck in {TRIES_MAX} tries")))
}

/// A pause before the next try: longer with each, and never the same for two clients.
fn jittered(attempt: u32) -> Duration {
    let longest_us = 1_000 * u64::from(attempt.min(20));
    // A standard hasher is seeded at random.
    Duration::from_micros(500 + RandomState::new().hash_one(attempt) % longest_us)
}
