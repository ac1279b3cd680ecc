//! The cluster as a whole: start it, wait until it works, break it on purpose, put it together again, stop it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Target};
use protocol::id::NodeId;

use crate::config::{ClusterConfig, Link, Ports};
use crate::error::{Error, Exit};
use crate::more::Extra;
use crate::plan::{coordinator_args, fixed_ports, node_args};
use crate::ports::FreePorts;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::ready::READY_PATIENCE;

/// How long a process may take to stop before it is killed.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How often a start on free ports is tried when somebody else was faster to take one.
const START_TRIES: u32 = 5;

/// Every process of a cluster on this machine. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    processes: BTreeMap<Target, Process>,
    ports: BTreeMap<Target, u16>,
    links: BTreeMap<Link, Proxy>,
    /// Coordinators beside the first.
    pub(crate) extras: Vec<Extra>,
    /// Starts of processes so far.
    starts: u64,
    /// Keeps free ports ours.
    _reserved: Option<FreePorts>,
}

impl Cluster {
    /// Starts every process and waits until the coordinator reports every node as up.
    ///
    /// # Errors
    /// [`Error::Exited`] with its last lines if a process ends instead, [`Error::TooSlow`] if that takes longer than
    /// 30 seconds. Nothing is left running then.
    pub fn start(config: ClusterConfig) -> Result<Cluster, Error> {
        let mut tries_left = START_TRIES;
        loop {
            tries_left -= 1;
            match Cluster::prepare(config.clone()).and_then(Cluster::started) {
                Err(Error::Exited(exit))
                    if config.ports == Ports::Free && exit.port_in_use() && tries_left > 0 => {}
                result => return result,
            }
        }
    }

    fn started(mut self) -> Result<Cluster, Error> {
        self.start_all()?;
        self.start_extras()?;
        Ok(self)
    }

    /// The cluster with nothing running yet. Its ports are free right now; in its data directory nothing is changed.
    ///
    /// # Errors
    /// [`Error::Config`] for what can never run, [`Error::PortInUse`], [`Error::Io`].
    pub fn prepare(config: ClusterConfig) -> Result<Cluster, Error> {
        if !(1..=ClusterConfig::NODES_MAX).contains(&config.nodes) {
            return Err(Error::Config(format!(
                "a local cluster has 1 to {} nodes",
                ClusterConfig::NODES_MAX
            )));
        }
        if config.coordinators == 0 || (config.coordinators > 1 && config.ports != Ports::Free) {
            return Err(Error::Config(
                "a cluster has a coordinator; more than one are started on free ports only".to_owned(),
            ));
        }
        std::fs::create_dir_all(&config.dir)
            .map_err(|error| Error::Io(format!("cannot make {}", config.dir.display()), error))?;
        let targets: Vec<Target> = std::iter::once(Target::Coordinator)
            .chain(config.node_ids().into_iter().map(Target::Node))
            .collect();
        let (ports, reserved) = match config.ports {
            Ports::Free => {
                let found = FreePorts::find(targets.len() + usize::from(config.coordinators - 1))
                    .map_err(|error| Error::Io("cannot find free ports".to_owned(), error))?;
                (found.ports.clone(), Some(found))
            }
            Ports::Fixed {
                coordinator,
                nodes_from,
            } => (fixed_ports(coordinator, nodes_from, config.nodes)?, None),
        };
        let mut ports_left = ports.into_iter();
        let ports: BTreeMap<Target, u16> = targets.into_iter().zip(ports_left.by_ref()).collect();
        let links = if config.proxied {
            proxies(&ports).map_err(|error| Error::Io("cannot start a proxy".to_owned(), error))?
        } else {
            BTreeMap::new()
        };
        let mut dialled = ports.clone();
        for (link, proxy) in &links {
            if let Link::Node(node) = link {
                dialled.insert(Target::Node(*node), proxy.address().port());
            }
        }
        let process = |(&target, &port): (&Target, &u16)| {
            let args = match target {
                Target::Coordinator => coordinator_args(&config, port, &dialled),
                Target::Node(node) => node_args(&config, port, node),
            };
            (
                target,
                Process::new(name(target), config.binary.clone(), args, config.log.clone()),
            )
        };
        let processes = ports.iter().map(process).collect();
        let extras = Extra::all(&config, ports_left, &dialled);
        Ok(Cluster {
            extras,
            config,
            processes,
            ports,
            links,
            starts: 0,
            _reserved: reserved,
        })
    }

    /// How the cluster was configured.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Every process, the coordinator first.
    pub fn targets(&self) -> Vec<Target> {
        self.processes.keys().copied().collect()
    }

    /// Every node, in order of their numbers.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.config.node_ids()
    }

    /// Where a process listens: `127.0.0.1:port`.
    ///
    /// # Panics
    /// If the cluster has no such process. So do all functions that take a [`Target`].
    pub fn address(&self, target: Target) -> String {
        format!("127.0.0.1:{}", self.port(target))
    }

    /// How a client of this cluster is configured.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig {
            cluster: self.config.cluster.clone(),
            ..ClientConfig::at([self.address(Target::Coordinator)])
        }
    }

    /// [`Cluster::client_config`] of clients that reach the coordinator through [`Link::Clients`], if there is such a link.
    pub fn client_config_through_link(&self) -> ClientConfig {
        let mut config = self.client_config();
        if let Some(proxy) = self.links.get(&Link::Clients) {
            config.coordinators = vec![proxy.address().to_string()];
        }
        config
    }

    /// The proxies of a proxied cluster; none otherwise.
    pub fn links(&self) -> &BTreeMap<Link, Proxy> {
        &self.links
    }

    /// A new client of this cluster.
    pub fn client(&self) -> Client {
        Client::new(self.client_config()).expect("it names a coordinator and a timeout")
    }

    /// The process id, while it runs.
    pub fn pid(&self, target: Target) -> Option<u32> {
        self.process(target).pid()
    }

    /// Kills a process with SIGKILL and waits until it is gone. One that does not run is left alone.
    pub fn kill9(&mut self, target: Target) {
        self.process_mut(target).kill9();
    }

    /// Kills every process with SIGKILL, as a power cut would stop them (but for what the system still writes).
    pub fn kill9_all(&mut self) {
        for process in self.processes.values_mut() {
            process.kill9();
        }
    }

    /// Asks a process to stop, waits for its end, kills it after 10 seconds.
    ///
    /// # Errors
    /// If it was never started.
    pub fn stop(&mut self, target: Target) -> Result<ExitStatus, Error> {
        self.process_mut(target).stop(STOP_PATIENCE)
    }

    /// Stops every process, the coordinator first. Returns those that did not end well.
    pub fn stop_all(&mut self) -> Vec<Exit> {
        let running: Vec<Target> = self
            .targets()
            .into_iter()
            .filter(|&target| self.pid(target).is_some())
            .collect();
        let deadline = Instant::now() + STOP_PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut ends = Vec::new();
        for extra in &mut self.extras {
            extra.process.terminate();
        }
        for extra in &mut self.extras {
            if extra.process.wait(left()).is_err() {
                extra.process.kill9();
            }
            ends.extend(extra.process.poll().cloned());
        }
        let (coordinators, nodes): (Vec<Target>, Vec<Target>) = running
            .into_iter()
            .partition(|&target| target == Target::Coordinator);
        for group in [coordinators, nodes] {
            for &target in &group {
                self.process_mut(target).terminate();
            }
            for &target in &group {
                let process = self.process_mut(target);
                if process.wait(left()).is_err() {
                    process.kill9();
                }
                ends.extend(process.poll().cloned());
            }
        }
        ends.retain(|exit| !exit.status.success());
        ends
    }

    /// Freezes a process: it keeps its connections and its locks and does nothing.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&mut self, target: Target) -> Result<(), Error> {
        self.process_mut(target).freeze()
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&mut self, target: Target) -> Result<(), Error> {
        self.process_mut(target).thaw()
    }

    /// Starts a process with these failpoints armed (`name=action`) and does not wait for anything.
    ///
    /// # Errors
    /// If it runs already or cannot be started.
    pub fn launch(&mut self, target: Target, failpoints: &[&str]) -> Result<(), Error> {
        let mut more: Vec<String> = failpoints
            .iter()
            .flat_map(|point| ["--failpoint".to_owned(), (*point).to_owned()])
            .collect();
        if let Some(seed) = self.config.power_cut {
            let seed = seed.wrapping_add(self.starts);
            more.extend(["--power-cut".to_owned(), seed.to_string()]);
        }
        if let Target::Node(_) = target {
            more.extend(["--locking".to_owned(), self.config.locking.clone()]);
        }
        self.starts += 1;
        self.process_mut(target).start(&more)
    }

    /// The conflict policy of nodes that are started from now on: [`ClusterConfig::locking`].
    pub fn set_locking(&mut self, locking: &str) {
        locking.clone_into(&mut self.config.locking);
    }

    /// Whether kill -9 is a power cut for processes that are started from now on: [`ClusterConfig::power_cut`].
    pub fn set_power_cut(&mut self, seed: Option<u64>) {
        self.config.power_cut = seed;
    }

    /// Stops a process if it runs, starts it again and waits until it works.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn restart(&mut self, target: Target) -> Result<(), Error> {
        self.restart_with(target, &[])
    }

    /// [`Cluster::restart`] with failpoints armed from the start.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn restart_with(&mut self, target: Target, failpoints: &[&str]) -> Result<(), Error> {
        if self.pid(target).is_some() {
            self.stop(target)?;
        }
        self.launch(target, failpoints)?;
        self.wait_until_ready(&[target])
    }

    /// Starts every process that does not run and waits until all work.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_all(&mut self) -> Result<(), Error> {
        // The coordinator last: it would only find out that nobody is there yet.
        for target in self.targets().into_iter().rev() {
            let process = self.process_mut(target);
            if process.poll().is_some() || process.pid().is_none() {
                self.launch(target, &[])?;
            }
        }
        self.wait_until_ready(&self.targets())
    }

    /// Waits for a process to end, at most so long.
    ///
    /// # Errors
    /// [`Error::TooSlow`] if it still runs then, [`Error::NotRunning`] if it was never started.
    pub fn wait_exit(&mut self, target: Target, patience: Duration) -> Result<Exit, Error> {
        let process = self.process_mut(target);
        process.wait(patience)?;
        process
            .poll()
            .cloned()
            .ok_or_else(|| Error::NotRunning(name(target)))
    }

    /// Waits at most 30 seconds for a log line of the process's present life that contains `text`.
    ///
    /// # Errors
    /// [`Error::TooSlow`] if none was written, also when the process ended without writing it.
    pub fn wait_line(&self, target: Target, text: &str) -> Result<String, Error> {
        let process = self.process(target);
        process
            .wait_for_line(text, Instant::now() + READY_PATIENCE)
            .ok_or_else(|| Error::TooSlow {
                what: format!("a line with {text:?} from {}", name(target)),
                waited: READY_PATIENCE,
                seen: format!(
                    "its last line: {:?}",
                    process.log_lines().last().map_or("", String::as_str)
                ),
            })
    }

    /// The newest log lines of the process's present or last life, oldest first.
    pub fn log_lines(&self, target: Target) -> Vec<String> {
        self.process(target).log_lines()
    }

    /// The processes that have ended since they were last started, and how.
    pub fn ended(&mut self) -> Vec<(Target, Exit)> {
        let ended =
            |(target, process): (&Target, &mut Process)| process.poll().map(|exit| (*target, exit.clone()));
        self.processes.iter_mut().filter_map(ended).collect()
    }

    pub(crate) fn port(&self, target: Target) -> u16 {
        *self
            .ports
            .get(&target)
            .unwrap_or_else(|| panic!("no {} in this cluster", name(target)))
    }

    pub(crate) fn process(&self, target: Target) -> &Process {
        self.processes
            .get(&target)
            .unwrap_or_else(|| panic!("no {} in this cluster", name(target)))
    }

    pub(crate) fn process_mut(&mut self, target: Target) -> &mut Process {
        self.processes
            .get_mut(&target)
            .unwrap_or_else(|| panic!("no {} in this cluster", name(target)))
    }
}

/// A proxy in front of every process.
fn proxies(ports: &BTreeMap<Target, u16>) -> std::io::Result<BTreeMap<Link, Proxy>> {
    let proxy = |(target, port): (&Target, &u16)| {
        let link = match target {
            Target::Coordinator => Link::Clients,
            Target::Node(node) => Link::Node(*node),
        };
        Ok((link, Proxy::start((Ipv4Addr::LOCALHOST, *port).into())?))
    };
    ports.iter().map(proxy).collect()
}

/// What a process is called in logs and messages.
pub fn name(target: Target) -> String {
    match target {
        Target::Coordinator => "coordinator".to_owned(),
        Target::Node(node) => node.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_names_the_process_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        // `false` takes any arguments and exits with code 1.
        let error = Cluster::start(ClusterConfig::new("/bin/false", dir.path().join("data"))).unwrap_err();
        let Error::Exited(exit) = error else {
            panic!("{error}")
        };
        assert_eq!(exit.status.code(), Some(1));
        let error = Cluster::start(ClusterConfig::new("/no/such/binary", dir.path())).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot start N3 (/no/such/binary): "),
            "{error}"
        );
        let nodes = ClusterConfig {
            nodes: 0,
            ..ClusterConfig::new("/bin/false", dir.path())
        };
        assert_eq!(
            Cluster::start(nodes).unwrap_err().to_string(),
            "a local cluster has 1 to 100 nodes"
        );
    }
}
