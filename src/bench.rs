//! `twopence bench`: measures one cluster after the other, prints what was found and writes it down.

mod watched;

use std::path::Path;

use benches::load::Tick;
use benches::measure::Audit;
use benches::options::Options;
use benches::progress::Progress;
use benches::recovery::Recovery;
use benches::suite::{Audience, Measured, Results, Suite, Sweep};
use benches::{report, table};
use client::ClientConfig;
use serde::Serialize;

use crate::cli::{Address, BenchArgs, BenchSuite};
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All that was measured, as programs read it.
#[derive(Serialize)]
struct Written<'a, T> {
    version: &'static str,
    #[serde(flatten)]
    results: &'a T,
}

/// Runs `twopence bench`.
pub(crate) fn run(args: &BenchArgs) -> Exit {
    logging::start(args.log_level);
    if let Some(pairs) = args.watched_pairs {
        return watched::run(args, pairs);
    }
    let mut results = Results::default();
    let measured = measure(args, &mut results);
    // What was found before something failed is written all the same.
    let written = write(args, &results);
    match measured.and(written) {
        Ok(()) => verdict(audits(&results)),
        Err(why) => {
            explain(&format!("Could not be measured: {why}"));
            let violated = audits(&results).any(|audit| *audit == Audit::Violated);
            if violated { Exit::Violated } else { Exit::Other }
        }
    }
}

fn measure(args: &BenchArgs, results: &mut Results) -> Result<(), String> {
    let interrupt = Interrupt::watch().map_err(|error| format!("cannot catch Ctrl-C: {error}"))?;
    let options = options(args, &interrupt)?;
    let (stores, lockings): (Vec<String>, Vec<String>) = match &options.running {
        Some(_) => (
            vec!["running cluster".to_owned()],
            vec!["its own locking".to_owned()],
        ),
        None => (
            args.store.iter().map(ToString::to_string).collect(),
            args.locking.iter().map(ToString::to_string).collect(),
        ),
    };
    let mut stage = Stage::default();
    let with = |locking: &String| Options {
        locking: locking.clone(),
        ..options.clone()
    };
    match args.suite {
        None => {
            for store in &stores {
                for locking in &lockings {
                    Suite::new(with(locking), &mut stage, results).single(store)?;
                }
            }
        }
        Some(BenchSuite::Plots) => {
            Suite::new(with(&lockings[0]), &mut stage, results).plots(&stores, &lockings)?;
        }
        Some(BenchSuite::Restart) => {
            for store in &stores {
                Suite::new(with(&lockings[0]), &mut stage, results).restart(store)?;
            }
        }
        Some(BenchSuite::Scale) => {
            for store in &stores {
                Suite::new(with(&lockings[0]), &mut stage, results).scale(store)?;
            }
        }
    }
    Ok(())
}

fn options(args: &BenchArgs, interrupt: &Interrupt) -> Result<Options, String> {
    let binary = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let running = (!args.coord.is_empty()).then(|| ClientConfig {
        cluster: args.cluster.clone(),
        ..ClientConfig::at(args.coord.iter().map(Address::to_string))
    });
    Ok(Options {
        running,
        accounts: args.accounts,
        dist: args.dist,
        legs: usize::from(args.legs),
        batch: usize::from(args.batch),
        nodes: args.nodes,
        coordinators: args.coordinators,
        clients: usize::from(args.clients),
        in_flight: usize::from(args.in_flight),
        rate: args.rate,
        warmup: args.warmup(),
        time: args.time(),
        seed: args.seed,
        interrupt: interrupt.flag(),
        ..Options::new(binary, dir)
    })
}

/// Prints what is found while it is found.
#[derive(Default)]
struct Stage {
    progress: Option<Progress>,
    /// Whether the head of the table of loads stands there.
    headed: bool,
    /// Lines of the table of restarts, which follows that of loads.
    restarts: Vec<String>,
}

impl Stage {
    fn clear(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.end();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.clear();
        if !self.restarts.is_empty() {
            print_line("\nRestarts after kill -9 under load");
            print_line(table::RESTARTS);
        }
        for line in &self.restarts {
            print_line(line);
        }
    }
}

impl Audience for Stage {
    fn begins(&mut self, what: &str) {
        self.clear();
        self.progress = Some(Progress::begin(what));
    }

    fn tick(&mut self, tick: Tick) {
        if let Some(progress) = &mut self.progress {
            progress.show(tick);
        }
    }

    fn measured(&mut self, measured: &Measured) {
        if measured.sweep == Sweep::Single {
            self.clear();
            print_line(&format!("{}\n", measured.measurement));
        } else {
            self.clear();
            if !self.headed {
                self.headed = true;
                print_line(table::LOADS);
            }
            print_line(&table::load(&measured.measurement));
        }
    }

    fn recovered(&mut self, recovery: &Recovery) {
        self.clear();
        self.restarts.push(table::restart(recovery));
    }
}

fn audits(results: &Results) -> impl Iterator<Item = &Audit> {
    let loads = results
        .measurements
        .iter()
        .map(|measured| &measured.measurement.audit);
    loads.chain(results.recoveries.iter().map(|recovery| &recovery.audit))
}

/// The worst that any audit said.
fn verdict<'a>(audits: impl Iterator<Item = &'a Audit>) -> Exit {
    let mut worst = Exit::Ok;
    for audit in audits {
        match audit {
            Audit::Exact => {}
            Audit::Violated => return Exit::Violated,
            Audit::Incomplete(_) => worst = Exit::Unknown,
        }
    }
    worst
}

fn write(args: &BenchArgs, results: &Results) -> Result<(), String> {
    if let Some(path) = &args.json {
        write_json(path, results)?;
    }
    if let Some(path) = &args.report {
        put(path, report::html(results, VERSION))?;
    }
    Ok(())
}

fn write_json<T: Serialize>(path: &Path, results: &T) -> Result<(), String> {
    let version = VERSION;
    let written = Written { version, results };
    let text = serde_json::to_string_pretty(&written).map_err(|error| error.to_string())?;
    put(path, text + "\n")
}

fn put(path: &Path, text: String) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_violated_audit_is_what_the_exit_code_says() {
        let incomplete = || Audit::Incomplete("N2 is away".to_owned());
        let code = |audits: &[Audit]| verdict(audits.iter()).code();
        assert_eq!(code(&[Audit::Exact, Audit::Exact]), 0);
        assert_eq!(code(&[Audit::Exact, incomplete()]), 6);
        assert_eq!(code(&[incomplete(), Audit::Violated, incomplete()]), 8);
    }
}
