//! A local cluster of real processes: start, wait until ready, kill -9, freeze, restart, stop.
//!
//! `twopence up`, the demos and the tests all break and mend the same thing: one coordinator and nodes `N1..Nn` on
//! 127.0.0.1 with one data directory, each a process of its own. However the process that started them ends, they
//! stop too; nothing is left behind.
//!
//! ```no_run
//! use client::{Order, Target};
//! use cluster::{Cluster, ClusterConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = Cluster::start(ClusterConfig::new("target/debug/twopence", "/tmp/some-folder"))?;
//! let mut client = cluster.client();
//! client.submit(None, Order::deposit("N1/A".parse()?, "100".parse()?))?;
//! let n2 = Target::Node("N2".parse()?);
//! cluster.kill9(n2);
//! cluster.restart(n2)?;
//! cluster.stop_all();
//! # Ok(())
//! # }
//! ```

mod cluster;
mod config;
mod error;
mod keeper;
mod log;
mod more;
mod plan;
mod ports;
mod process;
mod proxy;
mod ready;
pub mod story;

pub use crate::cluster::{Cluster, name};
pub use config::{ClusterConfig, Link, Log, Ports, TakeLine};
pub use error::{Error, Exit};
pub use keeper::{Held, Keeper, News, OrderError, ProcessState, ProcessView, Returns};
pub use proxy::{Direction, Proxy, Weather};
