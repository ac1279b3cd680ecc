//! A cluster that has moved some money, and the command on what it left.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use client::{Client, Order, Outcome, Target};
use cluster::{Cluster, ClusterConfig};
use engine::{Owner, StoreConfig, StoreKind};
use tempfile::TempDir;

/// Two nodes with 100 each in N1/A and N2/B, of which 30 have moved from A to B.
pub(crate) struct Stopped {
    pub(crate) dir: TempDir,
    pub(crate) kind: StoreKind,
}

impl Stopped {
    /// A cluster that was stopped cleanly.
    pub(crate) fn cleanly(kind: StoreKind) -> Stopped {
        Stopped::by(kind, |cluster, _| {
            let failed = cluster.stop_all();
            assert!(failed.is_empty(), "{failed:?}");
        })
    }

    /// A cluster that `end` ends.
    pub(crate) fn by(kind: StoreKind, end: impl FnOnce(&mut Cluster, &mut Client)) -> Stopped {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
        config.nodes = 2;
        config.store = kind.to_string();
        let mut cluster = Cluster::start(config).unwrap();
        let mut client = cluster.client();
        for place in ["N1/A", "N2/B"] {
            let order = Order::deposit(place.parse().unwrap(), "100".parse().unwrap());
            committed(&mut client, order);
        }
        committed(&mut client, transfer("30"));
        end(&mut cluster, &mut client);
        drop(cluster);
        Stopped { dir, kind }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How the engine opens one of its stores.
    pub(crate) fn config(&self, name: &str) -> StoreConfig {
        StoreConfig {
            dir: self.path().to_owned(),
            owner: Owner::Node(name.parse().unwrap()),
            kind: self.kind,
            cluster: "local".parse().unwrap(),
            segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
            power_cut: None,
        }
    }
}

/// From N1/A to N2/B.
pub(crate) fn transfer(amount: &str) -> Order {
    Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        amount.parse().unwrap(),
    )
    .unwrap()
}

pub(crate) fn committed(client: &mut Client, order: Order) {
    let outcome = client.submit(None, order).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
}

/// A client for requests that will get no answer.
pub(crate) fn impatient(cluster: &Cluster) -> Client {
    let mut config = cluster.client_config();
    config.timeout = Duration::from_secs(2);
    Client::new(config).unwrap()
}

pub(crate) fn node(name: &str) -> Target {
    Target::Node(name.parse().unwrap())
}

/// What the command left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `twopence verify` with these arguments.
pub(crate) fn verify(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    let output = command.arg("verify").args(args).output().unwrap();
    Run {
        code: output.status.code().expect("it exits by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same for one directory; the exit code is checked and nothing may have changed.
#[track_caller]
pub(crate) fn verified(dir: &Path, code: i32) -> Run {
    let before = files(dir);
    let run = verify(&[dir.to_str().unwrap()]);
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(files(dir), before, "it changes nothing");
    run
}

/// Every file below `dir` with its content.
fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}
