//! When does a cluster work?
//!
//! When its coordinator reports every node that runs as up. Log lines would not do: a quiet log level hides them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, ClusterStatus, Target};
use protocol::message::LinkState;

use crate::cluster::{Cluster, name};
use crate::error::Error;
use crate::process::POLL;

/// How long processes may take to get ready, on a machine that has much else to do.
pub(crate) const READY_PATIENCE: Duration = Duration::from_secs(30);

/// How long one question for the cluster's status may take.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// How long a single look at the cluster may take.
const LOOK_PATIENCE: Duration = Duration::from_millis(300);

impl Cluster {
    /// Waits until every process that runs works: the coordinator reports each node as up. While the coordinator is
    /// down: until the nodes listen.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn wait_ready(&mut self) -> Result<(), Error> {
        let running = self.running();
        self.wait_until_ready(&running)
    }

    /// [`Cluster::wait_ready`], where only the end of one of `started` is an error: others may have died before.
    pub(crate) fn wait_until_ready(&mut self, started: &[Target]) -> Result<(), Error> {
        let began = Instant::now();
        let mut client = self.client_for(STATUS_PATIENCE);
        loop {
            for &target in started {
                if let Some(exit) = self.process_mut(target).poll() {
                    return Err(Error::Exited(exit.clone()));
                }
            }
            let running = self.running();
            let missing = if running.contains(&Target::Coordinator) {
                match client.status() {
                    Ok(status) => not_up(&running, &status),
                    Err(error) => Some(error.to_string()),
                }
            } else {
                self.deaf(&running)
            };
            // What answered may be another cluster on the same ports: ours must be alive too.
            let alive = started
                .iter()
                .all(|&target| self.process_mut(target).poll().is_none());
            match missing {
                None if alive => {
                    for target in running {
                        self.process_mut(target).ready = true;
                    }
                    return Ok(());
                }
                Some(seen) if began.elapsed() >= READY_PATIENCE => {
                    return Err(Error::TooSlow {
                        what: "the start of the cluster".to_owned(),
                        waited: READY_PATIENCE,
                        seen,
                    });
                }
                None | Some(_) => {}
            }
            if self.config().interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            thread::sleep(POLL);
        }
    }

    /// Whether a process runs and takes part: the coordinator reports the node as up, or, for the coordinator, every
    /// node that runs. Looks once, for at most 300 ms.
    pub fn takes_part(&mut self, target: Target) -> bool {
        let works = Look::at(self, vec![target]).working().contains(&target);
        if works {
            self.process_mut(target).ready = true;
        }
        works
    }

    fn client_for(&self, timeout: Duration) -> Client {
        let config = ClientConfig {
            timeout,
            ..self.client_config()
        };
        Client::new(config).expect("it names a coordinator and a timeout")
    }

    fn running(&mut self) -> Vec<Target> {
        let mut targets = self.targets();
        targets.retain(|&target| {
            let process = self.process_mut(target);
            process.poll().is_none() && process.pid().is_some()
        });
        targets
    }

    /// A process that accepts no connections.
    fn deaf(&self, targets: &[Target]) -> Option<String> {
        let deaf = targets.iter().find(|&&target| !listens(self.port(target)));
        deaf.map(|&target| format!("{} does not listen", name(target)))
    }
}

/// What has to be asked to know who takes part: noted in a moment, and asked without the cluster at hand.
#[derive(Debug)]
pub(crate) struct Look {
    asked: Vec<Target>,
    /// Who runs and does not stand still.
    awake: Vec<Target>,
    ports: BTreeMap<Target, u16>,
    client: ClientConfig,
}

impl Look {
    /// Notes what is needed to ask about these.
    pub(crate) fn at(cluster: &mut Cluster, asked: Vec<Target>) -> Look {
        let mut awake = cluster.running();
        awake.retain(|&target| !cluster.process(target).is_frozen());
        Look {
            ports: asked
                .iter()
                .map(|&target| (target, cluster.port(target)))
                .collect(),
            asked,
            awake,
            client: ClientConfig {
                timeout: LOOK_PATIENCE,
                ..cluster.client_config()
            },
        }
    }

    /// Those that were asked about and take part: as the coordinator says, or, for nodes while there is no coordinator
    /// to tell, those that listen. Takes 300 ms at the most.
    pub(crate) fn working(&self) -> Vec<Target> {
        let mut works: Vec<Target> = self.asked.clone();
        works.retain(|target| self.awake.contains(target) && listens(self.ports[target]));
        if !self.awake.contains(&Target::Coordinator) || works.is_empty() {
            return works;
        }
        let mut client = Client::new(self.client.clone()).expect("it names a coordinator and a timeout");
        let Ok(status) = client.status() else {
            return Vec::new();
        };
        works.retain(|&target| {
            let needed = match target {
                Target::Coordinator => self.awake.as_slice(),
                Target::Node(_) => &[target],
            };
            not_up(needed, &status).is_none()
        });
        works
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A node that the coordinator does not report as up.
pub(crate) fn not_up(nodes: &[Target], status: &ClusterStatus) -> Option<String> {
    nodes.iter().find_map(|target| {
        let Target::Node(node) = target else {
            return None;
        };
        match status.nodes.iter().find(|link| link.node() == *node) {
            Some(LinkState::Up(..)) => None,
            Some(LinkState::Quarantined(_, why)) => Some(format!("{node} is quarantined: {why}")),
            Some(LinkState::Down(_)) => Some(format!("the coordinator does not reach {node}")),
            None => Some(format!("the coordinator does not know {node}")),
        }
    })
}
