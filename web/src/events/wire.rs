//! What does an event look like?

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use serde::Serialize;

/// How much of it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sampling {
    /// One transaction in so many.
    pub(super) every: u64,
    /// Events that this subscriber lost, on the way or here.
    pub(super) dropped: u64,
    pub(super) note: String,
}

impl Sampling {
    pub(super) fn new(every: u64, dropped: u64) -> Sampling {
        let shown = match every {
            1 => "Every transaction is shown.".to_owned(),
            _ => format!("Under this load one transaction in {every} is shown; all are counted."),
        };
        let lost = match dropped {
            0 => String::new(),
            1 => " 1 event was dropped.".to_owned(),
            _ => format!(" {dropped} events were dropped."),
        };
        Sampling {
            every,
            dropped,
            note: shown + &lost,
        }
    }
}

/// Two quantiles, in microseconds; `null` if nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: Option<u64>,
    pub(super) p99: Option<u64>,
}

/// How fast it goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) at_us: u64,
    pub(super) committed_per_s: f64,
    pub(super) aborted_per_s: BTreeMap<String, f64>,
    /// From a submit that is read to its outcome that is sent.
    pub(super) latency_us: Quantiles,
    /// By process.
    pub(super) sync_us: BTreeMap<String, Quantiles>,
    pub(super) open: u64,
    pub(super) in_doubt: u64,
    pub(super) oldest_in_doubt_ms: u64,
}

/// Whether all the money is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    /// `green`, `red`, or `grey` while nobody can tell.
    pub(super) state: &'static str,
    pub(super) text: String,
    /// When that was known.
    pub(super) at_us: u64,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) pid: Option<u32>,
    pub(super) port: u16,
    pub(super) why: Option<String>,
}

/// What the coordinator's gate holds back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) on: bool,
    pub(super) holding: Vec<String>,
}

/// An event as it travels.
pub(super) fn frame(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("our own types become JSON");
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Microseconds since 1970.
pub(super) fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
