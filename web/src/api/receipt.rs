//! `GET /v1/transactions/{id}/receipt`: everything that happened to one transaction. How it ended is durable and comes
//! from the processes' states; what happened on the way comes from what they still have of their newest events.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use client::report::TxnLine;
use client::{Error, Reference, Sighting, TxnId};
use serde::Serialize;

use super::{txn, unanswered};
use crate::census;
use crate::events::Event;
use crate::extract::{Path, parse};
use crate::problem::Problem;
use crate::state::AppState;

/// What is known of a transaction.
#[derive(Debug, Serialize)]
pub(super) struct Receipt {
    id: String,
    txn: Option<String>,
    request_id: Option<String>,
    /// `committed`, `aborted`, `in_doubt`, `open`, or `unknown` if nobody knows any more.
    outcome: &'static str,
    reason: Option<String>,
    holder: Option<String>,
    legs: Vec<Leg>,
    events: Vec<Event>,
    complete: bool,
    note: String,
}

/// What one account gains or loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Leg {
    node: String,
    account: String,
    delta: i64,
}

/// What each process still has of it.
type Recalled = BTreeMap<String, Result<Vec<Sighting>, Error>>;

/// `GET /v1/transactions/{id}/receipt`
pub(super) async fn receipt(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<Receipt>, Problem> {
    let reference: Reference = parse(&id)?;
    let asked = state.clone();
    state
        .call(move |client| {
            let report = match client.show(reference) {
                Ok(report) => Some(report),
                // The nodes may still have it.
                Err(Error::NoCoordinator(_) | Error::NoAnswer(_)) if txn_of(reference).is_some() => None,
                Err(error) => return Err(unanswered(&error, "It was only a question: no money moved.")),
            };
            let txn = report.as_ref().map_or(txn_of(reference), |report| report.txn);
            let recalled = txn.map_or_else(Recalled::new, |txn| {
                census::ask_all(&asked, |watch| watch.recall(txn))
            });
            let line = report.as_ref().map(TxnLine::of);
            let nothing_kept = recalled.values().flatten().all(Vec::is_empty);
            if nothing_kept && let Some(line) = &line {
                txn::known(line)?;
            }
            Ok(Answer(Receipt::new(reference, txn, line.as_ref(), &recalled)))
        })
        .await?
}

fn txn_of(reference: Reference) -> Option<TxnId> {
    match reference {
        Reference::Txn(txn) => Some(txn),
        Reference::Request(_) => None,
    }
}

impl Receipt {
    fn new(reference: Reference, txn: Option<TxnId>, line: Option<&TxnLine>, recalled: &Recalled) -> Receipt {
        let events = in_order(recalled);
        let words = |kind: &str| {
            let found = events.iter().find(|event| event.kind == kind);
            found.map(|event| event.line.split(' ').collect::<Vec<&str>>())
        };
        let legs = legs(words("START").or_else(|| words("submit")).unwrap_or_default());
        let told = words("outcome").unwrap_or_default();
        let (outcome, durable_reason) = line.map_or_else(|| (as_seen(&events), None), ended);
        let outcome = match (outcome, told.get(1)) {
            ("unknown" | "open", Some(&"committed")) => "committed",
            ("unknown" | "open", Some(&"aborted")) => "aborted",
            (known, _) => known,
        };
        let reason = durable_reason.or_else(|| {
            // `outcome aborted TXN REASON …`
            let told = (told.get(1) == Some(&"aborted")).then(|| told.get(3))?;
            told.map(|reason| (*reason).to_owned())
        });
        let holder = events.iter().find_map(|event| {
            let (_, rest) = event.line.split_once("(held by ")?;
            rest.split([' ', ')']).next().map(str::to_owned)
        });
        let at_nodes = line.into_iter().flat_map(|line| &line.nodes);
        let request_id = at_nodes
            .filter_map(|node| node.request_id.clone())
            .next()
            .or_else(|| words("submit")?.get(1).map(|request| (*request).to_owned()));
        let missing = missing(&events, &legs, recalled);
        Receipt {
            id: reference.to_string(),
            txn: txn.map(|txn| txn.to_string()),
            request_id,
            outcome,
            reason: if outcome == "aborted" { reason } else { None },
            holder,
            complete: missing.is_empty(),
            note: note(&missing),
            legs,
            events,
        }
    }
}

/// All that is still known, by time, numbered anew.
fn in_order(recalled: &Recalled) -> Vec<Event> {
    let all = recalled.iter().flat_map(|(process, sightings)| {
        let sightings = sightings.iter().flatten();
        sightings.map(move |sighting| Event::of(0, process, sighting))
    });
    let mut events: Vec<Event> = all.collect();
    events.sort_by_key(|event| event.at_us);
    (1..).zip(&mut events).for_each(|(n, event)| event.n = n);
    events
}

/// How it ended by what is durable, and why.
fn ended(line: &TxnLine) -> (&'static str, Option<String>) {
    let at = |state: &str| line.nodes.iter().find(|node| node.state == state);
    if line.coordinator == "committed" || at("committed").is_some() {
        ("committed", None)
    } else if let Some(node) = at("aborted") {
        ("aborted", node.reason.clone())
    } else if ["collecting", "delegated"].contains(&line.coordinator) {
        ("open", None)
    } else if at("prepared").is_some() {
        ("in_doubt", None)
    } else {
        ("unknown", None)
    }
}

/// How it ended by what the nodes saw, while no coordinator can be asked.
fn as_seen(events: &[Event]) -> &'static str {
    let recorded = |kind: &str| {
        events
            .iter()
            .any(|event| event.what == "recorded" && event.kind == kind)
    };
    if recorded("commit") || recorded("commit_one_phase") {
        "committed"
    } else if recorded("abort") {
        "aborted"
    } else if recorded("prepare_ok") {
        "in_doubt"
    } else {
        "unknown"
    }
}

/// The legs among the words of a line: `N1/A:-10`.
fn legs(words: Vec<&str>) -> Vec<Leg> {
    let leg = |word: &str| {
        let (place, delta) = word.rsplit_once(':')?;
        let (node, account) = place.split_once('/')?;
        Some(Leg {
            node: node.to_owned(),
            account: account.to_owned(),
            delta: delta.parse().ok()?,
        })
    };
    words.into_iter().filter_map(leg).collect()
}

/// Processes that took part and do not tell how.
fn missing(events: &[Event], legs: &[Leg], recalled: &Recalled) -> Vec<String> {
    let silent = recalled.iter().filter(|(_, told)| told.is_err());
    let mut missing: Vec<String> = silent.map(|(process, _)| process.clone()).collect();
    let told = |process: &str| events.iter().any(|event| event.process == process);
    if !events.iter().any(|event| event.kind == "submit") {
        missing.push(cluster::name(client::Target::Coordinator));
    }
    for leg in legs.iter().filter(|leg| !told(&leg.node)) {
        missing.push(leg.node.clone());
    }
    missing.sort();
    missing.dedup();
    missing
}

fn note(missing: &[String]) -> String {
    if missing.is_empty() {
        "This is all that happened.".to_owned()
    } else {
        format!(
            "More may have happened than is shown: {} does not tell, because it is away, was started anew, or has seen much \
             since.",
            missing.join(", ")
        )
    }
}
