//! A small cluster and somebody who watches each of its processes.

use std::time::{Duration, Instant};

use client::{
    Client, ClusterStatus, Order, Outcome, Seen, Sight, Sighting, Submission, Target, TxnId, Watch,
};
use cluster::{Cluster, ClusterConfig};
use protocol::message::LinkState;
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const STORES: [&str; 2] = ["json", "sled"];

/// N1/A and N2/B with 1000 each.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    _dir: TempDir,
}

impl World {
    pub(crate) fn new(store: &str) -> World {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let config = ClusterConfig {
            nodes: 2,
            store: store.to_owned(),
            // Nobody here means to be late, however slow the machine is.
            prepare_timeout_ms: 60_000,
            ..ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path())
        };
        let cluster = Cluster::start(config).unwrap();
        let client = patient(&cluster);
        let mut world = World {
            cluster,
            client,
            _dir: dir,
        };
        for place in ["N1/A", "N2/B"] {
            let order = Order::deposit(place.parse().unwrap(), "1000".parse().unwrap());
            world.commits(order);
        }
        world
    }

    /// Makes an order happen.
    pub(crate) fn commits(&mut self, order: Order) -> TxnId {
        let submission = self.client.submit(None, order).unwrap();
        txn(&submission)
    }

    /// Moves 10 from N1/A to N2/B.
    pub(crate) fn transfer(&mut self) -> TxnId {
        self.commits(transfer("10"))
    }

    /// Starts a process again, and waits until the coordinator has all nodes back.
    pub(crate) fn restart(&mut self, target: Target) {
        self.cluster.restart(target).unwrap();
        let all_up = |status: ClusterStatus| {
            let mut nodes = status.nodes.iter();
            nodes.all(|node| matches!(node, LinkState::Up(..)))
        };
        while !self.client.status().is_ok_and(all_up) {}
    }

    pub(crate) fn coordinator(&self) -> Watch {
        self.watch(&self.cluster.client_config().coordinators[0])
    }

    pub(crate) fn watch(&self, address: &str) -> Watch {
        Watch::connect(address, &"local".parse().unwrap(), PATIENCE).unwrap()
    }

    /// The coordinator and both nodes, found as somebody does who knows the coordinator alone.
    pub(crate) fn everyone(&self) -> Vec<Watch> {
        let mut coordinator = self.coordinator();
        let nodes = coordinator.nodes().unwrap();
        let names: Vec<String> = nodes.iter().map(|(node, _)| node.to_string()).collect();
        assert_eq!(names, ["N1", "N2"]);
        let nodes: Vec<Watch> = nodes.iter().map(|(_, address)| self.watch(address)).collect();
        std::iter::once(coordinator).chain(nodes).collect()
    }
}

/// A client that waits as long as a person takes to step.
pub(crate) fn patient(cluster: &Cluster) -> Client {
    let config = client::ClientConfig {
        timeout: PATIENCE,
        ..cluster.client_config()
    };
    Client::new(config).unwrap()
}

pub(crate) fn transfer(amount: &str) -> Order {
    Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        amount.parse().unwrap(),
    )
    .unwrap()
}

pub(crate) fn txn(submission: &Submission) -> TxnId {
    let Outcome::Committed { txn } = submission.outcome else {
        panic!("{}", submission.outcome);
    };
    txn
}

/// What a watch sees of one transaction until `last` says that this was it.
pub(crate) fn seen(watch: &mut Watch, about: TxnId, last: impl Fn(&Sighting) -> bool) -> Vec<Sighting> {
    let until = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while Instant::now() < until {
        match watch.next(PATIENCE).unwrap() {
            Some(Seen::Sight(sighting)) if sighting.txn == about => {
                let ends = last(&sighting);
                found.push(sighting);
                if ends {
                    return found;
                }
            }
            Some(Seen::Dropped(count)) => panic!("{count} sights were lost"),
            Some(Seen::Sight(_) | Seen::Sampling { .. } | Seen::Holding(_)) | None => {}
        }
    }
    panic!("it does not come: {:?}", short(&found));
}

/// Sights as transcripts would write them: without the transaction's id.
pub(crate) fn short(sightings: &[Sighting]) -> Vec<String> {
    let line = |sighting: &Sighting| {
        let id = format!(" {}", sighting.txn);
        let line = sighting.what.line().replace(&id, "");
        match &sighting.what {
            Sight::Received { from, .. } => format!("{from} → {line}"),
            Sight::Sent { to, .. } => format!("→ {to} {line}"),
            Sight::Held { to, .. } => format!("held for {to} {line}"),
            Sight::Recorded { forced, .. } => {
                format!("append {line}{}", if *forced { " (forced)" } else { "" })
            }
            Sight::Synced { .. } => "sync".to_owned(),
        }
    };
    sightings.iter().map(line).collect()
}

pub(crate) fn n1() -> Target {
    Target::Node("N1".parse().unwrap())
}
