//! What do all requests share?

use std::net::SocketAddr;
use std::sync::Arc;

use client::{Client, ClientConfig};
use tokio::sync::watch;

use crate::census::Roster;
use crate::clients::Clients;
use crate::control::Control;
use crate::events::Hub;
use crate::problem::Problem;

/// What a server is about.
#[derive(Debug)]
pub struct Site {
    /// Whom it asks.
    pub client: ClientConfig,
    /// The processes themselves, where this program started them.
    pub control: Option<Arc<Control>>,
    /// Names besides those of this machine's loopback by which it may be called.
    pub allow_hosts: Vec<String>,
}

impl Site {
    /// The API alone, for a cluster that somebody else runs.
    pub fn of(client: ClientConfig) -> Site {
        Site {
            client,
            control: None,
            allow_hosts: Vec::new(),
        }
    }
}

/// What all requests share. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clients: Arc<Clients>,
    hub: Arc<Hub>,
    roster: Roster,
    control: Option<Arc<Control>>,
    allow_hosts: Vec<String>,
    address: SocketAddr,
    stopping: watch::Receiver<bool>,
}

impl AppState {
    pub(crate) fn new(site: Site, address: SocketAddr, stopping: watch::Receiver<bool>) -> AppState {
        AppState(Arc::new(Shared {
            clients: Arc::new(Clients::new(site.client)),
            hub: Arc::default(),
            roster: Roster::default(),
            control: site.control,
            allow_hosts: site.allow_hosts,
            address,
            stopping,
        }))
    }

    /// Whom to ask.
    pub fn client_config(&self) -> ClientConfig {
        self.0.clients.config()
    }

    /// Asks others from now on: the cluster was replaced by one that listens elsewhere.
    pub fn set_client_config(&self, config: ClientConfig) {
        self.0.clients.set_config(config);
        self.0.roster.clear();
        self.0.hub.renew(self);
    }

    /// Lets `call` use a client, on a thread where it may block. It comes to its end also if nobody waits for it any more.
    ///
    /// # Errors
    /// If too many calls are under way: nothing was asked.
    pub async fn call<T, F>(&self, call: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Client) -> T + Send + 'static,
    {
        self.0.clients.call(call).await
    }

    /// The processes themselves, where this program started them.
    pub fn control(&self) -> Option<&Arc<Control>> {
        self.0.control.as_ref()
    }

    /// Where this server listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Names besides those of this machine's loopback by which the server may be called.
    pub(crate) fn allow_hosts(&self) -> &[String] {
        &self.0.allow_hosts
    }

    /// Those who listen to what happens.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    /// The processes that are known.
    pub(crate) fn roster(&self) -> &Roster {
        &self.0.roster
    }

    /// Whether the server is to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Waits until the server is to stop: what would otherwise go on for ever ends then.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.0.stopping.clone();
        async move {
            // An error means that the server is gone, which is as good as its word.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}
