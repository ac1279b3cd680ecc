//! Step mode: the coordinator waits before each message about a transaction until it is told to go on.
//!
//! The gate belongs to the connection that closed it, and opens when that one ends, so a panel that is gone holds nothing
//! up for ever; it is kept here while step mode is on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use client::{Target, Watch};
use protocol::message::watch::Holding;
use serde::{Deserialize, Serialize};

use super::{Control, Here, Nothing, blocking};
use crate::extract::JsonOrNone;
use crate::paths::Paths;
use crate::problem::{Code, Problem};

/// How long the coordinator may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default()
        .get("/step", show)
        .post("/step", switch)
        .post("/step/next", next)
}

/// The gate of the coordinator, while it is closed.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Option<Watch>>);

impl Gate {
    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds back, if it is closed. A coordinator that died has taken its gate with it.
    fn holding(&self) -> Option<Holding> {
        let mut watch = self.watch();
        // Closing a closed gate changes nothing and tells what it holds.
        let holding = watch.as_mut()?.gate(true).ok();
        if holding.is_none() {
            *watch = None;
        }
        holding
    }

    /// Whether it is closed. Blocks while the coordinator is asked.
    pub(super) fn is_closed(&self) -> bool {
        self.holding().is_some()
    }
}

/// What waits.
#[derive(Debug, Serialize)]
struct Step {
    on: bool,
    waiting: u64,
    holding: Vec<String>,
}

impl From<Holding> for Step {
    fn from(holding: Holding) -> Step {
        Step {
            on: holding.closed,
            waiting: holding.waiting,
            holding: holding.first.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

async fn switch(Here(control): Here, JsonOrNone(switch): JsonOrNone<Switch>) -> Result<Json<Step>, Problem> {
    blocking(move || gate(&control, switch.on).map(Json)).await
}

fn gate(control: &Arc<Control>, on: bool) -> Result<Step, Problem> {
    let mut watch = control.gate.watch();
    if !on {
        // The end of the connection opens the gate, also if the answer is lost.
        let opened = watch.take().map(|mut watch| watch.gate(false));
        return Ok(match opened {
            Some(Ok(holding)) => holding.into(),
            Some(Err(_)) | None => Holding::default().into(),
        });
    }
    if let Some(open) = watch.as_mut()
        && let Ok(holding) = open.gate(true)
    {
        return Ok(holding.into());
    }
    let keeper = control.keeper();
    let config = keeper.client_config();
    let address = keeper.address(Target::Coordinator).unwrap_or_default();
    let mut fresh = Watch::connect(&address, &config.cluster, PATIENCE).map_err(refused)?;
    let holding = fresh.gate(true).map_err(refused)?;
    *watch = Some(fresh);
    Ok(holding.into())
}

async fn show(Here(control): Here) -> Result<Json<Step>, Problem> {
    blocking(move || {
        let holding = control.gate.holding().unwrap_or_default();
        Ok(Json(holding.into()))
    })
    .await
}

async fn next(
    Here(control): Here,
    JsonOrNone(Nothing {}): JsonOrNone<Nothing>,
) -> Result<Json<Step>, Problem> {
    blocking(move || {
        let mut watch = control.gate.watch();
        let Some(open) = watch.as_mut() else {
            return Err(Problem::new(Code::NotNow, "Step mode is off: nothing waits.")
                .next("POST /v1/control/step {\"on\": true} switches it on."));
        };
        match open.step() {
            Ok(holding) => Ok(Json(holding.into())),
            Err(error) => {
                *watch = None;
                Err(refused(error))
            }
        }
    })
    .await
}

fn refused(error: client::Error) -> Problem {
    let detail = client::report::capitalised(&error.to_string());
    Problem::new(Code::NotNow, format!("The coordinator does not step: {detail}."))
        .next("Step mode is off now. It needs a coordinator that runs.")
}
