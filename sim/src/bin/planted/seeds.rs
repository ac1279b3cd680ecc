//! Seeds of the simulator in a process that has one planted bug.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use protocol::planted::{Bug, VARIABLE};
use sim::run::{self, Tracing};

/// Seeds of which the table says how many notice a bug.
const SAMPLE: u64 = 100;

/// A seed takes a few hundredths of a second; one that takes this long never ends.
const SEED_MAX: Duration = Duration::from_secs(120);

/// What seeds made of a bug.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeds {
    /// The first seed that went wrong, and what was wrong first.
    pub(crate) first: Option<(u64, String)>,
    /// How many of the first [`SAMPLE`] went wrong.
    pub(crate) of_sample: u64,
    /// How many were run.
    pub(crate) ran: u64,
}

impl Seeds {
    /// Runs seeds with `bug` in a process of their own, until one goes wrong and the sample is complete, at most
    /// `seeds_max`.
    pub(crate) fn run(bug: Option<Bug>, seeds_max: u64) -> Result<Seeds, String> {
        let failed = |error: std::io::Error| format!("cannot run seeds: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["--only-seeds", "--seeds", &seeds_max.to_string()]);
        match bug {
            Some(bug) => command.env(VARIABLE, bug.name()),
            None => command.env_remove(VARIABLE),
        };
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut seeds = Seeds::default();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        for line in lines {
            seeds.add(&line.map_err(failed)?);
        }
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            // Not even the seed's verdict came: the bug took the simulator with it.
            seeds.add(&format!("{}\tthe process ends with {status}", seeds.ran + 1));
        }
        Ok(seeds)
    }

    /// Takes a line that [`run_here`] has written.
    fn add(&mut self, line: &str) {
        let (seed, text) = line.split_once('\t').expect("our own line");
        self.ran = seed.parse().expect("our own number");
        if !text.is_empty() {
            self.of_sample += u64::from(self.ran <= SAMPLE);
            self.first.get_or_insert_with(|| (self.ran, text.to_owned()));
        }
    }
}

/// Runs seeds in this process, until one goes wrong and the sample is complete, at most `seeds_max`; one line each.
pub(crate) fn run_here(seeds_max: u64) {
    // An assertion that fails is what is looked for.
    std::panic::set_hook(Box::new(|_| {}));
    let (sender, receiver) = mpsc::sync_channel(0);
    thread::spawn(move || {
        for seed in 1..=seeds_max {
            let wrong = run::seed(seed, Tracing::Off).wrong;
            if sender.send(wrong.into_iter().next().unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    let mut noticed = false;
    for seed in 1.. {
        match receiver.recv_timeout(SEED_MAX) {
            Ok(text) => {
                noticed |= !text.is_empty();
                println!("{seed}\t{}", text.lines().next().unwrap_or_default());
            }
            Err(RecvTimeoutError::Timeout) => return println!("{seed}\tit never ends"),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if noticed && seed >= SAMPLE {
            return;
        }
    }
}
