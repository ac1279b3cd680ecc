//! A cluster of real processes with a server in front of it.

use std::time::Duration;

use client::{ClientConfig, Order, Outcome, Target};
use cluster::{Cluster, ClusterConfig};
use tempfile::TempDir;
use web::{Bound, Server, Site};

use crate::http::Http;

/// Two nodes, N1/A and N2/B with 1000 each, and a server.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) http: Http,
    server: Option<Server>,
    _dir: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(|_| {})
    }

    /// With a site that differs from the usual one.
    pub(crate) fn with(change: impl FnOnce(&mut Site)) -> World {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let config = ClusterConfig {
            nodes: 2,
            ..ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path())
        };
        let cluster = Cluster::start(config).unwrap();
        let mut client = cluster.client();
        for place in ["N1/A", "N2/B"] {
            let order = Order::deposit(place.parse().unwrap(), "1000".parse().unwrap());
            let outcome = client.submit(None, order).unwrap().outcome;
            assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
        }
        let mut site = Site::of(cluster.client_config());
        change(&mut site);
        let bound = Bound::to("127.0.0.1:0".parse().unwrap()).unwrap();
        let http = Http(bound.address());
        let server = bound.serve(site).unwrap();
        World {
            cluster,
            http,
            server: Some(server),
            _dir: dir,
        }
    }

    /// A balance, as the cluster's own client sees it.
    #[track_caller]
    pub(crate) fn balance(&self, place: &str) -> i64 {
        let answer = self.cluster.client().balance(place.parse().unwrap()).unwrap();
        let client::BalanceAnswer::Is(balance) = answer else {
            panic!("{place}: {answer:?}");
        };
        balance
    }

    pub(crate) fn kill_coordinator(&mut self) {
        self.cluster.kill9(Target::Coordinator);
    }

    pub(crate) fn restart_coordinator(&mut self) {
        self.cluster.restart(Target::Coordinator).unwrap();
    }

    pub(crate) fn stop_server(&mut self) {
        self.server.take().unwrap().stop();
    }
}

/// Clients that give up soon.
pub(crate) fn hasty(config: &ClientConfig) -> ClientConfig {
    ClientConfig {
        timeout: Duration::from_millis(500),
        ..config.clone()
    }
}
