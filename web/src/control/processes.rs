//! Which processes are there, and what can be done to each of them?

use axum::Json;
use axum::extract::State;
use client::Target;
use cluster::{Keeper, OrderError, Ports, ProcessView};
use serde::{Deserialize, Serialize};

use super::{Here, Nothing, Shape, bad, blocking};
use crate::extract::{JsonOrNone, Path};
use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::state::AppState;

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default()
        .get("/cluster", cluster)
        .post("/cluster", renew)
        .post("/processes/{name}/{action}", act)
        .post("/auto_restart", auto_restart)
}

/// A process as the panel sees it.
#[derive(Debug, Serialize)]
pub(super) struct ProcessLine {
    name: String,
    state: &'static str,
    why: Option<String>,
    pid: Option<u32>,
    port: u16,
}

impl From<ProcessView> for ProcessLine {
    fn from(view: ProcessView) -> ProcessLine {
        ProcessLine {
            name: view.name,
            state: view.state.word(),
            why: view.why,
            pid: view.pid,
            port: view.port,
        }
    }
}

#[derive(Debug, Serialize)]
struct ClusterLine {
    coordinator: Option<ProcessLine>,
    nodes: Vec<ProcessLine>,
    cluster: String,
    store: String,
    locking: String,
    data_dir: String,
    coord_port: Option<u16>,
    base_port: Option<u16>,
    http_port: u16,
    failpoints: bool,
    auto_restart: bool,
}

async fn cluster(State(state): State<AppState>, Here(control): Here) -> Json<ClusterLine> {
    Json(line(control.keeper(), state.address().port()))
}

fn line(keeper: &Keeper, http_port: u16) -> ClusterLine {
    let config = keeper.config();
    let (coordinator, nodes): (Vec<ProcessView>, Vec<ProcessView>) = keeper
        .processes()
        .into_iter()
        .partition(|view| view.target == Target::Coordinator);
    let (coord_port, base_port) = match config.ports {
        Ports::Fixed {
            coordinator,
            nodes_from,
        } => (Some(coordinator), Some(nodes_from)),
        Ports::Free => (None, None),
    };
    ClusterLine {
        coordinator: coordinator.into_iter().next().map(ProcessLine::from),
        nodes: nodes.into_iter().map(ProcessLine::from).collect(),
        cluster: config.cluster.to_string(),
        store: config.store,
        locking: config.locking,
        data_dir: config.dir.display().to_string(),
        coord_port,
        base_port,
        http_port,
        failpoints: config.enable_failpoints,
        auto_restart: keeper.auto_restart(),
    }
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Start,
    Stop,
    Kill,
    Restart,
    Freeze,
    Thaw,
}

impl Action {
    fn parse(text: &str) -> Result<Action, Problem> {
        match text {
            "start" => Ok(Action::Start),
            "stop" => Ok(Action::Stop),
            "kill" => Ok(Action::Kill),
            "restart" => Ok(Action::Restart),
            "freeze" => Ok(Action::Freeze),
            "thaw" => Ok(Action::Thaw),
            _ => Err(
                Problem::new(Code::NotFound, format!("A process cannot be told to {text:?}."))
                    .next("Say start, stop, kill, restart, freeze or thaw."),
            ),
        }
    }

    fn run(self, keeper: &Keeper, target: Target) -> Result<(), OrderError> {
        match self {
            Action::Start => keeper.start(target),
            Action::Stop => keeper.stop(target),
            Action::Kill => keeper.kill(target),
            Action::Restart => keeper.restart(target),
            Action::Freeze => keeper.freeze(target),
            Action::Thaw => keeper.thaw(target),
        }
    }

    /// What a person would type for it.
    fn typed(self, keeper: &Keeper, program: &str, before: &ProcessView) -> Option<String> {
        let signal = |name| before.pid.map(|pid| format!("kill -{name} {pid}"));
        match self {
            Action::Start => keeper
                .command_line(before.target)
                .map(|args| format!("{program} {args}")),
            Action::Stop => signal("TERM"),
            Action::Kill => signal("KILL"),
            Action::Freeze => signal("STOP"),
            Action::Thaw => signal("CONT"),
            Action::Restart => None,
        }
    }
}

#[derive(Debug, Serialize)]
struct Done {
    processes: Vec<ProcessLine>,
    cli: Option<String>,
}

async fn act(
    Here(control): Here,
    Path((name, action)): Path<(String, String)>,
    JsonOrNone(Nothing {}): JsonOrNone<Nothing>,
) -> Result<Json<Done>, Problem> {
    let action = Action::parse(&action)?;
    blocking(move || {
        let keeper = control.keeper();
        if name == "all" {
            match action {
                Action::Start => keeper.start_all()?,
                Action::Stop => keeper.stop_all()?,
                Action::Kill | Action::Restart | Action::Freeze | Action::Thaw => {
                    return Err(bad("All at once can be started and stopped only."));
                }
            }
            return Ok(Json(Done {
                processes: keeper.processes().into_iter().map(ProcessLine::from).collect(),
                cli: None,
            }));
        }
        let before = keeper.find(&name)?;
        let cli = action.typed(keeper, &control.program.name(), &before);
        action.run(keeper, before.target)?;
        Ok(Json(Done {
            processes: vec![keeper.find(&name)?.into()],
            cli,
        }))
    })
    .await
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

async fn auto_restart(
    Here(control): Here,
    JsonOrNone(switch): JsonOrNone<Switch>,
) -> Result<Json<Switch>, Problem> {
    control.keeper().set_auto_restart(switch.on);
    Ok(Json(switch))
}

#[derive(Debug, Serialize)]
struct Renewed {
    #[serde(flatten)]
    cluster: ClusterLine,
    opened: Vec<String>,
    cli: String,
}

async fn renew(
    State(state): State<AppState>,
    Here(control): Here,
    JsonOrNone(shape): JsonOrNone<Shape>,
) -> Result<Json<Renewed>, Problem> {
    if !shape.erase {
        return Err(Problem::new(
            Code::WouldErase,
            "A new cluster begins with new accounts: all that is in the data directory would be deleted. Nothing was done.",
        )
        .next("Send \"erase\": true if that is what you want."));
    }
    blocking(move || {
        let _begun = control.begin("a new cluster")?;
        let opened = control.program.renew(control.keeper(), &shape);
        // Also after a failure: it may listen elsewhere already.
        state.set_client_config(control.keeper().client_config());
        let cluster = line(control.keeper(), state.address().port());
        let ports = match (cluster.coord_port, cluster.base_port) {
            (Some(coordinator), Some(base)) => format!(" --coord-port {coordinator} --base-port {base}"),
            (_, _) => String::new(),
        };
        let cli = format!(
            "{} up --fresh --nodes {} --store {} --locking {} --data-dir {}{ports} --http-port {}",
            control.program.name(),
            cluster.nodes.len(),
            cluster.store,
            cluster.locking,
            cluster.data_dir,
            cluster.http_port
        );
        Ok(Json(Renewed {
            opened: opened?,
            cluster,
            cli,
        }))
    })
    .await
}
