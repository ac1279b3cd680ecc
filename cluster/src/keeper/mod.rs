//! Who looks after a cluster's processes while others ask about them and order them about?
//!
//! A keeper owns the cluster behind a lock that is held for moments only: to look, to start, to signal. Whoever has to
//! wait, for readiness or for an end, waits without it. One thread calls [`Keeper::tend`] again and again; that one
//! notices ends, starts again what was killed ([`charge`]), and finds out who works.

mod charge;
mod orders;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{ClientConfig, Target};

use crate::cluster::{Cluster, name};
use crate::config::ClusterConfig;
use crate::error::{Error, Exit};
use crate::ready::Look;

pub use charge::Returns;
use charge::{Charge, PAUSE};
pub use orders::{Held, OrderError};
pub use view::{ProcessState, ProcessView};

/// What happened that its owner may want to tell people.
#[derive(Debug)]
pub enum News {
    /// A process that should run has ended.
    Ended(Exit, Returns),
    /// A process that had ended works again.
    Back(Target),
    /// A process that had ended cannot even be started.
    NotStarted(Error),
}

/// See the head of this file. Clones keep the same cluster.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

struct Shared {
    house: Mutex<House>,
    changed: Condvar,
}

struct House {
    cluster: Cluster,
    charges: BTreeMap<Target, Charge>,
    auto_restart: bool,
    closing: bool,
    /// What was published last, and how often that changed.
    views: Vec<ProcessView>,
    version: u64,
}

impl Keeper {
    /// Looks after a cluster that was started.
    pub fn new(cluster: Cluster) -> Keeper {
        let mut house = House {
            charges: BTreeMap::new(),
            cluster,
            auto_restart: true,
            closing: false,
            views: Vec::new(),
            version: 0,
        };
        house.welcome(true);
        house.publish();
        Keeper(Arc::new(Shared {
            house: Mutex::new(house),
            changed: Condvar::new(),
        }))
    }

    /// One round: notices who ended, starts who is due, looks who works by now. Takes 300 ms at the most.
    pub fn tend(&self) -> Vec<News> {
        let mut news = Vec::new();
        let look = {
            let mut house = self.house();
            if house.closing {
                return news;
            }
            house.notice_ends(&mut news);
            house.start_due(&mut news);
            self.publish(&mut house);
            house.look()
        };
        if let Some((look, pids)) = look {
            let working = look.working();
            let mut house = self.house();
            for target in working {
                // It may have been replaced since it was looked at.
                if house.cluster.pid(target) == pids.get(&target).copied() {
                    house.found_working(target, &mut news);
                }
            }
            self.publish(&mut house);
        }
        news
    }

    /// Every process, the coordinator first.
    pub fn processes(&self) -> Vec<ProcessView> {
        let mut house = self.house();
        self.publish(&mut house);
        house.views.clone()
    }

    /// One process.
    ///
    /// # Errors
    /// If the cluster has none of that name.
    pub fn find(&self, name: &str) -> Result<ProcessView, OrderError> {
        let found = self.processes().into_iter().find(|view| view.name == name);
        found.ok_or_else(|| OrderError::NoSuchProcess(name.to_owned()))
    }

    /// Waits until what [`Keeper::processes`] says is another version than `seen`, at most so long. Returns the version;
    /// the first one is 1.
    pub fn wait_change(&self, seen: u64, patience: Duration) -> u64 {
        let until = Instant::now() + patience;
        let mut house = self.house();
        while house.version == seen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            house = self.wait(house, left);
        }
        house.version
    }

    /// How a client of the present cluster is configured. A new cluster may listen elsewhere: ask again for each client.
    pub fn client_config(&self) -> ClientConfig {
        self.house().cluster.client_config()
    }

    /// Where a process listens: `127.0.0.1:port`; `None` if the present cluster has no such process.
    pub fn address(&self, target: Target) -> Option<String> {
        let house = self.house();
        house
            .charges
            .contains_key(&target)
            .then(|| house.cluster.address(target))
    }

    /// How the present cluster was configured.
    pub fn config(&self) -> ClusterConfig {
        self.house().cluster.config().clone()
    }

    /// The newest log lines of a process's present or last life, oldest first; none if there is no such process.
    pub fn log_lines(&self, target: Target) -> Vec<String> {
        let house = self.house();
        if house.charges.contains_key(&target) {
            house.cluster.log_lines(target)
        } else {
            Vec::new()
        }
    }

    /// With which arguments a process is started; `None` if there is no such process.
    pub fn command_line(&self, target: Target) -> Option<String> {
        let house = self.house();
        let known = house.charges.contains_key(&target);
        known.then(|| house.cluster.process(target).command_line())
    }

    /// Whether processes that were killed are started again.
    pub fn auto_restart(&self) -> bool {
        self.house().auto_restart
    }

    /// Decides whether processes that are killed are started again; also those that lie dead now.
    pub fn set_auto_restart(&self, on: bool) {
        let mut house = self.house();
        house.auto_restart = on;
        let due = on.then(|| Instant::now() + PAUSE);
        for charge in house.charges.values_mut() {
            if charge.wanted && charge.judged && !charge.held {
                charge.due = due;
            }
        }
        self.publish(&mut house);
    }

    fn house(&self) -> MutexGuard<'_, House> {
        self.0.house.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, house: MutexGuard<'a, House>, time: Duration) -> MutexGuard<'a, House> {
        let waited = self.0.changed.wait_timeout(house, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn publish(&self, house: &mut House) {
        if house.publish() {
            self.0.changed.notify_all();
        }
    }
}

impl House {
    /// Begins to look after the processes of `cluster`.
    fn welcome(&mut self, wanted: bool) {
        let charge = |target| (target, Charge::new(wanted));
        self.charges = self.cluster.targets().into_iter().map(charge).collect();
    }

    fn notice_ends(&mut self, news: &mut Vec<News>) {
        for (target, exit) in self.cluster.ended() {
            let charge = self.charges.entry(target).or_default();
            if charge.wanted && !charge.judged {
                let returns = charge.judge(&exit, self.auto_restart, Instant::now());
                news.push(News::Ended(exit, returns));
            }
        }
    }

    fn start_due(&mut self, news: &mut Vec<News>) {
        let now = Instant::now();
        for (&target, charge) in &mut self.charges {
            if charge.due.is_some_and(|due| due <= now) {
                charge.launched(false);
                if let Err(error) = self.cluster.launch(target, &[]) {
                    news.push(News::NotStarted(error));
                }
            }
        }
    }

    /// Who runs and has not been seen at work, if anybody, and with which process id.
    fn look(&mut self) -> Option<(Look, BTreeMap<Target, u32>)> {
        let unseen: Vec<Target> = self
            .cluster
            .targets()
            .into_iter()
            .filter(|&target| {
                let process = self.cluster.process(target);
                process.pid().is_some() && !process.ready && !process.is_frozen()
            })
            .collect();
        if unseen.is_empty() {
            return None;
        }
        let pid = |&target: &Target| Some((target, self.cluster.pid(target)?));
        let pids = unseen.iter().filter_map(pid).collect();
        Some((Look::at(&mut self.cluster, unseen), pids))
    }

    fn found_working(&mut self, target: Target, news: &mut Vec<News>) {
        self.cluster.process_mut(target).ready = true;
        let charge = self.charges.entry(target).or_default();
        if std::mem::take(&mut charge.coming_back) {
            news.push(News::Back(target));
        }
    }

    /// Takes down what is to be seen from outside. Returns whether it has changed.
    fn publish(&mut self) -> bool {
        let views: Vec<ProcessView> = self
            .cluster
            .targets()
            .into_iter()
            .map(|target| self.view(target))
            .collect();
        let changed = views != self.views;
        if changed {
            self.views = views;
            self.version += 1;
        }
        changed
    }

    fn view(&mut self, target: Target) -> ProcessView {
        let charge = self.charges.entry(target).or_default();
        let (wanted, held, due) = (charge.wanted, charge.held, charge.due.is_some());
        let process = self.cluster.process_mut(target);
        let exit = process.poll().cloned();
        let pid = process.pid();
        let frozen = process.is_frozen();
        let state = match (pid, &exit) {
            (Some(_), _) if frozen => ProcessState::Frozen,
            (Some(_), _) if !wanted => ProcessState::Stopping,
            (Some(_), _) if process.ready => ProcessState::Running,
            (Some(_), _) => ProcessState::Starting,
            (None, Some(_)) if wanted => ProcessState::Ended,
            (None, Some(_) | None) => ProcessState::Stopped,
        };
        let why = match (state, &exit) {
            (ProcessState::Ended, Some(exit)) if held => {
                Some(format!("{}; a scenario starts it again", view::end(exit)))
            }
            (ProcessState::Ended, Some(exit)) if due => {
                Some(format!("{}; it is started again in a moment", view::end(exit)))
            }
            (ProcessState::Ended, Some(exit)) => Some(view::end(exit)),
            (ProcessState::Stopped, Some(exit)) if !exit.status.success() => Some(view::end(exit)),
            (_, _) => None,
        };
        ProcessView {
            target,
            name: name(target),
            state,
            why,
            pid,
            port: self.cluster.port(target),
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}
