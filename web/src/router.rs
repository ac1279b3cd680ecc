//! Which path leads where?

use axum::http::{Method, Uri};
use axum::{Router, middleware};

use crate::api;
use crate::assets;
use crate::control;
use crate::metrics;
use crate::openapi;
use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::security;
use crate::state::AppState;

/// Everything that is served.
pub(crate) fn router(state: AppState) -> Router {
    paths(state.control().is_some())
        .into_router()
        .merge(assets::routes())
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(state.clone(), security::guard))
        .with_state(state)
}

/// What programs can ask, with what can be done to the processes or without.
pub(crate) fn paths(control: bool) -> Paths {
    let paths = Paths::default()
        .get("/healthz", healthz)
        .get("/metrics", metrics::metrics)
        .get("/openapi.json", openapi::openapi)
        .merge(api::paths());
    if control {
        paths.nest("/v1/control", control::paths())
    } else {
        paths
    }
}

/// This server is alive. Says nothing about the cluster.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn nothing_there(uri: Uri) -> Problem {
    let detail = format!("There is nothing at {}.", uri.path());
    Problem::new(Code::NotFound, detail).next("/openapi.json names every path.")
}

async fn not_that_way(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}.", uri.path());
    Problem::new(Code::MethodNotAllowed, detail).next("The Allow header names what it takes.")
}
