//! The node process: a [`Participant`] with a store, on the event loop.
//!
//! Start order (R22): lock, manifest, recovery (all in [`engine::open`]), holds retaken from what was prepared, and
//! only then listen.

mod error;
mod service;

use engine::{StoreConfig, failpoint};
use protocol::hello::{Hello, Role};
use protocol::id::NodeId;
use protocol::locking::Locking;
use protocol::participant::{Participant, ParticipantConfig};
use reactor::{Listen, Reactor};

pub use error::Error;
use service::NodeService;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub node: NodeId,
    /// Its store.
    pub store: StoreConfig,
    /// Host and port to listen on, such as `127.0.0.1:6001`.
    pub listen: String,
    /// What happens when two transactions want the same account.
    pub locking: Locking,
    /// How many finished requests it remembers as home, at the least.
    pub request_window: u64,
    /// Failpoints to arm from the start; they act only if [`engine::failpoint::enable`] was called.
    pub failpoints: Vec<String>,
    /// An inherited pipe whose end means that the parent process is gone.
    pub parent_pipe: Option<i32>,
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// [`Error`]: it could not start, or had to stop. Whatever it had promised is on disk.
pub fn run(config: Config) -> Result<(), Error> {
    for text in &config.failpoints {
        failpoint::arm(text).map_err(Error::Usage)?;
    }
    let opened = engine::open(&config.store)?;
    for notice in &opened.notices {
        log::warn!("{notice}");
    }
    let participant = ParticipantConfig {
        node: config.node,
        store: opened.store,
        store_kind: config.store.kind.to_string(),
        locking: config.locking,
        request_window: config.request_window,
    };
    let mut machine = Participant::new(participant, opened.state);
    let hello = Hello::node(config.store.cluster.clone(), opened.store, config.node);
    let mut serving = reactor::Config::new(hello);
    serving.listen = Some(Listen {
        address: config.listen,
        accepts: vec![Role::Coordinator, Role::Watcher],
    });
    serving.signals = true;
    serving.parent_pipe = config.parent_pipe;
    let reactor = Reactor::bind(serving)?;
    if let Some(address) = reactor.local_addr() {
        log::info!(
            "node {} serves on {address}, {} store {}",
            config.node,
            config.store.kind,
            opened.store
        );
    }
    reactor.serve(&mut NodeService::default(), &mut machine, opened.engine)?;
    Ok(())
}
