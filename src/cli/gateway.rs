//! The HTTP API in front of a cluster that somebody else runs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use client::ClientConfig;
use log::LevelFilter;
use protocol::id::ClusterName;

use super::address::{Address, Host};
use super::connect::{CLUSTER, TIMEOUT_MS, log_level};

/// Serve the HTTP API in front of a running cluster; Ctrl-C stops it
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example, beside a running `twopence up --http-port 8081`:
  twopence gateway
  curl http://127.0.0.1:8080/v1/audit

It serves what programs need to move money and to ask about it, described at /openapi.json; the processes of the cluster
cannot be touched through it. It keeps nothing: start as many as you like, stop them when you like.

There are no passwords: whoever can connect can move money. It listens on this machine only, unless told otherwise.")]
pub(crate) struct GatewayArgs {
    /// Coordinators to ask, the next one when one fails; always under the same request id
    #[arg(
        long,
        value_name = "HOST:PORT[,…]",
        value_delimiter = ',',
        default_value = "127.0.0.1:5000"
    )]
    pub(crate) coord: Vec<Address>,

    /// The cluster that the coordinators must belong to
    #[arg(long, value_name = "NAME", default_value = CLUSTER)]
    pub(crate) cluster: ClusterName,

    /// Where to listen; 0 takes any port that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,

    /// A name by which browsers and programs call this server, besides localhost. Can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<Host>,

    /// How long one request may take, all attempts together
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout_ms: u32,

    /// What to log on stderr
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}

impl GatewayArgs {
    /// How its clients reach the cluster.
    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig {
            coordinators: self.coord.iter().map(Address::to_string).collect(),
            cluster: self.cluster.clone(),
            timeout: Duration::from_millis(self.timeout_ms.into()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.http_port)
    }
}
