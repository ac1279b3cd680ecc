//! How long does a node take to come back that was killed under full load?

use std::time::Duration;

use serde::Serialize;

use crate::measure::{Audit, load, ratio};
use crate::options::Options;
use crate::site::Site;

/// Its end is all that matters: nobody waits for the answers that a dead node owes.
const NO_DRAIN: Duration = Duration::ZERO;

/// What a restart after kill -9 took.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// Durability backend.
    pub store: String,
    /// Accounts on the node.
    pub accounts: u64,
    /// Transactions in the log that was read, more or less: those since the load began.
    pub txns: u64,
    /// Mebibytes of the node's log; 0 for a store without one.
    pub log_mib: f64,
    /// Mebibytes of all its files.
    pub files_mib: f64,
    /// Seconds until it listened.
    pub listens_s: f64,
    /// Seconds until the coordinator counted on it again.
    pub takes_part_s: f64,
    /// What an audit said afterwards.
    pub audit: Audit,
}

/// Loads the cluster for as long as `options` say, kills its first node meanwhile, and starts it again.
///
/// # Errors
/// A text that says what failed.
pub fn recover(site: &mut Site, options: &Options, store: &str) -> Result<Recovery, String> {
    let node = *site.nodes.of(0);
    let options = Options {
        // The kill ends it, not the clock.
        time: options.time * 2,
        ..options.clone()
    };
    let kill_at = options.warmup + options.time / 2;
    let load = load(site, &options, NO_DRAIN, None)?;
    let heard = load.run(&mut |tick| {
        let goes_on = tick.elapsed < kill_at && !options.interrupted();
        if !goes_on {
            site.kill(node);
        }
        goes_on
    })?;
    options.check_interrupt()?;
    let stored = site.stored(node).ok_or("only a cluster of our own is broken")?;
    let (listens, takes_part) = site.restart(node)?;
    let mib = |bytes| ratio(bytes, 1024 * 1024);
    Ok(Recovery {
        store: store.to_owned(),
        accounts: options.accounts / u64::try_from(site.nodes.all().len()).unwrap_or(1),
        txns: heard.whole.committed,
        log_mib: mib(stored.log),
        files_mib: mib(stored.all),
        listens_s: listens.as_secs_f64(),
        takes_part_s: takes_part.as_secs_f64(),
        audit: Audit::from(site.audit()?),
    })
}
