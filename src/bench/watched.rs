//! `bench --watched-pairs`: what it costs to be watched.

use benches::load::Tick;
use benches::options::Options;
use benches::progress::Progress;
use benches::watched::{self, Watched};
use serde::Serialize;

use super::{options, verdict, write_json};
use crate::cli::BenchArgs;
use crate::exit::Exit;
use crate::output::{explain, print_line};
use crate::up::interrupt::Interrupt;

/// What was found, one for each store.
#[derive(Serialize)]
struct Found {
    watched: Vec<Watched>,
}

/// Measures so many pairs on each store.
pub(super) fn run(args: &BenchArgs, pairs: u16) -> Exit {
    let mut found = Found { watched: Vec::new() };
    let measured = measure(args, pairs, &mut found);
    let written = args.json.as_ref().map_or(Ok(()), |path| write_json(path, &found));
    match measured.and(written) {
        Ok(()) => {
            let pairs = found.watched.iter().flat_map(|watched| &watched.pairs);
            verdict(pairs.flat_map(|pair| [&pair.plain.audit, &pair.watched.audit]))
        }
        Err(why) => {
            explain(&format!("Could not be measured: {why}"));
            Exit::Other
        }
    }
}

fn measure(args: &BenchArgs, pairs: u16, found: &mut Found) -> Result<(), String> {
    let interrupt = Interrupt::watch().map_err(|error| format!("cannot catch Ctrl-C: {error}"))?;
    let options = Options {
        locking: args.locking[0].to_string(),
        ..options(args, &interrupt)?
    };
    for store in &args.store {
        let mut progress: Option<Progress> = None;
        let mut tell = |what: &str, tick: Option<Tick>| match (&mut progress, tick) {
            (Some(progress), Some(tick)) => progress.show(tick),
            (_, None) => {
                if let Some(before) = progress.take() {
                    before.end();
                }
                progress = Some(Progress::begin(what));
            }
            (None, Some(_)) => {}
        };
        let watched = watched::pairs(&options, &store.to_string(), pairs, &mut tell);
        if let Some(progress) = progress {
            progress.end();
        }
        let watched = watched?;
        print_line(&format!("{watched}\n"));
        found.watched.push(watched);
    }
    Ok(())
}
