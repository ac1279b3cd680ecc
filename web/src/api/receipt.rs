//! `GET /v1/transactions/{id}/receipt`: everything that happened to one transaction, told by [`client::receipt`].

use axum::Json as Answer;
use axum::extract::State;
use client::receipt::{Found, Receipt, Source};
use client::{Error, Reference, TxnReport, Watch};
use protocol::message::CoordinatorView;

use super::{txn, unanswered};
use crate::census;
use crate::extract::{Path, parse};
use crate::problem::Problem;
use crate::state::AppState;

/// `GET /v1/transactions/{id}/receipt`
pub(super) async fn receipt(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<Receipt>, Problem> {
    let reference: Reference = parse(&id)?;
    let asked = state.clone();
    state
        .call(move |client| {
            let report = client
                .show(reference)
                .or_else(|error| without_coordinator(reference, error))
                .map_err(|error| unanswered(&error, "It was only a question: no money moved."))?;
            let receipt = Receipt::of(&report, found(&asked, &report));
            if receipt.events.is_empty() {
                txn::known(&receipt.durable)?;
            }
            Ok(Answer(receipt))
        })
        .await?
}

/// What there is to go by while no coordinator can be asked: the nodes may still have seen it.
fn without_coordinator(reference: Reference, error: Error) -> Result<TxnReport, Error> {
    match (reference, &error) {
        (Reference::Txn(txn), Error::NoCoordinator(_) | Error::NoAnswer(_)) => Ok(TxnReport {
            reference,
            txn: Some(txn),
            coordinator: CoordinatorView::NotMine,
            nodes: Vec::new(),
        }),
        (Reference::Txn(_) | Reference::Request(_), _) => Err(error),
    }
}

/// What every process still has of it.
fn found(state: &AppState, report: &TxnReport) -> Vec<Found> {
    let Some(txn) = report.txn else {
        return Vec::new();
    };
    let recall = |watch: &mut Watch| {
        let sightings = watch.recall(txn)?;
        let every = watch.numbers()?.every;
        Ok(Source { sightings, every })
    };
    let answers = census::ask_all(state, recall).into_iter();
    let found = answers.map(|(process, what)| Found {
        process,
        what: what.map_err(|error| error.to_string()),
    });
    found.collect()
}
