//! Where a measured cluster lives and which binary it runs.

use std::path::PathBuf;

use client::Client;
use cluster::{Cluster, ClusterConfig, Log};
use engine::StoreKind;
use protocol::id::Place;
use protocol::leg::Order;
use protocol::money::Amount;

/// The `twopence` binary that stands beside this program.
///
/// # Errors
/// A text that says how to build it.
pub fn binary() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = here.parent().map(|folder| folder.join("twopence"));
    beside
        .filter(|path| path.is_file())
        .ok_or_else(|| "no twopence beside this program: run `cargo build --release` first".to_owned())
}

/// Starts a quiet cluster of three nodes in `dir`.
///
/// # Errors
/// A text that says what failed.
pub fn start(dir: PathBuf, store: StoreKind) -> Result<Cluster, String> {
    let mut config = ClusterConfig::new(binary()?, dir);
    config.store = store.to_string();
    config.log = Log::Kept;
    config.enable_failpoints = false;
    config.log_level = "warn".to_owned();
    Cluster::start(config).map_err(|error| error.to_string())
}

/// Account `index` on node N1 or N2.
pub fn account(node: &str, index: usize) -> Place {
    format!("{node}/c{index}").parse().expect("well formed")
}

/// Opens `count` accounts with plenty of money on N1 and on N2.
///
/// # Errors
/// A text that says what failed.
pub fn fund(client: &mut Client, count: usize) -> Result<(), String> {
    let plenty = Amount::try_from(1_000_000_000).expect("in range");
    for index in 0..count {
        for node in ["N1", "N2"] {
            let order = Order::deposit(account(node, index), plenty);
            client.submit(None, order).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
