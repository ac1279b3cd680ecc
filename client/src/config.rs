//! Whom to talk to and for how long, and where request ids come from.

use std::time::Duration;

use protocol::id::{ClusterName, RequestId};

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

/// A request id that nobody has used: 128 bits from the operating system.
///
/// # Panics
/// If the operating system has no randomness to give: an id that could repeat must not name money.
pub fn fresh_request_id() -> RequestId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    RequestId(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ() {
        assert_ne!(fresh_request_id(), fresh_request_id());
    }
}
