//! `status`: every coordinator that was named, and its nodes as it sees them.

use client::{Client, ClientConfig, ClusterStatus};
use protocol::message::{LinkState, NodeStatus, Work};
use serde::Serialize;

use super::table::Table;
use super::{capitalised, failed};
use crate::cli::StatusArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

/// One coordinator as programs read it.
#[derive(Serialize)]
struct CoordinatorLine {
    address: String,
    /// `up`, or `down` if it did not answer.
    state: &'static str,
    id: Option<String>,
    epoch: Option<u32>,
    sequence: Option<u64>,
    open: Option<u64>,
    unacknowledged: Option<u64>,
    work: Option<Work>,
    nodes: Vec<NodeLine>,
    message: Option<String>,
}

/// One node as programs read it.
#[derive(Serialize)]
struct NodeLine {
    node: String,
    /// `up`, `quarantined` or `down`.
    state: &'static str,
    store: Option<String>,
    store_kind: Option<String>,
    locking: Option<String>,
    sequence: Option<u64>,
    accounts: Option<u64>,
    in_doubt: Option<u64>,
    requests: Option<u64>,
    request_window: Option<u64>,
    request_horizon: Option<u64>,
    has_room: Option<bool>,
    work: Option<Work>,
    message: Option<String>,
}

/// Runs `twopence status`.
pub(crate) fn status(args: &StatusArgs) -> Exit {
    logging::start(args.connect.log_level);
    let output = Output::new(args.connect.output);
    let config = args.connect.client_config();
    let mut answered = false;
    let mut last_error = None;
    for address in &config.coordinators {
        let asked = Client::new(ClientConfig {
            coordinators: vec![address.clone()],
            ..config.clone()
        });
        match asked.and_then(|mut client| client.status()) {
            Ok(status) => {
                answered = true;
                if !print(output, address, &status) {
                    break;
                }
            }
            Err(error) if config.coordinators.len() == 1 => last_error = Some(error),
            Err(error) => {
                explain(&format!("{}.", capitalised(&error.to_string())));
                output.print(
                    &format!("coordinator {address}: down"),
                    &down(address, error.to_string()),
                );
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(error) if config.coordinators.len() == 1 => failed(output, &error, "No money moved."),
        Some(error) if !answered => Exit::from(&error),
        Some(_) | None => Exit::Ok,
    }
}

fn down(address: &str, message: String) -> CoordinatorLine {
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
        message: Some(message),
    }
}

/// Prints one coordinator's answer. Returns whether anybody still reads.
fn print(output: Output, address: &str, status: &ClusterStatus) -> bool {
    let coordinator = &status.coordinator;
    let line = CoordinatorLine {
        address: address.to_owned(),
        state: "up",
        id: Some(coordinator.id.to_string()),
        epoch: Some(coordinator.epoch),
        sequence: Some(coordinator.sequence),
        open: Some(coordinator.open),
        unacknowledged: Some(coordinator.unacknowledged),
        work: Some(coordinator.work),
        nodes: status.nodes.iter().map(NodeLine::new).collect(),
        message: None,
    };
    let mut text = vec![format!(
        "coordinator {address}: up, id {}, epoch {}, record {}, {} open, {} committed but not acknowledged by all",
        coordinator.id, coordinator.epoch, coordinator.sequence, coordinator.open, coordinator.unacknowledged
    )];
    let mut table = Table::new(&[
        "NODE",
        "STATE",
        "STORE",
        "LOCKING",
        "RECORD",
        "ACCOUNTS",
        "IN DOUBT",
        "REQUEST IDS",
    ]);
    for node in &line.nodes {
        table.row(node.cells());
    }
    text.extend(table.lines());
    for node in &line.nodes {
        text.extend(node.message.as_ref().map(|why| format!("{}: {why}", node.node)));
    }
    output.print(&text.join("\n"), &line)
}

impl NodeLine {
    fn new(link: &LinkState) -> NodeLine {
        match link {
            LinkState::Up(_, status) => NodeLine::up(link, status),
            LinkState::Quarantined(node, why) => {
                let next = format!("{why}; find out what was lost, then: {} adopt {node}", own_name());
                NodeLine::away(link, "quarantined", Some(next))
            }
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

    fn cells(&self) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        vec![
            self.node.clone(),
            self.state.to_owned(),
            text(&self.store_kind),
            text(&self.locking),
            number(self.sequence),
            number(self.accounts),
            number(self.in_doubt),
            self.reach(),
        ]
    }

    /// How far back the remembered request ids reach.
    fn reach(&self) -> String {
        match (self.requests, self.request_horizon, self.request_window) {
            (Some(requests), Some(horizon), Some(window)) => {
                format!("{requests}, oldest at record {horizon}, keeps at least {window}")
            }
            (Some(_) | None, _, _) => "-".to_owned(),
        }
    }
}
