//! What was sent, read with care: what does not fit becomes an error that says where.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{self, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time;

use crate::problem::{Code, Problem};

/// Longest body: the largest transaction with the longest names takes half of it.
pub(crate) const BODY_LEN_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body as JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Problem> {
        json(&whole(request).await?).map(Json)
    }
}

/// The body as JSON, where none at all stands for `{}`.
pub(crate) struct JsonOrNone<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonOrNone<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<JsonOrNone<T>, Problem> {
        let bytes = whole(request).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        json(bytes).map(JsonOrNone)
    }
}

/// The whole body, if it is not too long and arrives in time.
async fn whole(request: Request) -> Result<Bytes, Problem> {
    let body = time::timeout(BODY_TIMEOUT, body::to_bytes(request.into_body(), BODY_LEN_MAX));
    let late = |_| {
        Problem::new(
            Code::Late,
            "Refused: the body did not arrive in time. Nothing was done.",
        )
    };
    body.await.map_err(late)?.map_err(|_| {
        Problem::new(
            Code::TooLarge,
            format!("Refused: the body is longer than {BODY_LEN_MAX} bytes, or broke off. Nothing was done."),
        )
        .next("Split it into several transactions.")
    })
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(
            Code::BadJson,
            format!("Refused: the body is not the JSON that this path takes: {error}. Nothing was done."),
        )
        .next("/openapi.json shows what it takes.")
    })
}

/// What stands behind the `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|query| Query(query.0)).map_err(|rejection| {
            Problem::new(
                Code::BadQuery,
                format!("Refused: {}. Nothing was done.", rejection.body_text()),
            )
            .next("/openapi.json names what may stand behind the question mark.")
        })
    }
}

/// The variable parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Path(path.0)).map_err(|rejection| {
            let detail = format!("Refused: {}. Nothing was done.", rejection.body_text());
            Problem::new(Code::BadName, detail)
        })
    }
}

/// A name or a number as it was sent.
///
/// # Errors
/// Says what a good one looks like.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|bad: T::Err| Problem::new(Code::BadName, format!("Refused: {bad}. Nothing was done.")))
}
