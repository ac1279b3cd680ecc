//! More coordinators than the one that a cluster must have: each with a store of its own, all on the same nodes.
//!
//! They are there to share the work of deciding, so they are started and stopped with the cluster, and nothing else is
//! done to them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Target};

use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::plan::coordinator_args;
use crate::process::{POLL, Process};
use crate::ready::{READY_PATIENCE, not_up};

/// How long one question for the cluster's status may take.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// One of the additional coordinators.
#[derive(Debug)]
pub(crate) struct Extra {
    pub(crate) process: Process,
    port: u16,
}

impl Extra {
    /// Coordinators from the second on, not running yet. `ports` are theirs, `dialled` those of the nodes.
    pub(crate) fn all(
        config: &ClusterConfig,
        ports: impl Iterator<Item = u16>,
        dialled: &BTreeMap<Target, u16>,
    ) -> Vec<Extra> {
        let extra = |(number, port): (u16, u16)| {
            let name = format!("coordinator-{number}");
            let own = ClusterConfig {
                dir: config.dir.join(&name),
                ..config.clone()
            };
            let args = coordinator_args(&own, port, dialled);
            Extra {
                process: Process::new(name, config.binary.clone(), args, config.log.clone()),
                port,
            }
        };
        (2..).zip(ports).map(extra).collect()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Cluster {
    /// Where all coordinators listen, the first one first.
    pub fn coordinators(&self) -> Vec<String> {
        let first = self.address(Target::Coordinator);
        std::iter::once(first)
            .chain(self.extras.iter().map(Extra::address))
            .collect()
    }

    /// The processes of the additional coordinators that run: name and process id.
    pub fn more_coordinators(&self) -> Vec<(String, u32)> {
        let running = |extra: &Extra| Some((extra.process.name.clone(), extra.process.pid()?));
        self.extras.iter().filter_map(running).collect()
    }

    /// Starts the additional coordinators that do not run and waits until each reports every node as up.
    pub(crate) fn start_extras(&mut self) -> Result<(), Error> {
        let nodes: Vec<Target> = self.nodes().into_iter().map(Target::Node).collect();
        let config = self.client_config();
        for extra in &mut self.extras {
            if extra.process.poll().is_some() || extra.process.pid().is_none() {
                extra.process.start(&[])?;
            }
            let config = ClientConfig {
                coordinators: vec![extra.address()],
                timeout: STATUS_PATIENCE,
                ..config.clone()
            };
            let mut client = Client::new(config).expect("it names a coordinator and a timeout");
            let began = Instant::now();
            loop {
                if let Some(exit) = extra.process.poll() {
                    return Err(Error::Exited(exit.clone()));
                }
                let seen = match client.status() {
                    Ok(status) => match not_up(&nodes, &status) {
                        None => break,
                        Some(seen) => seen,
                    },
                    Err(error) => error.to_string(),
                };
                if began.elapsed() >= READY_PATIENCE {
                    return Err(Error::TooSlow {
                        what: format!("the start of {}", extra.process.name),
                        waited: READY_PATIENCE,
                        seen,
                    });
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }
}
