//! The coordinator process: a [`Coordinator`] with its log, on the event loop.
//!
//! Start order (R22): lock, manifest, recovery (all in [`engine::open`]), a new epoch on disk, and only then listen
//! and dial.

mod error;
mod service;

use engine::{StoreConfig, failpoint};
use protocol::coordinator::{Coordinator, CoordinatorConfig};
use protocol::hello::{Hello, Role};
use protocol::id::NodeId;
use reactor::{Dial, Listen, Reactor};

pub use error::Error;
use service::CoordinatorService;

/// What a coordinator is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store of its log.
    pub store: StoreConfig,
    /// Host and port to listen on for clients, such as `127.0.0.1:5000`.
    pub listen: String,
    /// Every node and its address.
    pub nodes: Vec<(NodeId, String)>,
    /// How long nodes may take to vote, in milliseconds.
    pub prepare_timeout_ms: u32,
    /// Failpoints to arm from the start; they act only if [`engine::failpoint::enable`] was called.
    pub failpoints: Vec<String>,
    /// An inherited pipe whose end means that the parent process is gone.
    pub parent_pipe: Option<i32>,
}

/// Runs a coordinator until it is told to stop.
///
/// # Errors
/// [`Error`]: it could not start, or had to stop. Whatever it had decided is on disk.
pub fn run(config: Config) -> Result<(), Error> {
    for text in &config.failpoints {
        failpoint::arm(text).map_err(Error::Usage)?;
    }
    let opened = engine::open(&config.store)?;
    for notice in &opened.notices {
        log::warn!("{notice}");
    }
    let incarnation = getrandom::u64()
        .map_err(|error| Error::Usage(format!("no randomness for this start's incarnation: {error}")))?;
    let names: Vec<NodeId> = config.nodes.iter().map(|(node, _)| *node).collect();
    let machine = CoordinatorConfig {
        id: opened.store,
        incarnation,
        nodes: names.clone(),
    };
    let mut machine = Coordinator::new(machine, opened.state).map_err(Error::Usage)?;
    let hello = Hello::coordinator(config.store.cluster.clone(), opened.store);
    let mut serving = reactor::Config::new(hello.clone());
    serving.gate = failpoint::enabled();
    serving.listen = Some(Listen {
        address: config.listen,
        accepts: vec![Role::Client, Role::Watcher],
    });
    let dial = |(node, address): (NodeId, String)| Dial {
        address,
        hello: Hello {
            expects: Some(node),
            ..hello.clone()
        },
        accepts: vec![Role::Node],
    };
    serving.links = config.nodes.into_iter().map(dial).collect();
    serving.signals = true;
    serving.parent_pipe = config.parent_pipe;
    let reactor = Reactor::bind(serving)?;
    if let Some(address) = reactor.local_addr() {
        log::info!(
            "coordinator {} serves on {address}, {} log",
            opened.store,
            config.store.kind
        );
    }
    let mut service = CoordinatorService::new(names, config.prepare_timeout_ms);
    reactor.serve(&mut service, &mut machine, opened.engine)?;
    Ok(())
}
