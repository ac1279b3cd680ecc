//! What can a program in any language ask? Everything that the command line can ask, in the same words.

mod money;
mod payment;
mod receipt;
mod txn;

use client::{Client, Error};

use crate::events;
use crate::paths::Paths;
use crate::problem::{Code, Problem};
use crate::state::AppState;

/// The paths that every server has.
pub(crate) fn paths() -> Paths {
    Paths::default()
        .post("/v1/transactions", payment::transact)
        .get("/v1/transactions", txn::list)
        .get("/v1/transactions/{id}", txn::show)
        .get("/v1/transactions/{id}/receipt", receipt::receipt)
        .post("/v1/transactions/{id}/resolve", txn::resolve)
        .post("/v1/deposits", payment::deposit)
        .get("/v1/nodes/{node}/accounts", money::accounts)
        .get("/v1/accounts/{node}/{account}", money::balance)
        .get("/v1/audit", money::audit)
        .get("/v1/status", money::status)
        .get("/v1/events", events::events)
}

/// Asks the cluster a question, which moves no money.
async fn ask<T, F>(state: &AppState, question: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Client) -> Result<T, Error> + Send + 'static,
{
    state
        .call(question)
        .await?
        .map_err(|error| unanswered(&error, "It was only a question: no money moved."))
}

/// A question or an operator's word that brought nothing.
fn unanswered(error: &Error, money: &str) -> Problem {
    let text = client::report::capitalised(&error.to_string());
    let detail = format!("{text}. {money}");
    match error {
        Error::NoCoordinator(_) => Problem::new(Code::NoCoordinator, detail)
            .next("Start a coordinator, or wait until it is back, then ask again."),
        Error::NoAnswer(_) => {
            Problem::new(Code::NoAnswer, detail).next("Look at the cluster (GET /v1/status), then ask again.")
        }
        Error::Failed(_) => Problem::new(Code::Failed, detail).next("See GET /v1/status, then ask again."),
        Error::Config(_) => Problem::new(Code::Internal, detail),
    }
}
