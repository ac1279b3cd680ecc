//! What can be done to the processes themselves? Served under `/v1/control`, and only where this program started them.

use std::fmt::Debug;

use axum::Router;

use crate::state::AppState;

/// The processes of a cluster that this program started.
pub trait Control: Debug + Send + Sync + 'static {}

/// What is served under `/v1/control`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}
