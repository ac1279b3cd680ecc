//! What a keeper can be told to do with a process.
//!
//! An order that makes no sense in the present state is refused with a text that says what the state is. Waiting is done
//! without the lock, so that others can look and order meanwhile, also against the same process.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use client::Target;

use super::{Keeper, ProcessState, ProcessView};
use crate::cluster::{Cluster, STOP_PATIENCE, name};
use crate::error::{Error, Exit};
use crate::process::POLL;
use crate::ready::READY_PATIENCE;

/// How long a signal may take to show.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(5);

/// Why an order was not carried out.
#[derive(Debug)]
pub enum OrderError {
    /// The cluster has no process of that name.
    NoSuchProcess(String),
    /// It makes no sense right now: what is the case instead.
    NotNow(String),
    /// It was tried and did not work.
    Failed(Error),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::NoSuchProcess(name) => write!(f, "this cluster has no process {name}"),
            OrderError::NotNow(text) => f.write_str(text),
            OrderError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OrderError {}

impl From<Error> for OrderError {
    fn from(error: Error) -> OrderError {
        OrderError::Failed(error)
    }
}

/// While it lives, the return of one process is its holder's business.
#[derive(Debug)]
pub struct Held {
    keeper: Keeper,
    target: Target,
    /// Whether the process is started afterwards if it lies dead, also if nothing else would be.
    revives: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut house = self.keeper.house();
        // A new cluster may have fewer nodes.
        let revives = self.revives || house.auto_restart;
        let dead = house.known(self.target).is_ok_and(|view| view.pid.is_none());
        if let Some(charge) = house.charges.get_mut(&self.target) {
            charge.held = false;
            if charge.wanted && dead {
                // Also if nobody has come to judge its end yet.
                charge.judged = true;
                charge.due = revives.then(Instant::now);
            }
        }
        self.keeper.publish(&mut house);
    }
}

impl Keeper {
    /// Sees to it that nobody but the caller starts this process again when it dies. It is started when the answer is
    /// dropped, if it lies dead then.
    ///
    /// # Errors
    /// If there is no such process, or somebody holds it already.
    pub fn hold(&self, target: Target) -> Result<Held, OrderError> {
        self.hold_as(target, true)
    }

    /// Keeps a process that lies dead from coming back by itself for as long as somebody reads its files.
    ///
    /// # Errors
    /// As [`Keeper::hold`].
    pub fn hold_dead(&self, target: Target) -> Result<Held, OrderError> {
        self.hold_as(target, false)
    }

    fn hold_as(&self, target: Target, revives: bool) -> Result<Held, OrderError> {
        let mut house = self.house();
        let charge = house
            .charges
            .get_mut(&target)
            .ok_or_else(|| OrderError::NoSuchProcess(name(target)))?;
        if charge.held {
            return Err(OrderError::NotNow(format!(
                "something else sees to {} right now",
                name(target)
            )));
        }
        charge.held = true;
        charge.due = None;
        Ok(Held {
            keeper: self.clone(),
            target,
            revives,
        })
    }

    /// Starts a process and waits until it works.
    ///
    /// # Errors
    /// If it runs, or does not work within 30 seconds.
    pub fn start(&self, target: Target) -> Result<(), OrderError> {
        self.launch(target)?;
        self.wait_working(&[target])
    }

    /// Starts every process that does not run and waits until all work. One that was frozen stays so.
    ///
    /// # Errors
    /// If all run, or they do not work within 30 seconds.
    pub fn start_all(&self) -> Result<(), OrderError> {
        let down = self.those(|state| matches!(state, ProcessState::Stopped | ProcessState::Ended));
        if down.is_empty() {
            return Err(OrderError::NotNow("every process runs already".to_owned()));
        }
        // The coordinator last: it would only find out that nobody is there yet.
        for &target in down.iter().rev() {
            match self.launch(target) {
                // It came back by itself meanwhile.
                Ok(()) | Err(OrderError::NotNow(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.wait_working(&down)
    }

    /// Asks a process to stop and waits until it has; kills it after ten seconds. It stays down until it is started.
    ///
    /// # Errors
    /// If it is stopped already.
    pub fn stop(&self, target: Target) -> Result<(), OrderError> {
        let view = self.one(target)?;
        if view.state == ProcessState::Stopped {
            return Err(OrderError::NotNow(format!("{} is stopped already", view.name)));
        }
        self.stop_group(&[target]);
        Ok(())
    }

    /// Stops every process, the coordinator first. All stay down.
    ///
    /// # Errors
    /// If all are stopped already.
    pub fn stop_all(&self) -> Result<(), OrderError> {
        let up = self.those(|state| state != ProcessState::Stopped);
        if up.is_empty() {
            return Err(OrderError::NotNow("every process is stopped already".to_owned()));
        }
        let (coordinator, nodes): (Vec<Target>, Vec<Target>) =
            up.into_iter().partition(|&target| target == Target::Coordinator);
        self.stop_group(&coordinator);
        self.stop_group(&nodes);
        Ok(())
    }

    /// Kills a process with SIGKILL. It is started again as if anybody else had killed it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self, target: Target) -> Result<(), OrderError> {
        let mut house = self.house();
        must_run(&house.known(target)?)?;
        house.cluster.kill9(target);
        self.publish(&mut house);
        Ok(())
    }

    /// Stops a process if it runs, starts it and waits until it works.
    ///
    /// # Errors
    /// If it does not work within 30 seconds.
    pub fn restart(&self, target: Target) -> Result<(), OrderError> {
        match self.stop(target) {
            Ok(()) | Err(OrderError::NotNow(_)) => {}
            Err(error) => return Err(error),
        }
        self.start(target)
    }

    /// Freezes a process and waits until it stands still.
    ///
    /// # Errors
    /// If it does not run, or stands still already.
    pub fn freeze(&self, target: Target) -> Result<(), OrderError> {
        {
            let mut house = self.house();
            let view = house.known(target)?;
            must_run(&view)?;
            if view.state == ProcessState::Frozen {
                return Err(OrderError::NotNow(format!("{} is frozen already", view.name)));
            }
            house.cluster.freeze(target)?;
        }
        self.wait_until(target, SIGNAL_PATIENCE, "to stand still", |view| {
            view.state == ProcessState::Frozen || view.pid.is_none()
        })?;
        Ok(())
    }

    /// Lets a frozen process go on and waits until it does.
    ///
    /// # Errors
    /// If it is not frozen.
    pub fn thaw(&self, target: Target) -> Result<(), OrderError> {
        {
            let mut house = self.house();
            let view = house.known(target)?;
            must_run(&view)?;
            if view.state != ProcessState::Frozen {
                return Err(OrderError::NotNow(format!("{} is not frozen", view.name)));
            }
            house.cluster.thaw(target)?;
        }
        self.wait_until(target, SIGNAL_PATIENCE, "to go on", |view| {
            view.state != ProcessState::Frozen
        })?;
        Ok(())
    }

    /// Waits until `met` says so of a process, at most so long. Returns how it was then.
    ///
    /// # Errors
    /// If there is no such process, or in vain.
    pub fn wait_until(
        &self,
        target: Target,
        patience: Duration,
        what: &str,
        met: impl Fn(&ProcessView) -> bool,
    ) -> Result<ProcessView, OrderError> {
        let began = Instant::now();
        loop {
            let view = self.one(target)?;
            if met(&view) {
                return Ok(view);
            }
            if began.elapsed() >= patience {
                return Err(OrderError::Failed(Error::TooSlow {
                    what: format!("{} was {what}, which", view.name),
                    waited: patience,
                    seen: format!("it is {}", view.state),
                }));
            }
            thread::sleep(POLL);
        }
    }

    /// Stops every process for good, as [`Cluster::stop_all`]: nothing can be started any more.
    pub fn close(&self) -> Vec<Exit> {
        let mut house = self.house();
        house.closing = true;
        for charge in house.charges.values_mut() {
            charge.dismissed();
        }
        let ends = house.cluster.stop_all();
        self.publish(&mut house);
        ends
    }

    /// Looks after another cluster from now on, of which nothing runs yet: see [`Cluster::prepare`].
    ///
    /// # Errors
    /// If a process of the present one still runs.
    pub fn replace(&self, cluster: Cluster) -> Result<(), OrderError> {
        let mut house = self.house();
        house.may_start()?;
        if let Some(view) = house.views_now().iter().find(|view| view.pid.is_some()) {
            return Err(OrderError::NotNow(format!("{} still runs", view.name)));
        }
        house.cluster = cluster;
        house.welcome(false);
        self.publish(&mut house);
        Ok(())
    }

    /// Waits until all of these work.
    fn wait_working(&self, targets: &[Target]) -> Result<(), OrderError> {
        let began = Instant::now();
        let mut house = self.house();
        loop {
            house.may_start()?;
            let mut waiting = None;
            for &target in targets {
                let view = house.known(target)?;
                match view.state {
                    ProcessState::Running => {}
                    ProcessState::Starting => waiting = Some(view),
                    ProcessState::Frozen | ProcessState::Stopping | ProcessState::Stopped => {
                        return Err(OrderError::NotNow(format!(
                            "{} was started, and then somebody else stopped or froze it",
                            view.name
                        )));
                    }
                    ProcessState::Ended => {
                        let exit = house.cluster.process_mut(target).poll().cloned();
                        return Err(OrderError::Failed(
                            exit.map_or(Error::NotRunning(view.name), Error::Exited),
                        ));
                    }
                }
            }
            let Some(view) = waiting else {
                return Ok(());
            };
            let left = READY_PATIENCE.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(OrderError::Failed(Error::TooSlow {
                    what: format!("the start of {}", view.name),
                    waited: READY_PATIENCE,
                    seen: "it runs, and has not been seen at work".to_owned(),
                }));
            }
            house = self.wait(house, left);
        }
    }

    fn launch(&self, target: Target) -> Result<(), OrderError> {
        let mut house = self.house();
        house.may_start()?;
        let view = house.known(target)?;
        if view.pid.is_some() {
            return Err(OrderError::NotNow(format!(
                "{} runs already: it is {}",
                view.name, view.state
            )));
        }
        house.cluster.launch(target, &[])?;
        house.charges.entry(target).or_default().launched(true);
        self.publish(&mut house);
        Ok(())
    }

    fn stop_group(&self, targets: &[Target]) {
        {
            let mut house = self.house();
            for &target in targets {
                house.charges.entry(target).or_default().dismissed();
                house.cluster.process_mut(target).terminate();
            }
            self.publish(&mut house);
        }
        let began = Instant::now();
        loop {
            {
                let mut house = self.house();
                let late = began.elapsed() >= STOP_PATIENCE;
                let mut left = false;
                for &target in targets {
                    // Started again meanwhile: somebody has changed their mind.
                    let wanted = house.charges.get(&target).is_none_or(|charge| charge.wanted);
                    let process = house.cluster.process_mut(target);
                    if process.poll().is_none() && process.pid().is_some() && !wanted {
                        if late {
                            process.kill9();
                        } else {
                            left = true;
                        }
                    }
                }
                self.publish(&mut house);
                if !left {
                    return;
                }
            }
            thread::sleep(POLL);
        }
    }

    fn one(&self, target: Target) -> Result<ProcessView, OrderError> {
        let mut house = self.house();
        let view = house.known(target)?;
        self.publish(&mut house);
        Ok(view)
    }

    fn those(&self, of: impl Fn(ProcessState) -> bool) -> Vec<Target> {
        let views = self.processes().into_iter();
        views
            .filter(|view| of(view.state))
            .map(|view| view.target)
            .collect()
    }
}

impl super::House {
    fn may_start(&self) -> Result<(), OrderError> {
        if self.closing {
            Err(OrderError::NotNow("everything is being stopped".to_owned()))
        } else {
            Ok(())
        }
    }

    fn known(&mut self, target: Target) -> Result<ProcessView, OrderError> {
        if self.charges.contains_key(&target) {
            Ok(self.view(target))
        } else {
            Err(OrderError::NoSuchProcess(name(target)))
        }
    }

    fn views_now(&mut self) -> Vec<ProcessView> {
        let targets = self.cluster.targets();
        targets.into_iter().map(|target| self.view(target)).collect()
    }
}

fn must_run(view: &ProcessView) -> Result<(), OrderError> {
    if view.pid.is_some() {
        Ok(())
    } else {
        Err(OrderError::NotNow(format!(
            "{} does not run: it is {}",
            view.name, view.state
        )))
    }
}
