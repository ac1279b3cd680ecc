//! `twopence crash-test`: a cluster of its own is broken at random while clients use it, and every promise is checked.
//!
//! [`fault`] is what can go wrong, [`havoc`] makes it, [`load`] is the clients and [`history`] what they were told,
//! [`watch`] what is checked meanwhile, [`settle`] what must hold in the peace after each round, and [`verdict`] the word
//! about each invariant at the end.

mod fault;
mod finding;
mod havoc;
mod history;
mod load;
pub(crate) mod points;
mod progress;
mod pulse;
mod report;
mod run;
mod settle;
mod times;
mod verdict;
mod watch;
mod workload;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use client::fresh_request_id;
use tempfile::TempDir;

use crate::cli::CrashTestArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::power_cut;
use crate::up::interrupt::Interrupt;

use fault::Kind;
use report::{Ending, Report, Settings};
use run::Run;
use times::Spread;
use verdict::Looked;

/// Runs `twopence crash-test`.
pub(crate) fn run(args: &CrashTestArgs) -> Exit {
    logging::start(args.log_level);
    match crash_test(args) {
        Ok(report) => conclude(&report, args),
        Err(Failure { exit, why }) => {
            explain(&format!("The crash test could not be run: {why}"));
            exit
        }
    }
}

/// Why there is no report.
struct Failure {
    exit: Exit,
    why: String,
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure {
            exit: Exit::Unknown,
            why,
        }
    }
}

fn crash_test(args: &CrashTestArgs) -> Result<Report, Failure> {
    let interrupt = Interrupt::watch().map_err(|error| format!("cannot catch Ctrl-C: {error}"))?;
    if args.power_cut {
        power_cut::library(args.store)?;
    }
    let seed = args
        .seed
        .unwrap_or_else(|| u64::try_from(fresh_request_id().0 >> 96).expect("32 bits"));
    let dir = Dir::of(args)?;
    let settings = settings(args, seed);
    explain(&format!("{} (data in {})", settings.repeat, dir.path().display()));
    let run = run::run(args, seed, dir.path(), &interrupt)?;
    note_faults(&run);
    let mut report = report(settings, &run, interrupt.came());
    let is_wanted = report.ending == Ending::Violated || args.data_dir.is_some();
    report.kept = is_wanted.then(|| dir.keep());
    Ok(report)
}

/// Prints and writes the report.
fn conclude(report: &Report, args: &CrashTestArgs) -> Exit {
    print_line(report.to_string().trim_end());
    let chosen = args.report.clone();
    let place = chosen
        .unwrap_or_else(|| env::temp_dir().join(format!("twopence-crash-test-{}", report.settings.seed)));
    for dir in [Some(&place), report.kept.as_ref()].into_iter().flatten() {
        match report.write(dir) {
            Ok(()) => explain(&format!("Report: {}", dir.join("crash-test.txt").display())),
            Err(error) => explain(&format!(
                "cannot write the report into {}: {error}",
                dir.display()
            )),
        }
    }
    match report.ending {
        Ending::Held => Exit::Ok,
        Ending::Violated => Exit::Violated,
        Ending::Unfinished => Exit::Unknown,
    }
}

fn settings(args: &CrashTestArgs, seed: u64) -> Settings {
    let power_cut = if args.power_cut { " --power-cut" } else { "" };
    let locking: Vec<&str> = args.locking.iter().map(|locking| locking.name()).collect();
    let locking = locking.join(",");
    Settings {
        version: env!("CARGO_PKG_VERSION"),
        store: args.store.to_string(),
        locking: args.locking.iter().map(ToString::to_string).collect(),
        power_cut: args.power_cut,
        seed,
        nodes: args.nodes,
        clients: args.clients,
        asked_for_s: args.time.as_secs(),
        repeat: format!(
            "twopence crash-test --for {}s --store {} --locking {locking}{power_cut} --seed {seed} --nodes {} --clients {}",
            args.time.as_secs(),
            args.store,
            args.nodes,
            args.clients
        ),
    }
}

fn report(settings: Settings, run: &Run, interrupted: bool) -> Report {
    let violations = run.findings.all();
    let (ending, remark) = if !violations.is_empty() {
        (Ending::Violated, None)
    } else if run.rounds == 0 || run.history.answers.committed == 0 {
        (
            Ending::Unfinished,
            Some("No round came to its end with anything committed.".to_owned()),
        )
    } else if interrupted {
        let remark = format!(
            "Interrupted after {} s; this is about what was done by then.",
            run.lasted.as_secs()
        );
        (Ending::Held, Some(remark))
    } else {
        (Ending::Held, None)
    };
    let looked = Looked {
        rounds: run.rounds,
        audits: &run.audits,
        stores: run.stores.as_ref(),
    };
    let of_kind = |kind: Kind| Some((kind.name(), *run.tally.faults.get(&kind)?));
    let recovery = run.recoveries.spreads();
    Report {
        ending,
        remark,
        settings,
        lasted_s: run.lasted.as_secs(),
        stalled_s: run.pulse.stalled().as_secs(),
        rounds: run.rounds,
        faults: Kind::ALL.into_iter().filter_map(of_kind).collect(),
        answers: run.history.answers.clone(),
        latency: Spread::of(&run.history.latencies),
        recovery: recovery
            .into_iter()
            .map(|(kind, spread)| (kind.name(), spread))
            .collect(),
        audits: run.audits.clone(),
        verdict: verdict::verdict(&violations, looked),
        violations,
        stores: run.stores.clone(),
        kept: None,
    }
}

/// Adds what was fired to the tally of faults, for the table of faults and what fires them.
fn note_faults(run: &Run) {
    for kind in Kind::ALL {
        let times = run.tally.faults.get(&kind).copied().unwrap_or(0);
        for id in kind.ids() {
            faults::fired_by("twopence crash-test", id, times);
        }
    }
    for (id, times) in &run.tally.points {
        faults::fired_by("twopence crash-test", id, *times);
    }
    if run.power_cut {
        let deaths = [Kind::Kill, Kind::KillAll, Kind::Failpoint, Kind::Recovery];
        let times = deaths.iter().filter_map(|kind| run.tally.faults.get(kind)).sum();
        faults::fired_by("twopence crash-test", "D2", times);
    }
    faults::fired_by("twopence crash-test", "I8", run.history.answers.repeats);
    faults::fired_by(
        "twopence crash-test",
        "I3",
        run.history.answers.aborted_for_lack_of_money,
    );
    faults::fired_by(
        "twopence crash-test",
        "X5",
        run.history.answers.aborted_over_a_conflict,
    );
}

/// Where the stores are.
enum Dir {
    /// Ours: removed at the end unless it is kept.
    Temporary(TempDir),
    /// The user's.
    Given(PathBuf),
}

impl Dir {
    fn of(args: &CrashTestArgs) -> Result<Dir, Failure> {
        match &args.data_dir {
            None => Ok(TempDir::with_prefix("twopence-crash-test-")
                .map(Dir::Temporary)
                .map_err(|error| format!("cannot make a temporary folder: {error}"))?),
            Some(dir) => {
                let io = |error| format!("cannot use {}: {error}", dir.display());
                fs::create_dir_all(dir).map_err(io)?;
                if fs::read_dir(dir).map_err(io)?.next().is_some() {
                    return Err(Failure {
                        exit: Exit::Usage,
                        why: format!(
                            "{} is not empty: name a directory for it alone. Nothing was started",
                            dir.display()
                        ),
                    });
                }
                Ok(Dir::Given(dir.clone()))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Dir::Temporary(dir) => dir.path(),
            Dir::Given(dir) => dir,
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Dir::Temporary(dir) => dir.keep(),
            Dir::Given(dir) => dir,
        }
    }
}
