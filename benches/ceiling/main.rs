//! How near is Twopence to what the machine allows? A mock of its message flow and the real thing, in one run, in turns.
//!
//! The mock is two-phase commit with everything left out but what cannot be: five processes that tell each other the same
//! messages over loopback, in as few system calls, and make as many records durable at the same places, one sync a turn.
//! It has no accounts, no locks, no request ids, no checksums, no recovery, and its records are bytes that say nothing. What lies
//! between the two is the price of all that. A silence that both know is the machine's.

mod coordinator;
mod line;
mod log;
mod message;
mod mock;
mod node;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::calibrate::Calibration;
use benches::measure::{Audit, measure_at};
use benches::options::Options;
use benches::site::Site;
use benches::turns::{figure, median, twopence_beside};
use clap::{Parser, Subcommand};

use mock::Mock;

/// Measure Twopence and a mock of its message flow in turns, and print ratios of medians. Run `cargo build --release`
/// first.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Rounds; each measures everything once, on both
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds before each of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// Where to measure; a directory on the disk in question
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    #[command(subcommand)]
    role: Option<Role>,
}

/// A server of the mock.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Node { dir: PathBuf },
    #[command(hide = true)]
    Coordinator { dir: PathBuf, nodes: Vec<String> },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.role {
        None => compare(&args),
        Some(role) => {
            server::end_with_parent();
            let served = match role {
                Role::Node { dir } => node::run(dir),
                Role::Coordinator { dir, nodes } => coordinator::run(dir, nodes),
            };
            served.map_err(|error| format!("the mock: {error}"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// One load: how much is in flight.
struct Case {
    what: &'static str,
    clients: usize,
    in_flight: usize,
    /// Whether Twopence gets all that one client has in flight as one batch.
    batch: bool,
}

const CASES: [Case; 4] = [
    Case {
        what: "1 client",
        clients: 1,
        in_flight: 1,
        batch: false,
    },
    Case {
        what: "64 clients",
        clients: 64,
        in_flight: 1,
        batch: false,
    },
    Case {
        what: "4 x 256 in flight",
        clients: 4,
        in_flight: 256,
        batch: false,
    },
    Case {
        what: "8,192 in flight, a batch",
        clients: 1,
        in_flight: 8192,
        batch: true,
    },
];

/// Figures of one side, one for each round.
#[derive(Default)]
struct Figures {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    cpu_us: Vec<f64>,
    /// The longest time without any answer, in all rounds.
    longest_gap_ms: f64,
}

fn compare(args: &Args) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let dir = tempfile::TempDir::with_prefix_in("twopence-ceiling-", &args.dir);
    let dir = dir.map_err(|error| format!("cannot make a directory in {}: {error}", args.dir.display()))?;
    let mut calibration = Calibration::new(dir.path()).map_err(text)?;
    eprintln!(
        "starting the mock and two Twopence clusters in {}",
        dir.path().display()
    );
    let mock = Mock::start(dir.path()).map_err(text)?;
    let single = options(args, dir.path(), "no-wait")?;
    // Thousands at a time meet on accounts.
    let batched = options(args, dir.path(), "escrow")?;
    let site = Site::open(&single, "json")?;
    let batch_site = Site::open(&batched, "json")?;

    let mut found: Vec<[Figures; 2]> = CASES.iter().map(|_| Default::default()).collect();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        calibration.round().map_err(text)?;
        for (case, [theirs, ours]) in CASES.iter().zip(&mut found) {
            let load = mock.load(case.clients, case.in_flight, single.warmup, single.time);
            let load = load.map_err(text)?;
            let gap_ms = load.longest_gap.as_secs_f64() * 1000.0;
            theirs.add(load.per_second, load.times.spread().p50_ms, load.cpu_us, gap_ms);
            if case.batch {
                measure(&batch_site, &batched, case, ours)?;
            } else {
                measure(&site, &single, case, ours)?;
            }
        }
    }
    print(&found, args, &calibration);
    Ok(())
}

fn options(args: &Args, dir: &Path, locking: &str) -> Result<Options, String> {
    Ok(Options {
        locking: locking.to_owned(),
        warmup: Duration::from_secs(args.warmup),
        time: Duration::from_secs(args.seconds),
        ..Options::new(twopence_beside()?, dir.to_owned())
    })
}

/// Measures Twopence once.
fn measure(site: &Site, options: &Options, case: &Case, ours: &mut Figures) -> Result<(), String> {
    let (in_flight, batch) = if case.batch {
        (1, case.in_flight)
    } else {
        (case.in_flight, 1)
    };
    let options = Options {
        clients: case.clients,
        in_flight,
        batch,
        ..options.clone()
    };
    let found = measure_at(site, &options, "json", &mut |_| {})?;
    if found.audit != Audit::Exact {
        return Err(format!("the audit did not end well: {:?}", found.audit));
    }
    let cpu_us = found.cpu_us_per_txn();
    ours.add(
        found.per_second,
        found.latency.p50_ms,
        cpu_us,
        found.longest_gap_ms,
    );
    Ok(())
}

impl Figures {
    fn add(&mut self, per_second: f64, p50_ms: f64, cpu_us: f64, gap_ms: f64) {
        self.per_second.push(per_second);
        self.p50_ms.push(p50_ms);
        self.cpu_us.push(cpu_us);
        self.longest_gap_ms = self.longest_gap_ms.max(gap_ms);
    }
}

fn print(found: &[[Figures; 2]], args: &Args, calibration: &Calibration) {
    let disk = calibration.times().spread();
    println!(
        "Transfers between two of three nodes, medians of {} rounds in turns, {} s each; the mock has the messages and the syncs alone.",
        args.rounds, args.seconds
    );
    println!(
        "Disk: 128 bytes written in a filled file and synced: p50 {:.3} ms, p99 {:.3} ms (between the rounds)",
        disk.p50_ms, disk.p99_ms
    );
    println!();
    println!("{:52}  {:>10}  {:>10}  {:>6}", "", "MOCK", "TWOPENCE", "RATIO");
    for (case, [theirs, ours]) in CASES.iter().zip(found) {
        let figures = |of: fn(&Figures) -> &Vec<f64>| (median(of(theirs)), median(of(ours)));
        for (unit, (theirs, ours)) in [
            ("transfers/s", figures(|side| &side.per_second)),
            ("p50 ms", figures(|side| &side.p50_ms)),
            ("µs of processor time each", figures(|side| &side.cpu_us)),
            ("longest silence ms", (theirs.longest_gap_ms, ours.longest_gap_ms)),
        ] {
            let what = format!("{}, {unit}", case.what);
            println!(
                "{what:52}  {:>10}  {:>10}  {:>6}",
                figure(theirs),
                figure(ours),
                figure(ours / theirs)
            );
        }
    }
}
