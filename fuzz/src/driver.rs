//! The driver for every toolchain: replays, mutates, and makes what it finds small.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::corpus::Input;
use crate::mutate::mutate;
use crate::random::Random;
use crate::{Seen, Target};

/// An input that proves the code wrong.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The input.
    pub input: Vec<u8>,
    /// Where it came from.
    pub origin: String,
}

/// Runs every input as it is.
///
/// # Errors
/// The first that proves the code wrong.
pub fn replay(target: &Target, inputs: &[Input], seen: &mut Seen) -> Result<(), Proof> {
    let watch = Watch::begin(target.name);
    for input in inputs {
        watch.looks_at(&input.bytes);
        if !passes(target, &input.bytes, seen) {
            return Err(Proof {
                input: input.bytes.clone(),
                origin: input.name.clone(),
            });
        }
    }
    Ok(())
}

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// That many inputs.
    Count(u64),
    /// That much time.
    Elapsed(Duration),
}

/// Runs mutations of `inputs`, the same for the same seed. Returns how many.
///
/// # Errors
/// The first that proves the code wrong.
pub fn explore(
    target: &Target,
    inputs: &[Input],
    seed: u64,
    until: Until,
    seen: &mut Seen,
) -> Result<u64, Proof> {
    let watch = Watch::begin(target.name);
    let mut random = Random::new(seed);
    let began = Instant::now();
    let mut count = 0;
    loop {
        let over = match until {
            Until::Count(most) => count == most,
            Until::Elapsed(time) => began.elapsed() >= time,
        };
        if over || inputs.is_empty() {
            return Ok(count);
        }
        let parent = &inputs[random.below(inputs.len())];
        let other = &inputs[random.below(inputs.len())];
        let mut input = parent.bytes.clone();
        mutate(&mut input, &other.bytes, &mut random);
        watch.looks_at(&input);
        if !passes(target, &input, seen) {
            return Err(Proof {
                input,
                origin: format!("mutation {count} of seed {seed}, of {}", parent.name),
            });
        }
        count += 1;
    }
}

fn passes(target: &Target, input: &[u8], seen: &mut Seen) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| target.run(input, seen))).is_ok()
}

/// A smaller input that proves the code wrong, too: parts are left out and bytes are zeroed for as long as that works.
pub fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let fails = |input: &[u8]| !passes(target, input, &mut Seen::new());
    let mut best = input.to_vec();
    let mut len = best.len().next_power_of_two();
    while len > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut smaller = best.clone();
            smaller.drain(at..(at + len).min(best.len()));
            if fails(&smaller) {
                best = smaller;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    for at in 0..best.len() {
        let mut plainer = best.clone();
        plainer[at] = 0;
        if best[at] != 0 && fails(&plainer) {
            best = plainer;
        }
    }
    panic::set_hook(hook);
    best
}

/// Ends the process if an input takes for ever.
struct Watch {
    inputs: mpsc::Sender<Vec<u8>>,
}

/// Longer than any input may take, and than any machine sleeps.
const HANGS: Duration = Duration::from_secs(60);

impl Watch {
    fn begin(target: &'static str) -> Watch {
        let (inputs, looked_at) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            let mut last = Vec::new();
            loop {
                match looked_at.recv_timeout(HANGS) {
                    Ok(input) => last = input,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("{target} hangs on {last:02x?}");
                        std::process::abort();
                    }
                }
            }
        });
        Watch { inputs }
    }

    fn looks_at(&self, input: &[u8]) {
        self.inputs
            .send(input.to_vec())
            .expect("the watch listens until it is dropped");
    }
}
