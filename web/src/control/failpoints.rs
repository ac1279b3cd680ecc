//! At which points can a process be made to die, and how is it told so?

use axum::Json;
use client::{Client, Target};
use serde::{Deserialize, Serialize};

use super::{Control, Failpoint, Here, bad, blocking};
use crate::extract::JsonOrNone;
use crate::paths::Paths;
use crate::problem::{Code, Problem};

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default().get("/failpoints", list).post("/failpoints", arm)
}

#[derive(Debug, Serialize)]
struct Points {
    failpoints: Vec<Failpoint>,
}

async fn list(Here(control): Here) -> Json<Points> {
    Json(Points {
        failpoints: control.program.failpoints(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arming {
    process: String,
    failpoint: String,
}

#[derive(Debug, Serialize)]
struct Armed {
    done: String,
    cli: String,
}

async fn arm(Here(control): Here, JsonOrNone(arming): JsonOrNone<Arming>) -> Result<Json<Armed>, Problem> {
    blocking(move || {
        let target = control.keeper().find(&arming.process)?.target;
        let name = control.program.name();
        let args = control.keeper().command_line(target).unwrap_or_default();
        Ok(Json(Armed {
            done: control.arm(target, &arming.failpoint)?,
            cli: format!("{name} {args} --failpoint {}", arming.failpoint),
        }))
    })
    .await
}

impl Control {
    /// Arms `name=action` in a process. Returns what was done.
    pub(super) fn arm(&self, target: Target, failpoint: &str) -> Result<String, Problem> {
        self.try_arm(target, failpoint).map_err(|error| not_armed(&error))
    }

    /// [`Control::arm`] of a process that may die of it at once, before it can say that it was done.
    pub(super) fn arm_to_die(&self, target: Target, failpoint: &str) -> Result<(), Problem> {
        match self.try_arm(target, failpoint) {
            Ok(_) | Err(client::Error::NoAnswer(_)) => Ok(()),
            Err(error) => Err(not_armed(&error)),
        }
    }

    fn try_arm(&self, target: Target, failpoint: &str) -> Result<String, client::Error> {
        Client::new(self.keeper().client_config())?.arm(target, failpoint)
    }

    /// Sees to it that such a point is one of the process, and of its store.
    pub(super) fn known_failpoint(&self, name: &str, target: Target) -> Result<(), Problem> {
        let role = match target {
            Target::Coordinator => "coordinator",
            Target::Node(_) => "node",
        };
        let store = self.keeper().config().store;
        let fits = |point: &Failpoint| {
            point.name == name
                && (point.process == role || point.process == "any")
                && point.store.is_none_or(|of| of == store)
        };
        if self.program.failpoints().iter().any(fits) {
            Ok(())
        } else {
            Err(
                bad(format!("{name:?} is no point of a {role} with a {store} store."))
                    .next("GET /v1/control/failpoints names them."),
            )
        }
    }
}

fn not_armed(error: &client::Error) -> Problem {
    match error {
        client::Error::Failed(why) => bad(format!("{}.", client::report::capitalised(why))),
        client::Error::Config(_) | client::Error::NoCoordinator(_) | client::Error::NoAnswer(_) => {
            Problem::new(Code::NotNow, format!("The failpoint cannot be armed: {error}."))
                .next("It is armed through the coordinator, so that one has to run, and the process too.")
        }
    }
}
