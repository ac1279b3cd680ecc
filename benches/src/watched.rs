//! What does it cost to be watched? Pairs of runs in turns on one cluster, with and without somebody who follows every
//! process, so that whatever else changes on the machine meets both alike.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::{Seen, Watch};
use serde::Serialize;

use crate::load::Tick;
use crate::measure::{Audit, Measurement, measure_at};
use crate::options::Options;
use crate::site::Site;
use crate::turns::median;

/// Throughput with followers, as a share of that without, that is good enough.
pub const THROUGHPUT_MIN: f64 = 0.95;

/// Processor time of the servers for each transaction with followers, by that without, that is good enough.
pub const CPU_MAX: f64 = 1.03;

/// How long a follower's connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Transactions that committed, a second.
    pub per_second: f64,
    /// Microseconds of processor time of coordinators and nodes for each transaction.
    pub server_cpu_us_per_txn: f64,
    /// What the audit at its end said.
    pub audit: Audit,
}

/// Two runs, one after the other.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// With nobody looking on.
    pub plain: Figures,
    /// With every process followed.
    pub watched: Figures,
}

/// All pairs, and what they say.
#[derive(Clone, Debug, Serialize)]
pub struct Watched {
    /// The store.
    pub store: String,
    /// In the order in which they ran.
    pub pairs: Vec<Pair>,
    /// The median throughput of the watched runs by that of the others.
    pub throughput_ratio: f64,
    /// The median processor time of the servers for each transaction of the watched runs by that of the others.
    pub server_cpu_ratio: f64,
    /// Sights that the followers were told.
    pub sights: u64,
    /// Sights that they lost.
    pub dropped: u64,
    /// One transaction in so many was kept in the end, by whoever kept the fewest.
    pub every: u64,
}

impl Watched {
    /// Whether watching is as cheap as it is meant to be.
    pub fn holds(&self) -> bool {
        self.throughput_ratio >= THROUGHPUT_MIN && self.server_cpu_ratio <= CPU_MAX
    }
}

/// Measures so many pairs. `tell` hears the first pair's number and whether the run is watched, then how it goes on.
///
/// # Errors
/// A text that says what failed.
pub fn pairs(
    options: &Options,
    store: &str,
    count: u16,
    tell: &mut dyn FnMut(&str, Option<Tick>),
) -> Result<Watched, String> {
    let site = Site::open(options, store)?;
    let mut run = |what: String| {
        tell(&what, None);
        measure_at(&site, options, store, &mut |tick| tell(&what, Some(tick)))
    };
    // The first run of a cluster is like no other.
    run("warming up".to_owned())?;
    let (mut pairs, mut told) = (Vec::new(), Told::default());
    for number in 1..=count {
        let plain = |run: &mut dyn FnMut(String) -> Result<Measurement, String>| {
            run(format!("pair {number} of {count}, nobody looks on"))
        };
        let mut watched = |run: &mut dyn FnMut(String) -> Result<Measurement, String>| {
            let followers = Followers::begin(&site)?;
            let measured = run(format!("pair {number} of {count}, followed"));
            told.add(followers.end()?);
            measured
        };
        let (plain, watched) = if number % 2 == 1 {
            let plain = plain(&mut run)?;
            (plain, watched(&mut run)?)
        } else {
            let watched = watched(&mut run)?;
            (plain(&mut run)?, watched)
        };
        pairs.push(Pair {
            plain: figures(&plain),
            watched: figures(&watched),
        });
    }
    let median_of = |figure: fn(&Figures) -> f64, side: fn(&Pair) -> &Figures| {
        median(&pairs.iter().map(|pair| figure(side(pair))).collect::<Vec<f64>>())
    };
    let by = |figure: fn(&Figures) -> f64| {
        median_of(figure, |pair| &pair.watched) / median_of(figure, |pair| &pair.plain)
    };
    Ok(Watched {
        store: store.to_owned(),
        throughput_ratio: by(|figures| figures.per_second),
        server_cpu_ratio: by(|figures| figures.server_cpu_us_per_txn),
        sights: told.sights,
        dropped: told.dropped,
        every: told.every,
        pairs,
    })
}

fn figures(measurement: &Measurement) -> Figures {
    let servers = measurement
        .processes
        .iter()
        .filter(|process| process.name != "bench");
    let used = servers.filter_map(|process| process.usage);
    Figures {
        per_second: measurement.per_second,
        server_cpu_us_per_txn: used.map(|used| used.cpu_us_per_txn).sum(),
        audit: measurement.audit.clone(),
    }
}

/// What followers were told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    sights: u64,
    dropped: u64,
    every: u64,
}

impl Told {
    fn add(&mut self, other: Told) {
        self.sights += other.sights;
        self.dropped += other.dropped;
        self.every = self.every.max(other.every);
    }
}

/// Threads that follow, one for each process.
struct Followers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Told, String>>>,
}

impl Followers {
    fn begin(site: &Site) -> Result<Followers, String> {
        let mut watches = Vec::new();
        let mut nodes = Vec::new();
        for config in &site.coordinators {
            for address in &config.coordinators {
                let watch = Watch::connect(address, &config.cluster, TIMEOUT);
                let mut watch = watch.map_err(|error| error.to_string())?;
                for (_, address) in watch.nodes().map_err(|error| error.to_string())? {
                    if !nodes.contains(&address) {
                        nodes.push(address);
                    }
                }
                watches.push(watch);
            }
        }
        for address in nodes {
            let watch = Watch::connect(&address, &site.coordinators[0].cluster, TIMEOUT);
            watches.push(watch.map_err(|error| error.to_string())?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let follow = |mut watch: Watch| {
            watch.follow(false).map_err(|error| error.to_string())?;
            let stop = Arc::clone(&stop);
            Ok(thread::spawn(move || follow(&mut watch, &stop)))
        };
        let threads = watches.into_iter().map(follow).collect::<Result<_, String>>()?;
        Ok(Followers { stop, threads })
    }

    fn end(self) -> Result<Told, String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Told::default();
        for thread in self.threads {
            let one = thread.join().map_err(|_| "a follower failed".to_owned())?;
            told.add(one?);
        }
        Ok(told)
    }
}

fn follow(watch: &mut Watch, stop: &AtomicBool) -> Result<Told, String> {
    let mut told = Told::default();
    while !stop.load(Ordering::Relaxed) {
        match watch.next(LOOK).map_err(|error| error.to_string())? {
            Some(Seen::Sight(_)) => told.sights += 1,
            Some(Seen::Dropped(count)) => told.dropped += count,
            Some(Seen::Sampling { every }) => told.every = every,
            Some(Seen::Holding(_)) | None => {}
        }
    }
    Ok(told)
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "With every process followed, and with nobody looking on, in turns ({} store)",
            self.store
        )?;
        writeln!(
            f,
            "PAIR   PLAIN/s  FOLLOWED/s  RATIO   CPU µs  FOLLOWED µs  RATIO"
        )?;
        for (number, Pair { plain, watched }) in (1..).zip(&self.pairs) {
            writeln!(
                f,
                "{number:>4}  {:>8.0}  {:>10.0}  {:>5.3}  {:>7.2}  {:>11.2}  {:>5.3}",
                plain.per_second,
                watched.per_second,
                watched.per_second / plain.per_second,
                plain.server_cpu_us_per_txn,
                watched.server_cpu_us_per_txn,
                watched.server_cpu_us_per_txn / plain.server_cpu_us_per_txn,
            )?;
        }
        let told = |holds: bool| if holds { "holds" } else { "does not hold" };
        writeln!(
            f,
            "Medians: throughput {:.3} of the other (at least {THROUGHPUT_MIN}: {})",
            self.throughput_ratio,
            told(self.throughput_ratio >= THROUGHPUT_MIN)
        )?;
        writeln!(
            f,
            "         servers' processor time for each transaction {:.3} of the other (at most {CPU_MAX}: {})",
            self.server_cpu_ratio,
            told(self.server_cpu_ratio <= CPU_MAX)
        )?;
        write!(
            f,
            "Followers were told {} sights and lost {}; at the end one transaction in {} was kept",
            self.sights, self.dropped, self.every
        )
    }
}
