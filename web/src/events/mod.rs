//! What happens in the cluster, as it happens: `GET /v1/events`, server-sent events for any number of browsers.
//!
//! Nothing runs while nobody listens: the processes keep their newest sights by themselves, so that whoever comes late
//! misses little. While somebody does, one thread per process follows it, and one *pump* puts what they see in order and
//! hands it on. Every buffer has an end, and what does not fit is dropped and counted; nobody ever waits for a browser.
//!
//! | file | question it answers |
//! |---|---|
//! | `hub.rs` | who listens, and what is kept for those who come later |
//! | `follow.rs` | what does one process do |
//! | `pump.rs` | what is told when, and in which order |
//! | `numbers.rs` | how fast does it go |
//! | `badge.rs` | is all the money there |
//! | `wire.rs` | what does an event look like |

mod badge;
mod follow;
mod hub;
mod numbers;
mod pump;
mod wire;

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Deserialize;

use crate::extract::Query;
use crate::problem::Problem;
use crate::state::AppState;

pub(crate) use hub::Hub;
use hub::Subscription;

/// Most bytes that are handed to a connection at a time.
const CHUNK_LEN: usize = 64 * 1024;

/// What somebody wants to hear.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wishes {
    /// Begin with what happened before.
    #[serde(default, deserialize_with = "flag")]
    replay: bool,
    /// The processes' log lines, too.
    #[serde(default, deserialize_with = "flag")]
    logs: bool,
}

/// `1` or `true`.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    match text.as_ref() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(serde::de::Error::custom(format!("{other:?} is not 0 or 1"))),
    }
}

/// `GET /v1/events`
pub(crate) async fn events(
    State(state): State<AppState>,
    Query(wishes): Query<Wishes>,
) -> Result<Response, Problem> {
    let subscription = state.hub().subscribe(&state, wishes)?;
    let stopped = Box::pin(state.stopped());
    let body = Body::from_stream(Frames {
        subscription,
        stopped,
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// The events of one subscriber, until it goes or the server stops.
struct Frames {
    subscription: Subscription,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stream for Frames {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let first = match self.subscription.poll(context) {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        // What is here already leaves together.
        let Poll::Ready(Some(second)) = self.subscription.poll(context) else {
            return Poll::Ready(Some(Ok(first)));
        };
        let mut chunk = Vec::with_capacity(CHUNK_LEN);
        chunk.extend_from_slice(&first);
        chunk.extend_from_slice(&second);
        while chunk.len() < CHUNK_LEN
            && let Poll::Ready(Some(frame)) = self.subscription.poll(context)
        {
            chunk.extend_from_slice(&frame);
        }
        Poll::Ready(Some(Ok(chunk.into())))
    }
}
