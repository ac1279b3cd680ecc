//! `twopence bench`: measures one cluster after the other, prints what was found and writes it down.

use std::path::Path;

use benches::measure::{Audit, Measurement, measure};
use benches::options::Options;
use benches::progress::Progress;
use client::ClientConfig;
use serde::Serialize;

use crate::cli::{Address, BenchArgs};
use crate::exit::Exit;
use crate::logging;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;

/// All that was measured, as programs read it.
#[derive(Serialize)]
struct Results<'a> {
    version: &'static str,
    measurements: &'a [Measurement],
}

/// Runs `twopence bench`.
pub(crate) fn run(args: &BenchArgs) -> Exit {
    logging::start(args.log_level);
    let mut found = Vec::new();
    let measured = measure_all(args, &mut found);
    if let Some(path) = &args.json
        && let Err(error) = write(path, &found)
    {
        explain(&format!("cannot write {}: {error}", path.display()));
        return Exit::Other;
    }
    match measured {
        Ok(()) => verdict(found.iter().map(|measured| &measured.audit)),
        Err(why) => {
            explain(&format!("Could not be measured: {why}"));
            Exit::Other
        }
    }
}

fn measure_all(args: &BenchArgs, found: &mut Vec<Measurement>) -> Result<(), String> {
    let interrupt = Interrupt::watch().map_err(|error| format!("cannot catch Ctrl-C: {error}"))?;
    let options = options(args, &interrupt)?;
    let kinds: Vec<String> = match &options.running {
        Some(_) => vec!["running cluster".to_owned()],
        None => args.store.iter().map(ToString::to_string).collect(),
    };
    for store in &kinds {
        for locking in &args.locking {
            let options = Options {
                locking: locking.to_string(),
                ..options.clone()
            };
            let mut progress = Progress::begin(&format!("{store}, {locking}"));
            let measured = measure(&options, store, &mut |tick| progress.show(tick));
            progress.end();
            let measured = measured?;
            print_line(&format!("{measured}\n"));
            found.push(measured);
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
        clients: usize::from(args.clients),
        in_flight: usize::from(args.in_flight),
        rate: args.rate,
        warmup: args.warmup,
        time: args.time,
        seed: args.seed,
        interrupt: interrupt.flag(),
        ..Options::new(binary, dir)
    })
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

fn write(path: &Path, found: &[Measurement]) -> std::io::Result<()> {
    let results = Results {
        version: env!("CARGO_PKG_VERSION"),
        measurements: found,
    };
    let mut text = serde_json::to_string_pretty(&results)?;
    text.push('\n');
    std::fs::write(path, text)
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
