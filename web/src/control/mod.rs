//! What can be done to the processes themselves? Served under `/v1/control`, and only where this program started them.
//!
//! | file | question it answers |
//! |---|---|
//! | `program.rs` | what does this need of the program around it |
//! | `processes.rs` | start, stop, kill, freeze; a new cluster |
//! | `logs.rs` | what have the processes written to stderr |
//! | `failpoints.rs` | at which points can a process be made to die |
//! | `step.rs` | step mode: the coordinator waits before each message |
//! | `stores.rs` | what is in a store, and in its log |
//! | `scenario/` | stories that end with a verdict |

mod failpoints;
mod logs;
mod processes;
mod program;
mod scenario;
mod step;
mod stores;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use cluster::{Keeper, OrderError};
use serde::Deserialize;

use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::state::AppState;

pub use logs::{LogBook, LogFilter, LogLine};
pub use program::{Failpoint, LogAsk, LogPage, OnDisk, Program, Shape, Stored, TreeLine, WalLine};

/// What [`LogBook::subscribe`] gives.
pub(crate) type LogLines = tokio::sync::broadcast::Receiver<Arc<LogLine>>;

/// The processes of a cluster that this program started, and what is known about them.
#[derive(Debug)]
pub struct Control {
    keeper: Keeper,
    logs: Arc<LogBook>,
    program: Box<dyn Program>,
    /// What has the cluster to itself right now.
    busy: Mutex<Option<String>>,
    gate: step::Gate,
}

impl Control {
    /// Of the cluster that `keeper` looks after, whose processes' lines go to `logs`.
    pub fn new(keeper: Keeper, logs: Arc<LogBook>, program: impl Program) -> Control {
        Control {
            keeper,
            logs,
            program: Box::new(program),
            busy: Mutex::new(None),
            gate: step::Gate::default(),
        }
    }

    /// Who looks after the processes.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// What the processes have written.
    pub fn logs(&self) -> &LogBook {
        &self.logs
    }

    fn is_stepping(&self) -> bool {
        self.gate.is_closed()
    }

    /// Has the cluster to itself until the answer is dropped.
    ///
    /// # Errors
    /// If something else has.
    fn begin(&self, what: &str) -> Result<Begun<'_>, Problem> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = &*busy {
            return Err(Problem::new(
                Code::Busy,
                format!("{other} is under way, and only one such thing can be at a time. Nothing was done."),
            )
            .next("Wait for its end and ask again."));
        }
        *busy = Some(what.to_owned());
        Ok(Begun(self))
    }
}

/// See [`Control::begin`].
#[derive(Debug)]
struct Begun<'a>(&'a Control);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is served under `/v1/control`.
pub(crate) fn paths() -> Paths {
    Paths::default()
        .merge(processes::paths())
        .merge(logs::paths())
        .merge(failpoints::paths())
        .merge(step::paths())
        .merge(stores::paths())
        .merge(scenario::paths())
}

/// The control that a request is about.
struct Here(Arc<Control>);

impl FromRequestParts<AppState> for Here {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Here, Problem> {
        let State(state) = State::<AppState>::from_request_parts(parts, state)
            .await
            .unwrap_or_else(|never| match never {});
        let control = state.control().map(Arc::clone);
        control.map(Here).ok_or_else(|| {
            Problem::new(
                Code::NotFound,
                "This server did not start any processes: it is a gateway.",
            )
        })
    }
}

/// Does what blocks on a thread where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        log::error!("a request ended by a panic: {error}");
        Err(Problem::new(
            Code::Internal,
            "This is a bug: see the log of `twopence up`.",
        ))
    })
}

/// The body of a request that says all in its path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, detail)
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Problem {
        let detail = client::report::capitalised(&error.to_string());
        match error {
            OrderError::NoSuchProcess(_) => Problem::new(Code::NotFound, format!("{detail}."))
                .next("GET /v1/control/cluster names the processes."),
            OrderError::NotNow(_) => Problem::new(Code::NotNow, format!("{detail}.")),
            OrderError::Failed(_) => Problem::new(Code::ProcessFailed, format!("{detail}."))
                .next("Its log tells more: GET /v1/control/logs."),
        }
    }
}
