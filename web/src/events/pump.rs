//! What is told when, and in which order?
//!
//! Threads that follow processes bring what they see as it comes. Two processes on one machine have the same clock, so
//! waiting a moment and sorting by time puts a message's arrival behind its sending.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use client::Numbers;
use tokio::sync::broadcast::error::TryRecvError;

use super::hub::{Heard, Hub};
use super::numbers::Readout;
use super::wire::{Process, frame, micros_now};
use super::{badge, follow};
use crate::state::AppState;

/// How often something is told.
const TICK: Duration = Duration::from_millis(50);

/// How long a sight waits for earlier ones of other processes.
const SETTLE_US: u64 = 60_000;

/// How long to wait at the start for what the processes have kept, so that it can be sorted.
const WARM_UP: Duration = Duration::from_millis(300);

/// Sights that wait.
const WAITING_MAX: usize = 16_384;

const NUMBERS_EVERY: Duration = Duration::from_secs(1);

const PROCESSES_EVERY: Duration = Duration::from_millis(200);

/// Processes that are followed at the most: all that a cluster can have, and some coordinators.
const FOLLOWED_MAX: usize = 128;

/// What the threads of one life share: from the first subscriber until the last one has gone, or the cluster is another.
#[derive(Clone, Debug)]
pub(super) struct Life {
    state: AppState,
    life: u64,
    began_us: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Vec<Heard>>,
    readout: Mutex<Readout>,
    /// Addresses that are to be followed.
    expected: Mutex<BTreeSet<String>>,
    lost: AtomicU64,
}

/// Sets a life in motion.
pub(super) fn start(state: AppState, life: u64) {
    let life = Life {
        state,
        life,
        began_us: micros_now(),
        shared: Arc::default(),
    };
    life.expect(life.state.client_config().coordinators);
    spawn("events", &life, pump);
    spawn("badge", &life, badge::run);
}

fn spawn(name: &str, life: &Life, work: impl FnOnce(&Life) + Send + 'static) {
    let life = life.clone();
    let spawned = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&life));
    if let Err(error) = spawned {
        log::error!("no thread to watch the cluster with: {error}");
    }
}

impl Life {
    pub(super) fn state(&self) -> &AppState {
        &self.state
    }

    pub(super) fn hub(&self) -> &Hub {
        self.state.hub()
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.state.is_stopping() && self.hub().lives(self.life)
    }

    /// Follows the processes at these addresses, too.
    pub(super) fn expect(&self, addresses: impl IntoIterator<Item = String>) {
        lock(&self.shared.expected).extend(addresses);
    }

    /// A process has seen something.
    pub(super) fn saw(&self, heard: Heard) {
        let mut waiting = lock(&self.shared.waiting);
        if waiting.len() < WAITING_MAX {
            waiting.push(heard);
        } else if heard.sighting.at_us >= self.began_us {
            // What happened before is seldom told in full.
            self.lost(1);
        }
    }

    /// So many sights were lost on the way.
    pub(super) fn lost(&self, count: u64) {
        self.shared.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// A reading of a process's counters.
    pub(super) fn note(&self, process: &str, coordinator: bool, numbers: Numbers) {
        lock(&self.shared.readout).note(process, coordinator, numbers);
    }

    /// A process does not answer.
    pub(super) fn lost_sight_of(&self, process: &str) {
        lock(&self.shared.readout).forget(process);
    }

    /// How many transactions have committed, as far as one knows: when it changes, money has moved.
    pub(super) fn committed(&self) -> u64 {
        lock(&self.shared.readout).committed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what there is to tell, until nobody listens any more.
fn pump(life: &Life) {
    let began = Instant::now();
    let mut followed = BTreeSet::new();
    let mut processes = BTreeMap::new();
    let mut logs = None;
    let (mut numbers_due, mut processes_due) = (Instant::now() + NUMBERS_EVERY, Instant::now());
    while life.goes_on() && !life.hub().rest(life.life) {
        follow_all(life, &mut followed);
        let now = Instant::now();
        if now >= began + WARM_UP {
            tell_sights(life);
        }
        if now >= processes_due {
            processes_due = now + PROCESSES_EVERY;
            tell_processes(life, &mut processes);
        }
        tell_logs(life, &mut logs);
        if now >= numbers_due {
            numbers_due += NUMBERS_EVERY;
            tell_numbers(life);
        }
        thread::sleep(TICK);
    }
}

/// A thread for each process that has none yet.
fn follow_all(life: &Life, followed: &mut BTreeSet<String>) {
    let expected = lock(&life.shared.expected).clone();
    for address in expected {
        if followed.len() < FOLLOWED_MAX && followed.insert(address.clone()) {
            spawn("follow", life, move |life| follow::run(life, &address));
        }
    }
}

/// Sights that have waited long enough, in order.
fn tell_sights(life: &Life) {
    let now = micros_now();
    let settled = |heard: &Heard| heard.sighting.at_us + SETTLE_US <= now;
    let mut due: Vec<Heard> = {
        let mut waiting = lock(&life.shared.waiting);
        let (due, rest) = waiting.drain(..).partition(settled);
        *waiting = rest;
        due
    };
    due.sort_by_key(|heard| heard.sighting.at_us);
    life.hub().tell_sights(life.life, &due);
}

fn tell_numbers(life: &Life) {
    let (rates, every) = {
        let mut readout = lock(&life.shared.readout);
        (readout.tell(micros_now()), readout.every())
    };
    life.hub().tell_state("numbers", frame("numbers", &rates));
    let lost = life.shared.lost.load(Ordering::Relaxed);
    life.hub().tell_sampling(every, lost);
}

/// Processes that have changed, where this program started them.
fn tell_processes(life: &Life, known: &mut BTreeMap<String, Process>) {
    let Some(control) = life.state.control() else {
        return;
    };
    for view in control.keeper().processes() {
        let process = Process {
            name: view.name,
            state: view.state.word(),
            pid: view.pid,
            port: view.port,
            why: view.why,
        };
        if known.get(&process.name) != Some(&process) {
            let key = format!("process {}", process.name);
            life.hub().tell_state(&key, frame("process", &process));
            known.insert(process.name.clone(), process);
        }
    }
}

/// New log lines, while somebody reads them.
fn tell_logs(life: &Life, lines: &mut Option<crate::control::LogLines>) {
    let Some(control) = life.state.control() else {
        return;
    };
    if !life.hub().anybody_reads_logs() {
        *lines = None;
        return;
    }
    let lines = lines.get_or_insert_with(|| control.logs().subscribe());
    loop {
        match lines.try_recv() {
            Ok(line) => life.hub().tell_log(&frame("log", &*line)),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}
