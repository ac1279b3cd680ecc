//! How does a client get through where others want the same account? It tries again, under new ids, with growing pauses
//! that never are the same for two clients.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use client::{Client, Error, Order, Outcome, Submission};

/// How often it is tried.
const TRIES_MAX: usize = 100;

/// How it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The last try.
    pub submission: Submission,
    /// Why each one before it aborted.
    pub met: Vec<String>,
}

impl Ending {
    /// How many tries it took.
    pub fn tries(&self) -> usize {
        self.met.len() + 1
    }
}

/// Submits `order` until it commits, or until it ends in another way that trying again does not help against.
///
/// # Errors
/// As [`Client::submit`].
pub fn until_it_commits(client: &mut Client, order: &Order) -> Result<Ending, Error> {
    let mut met = Vec::new();
    loop {
        let submission = client.submit(None, order.clone())?;
        match &submission.outcome {
            Outcome::Aborted { refusal, .. } if refusal.reason.retryable() && met.len() + 1 < TRIES_MAX => {
                met.push(refusal.reason.to_string());
            }
            Outcome::Committed { .. }
            | Outcome::Aborted { .. }
            | Outcome::Unknown { .. }
            | Outcome::Reused
            | Outcome::Rejected { .. } => return Ok(Ending { submission, met }),
        }
        thread::sleep(jittered(met.len()));
    }
}

/// A pause before the next try: longer with each, and never the same for two clients.
fn jittered(attempt: usize) -> Duration {
    let longest_us = 1_000 * u64::try_from(attempt.min(20)).expect("20 at the most");
    // A standard hasher is seeded at random.
    Duration::from_micros(500 + RandomState::new().hash_one(attempt) % longest_us)
}
