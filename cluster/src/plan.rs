//! With which flags does each process start, and on which ports?

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use client::Target;
use protocol::id::NodeId;

use crate::config::{ClusterConfig, node_id};
use crate::error::Error;

/// The coordinator's port and the nodes', checked to be ports and to be free right now: a cluster that already runs
/// there must not be taken for ours.
pub(crate) fn fixed_ports(coordinator: u16, nodes_from: u16, nodes: u16) -> Result<Vec<u16>, Error> {
    let last = u32::from(nodes_from) + u32::from(nodes) - 1;
    let Ok(last) = u16::try_from(last) else {
        return Err(Error::Config(format!(
            "{nodes} nodes from port {nodes_from} need ports beyond 65535"
        )));
    };
    if coordinator == 0 || nodes_from == 0 {
        return Err(Error::Config("a port is 1 to 65535".to_owned()));
    }
    if (nodes_from..=last).contains(&coordinator) {
        return Err(Error::Config(format!(
            "port {coordinator} is asked for twice: for the coordinator and for a node (ports {nodes_from} to {last})"
        )));
    }
    let ports: Vec<u16> = std::iter::once(coordinator).chain(nodes_from..=last).collect();
    for &port in &ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(Error::PortInUse(port)),
            Err(error) => {
                return Err(Error::Io(
                    format!("cannot listen on port {port} of 127.0.0.1"),
                    error,
                ));
            }
        }
    }
    Ok(ports)
}

/// The command line of a node.
pub(crate) fn node_args(config: &ClusterConfig, port: u16, node: NodeId) -> Vec<String> {
    let mut args = vec!["node".to_owned()];
    let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
    flag("--node-id", node.to_string());
    common_args(config, port, &mut flag);
    args.extend(config.enable_failpoints.then(|| "--enable-failpoints".to_owned()));
    args.extend(config.node_args.iter().cloned());
    args
}

/// The command line of the coordinator.
pub(crate) fn coordinator_args(
    config: &ClusterConfig,
    port: u16,
    ports: &BTreeMap<Target, u16>,
) -> Vec<String> {
    let mut args = vec!["coordinator".to_owned()];
    let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
    let address = |number| {
        let node = node_id(number);
        format!("{node}:127.0.0.1:{}", ports[&Target::Node(node)])
    };
    let nodes: Vec<String> = (1..=config.nodes).map(address).collect();
    flag("--nodes", nodes.join(","));
    flag("--prepare-timeout-ms", config.prepare_timeout_ms.to_string());
    common_args(config, port, &mut flag);
    args.extend(config.enable_failpoints.then(|| "--enable-failpoints".to_owned()));
    args.extend(config.coordinator_args.iter().cloned());
    args
}

fn common_args(config: &ClusterConfig, port: u16, flag: &mut impl FnMut(&str, String)) {
    flag("--listen", "127.0.0.1".to_owned());
    flag("--port", port.to_string());
    flag("--data-dir", config.dir.display().to_string());
    flag("--store", config.store.clone());
    flag("--cluster", config.cluster.to_string());
    flag("--log-level", config.log_level.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_started_with_the_documented_flags() {
        let mut config = ClusterConfig::new("/bin/true", "/tmp/never used");
        config.nodes = 2;
        let n2 = Target::Node("N2".parse().unwrap());
        let ports = [
            (Target::Coordinator, 5),
            (Target::Node("N1".parse().unwrap()), 6),
            (n2, 7),
        ]
        .into();
        assert_eq!(
            node_args(&config, 7, "N2".parse().unwrap()).join("|"),
            "node|--node-id|N2|--listen|127.0.0.1|--port|7|--data-dir|/tmp/never used|--store|json|\
             --cluster|local|--log-level|info|--enable-failpoints"
        );
        config.enable_failpoints = false;
        config.coordinator_args = vec!["--more".to_owned()];
        assert_eq!(
            coordinator_args(&config, 5, &ports).join("|"),
            "coordinator|--nodes|N1:127.0.0.1:6,N2:127.0.0.1:7|--prepare-timeout-ms|2000|--listen|127.0.0.1|--port|5|\
             --data-dir|/tmp/never used|--store|json|--cluster|local|--log-level|info|--more"
        );
    }

    #[test]
    fn ports_that_collide_or_are_taken_are_refused_before_anything_starts() {
        let refused =
            |coordinator, from, nodes| fixed_ports(coordinator, from, nodes).unwrap_err().to_string();
        assert_eq!(
            refused(6002, 6001, 3),
            "port 6002 is asked for twice: for the coordinator and for a node (ports 6001 to 6003)"
        );
        assert_eq!(
            refused(5000, 65_535, 2),
            "2 nodes from port 65535 need ports beyond 65535"
        );
        assert_eq!(refused(0, 6001, 2), "a port is 1 to 65535");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(
            refused(port, 1, 1),
            format!("port {port} of 127.0.0.1 is already in use by another process")
        );
        drop(taken);
    }
}
