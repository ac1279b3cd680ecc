//! What every client command can be told: whom to ask, for how long, and how to print.

use std::time::Duration;

use clap::{Args, ValueEnum};
use client::ClientConfig;
use log::LevelFilter;
use protocol::id::ClusterName;

use super::address::{Address, Host};
use crate::up::invocation::connection_flags;

const HOST: &str = "127.0.0.1";
const PORT: u16 = 5000;
pub(super) const CLUSTER: &str = "local";
pub(super) const TIMEOUT_MS: u32 = 10_000;

/// How to reach a cluster.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// Coordinators to ask, the next one when one fails; always under the same request id
    #[arg(long, value_name = "HOST:PORT[,…]", value_delimiter = ',', conflicts_with_all = ["coord_host", "coord_port"])]
    pub(crate) coord: Vec<Address>,

    /// The coordinator's host, when there is just one
    #[arg(long, value_name = "HOST", default_value = HOST)]
    pub(crate) coord_host: Host,

    /// The coordinator's port, when there is just one
    #[arg(long, value_name = "PORT", default_value_t = PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) coord_port: u16,

    /// The cluster that the coordinator must belong to
    #[arg(long, value_name = "NAME", default_value = CLUSTER)]
    pub(crate) cluster: ClusterName,

    /// How long the command may take, all attempts together
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout_ms: u32,

    /// How to print results on stdout
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,

    /// What to log on stderr
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
}

/// How results look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl ConnectArgs {
    /// The coordinators to ask, in order.
    pub(crate) fn coordinators(&self) -> Vec<Address> {
        if self.coord.is_empty() {
            vec![Address::new(&self.coord_host, self.coord_port)]
        } else {
            self.coord.clone()
        }
    }

    /// The same for the client library.
    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig {
            coordinators: self.coordinators().iter().map(Address::to_string).collect(),
            cluster: self.cluster.clone(),
            timeout: Duration::from_millis(self.timeout_ms.into()),
        }
    }

    /// The flags that a command has to repeat in order to reach the same cluster; starts with a space.
    pub(crate) fn repeat(&self) -> String {
        let coordinators: Vec<String> = self.coordinators().iter().map(Address::to_string).collect();
        connection_flags(&coordinators.join(","), &self.cluster.to_string())
    }
}

/// Parses a log level, and lists them all in the help.
pub(crate) fn log_level() -> impl clap::builder::TypedValueParser<Value = LevelFilter> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let levels = PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"]);
    levels.try_map(|level| level.parse::<LevelFilter>())
}
