//! How is everyone?

use protocol::message::{ClusterStatus, LinkState, NodeStatus, Work};
use serde::Serialize;

/// One coordinator and its nodes as it sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoordinatorLine {
    /// Where it was asked.
    pub address: String,
    /// `up`, or `down` if it did not answer.
    pub state: &'static str,
    /// Its identity: that of its log.
    pub id: Option<String>,
    /// Its start counter.
    pub epoch: Option<u32>,
    /// Its newest record.
    pub sequence: Option<u64>,
    /// Transactions that have not ended.
    pub open: Option<u64>,
    /// Of those, decided COMMIT and not yet acknowledged by all.
    pub unacknowledged: Option<u64>,
    /// What its store has done since the process started.
    pub work: Option<Work>,
    /// Its nodes, in name order.
    pub nodes: Vec<NodeLine>,
    /// Why it is down.
    pub message: Option<String>,
}

/// One node as a coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeLine {
    /// Its name.
    pub node: String,
    /// `up`, `quarantined` or `down`.
    pub state: &'static str,
    /// The identity of its store.
    pub store: Option<String>,
    /// The backend.
    pub store_kind: Option<String>,
    /// Its conflict policy.
    pub locking: Option<String>,
    /// Its newest record.
    pub sequence: Option<u64>,
    /// How many accounts it has.
    pub accounts: Option<u64>,
    /// Transactions it has voted YES on and not heard the end of.
    pub in_doubt: Option<u64>,
    /// Request ids it remembers as home.
    pub requests: Option<u64>,
    /// How many finished ones it keeps at the least.
    pub request_window: Option<u64>,
    /// With which record the oldest finished request that it remembers ended.
    pub request_horizon: Option<u64>,
    /// Whether it has disk space for new promises.
    pub has_room: Option<bool>,
    /// What its store has done since the process started.
    pub work: Option<Work>,
    /// What is wrong with it.
    pub message: Option<String>,
}

impl CoordinatorLine {
    /// Of the answer of the coordinator at `address`.
    pub fn of(address: &str, status: &ClusterStatus) -> CoordinatorLine {
        let coordinator = &status.coordinator;
        CoordinatorLine {
            state: "up",
            id: Some(coordinator.id.to_string()),
            epoch: Some(coordinator.epoch),
            sequence: Some(coordinator.sequence),
            open: Some(coordinator.open),
            unacknowledged: Some(coordinator.unacknowledged),
            work: Some(coordinator.work),
            nodes: status.nodes.iter().map(NodeLine::of).collect(),
            message: None,
            ..CoordinatorLine::down(address, String::new())
        }
    }

    /// Of one that did not answer.
    pub fn down(address: &str, why: String) -> CoordinatorLine {
        CoordinatorLine {
            address: address.to_owned(),
            state: "down",
            id: None,
            epoch: None,
            sequence: None,
            open: None,
            unacknowledged: None,
            work: None,
            nodes: Vec::new(),
            message: Some(why),
        }
    }
}

impl NodeLine {
    /// Of one link of a coordinator.
    pub fn of(link: &LinkState) -> NodeLine {
        match link {
            LinkState::Up(_, status) => NodeLine::up(link, status),
            LinkState::Quarantined(_, why) => NodeLine::away(link, "quarantined", Some(why.clone())),
            LinkState::Down(_) => NodeLine::away(link, "down", None),
        }
    }

    fn up(link: &LinkState, status: &NodeStatus) -> NodeLine {
        let full = "no disk space for new promises: it refuses transactions until there is some";
        NodeLine {
            node: link.node().to_string(),
            state: "up",
            store: Some(status.store.to_string()),
            store_kind: Some(status.kind.clone()),
            locking: Some(status.locking.clone()),
            sequence: Some(status.sequence),
            accounts: Some(status.accounts),
            in_doubt: Some(status.prepared),
            requests: Some(status.requests),
            request_window: Some(status.request_window),
            request_horizon: Some(status.request_horizon),
            has_room: Some(status.has_room),
            work: Some(status.work),
            message: (!status.has_room).then(|| full.to_owned()),
        }
    }

    fn away(link: &LinkState, state: &'static str, message: Option<String>) -> NodeLine {
        NodeLine {
            node: link.node().to_string(),
            state,
            store: None,
            store_kind: None,
            locking: None,
            sequence: None,
            accounts: None,
            in_doubt: None,
            requests: None,
            request_window: None,
            request_horizon: None,
            has_room: None,
            work: None,
            message,
        }
    }
}
