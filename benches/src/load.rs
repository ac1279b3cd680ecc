//! Closed-loop load: each client sends its next transfer when it knows the last one's outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Outcome};
use protocol::leg::Order;
use protocol::money::Amount;

use crate::place::account;

/// What a load came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Committed transfers a second.
    pub per_second: f64,
    /// Time of each committed transfer.
    pub times: Vec<Duration>,
    /// Transfers that did not commit.
    pub others: usize,
}

/// One transfer of 1 from N1 to N2 between accounts that no other client uses; how long until its outcome was known.
///
/// # Errors
/// A text that says what failed.
pub fn transfer_once(client: &mut Client, index: usize) -> Result<(Duration, bool), String> {
    let one = Amount::try_from(1).expect("in range");
    let order = Order::transfer(account("N1", index), account("N2", index), one).expect("two accounts");
    let begin = Instant::now();
    let submission = client.submit(None, order).map_err(|error| error.to_string())?;
    Ok((
        begin.elapsed(),
        matches!(submission.outcome, Outcome::Committed { .. }),
    ))
}

/// Runs `clients` of them, each on accounts and a connection of its own, for `time`.
///
/// # Errors
/// A text that says what failed.
pub fn run(config: &ClientConfig, clients: usize, time: Duration) -> Result<Measured, String> {
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let results: Vec<Result<(Vec<Duration>, usize), String>> = thread::scope(|scope| {
        let stop = &stop;
        let threads: Vec<_> = (0..clients)
            .map(|index| scope.spawn(move || one_client(config, index, stop)))
            .collect();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a client does not panic"))
            .collect()
    });
    let elapsed = begin.elapsed();
    let mut measured = Measured {
        per_second: 0.0,
        times: Vec::new(),
        others: 0,
    };
    for result in results {
        let (times, others) = result?;
        measured.times.extend(times);
        measured.others += others;
    }
    let committed = u32::try_from(measured.times.len()).map_err(|error| error.to_string())?;
    measured.per_second = f64::from(committed) / elapsed.as_secs_f64();
    Ok(measured)
}

fn one_client(
    config: &ClientConfig,
    index: usize,
    stop: &AtomicBool,
) -> Result<(Vec<Duration>, usize), String> {
    let mut client = Client::new(config.clone()).map_err(|error| error.to_string())?;
    let (mut times, mut others) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        match transfer_once(&mut client, index)? {
            (time, true) => times.push(time),
            (_, false) => others += 1,
        }
    }
    Ok((times, others))
}
