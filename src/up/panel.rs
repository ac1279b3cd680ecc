//! What the control panel needs of this program: whatever has to do with the files of the cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use client::Target;
use cluster::{Cluster, Keeper, OrderError, Ports};
use web::control::{Failpoint, LogAsk, LogBook, LogPage, Program, Shape, Stored};
use web::{Code, Problem};

use super::interrupt::Interrupt;
use super::invocation::own_name;
use super::memory::Memory;
use super::{Failure, fresh, not_started, opening, stored};
use crate::cli::{UP_NODES_MAX, UpArgs};
use crate::crash_test::points;

/// This program, to the panel that it serves.
#[derive(Debug)]
pub(super) struct Panel {
    args: UpArgs,
    interrupt: Interrupt,
    logs: Arc<LogBook>,
}

impl Panel {
    /// Of a cluster that was started with `args`.
    pub(super) fn new(args: &UpArgs, interrupt: &Interrupt, logs: &Arc<LogBook>) -> Panel {
        Panel {
            args: args.clone(),
            interrupt: interrupt.clone(),
            logs: Arc::clone(logs),
        }
    }

    /// How this program would have been called for a cluster of that shape, if the present one is like `keeper`'s.
    fn args_for(&self, keeper: &Keeper, shape: &Shape) -> Result<UpArgs, Problem> {
        let present = keeper.config();
        let nodes = shape.nodes.unwrap_or(present.nodes);
        if !(1..=UP_NODES_MAX).contains(&nodes) {
            return Err(bad(format!("A local cluster has 1 to {} nodes.", UP_NODES_MAX)));
        }
        let (coord_port, base_port) = match present.ports {
            Ports::Fixed {
                coordinator,
                nodes_from,
            } => (coordinator, nodes_from),
            Ports::Free => (self.args.coord_port, self.args.base_port),
        };
        let store = shape.store.as_ref().unwrap_or(&present.store);
        let locking = shape.locking.as_ref().unwrap_or(&present.locking);
        Ok(UpArgs {
            nodes,
            store: store.parse().map_err(|error| bad(format!("{error}.")))?,
            locking: locking.parse().map_err(|error| bad(format!("{error}.")))?,
            coord_port: shape.coord_port.unwrap_or(coord_port),
            base_port: shape.base_port.unwrap_or(base_port),
            empty: false,
            ..self.args.clone()
        })
    }
}

impl Program for Panel {
    fn name(&self) -> String {
        own_name()
    }

    fn renew(&self, keeper: &Keeper, shape: &Shape) -> Result<Vec<String>, Problem> {
        let args = self.args_for(keeper, shape)?;
        let dir = &args.data_dir;
        match keeper.stop_all() {
            Ok(()) | Err(OrderError::NotNow(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let cluster = match Cluster::prepare(super::config(&args, &self.interrupt, &self.logs)) {
            Ok(cluster) => cluster,
            Err(error) => {
                // Nothing was deleted: what was there goes on.
                keeper.start_all()?;
                return Err(bad(format!("{error}. The cluster goes on as it was.")));
            }
        };
        fs::create_dir_all(dir)
            .map_err(|error| failed(&Failure::start(format!("cannot make {}: {error}", dir.display()))))?;
        fresh::clear(dir).map_err(|failure| failed(&failure))?;
        let memory = Memory::recall(dir, args.nodes, args.store, args.empty);
        let memory = memory.map_err(|failure| failed(&failure))?;
        keeper.replace(cluster)?;
        match keeper.start_all() {
            Ok(()) => {}
            Err(OrderError::Failed(error)) => return Err(failed(&not_started(&error, &args))),
            Err(error) => return Err(error.into()),
        }
        opening::open(keeper, &memory, dir).map_err(|failure| failed(&failure))
    }

    fn stored(&self, dir: &Path, owner: Target) -> Result<Box<dyn Stored>, Problem> {
        stored::read(dir, owner)
    }

    fn log(&self, dir: &Path, owner: Target, ask: &LogAsk) -> Result<LogPage, Problem> {
        stored::log(dir, owner, ask)
    }

    fn failpoints(&self) -> Vec<Failpoint> {
        let point = |point: points::Listed| Failpoint {
            process: point.process,
            store: point.store,
            name: point.name,
            what: faults::find(point.fault).map_or("", |fault| fault.what),
        };
        points::while_running().map(point).collect()
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::BadRequest, detail)
}

fn failed(failure: &Failure) -> Problem {
    Problem::new(Code::ProcessFailed, format!("{}.", failure.text.trim_end_matches('.')))
        .next("GET /v1/control/cluster tells what runs; ask for the new cluster again, or start `twopence up` anew.")
}
