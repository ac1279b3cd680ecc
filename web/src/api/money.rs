//! Questions about money and about who keeps it.

use axum::Json as Answer;
use axum::extract::State;
use client::report::{AccountLine, AuditLine, BalanceLine, CoordinatorLine};
use client::{AccountId, Error, NodeId, Place};
use serde::{Deserialize, Serialize};

use super::{ask, unanswered};
use crate::extract::{Path, Query, parse};
use crate::problem::{Code, Problem};
use crate::state::AppState;

const ACCOUNTS_MAX: usize = 1000;

/// Where a page of accounts begins and how long it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slice {
    after: Option<String>,
    limit: Option<usize>,
}

/// A page of accounts.
#[derive(Serialize)]
pub(super) struct Accounts {
    accounts: Vec<AccountLine>,
    /// Ask for the next page with `after` the last account of this one.
    more: bool,
}

/// `GET /v1/nodes/{node}/accounts`
pub(super) async fn accounts(
    State(state): State<AppState>,
    Path(node): Path<String>,
    Query(slice): Query<Slice>,
) -> Result<Answer<Accounts>, Problem> {
    let node: NodeId = parse(&node)?;
    let mut after: Option<AccountId> = slice.after.as_deref().map(parse).transpose()?;
    let limit = slice.limit.unwrap_or(ACCOUNTS_MAX);
    if !(1..=ACCOUNTS_MAX).contains(&limit) {
        let detail = format!("Refused: limit is 1 to {ACCOUNTS_MAX}. Nothing was done.");
        return Err(Problem::new(Code::BadQuery, detail));
    }
    at_node(&state, node, move |client| {
        let mut answer = Accounts {
            accounts: Vec::new(),
            more: true,
        };
        while answer.more && answer.accounts.len() < limit {
            let page = client.accounts(node, after.take())?;
            after = page.accounts.last().map(|(account, _)| account.clone());
            answer.more = page.more && after.is_some();
            let lines = page.accounts.iter();
            answer
                .accounts
                .extend(lines.map(|(account, balance)| AccountLine::of(node, account, *balance)));
        }
        answer.more |= answer.accounts.len() > limit;
        answer.accounts.truncate(limit);
        Ok(answer)
    })
    .await
    .map(Answer)
}

/// `GET /v1/accounts/{node}/{account}`
pub(super) async fn balance(
    State(state): State<AppState>,
    Path((node, account)): Path<(String, String)>,
) -> Result<Answer<BalanceLine>, Problem> {
    let place = Place {
        node: parse(&node)?,
        account: parse(&account)?,
    };
    let asked = place.clone();
    let answer = at_node(&state, place.node, move |client| client.balance(asked)).await?;
    let line = BalanceLine::of(&place, &answer);
    if line.outcome == "no_such_account" {
        let detail = format!("There is no account {place}. It was only a question: no money moved.");
        return Err(Problem::new(Code::NoSuchAccount, detail).next("A deposit opens it: POST /v1/deposits."));
    }
    Ok(Answer(line))
}

/// `GET /v1/audit`
pub(super) async fn audit(State(state): State<AppState>) -> Result<Answer<AuditLine>, Problem> {
    ask(&state, |client| {
        let report = client.audit()?;
        let nodes = client.status().ok().map(|status| status.nodes.len());
        Ok(AuditLine::of(&report, nodes))
    })
    .await
    .map(Answer)
}

/// Every coordinator that this server asks.
#[derive(Serialize)]
pub(super) struct Status {
    coordinators: Vec<CoordinatorLine>,
}

/// `GET /v1/status`
pub(super) async fn status(State(state): State<AppState>) -> Result<Answer<Status>, Problem> {
    let addresses = state.client_config().coordinators;
    let [address] = addresses.as_slice() else {
        return each_status(&state, addresses).await;
    };
    let address = address.clone();
    let status = ask(&state, |client| client.status()).await?;
    Ok(Answer(Status {
        coordinators: vec![CoordinatorLine::of(&address, &status)],
    }))
}

/// Asks every coordinator by itself; one that is down is part of the answer.
async fn each_status(state: &AppState, addresses: Vec<String>) -> Result<Answer<Status>, Problem> {
    let config = state.client_config();
    let ask_each = move |_: &mut client::Client| {
        let lines = addresses.into_iter().map(|address| {
            let alone = client::Client::new(client::ClientConfig {
                coordinators: vec![address.clone()],
                ..config.clone()
            });
            match alone.and_then(|mut client| client.status()) {
                Ok(status) => CoordinatorLine::of(&address, &status),
                Err(error) => CoordinatorLine::down(&address, error.to_string()),
            }
        });
        lines.collect()
    };
    let coordinators = state.call(ask_each).await?;
    Ok(Answer(Status { coordinators }))
}

/// Asks what concerns one node. The cluster's "no" to a node that is not there is told apart from all others.
async fn at_node<T, F>(state: &AppState, node: NodeId, question: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut client::Client) -> Result<T, Error> + Send + 'static,
{
    let asked = move |client: &mut client::Client| {
        question(client).map_err(|error| match (&error, client.status()) {
            (Error::Failed(_), Ok(status)) if status.nodes.iter().all(|link| link.node() != node) => {
                Problem::new(
                    Code::NoSuchNode,
                    format!("There is no node {node}. No money moved."),
                )
                .next("GET /v1/status shows which nodes there are.")
            }
            (_, Ok(_) | Err(_)) => unanswered(&error, "It was only a question: no money moved."),
        })
    };
    state.call(asked).await?
}
