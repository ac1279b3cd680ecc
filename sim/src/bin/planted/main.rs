//! `planted`: breaks one rule after the other on purpose, and says what notices it.
//!
//! An ordinary build has no planted bugs, so the command first builds itself once more with them, in a directory of its
//! own. Then each bug gets a process that runs seeds of the simulator until one goes wrong, and on to the hundredth; and
//! where the simulator cannot see a bug, or seldom, the test that does. Before, everything runs once without a bug and
//! must be green.

mod rebuild;
mod seeds;
mod table;
mod tests;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;
use protocol::planted::Bug;

use seeds::Seeds;
use table::Found;

/// Breaks one rule after the other on purpose, and says what notices it.
#[derive(Debug, Parser)]
#[command(
    name = "planted",
    max_term_width = 100,
    after_help = "\
Examples:
  cargo run -p twopence-sim --bin planted                  every bug; writes docs/planted.md
  cargo run -p twopence-sim --bin planted -- --quick       some of every kind, in a minute or two
  cargo run -p twopence-sim --bin planted -- AckBeforeSync

Exit codes: 0 every bug was noticed, 1 one was not, 2 usage."
)]
struct Args {
    /// Only these bugs; all if none is named
    #[arg(value_name = "BUG", value_parser = Bug::named)]
    bugs: Vec<Bug>,

    /// How many seeds a bug may survive
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,

    /// Only some bugs of every kind, none of which survives many seeds
    #[arg(long, conflicts_with = "bugs")]
    quick: bool,

    /// How many bugs at a time; by default as many as there are cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// For the processes that this command starts: run seeds with the bug that is planted in this process
    #[arg(long, hide = true)]
    only_seeds: bool,
}

/// What a change must pass: bugs that the first seeds find, in every part of the code.
const QUICK: &[Bug] = &[
    Bug::HoldsEndWithPrepare,
    Bug::VoteBeforeSync,
    Bug::DecisionBeforeSync,
    Bug::ActivePresumedAborted,
    Bug::RecoveryEndsCommits,
    Bug::AckBeforeSync,
    Bug::OpenRequestForgotten,
    Bug::RetryUnmarked,
    Bug::ReadsSkipHolds,
    Bug::AuditWithoutLocks,
    Bug::NeverSeenForgotten,
    Bug::PreparedNotKept,
    Bug::UnsyncedLog,
    Bug::UnsyncedRecovery,
    Bug::TornTailKept,
];

fn main() -> ExitCode {
    let args = Args::parse();
    if !cfg!(planted) {
        return rebuild::with_planted_bugs();
    }
    if args.only_seeds {
        seeds::run_here(args.seeds);
        return ExitCode::SUCCESS;
    }
    let bugs: Vec<Bug> = match (args.bugs.as_slice(), args.quick) {
        ([], false) => Bug::ALL.to_vec(),
        ([], true) => QUICK.to_vec(),
        (bugs, _) => bugs.to_vec(),
    };
    if let Err(red) = green_without_a_bug(&bugs) {
        eprintln!("{red}");
        return ExitCode::FAILURE;
    }
    let threads = args
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let found = try_all(&bugs, args.seeds, threads.max(1));
    println!("\n{}", table::sum(&found));
    if bugs.len() == Bug::ALL.len() {
        let path = table::write(&found);
        println!("The table is in {path}.");
    }
    if found.iter().all(Found::is_noticed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What notices a bug must find nothing where there is none.
fn green_without_a_bug(bugs: &[Bug]) -> Result<(), String> {
    let peace = Seeds::run(None, 20)?;
    if let Some((seed, text)) = peace.first {
        return Err(format!("seed {seed} goes wrong without any planted bug: {text}"));
    }
    let tests: BTreeSet<_> = bugs.iter().filter_map(|&bug| tests::of(bug)).collect();
    for test in tests {
        if test.notices(None)? {
            return Err(format!("{test} fails without any planted bug"));
        }
    }
    Ok(())
}

/// Tries every bug, a few at a time, and says how it went as soon as it is known.
fn try_all(bugs: &[Bug], seeds_max: u64, threads: usize) -> Vec<Found> {
    let open = Mutex::new(bugs.iter());
    let next = || open.lock().expect("no thread panics with it").next().copied();
    let work = || {
        let mut found = Vec::new();
        while let Some(bug) = next() {
            let one = Found::look_for(bug, seeds_max);
            println!("{one}");
            found.push(one);
        }
        found
    };
    let mut found: Vec<Found> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"));
        joined.flatten().collect()
    });
    found.sort_by_key(|found| found.bug);
    found
}
