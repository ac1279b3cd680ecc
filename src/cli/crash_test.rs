//! A trial of the whole thing by fire.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::StoreKind;
use log::LevelFilter;
use protocol::locking::Locking;

use super::connect::log_level;
use super::serve::{locking, store_kind};

/// Break a cluster of its own at random, under load, and check that no money is made or lost
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  twopence crash-test                            one minute, three json nodes
  twopence crash-test --for 10m --power-cut      kill -9 also takes what was not synced
  twopence crash-test --store sled --seed 7 --report /tmp/report

It starts its own coordinator and nodes on free ports and sends them transfers. Meanwhile it kills processes with \
kill -9, at random and at named points, also while they recover; freezes them; cuts, delays, silences, half closes and \
garbles their connections. Every 15 seconds everything heals and is checked: nothing stays in doubt, all money is there, \
and every balance is what the clients were told. At the end the stores are read offline and held against each other.

The seed fixes the schedule of faults. Which transfer each of them hits depends on real time, so a run is repeated in \
kind, not exactly; `cargo run -p twopence-sim` repeats exactly.
Ctrl-C ends it early, with a verdict on what was done.
Exit codes: 0 every invariant held, 2 usage, 6 it could not finish, 8 an invariant was violated.")]
pub(crate) struct CrashTestArgs {
    /// How long to go on breaking things, such as 90s, 10m or 1h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) time: Duration,

    /// Durability backend of all processes
    #[arg(long, value_name = "KIND", default_value = "json", value_parser = store_kind())]
    pub(crate) store: StoreKind,

    /// Conflict policies: one for each round of faults, in turn. What was promised under one is kept under the next
    #[arg(
        long,
        value_name = "POLICY[,…]",
        value_delimiter = ',',
        default_value = "no-wait",
        value_parser = locking()
    )]
    pub(crate) locking: Vec<Locking>,

    /// Make every kill -9 a power cut: what was not synced is lost
    #[arg(long)]
    pub(crate) power_cut: bool,

    /// What decides which faults happen when; at random if left out
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=16))]
    pub(crate) nodes: u16,

    /// How many clients, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) clients: u16,

    /// Where the stores are, an empty or new directory that is kept; a temporary one if left out, kept if anything was wrong
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where to write the report, as crash-test.txt and crash-test.json [default: a directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,

    /// What the processes log, each into a file of its own beside the stores
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}

/// A number and a unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time: write a number and a unit, such as 90s, 10m or 1h");
    let (number, seconds) = [("s", 1), ("m", 60), ("h", 3600)]
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .ok_or_else(bad)?;
    let number: u32 = number.parse().map_err(|_| bad())?;
    let all = u64::from(number) * seconds;
    if all == 0 {
        return Err(bad());
    }
    Ok(Duration::from_secs(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_are_not_nothing() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "60", "0s", "-1s", "1.5m", "9999999999h", "1d"] {
            assert!(time(bad).is_err(), "{bad:?}");
        }
    }
}
