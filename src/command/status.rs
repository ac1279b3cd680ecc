//! `status`: every coordinator that was named, and its nodes as it sees them.

use client::report::{CoordinatorLine, NodeLine, capitalised};
use client::{Client, ClientConfig, ClusterStatus};

use super::failed;
use super::table::Table;
use crate::cli::StatusArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

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
                    &CoordinatorLine::down(address, error.to_string()),
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

/// Prints one coordinator's answer. Returns whether anybody still reads.
fn print(output: Output, address: &str, status: &ClusterStatus) -> bool {
    let coordinator = &status.coordinator;
    let mut line = CoordinatorLine::of(address, status);
    for node in line.nodes.iter_mut().filter(|node| node.state == "quarantined") {
        let next = format!(
            "; find out what was lost, then: {} adopt {}",
            own_name(),
            node.node
        );
        node.message.get_or_insert_default().push_str(&next);
    }
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
        table.row(cells(node));
    }
    text.extend(table.lines());
    for node in &line.nodes {
        text.extend(node.message.as_ref().map(|why| format!("{}: {why}", node.node)));
    }
    output.print(&text.join("\n"), &line)
}

fn cells(node: &NodeLine) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    vec![
        node.node.clone(),
        node.state.to_owned(),
        text(&node.store_kind),
        text(&node.locking),
        number(node.sequence),
        number(node.accounts),
        number(node.in_doubt),
        reach(node),
    ]
}

/// How far back the remembered request ids reach.
fn reach(node: &NodeLine) -> String {
    match (node.requests, node.request_horizon, node.request_window) {
        (Some(requests), Some(horizon), Some(window)) => {
            format!("{requests}, oldest at record {horizon}, keeps at least {window}")
        }
        (Some(_) | None, _, _) => "-".to_owned(),
    }
}
