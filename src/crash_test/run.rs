//! One run from its first process to its last: rounds of havoc, each followed by peace and a check.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use cluster::{Cluster, ClusterConfig, Log};
use engine::Dice;
use verify::{Claims, Images};

use super::fault::{Draw, Targets};
use super::finding::{Findings, Rule};
use super::havoc::{Havoc, Tally, agenda, is_impatience};
use super::history::{Heard, History};
use super::load::{self, Counters, Shared};
use super::progress::Progress;
use super::pulse::Pulse;
use super::settle::{self, Halt};
use super::times::Recoveries;
use super::verdict;
use super::watch::{self, Audits};
use super::workload::Accounts;
use crate::cli::CrashTestArgs;
use crate::up::interrupt::Interrupt;

/// How long havoc goes on before everything is checked.
const ROUND: Duration = Duration::from_secs(15);

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(5);

/// How long nodes may take to vote: shorter than some freezes.
const PREPARE_TIMEOUT_MS: u64 = 1000;

/// Requests that a home remembers at least: far more than are sent in a round, after which none is sent again.
const REQUEST_WINDOW: &str = "100000";

/// Runs up to so long get short segments, so that they see checkpoints too.
const SHORT_RUN: Duration = Duration::from_secs(120);

/// Everything that a run has come to.
pub(super) struct Run {
    pub(super) findings: Findings,
    pub(super) history: History,
    pub(super) tally: Tally,
    pub(super) recoveries: Recoveries,
    pub(super) audits: Audits,
    pub(super) counters: Counters,
    pub(super) pulse: Pulse,
    pub(super) rounds: u32,
    pub(super) lasted: Duration,
    /// Whether every kill was a power cut.
    pub(super) power_cut: bool,
    pub(super) stores: Option<verify::Report>,
}

/// Starts a cluster in `dir`, breaks it for as long as `args` say, and checks it.
///
/// # Errors
/// If it cannot even be started, and why.
pub(super) fn run(args: &CrashTestArgs, seed: u64, dir: &Path, interrupt: &Interrupt) -> Result<Run, String> {
    let findings = Findings::default();
    let config = ClusterConfig {
        // A wait for the cluster ends once there is no use in it.
        interrupt: findings.flag(),
        ..config(args, seed, dir)?
    };
    let mut cluster = Cluster::start(config).map_err(|error| error.to_string())?;
    let mut run = Run {
        findings,
        history: History::default(),
        tally: Tally::default(),
        recoveries: Recoveries::default(),
        audits: Audits::default(),
        counters: Counters::default(),
        pulse: Pulse::start(),
        rounds: 0,
        lasted: Duration::ZERO,
        power_cut: args.power_cut,
        stores: None,
    };
    let accounts = Accounts::on(&cluster.nodes());
    run.fund(&cluster, &accounts)?;
    let mut dice = Dice::new(seed);
    let mut progress = Progress::begin();
    let began = Instant::now();
    loop {
        let left = args.time.saturating_sub(began.elapsed());
        if left.is_zero() || interrupt.came() {
            break;
        }
        // Nodes that are started from now on take it; the others keep theirs until they are killed.
        let turn = usize::try_from(run.rounds).unwrap_or(0) % args.locking.len();
        cluster.set_locking(args.locking[turn].name());
        let round = Round {
            args,
            accounts: &accounts,
            interrupt,
            time: left.min(ROUND),
            dice: dice.fork(),
        };
        if run.round(&round, &mut cluster, &mut progress).is_err() {
            break;
        }
    }
    run.lasted = began.elapsed();
    progress.end();
    run.finish(&mut cluster, dir);
    Ok(run)
}

/// The folder within the data directory where each process logs into a file of its own.
const LOGS: &str = "logs";

fn config(args: &CrashTestArgs, seed: u64, dir: &Path) -> Result<ClusterConfig, String> {
    let logs = dir.join(LOGS);
    fs::create_dir_all(&logs).map_err(|error| format!("cannot make {}: {error}", logs.display()))?;
    let binary = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let segment_bytes = if args.time <= SHORT_RUN {
        16 * 1024
    } else {
        256 * 1024
    };
    let server = ["--segment-bytes".to_owned(), segment_bytes.to_string()];
    let window = ["--request-window".to_owned(), REQUEST_WINDOW.to_owned()];
    Ok(ClusterConfig {
        nodes: args.nodes,
        store: args.store.to_string(),
        locking: args.locking[0].to_string(),
        proxied: true,
        power_cut: args.power_cut.then_some(seed),
        log: Log::Files(logs),
        log_level: args.log_level.to_string().to_lowercase(),
        prepare_timeout_ms: PREPARE_TIMEOUT_MS,
        node_args: server.iter().chain(&window).cloned().collect(),
        coordinator_args: server.to_vec(),
        ..ClusterConfig::new(binary, dir)
    })
}

/// What a round is made of.
struct Round<'a> {
    args: &'a CrashTestArgs,
    accounts: &'a Accounts,
    interrupt: &'a Interrupt,
    time: Duration,
    dice: Dice,
}

impl Run {
    /// Opens the accounts, before anything goes wrong.
    fn fund(&mut self, cluster: &Cluster, accounts: &Accounts) -> Result<(), String> {
        let mut client: Client = cluster.client();
        for order in accounts.deposits() {
            let began = Instant::now();
            let submission = client
                .submit(None, order.clone())
                .map_err(|error| error.to_string())?;
            let heard = Heard {
                request: submission.request,
                order,
                repeated: false,
                outcome: submission.outcome,
                at: Instant::now(),
                took: began.elapsed(),
            };
            self.history.hear(heard, &self.findings);
        }
        Ok(())
    }

    /// Havoc under load, then peace and a check.
    fn round(
        &mut self,
        round: &Round<'_>,
        cluster: &mut Cluster,
        progress: &mut Progress,
    ) -> Result<(), Halt> {
        let mut dice = round.dice.clone();
        let targets = Targets {
            processes: cluster.targets(),
            links: cluster.links().keys().copied().collect(),
            store: round.args.store,
        };
        let agenda = agenda(&mut Draw::new(dice.fork()), &targets, round.time);
        let config = cluster.client_config_through_link();
        let stop = AtomicBool::new(false);
        let shared = Shared {
            config: &config,
            accounts: round.accounts,
            stop: &stop,
            counters: &self.counters,
            findings: &self.findings,
        };
        let first_over = self.tally.over.len();
        let (up, heard, audits) = thread::scope(|scope| {
            let _stopped = StopOnDrop(&stop);
            let clients: Vec<_> = (0..round.args.clients)
                .map(|_| {
                    let dice = dice.fork();
                    scope.spawn(move || load::work(shared, dice))
                })
                .collect();
            let watching = scope.spawn(|| watch::watch(&config, &stop, shared.counters, shared.findings));
            let began = Instant::now();
            let mut havoc = Havoc::new(cluster, agenda, &mut self.tally, &self.pulse, &self.findings);
            while began.elapsed() < round.time && !round.interrupt.came() && !self.findings.any() {
                havoc.tick();
                progress.show(&self.counters, havoc.tally());
                thread::sleep(TICK);
            }
            havoc.heal();
            let up = settle::bring_up(cluster, &self.pulse, &self.findings);
            stop.store(true, Ordering::Relaxed);
            let heard: Vec<Heard> = clients.into_iter().flat_map(joined).collect();
            (up, heard, joined(watching))
        });
        self.audits.add(&audits);
        self.recoveries.measure(&self.tally.over[first_over..], &heard);
        for heard in heard {
            self.history.hear(heard, &self.findings);
        }
        up?;
        self.check(cluster)?;
        self.rounds += 1;
        Ok(())
    }

    /// What must hold in peace.
    fn check(&mut self, cluster: &Cluster) -> Result<(), Halt> {
        settle::learn(cluster, &mut self.history, &self.pulse, &self.findings)?;
        settle::check(
            cluster,
            &self.history,
            &mut self.audits,
            &self.counters,
            &self.pulse,
            &self.findings,
        )
    }

    /// The last word: everything loses power at once and comes back, stops cleanly, and is read offline.
    fn finish(&mut self, cluster: &mut Cluster, dir: &Path) {
        let mut settled = false;
        if !self.findings.any() {
            cluster.kill9_all();
            let up = settle::bring_up(cluster, &self.pulse, &self.findings);
            settled = up.and_then(|()| self.check(cluster)).is_ok();
        }
        let clock = self.pulse.clock();
        for exit in cluster.stop_all() {
            if is_impatience(&exit, &clock) {
                continue;
            }
            let look = format!("logs/{}.log beside the stores", exit.name);
            self.findings
                .add(Rule::V10, format!("it did not stop cleanly: {exit}"), look);
        }
        let claims = Claims {
            told: std::mem::take(&mut self.history.told),
            complete: true,
            settled,
        };
        match Images::read(&[dir]) {
            Ok(images) => {
                for refused in &images.refused {
                    let what = format!("the store of {} is refused: {}", refused.owner, refused.error);
                    self.findings
                        .add(Rule::V6, what, refused.dir.display().to_string());
                }
                let report = verify::check(&images, &claims);
                verdict::take_stores(&report, &self.findings);
                self.stores = Some(report);
            }
            Err(error) => {
                let what = format!("the stores cannot be read: {error}");
                self.findings.add(Rule::V6, what, dir.display().to_string());
            }
        }
    }
}

/// Ends the load also when we panic.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
