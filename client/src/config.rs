//! Whom to talk to and for how long, and where request ids come from.

use std::time::{Duration, SystemTime};

use protocol::id::{Birth, ClusterName, RequestId};

/// Whom a client talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Coordinators as `host:port`. The first one that works is kept; the others take over when it fails.
    pub coordinators: Vec<String>,
    /// The cluster they must belong to.
    pub cluster: ClusterName,
    /// How long one call may take, all attempts together.
    pub timeout: Duration,
}

impl ClientConfig {
    /// These coordinators of the cluster `local`, and 10 seconds for each call.
    pub fn at<A: Into<String>>(coordinators: impl IntoIterator<Item = A>) -> ClientConfig {
        ClientConfig {
            coordinators: coordinators.into_iter().map(Into::into).collect(),
            cluster: "local".parse().expect("a good name"),
            timeout: Duration::from_secs(10),
        }
    }
}

/// A request id that nobody has used: a UUID of version 7, which tells when it was made and has 74 bits from the operating
/// system.
///
/// # Panics
/// If the operating system has no randomness to give: an id that could repeat must not name money.
pub fn fresh_request_id() -> RequestId {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = now.map_or(0, |since| since.as_millis());
    RequestId::born(Birth(u64::try_from(ms).unwrap_or(0)), random())
}

/// A fresh request id that is as old as `first`: for a new attempt at what aborted under that one because others were in
/// its way. Where nodes run with `--locking wait`, an attempt that keeps its age becomes the oldest in the end, and then
/// nobody is in its way any more.
///
/// # Panics
/// As [`fresh_request_id`].
pub fn retried_request_id(first: RequestId) -> RequestId {
    first.again(random())
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ_and_a_retried_one_is_as_old_as_the_first() {
        let first = fresh_request_id();
        assert_ne!(first, fresh_request_id());
        let again = retried_request_id(first);
        assert_ne!(first, again);
        assert_eq!(first.birth(), again.birth());
        assert_ne!(first.birth(), Birth::UNKNOWN);
    }
}
