//! Transfers run while something happens; then everything that must hold is checked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{AuditVerdict, BalanceAnswer, Client, Target};
use cluster::{Cluster, ClusterConfig};

use crate::{bank, logs};

const CLIENTS: usize = 4;

/// Transfers that have to commit before something happens, and once everything is back.
const COMMITS: usize = 10;

/// How long anything may take that is sure to come. The machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long anything may stay in doubt once everything is back.
const IN_DOUBT_MAX: Duration = Duration::from_secs(10);

/// Runs clients against a cluster of three nodes while `happens` does its work, and until transfers go through again.
/// Everything must be up when it is done.
pub(crate) fn through(
    name: &str,
    store: &str,
    change: impl FnOnce(&mut ClusterConfig),
    happens: impl FnOnce(&mut Cluster, &mut Client),
) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
    config.store = store.to_owned();
    config.prepare_timeout_ms = 1000;
    change(&mut config);
    let mut cluster = Cluster::start(config).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut client = cluster.client();
    let mut sent = bank::fund(&mut client);
    let (stop, committed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut load = if cluster.config().proxied {
        cluster.client_config_through_link()
    } else {
        cluster.client_config()
    };
    load.timeout = PATIENCE;
    thread::scope(|scope| {
        let (stop, committed, load) = (&stop, &committed, &load);
        let _ended = StopOnDrop(stop);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let seed = format!("{name}-{store}-{index}");
                scope.spawn(move || bank::work(load, &seed, stop, committed))
            })
            .collect();
        until_more_commit(name, committed);
        happens(&mut cluster, &mut client);
        until_more_commit(name, committed);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            sent.extend(client.join().unwrap());
        }
    });
    bank::learn(&mut client, &mut sent, PATIENCE);
    check(name, &cluster, &mut client, &sent);
    let failed = cluster.stop_all();
    assert!(
        failed.is_empty(),
        "{name}: a process did not stop cleanly: {failed:?}"
    );
    logs::check(dir.path(), &sent);
}

fn until_more_commit(name: &str, committed: &AtomicUsize) {
    let (before, began) = (committed.load(Ordering::Relaxed), Instant::now());
    while committed.load(Ordering::Relaxed) < before + COMMITS {
        assert!(began.elapsed() < PATIENCE, "{name}: transfers do not go through");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Lets the load go on.
pub(crate) fn for_a_while() {
    thread::sleep(Duration::from_millis(150));
}

/// The node that things happen to. It is debited by some transfers and credited by others.
pub(crate) fn n2() -> Target {
    Target::Node("N2".parse().unwrap())
}

/// Load then cuts a checkpoint every few transfers.
pub(crate) fn short_segments(config: &mut ClusterConfig) {
    let short = ["--segment-bytes".to_owned(), "4096".to_owned()];
    config.node_args = short.to_vec();
    config.coordinator_args = short.to_vec();
}

/// Ends the load also when the case fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn until_nothing_is_open(name: &str, client: &mut Client) {
    let until = Instant::now() + IN_DOUBT_MAX;
    loop {
        let open = client.list(false).expect("a quiet cluster answers");
        if open.is_empty() {
            break;
        }
        assert!(
            Instant::now() < until,
            "{name}: still open after {IN_DOUBT_MAX:?}: {open:?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn check(name: &str, cluster: &Cluster, client: &mut Client, sent: &[bank::Sent]) {
    until_nothing_is_open(name, client);
    let audit = client.audit().expect("a quiet cluster answers");
    assert_eq!(audit.verdict, AuditVerdict::Exact, "{name}: {audit:?}");
    let committed = sent
        .iter()
        .filter(|sent| matches!(sent.outcome, client::Outcome::Committed { .. }))
        .count();
    assert!(committed >= 2 * COMMITS, "{name}: {committed} of {}", sent.len());
    for (place, balance) in bank::expected(sent) {
        let found = client.balance(place.clone()).expect("a quiet cluster answers");
        assert_eq!(
            found,
            BalanceAnswer::Is(balance),
            "{name}: {place} after {committed} committed requests"
        );
    }
    // A client asks for what it was told, through the running cluster; only outcomes that were promised count.
    let promised: Vec<bank::Sent> = sent
        .iter()
        .filter(|sent| matches!(sent.outcome, client::Outcome::Committed { .. }))
        .take(50)
        .cloned()
        .collect();
    bank::ask_again(client, &promised);
    // Each of those made an attempt that its home refused; the other participants still have to hear it.
    until_nothing_is_open(name, client);
    assert!(cluster.pid(Target::Coordinator).is_some());
}
