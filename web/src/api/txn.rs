//! Single transactions, and what only an operator may do.

use axum::Json as Answer;
use axum::extract::State;
use client::report::{OpenLine, TxnLine};
use client::{Error, OperatorWord, Reference, TxnId};
use serde::{Deserialize, Serialize};

use super::{ask, unanswered};
use crate::extract::{Json, Path, Query, parse};
use crate::problem::{Code, MoneyMoved, Problem};
use crate::state::AppState;

/// `GET /v1/transactions/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<TxnLine>, Problem> {
    let reference: Reference = parse(&id)?;
    let report = ask(&state, move |client| client.show(reference)).await?;
    let line = TxnLine::of(&report);
    known(&line)?;
    Ok(Answer(line))
}

/// Checks that somebody knows something about it.
pub(super) fn known(line: &TxnLine) -> Result<(), Problem> {
    let nobody = line.nodes.iter().all(|node| node.state == "unknown");
    if nobody && ["no_record", "not_mine"].contains(&line.coordinator) {
        let id = &line.id;
        let detail = format!("Nobody knows a transaction {id}. It was only a question: no money moved.");
        return Err(Problem::new(Code::NoSuchTransaction, detail).next(
            "Ended transactions are forgotten in time; GET /v1/transactions shows those that are open.",
        ));
    }
    Ok(())
}

/// Which transactions to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    in_doubt: bool,
}

/// Transactions that have not ended.
#[derive(Serialize)]
pub(super) struct Open {
    transactions: Vec<OpenLine>,
}

/// `GET /v1/transactions`
pub(super) async fn list(
    State(state): State<AppState>,
    Query(which): Query<Which>,
) -> Result<Answer<Open>, Problem> {
    let open = ask(&state, move |client| client.list(which.in_doubt)).await?;
    Ok(Answer(Open {
        transactions: open.iter().map(OpenLine::of).collect(),
    }))
}

/// An operator's word.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    outcome: Word,
    reason: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Commit,
    Abort,
}

/// What it did.
#[derive(Serialize)]
pub(super) struct Done {
    outcome: &'static str,
    message: String,
}

/// `POST /v1/transactions/{id}/resolve`
pub(super) async fn resolve(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(resolution): Json<Resolution>,
) -> Result<Answer<Done>, Problem> {
    let txn: TxnId = parse(&id)?;
    if resolution.reason.trim().is_empty() {
        let detail = "Refused: a reason is needed; it is kept with the outcome. Nothing was done.";
        return Err(Problem::new(Code::BadOrder, detail).next("Say why in \"reason\"."));
    }
    let word = match resolution.outcome {
        Word::Commit => OperatorWord::Commit,
        Word::Abort => OperatorWord::Abort,
    };
    let given = state.call(move |client| client.resolve(txn, word, &resolution.reason));
    match given.await? {
        Ok(message) => Ok(Answer(Done {
            outcome: "done",
            message,
        })),
        Err(Error::Failed(why)) => {
            let why = client::report::capitalised(&why);
            Err(Problem::new(Code::NotResolved, format!("{why}. No money moved."))
                .next(format!("GET /v1/transactions/{txn} shows who holds what.")))
        }
        Err(error @ Error::NoAnswer(_)) => Err(unanswered(&error, "It may have been done or not.")
            .money(MoneyMoved::Unknown)
            .next(format!(
                "See GET /v1/transactions/{txn} before you give it again."
            ))),
        Err(error @ (Error::Config(_) | Error::NoCoordinator(_))) => {
            Err(unanswered(&error, "Nothing was changed, no money moved."))
        }
    }
}
