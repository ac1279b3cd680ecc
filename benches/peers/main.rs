//! Twopence beside PostgreSQL: the same transfers between nodes, the same durability, in one run, in turns.
//!
//! The peer is what one would build without Twopence: three PostgreSQL servers, `PREPARE TRANSACTION` on two of them, a
//! durable log of decisions, `COMMIT PREPARED`. Both run all the time; one is measured while the other is idle. Each
//! ratio is that of two medians over all rounds.

mod server;
mod session;
mod two_phase;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::calibrate::Calibration;
use benches::measure::{Audit, Measurement, measure_at};
use benches::options::Options;
use benches::site::Site;
use benches::summary::grouped;
use benches::turns::{figure, median, twopence_beside};
use benches::workload::{Dist, Workload};
use clap::Parser;

use server::{CLIENTS_MAX, Server};
use two_phase::{Decisions, Run};

/// Numbers of clients among which PostgreSQL's best is looked for.
const CLIENTS: [usize; 6] = [16, 32, 64, 128, 256, 512];

/// Clients of PostgreSQL on one hot account: more only wait.
const HOT_CLIENTS: usize = 32;

/// Measure Twopence and three PostgreSQL 15 servers in turns, and print ratios of medians. Run `cargo build --release`
/// first.
#[derive(Parser)]
struct Args {
    /// Rounds; each measures everything once, on both
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds before each of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// Accounts over all nodes
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(16..))]
    accounts: u64,
    /// Clients of Twopence
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Clients of PostgreSQL; its best among 16 to 512 is looked for if left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=600))]
    peer_clients: Option<u16>,
    /// Conflict policy of Twopence where one account is hot
    #[arg(long, default_value = "escrow")]
    hot_locking: String,
    /// Where to measure; a directory on the disk in question
    #[arg(long, default_value = "target")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    if let Some(why) = server::missing() {
        println!("{why}");
        return ExitCode::SUCCESS;
    }
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// One row of the result: figures of all rounds.
struct Row {
    what: String,
    peer: Vec<f64>,
    ours: Vec<f64>,
}

/// The peer, ready to be measured.
struct Peer {
    servers: Vec<Server>,
    decisions: Decisions,
    accounts: u64,
    runs: u32,
    warmup: Duration,
    time: Duration,
}

fn compare(args: &Args) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    // Servers run as somebody else, who has to get through.
    let dir = tempfile::Builder::new()
        .prefix("twopence-peers-")
        .permissions(open_to_all())
        .tempdir_in(&args.dir);
    let dir = dir.map_err(|error| format!("cannot make a directory in {}: {error}", args.dir.display()))?;
    let path = std::fs::canonicalize(dir.path()).map_err(text)?;
    let mut calibration = Calibration::new(&path).map_err(text)?;

    eprintln!(
        "starting three PostgreSQL servers and two Twopence clusters in {}",
        path.display()
    );
    let mut peer = Peer {
        servers: server::start(&path, 3, args.accounts)?,
        decisions: Decisions::new(&path).map_err(text)?,
        accounts: args.accounts,
        runs: 0,
        warmup: Duration::from_secs(args.warmup),
        time: Duration::from_secs(args.seconds),
    };
    let uniform = options(args, &path, Dist::Uniform)?;
    let hot = Options {
        locking: args.hot_locking.clone(),
        ..options(args, &path, Dist::Hot(1.0))?
    };
    let site = Site::open(&uniform, "json")?;
    let hot_site = Site::open(&hot, "json")?;

    let best = match args.peer_clients {
        Some(clients) => usize::from(clients),
        None => peer.best_clients()?,
    };
    let clients = usize::from(args.clients);
    let mut rows = [
        row("1 client, transfers/s".to_owned()),
        row("1 client, p50 ms".to_owned()),
        row(format!(
            "peer's best ({best} clients) and our {clients}, transfers/s"
        )),
        row(format!(
            "one hot account ({HOT_CLIENTS} clients and our {clients}), transfers/s"
        )),
    ];
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        calibration.round().map_err(text)?;
        let [one, one_p50, many, hot_row] = &mut rows;

        let found = peer.measure(1, Dist::Uniform)?;
        one.peer.push(found.per_second);
        one_p50.peer.push(found.times.spread().p50_ms);
        let found = ours(&site, &uniform, 1)?;
        one.ours.push(found.per_second);
        one_p50.ours.push(found.latency.p50_ms);

        many.peer.push(peer.measure(best, Dist::Uniform)?.per_second);
        many.ours.push(ours(&site, &uniform, clients)?.per_second);

        hot_row
            .peer
            .push(peer.measure(HOT_CLIENTS, Dist::Hot(1.0))?.per_second);
        hot_row.ours.push(ours(&hot_site, &hot, clients)?.per_second);
    }
    peer.check()?;
    print(&rows, args, &calibration);
    Ok(())
}

fn print(rows: &[Row], args: &Args, calibration: &Calibration) {
    let disk = calibration.times().spread();
    println!(
        "Transfers between two of three nodes, {} accounts, medians of {} rounds in turns, {} s each; every answer durable on both.",
        args.accounts, args.rounds, args.seconds
    );
    println!(
        "Disk: 128 bytes written in a filled file and synced: p50 {:.3} ms, p99 {:.3} ms (between the rounds)",
        disk.p50_ms, disk.p99_ms
    );
    println!();
    println!(
        "{:64}  {:>10}  {:>10}  {:>6}",
        "", "POSTGRESQL", "TWOPENCE", "RATIO"
    );
    for Row { what, peer, ours } in rows {
        let (peer, ours) = (median(peer), median(ours));
        println!(
            "{what:64}  {:>10}  {:>10}  {:>6.2}",
            figure(peer),
            figure(ours),
            ours / peer
        );
    }
}

fn row(what: String) -> Row {
    Row {
        what,
        peer: Vec::new(),
        ours: Vec::new(),
    }
}

fn options(args: &Args, dir: &Path, dist: Dist) -> Result<Options, String> {
    Ok(Options {
        accounts: args.accounts,
        dist,
        warmup: Duration::from_secs(args.warmup),
        time: Duration::from_secs(args.seconds),
        ..Options::new(twopence_beside()?, dir.to_owned())
    })
}

/// Measures Twopence once.
fn ours(site: &Site, options: &Options, clients: usize) -> Result<Measurement, String> {
    let options = Options {
        clients,
        ..options.clone()
    };
    let found = measure_at(site, &options, "json", &mut |_| {})?;
    if found.audit == Audit::Exact {
        Ok(found)
    } else {
        Err(format!("the audit did not end well: {:?}", found.audit))
    }
}

impl Peer {
    fn measure(&mut self, clients: usize, dist: Dist) -> Result<two_phase::Found, String> {
        self.runs += 1;
        let nodes = u16::try_from(self.servers.len()).expect("three");
        let workload = Workload::new(self.accounts, nodes, 2, dist, u64::from(self.runs));
        let name = format!("r{}", self.runs);
        let run = Run::open(
            &self.servers,
            clients.min(CLIENTS_MAX),
            &mut self.decisions,
            workload,
            name,
        )?;
        let found = run.run(self.warmup, self.time)?;
        if found.aborted > 0 {
            eprintln!(
                "  PostgreSQL, {clients} clients: {} transfers failed",
                found.aborted
            );
        }
        Ok(found)
    }

    /// How many clients suit PostgreSQL best.
    fn best_clients(&mut self) -> Result<usize, String> {
        let mut best = (0.0, 1);
        for clients in CLIENTS {
            let found = self.measure(clients, Dist::Uniform)?;
            eprintln!("  PostgreSQL, {clients} clients: {}/s", grouped(found.per_second));
            if found.per_second > best.0 {
                best = (found.per_second, clients);
            }
        }
        Ok(best.1)
    }

    /// Whether all the money is still there, and nothing is left prepared.
    fn check(&self) -> Result<(), String> {
        let (mut total, mut prepared) = (0, 0);
        for server in &self.servers {
            let mut session = server.session()?;
            total += session.number("SELECT sum(balance)::bigint FROM account")?;
            prepared += session.number("SELECT count(*) FROM pg_prepared_xacts")?;
        }
        let expected = server::OPENING * i64::try_from(self.accounts).map_err(|error| error.to_string())?;
        if (total, prepared) == (expected, 0) {
            Ok(())
        } else {
            Err(format!(
                "PostgreSQL holds {total} of {expected}, and {prepared} transactions are still prepared"
            ))
        }
    }
}

fn open_to_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}
