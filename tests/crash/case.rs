//! One case: load, death at a point, restart, the same death once more as a power cut, and everything that must hold
//! afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{AuditVerdict, BalanceAnswer, Client, Target};
use cluster::{Cluster, ClusterConfig};
use faults::fired;

use crate::{bank, logs};

const CLIENTS: usize = 4;

/// How long the point may take to be reached, and a process to die. The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the load goes on over the restarted process.
const LOAD_AFTER: Duration = Duration::from_millis(150);

/// How long anything may stay in doubt after the last restart.
const IN_DOUBT_MAX: Duration = Duration::from_secs(10);

/// Who dies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Victim {
    /// N2.
    Node,
    Coordinator,
}

/// One crash.
pub(crate) struct Case {
    /// Begins with the fault's id in lower case.
    name: String,
    victim: Victim,
    point: String,
    action: String,
    store: String,
    short_segments: bool,
    /// Faults that it also is.
    also: Vec<&'static str>,
    /// The fault that dying again while recovering is, and the points where it does.
    recovery: Option<(&'static str, Vec<String>)>,
}

impl Case {
    pub(crate) fn kill(name: &str, victim: Victim, point: &str, store: &str) -> Case {
        // Not the very first hit, so that there is something to recover.
        Case::with(name, victim, point, "kill@3", store)
    }

    pub(crate) fn with(name: &str, victim: Victim, point: &str, action: &str, store: &str) -> Case {
        Case {
            name: name.to_owned(),
            victim,
            point: point.to_owned(),
            action: action.to_owned(),
            store: store.to_owned(),
            short_segments: false,
            also: Vec::new(),
            recovery: None,
        }
    }

    /// Load then cuts a checkpoint every few transfers.
    pub(crate) fn with_short_segments(mut self) -> Case {
        self.short_segments = true;
        self.action = "kill@2".to_owned();
        self
    }

    /// It is fault `id`, too.
    pub(crate) fn also(mut self, id: &'static str) -> Case {
        self.also.push(id);
        self
    }

    /// The restarts after the crash die at these points, one after the other, which is fault `id`.
    pub(crate) fn recovery_killed_at<const N: usize>(mut self, id: &'static str, points: [&str; N]) -> Case {
        self.recovery = Some((id, points.map(str::to_owned).to_vec()));
        self
    }

    /// The faults that its first death is.
    fn faults(&self) -> impl Iterator<Item = String> {
        let id = self.name.split('_').next().expect("a name has a first word");
        let id = match id.strip_prefix('k') {
            // Each step of a checkpoint is a place for the one fault of dying there.
            Some(_step) => "K-a".to_owned(),
            None => id.to_uppercase(),
        };
        std::iter::once(id).chain(self.also.iter().map(|&id| id.to_owned()))
    }
}

/// Runs one case.
pub(crate) fn run(case: &Case) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path());
    config.store.clone_from(&case.store);
    config.prepare_timeout_ms = 1000;
    if case.short_segments {
        let short = ["--segment-bytes".to_owned(), "4096".to_owned()];
        config.node_args = short.to_vec();
        config.coordinator_args = short.to_vec();
    }
    let mut cluster = Cluster::start(config).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let mut client = cluster.client();
    let mut sent = bank::fund(&mut client);
    let victim = match case.victim {
        Victim::Node => Target::Node("N2".parse().unwrap()),
        Victim::Coordinator => Target::Coordinator,
    };
    let stop = AtomicBool::new(false);
    let mut load = cluster.client_config();
    load.timeout = PATIENCE;
    thread::scope(|scope| {
        let (stop, load) = (&stop, &load);
        let _ended = StopOnDrop(stop);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let seed = format!("{}-{}-{index}", case.name, case.store);
                scope.spawn(move || bank::work(load, &seed, stop))
            })
            .collect();
        // The first time the page cache survives. From then on the victim lives on a disk that forgets.
        let seed = bank::Choices::new(&format!("{}-{}", case.name, case.store)).below(1 << 31);
        cluster.set_power_cut(Some(u64::try_from(seed).unwrap()));
        crash(case, &mut cluster, &mut client, victim);
        thread::sleep(LOAD_AFTER);
        crash(case, &mut cluster, &mut client, victim);
        fired("D2");
        thread::sleep(LOAD_AFTER);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            sent.extend(client.join().unwrap());
        }
    });
    bank::learn(&mut client, &mut sent, PATIENCE);
    check(case, &cluster, &mut client, &sent);
    let failed = cluster.stop_all();
    assert!(
        failed.is_empty(),
        "{}: a process did not stop cleanly: {failed:?}",
        case.name
    );
    logs::check(dir.path(), &sent);
}

/// Ends the load also when the case fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn crash(case: &Case, cluster: &mut Cluster, client: &mut Client, victim: Target) {
    let armed = format!("{}={}", case.point, case.action);
    // The load may reach the point before the answer is out, and then the answer is that there was none.
    let said = client.arm(victim, &armed);
    let exit = cluster.wait_exit(victim, PATIENCE).unwrap_or_else(|error| {
        panic!(
            "{}: {armed} was never reached: {error}; arming it: {said:?}",
            case.name
        )
    });
    assert!(!exit.status.success(), "{}: it died, it did not stop", case.name);
    died_at(case, cluster, victim, &case.point);
    for id in case.faults() {
        fired(&id);
    }
    for (id, point) in case
        .recovery
        .iter()
        .flat_map(|(id, points)| points.iter().map(move |point| (id, point)))
    {
        cluster.launch(victim, &[point]).unwrap();
        let exit = cluster.wait_exit(victim, PATIENCE);
        exit.unwrap_or_else(|error| panic!("{}: {point} was never reached: {error}", case.name));
        let (name, _) = point.split_once('=').expect("a point and what it does");
        died_at(case, cluster, victim, name);
        fired(id);
    }
    cluster
        .restart(victim)
        .unwrap_or_else(|error| panic!("{}: cannot restart: {error}", case.name));
}

/// Its own last words say where it died, so that no other death is taken for this one.
fn died_at(case: &Case, cluster: &Cluster, victim: Target, point: &str) {
    let acted = format!("failpoint {point} acts");
    let lines = cluster.log_lines(victim);
    assert!(
        lines.iter().any(|line| line.contains(&acted)),
        "{}: it did not die at {point}: {lines:?}",
        case.name
    );
}

fn check(case: &Case, cluster: &Cluster, client: &mut Client, sent: &[bank::Sent]) {
    let name = &case.name;
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
    let audit = client.audit().expect("a quiet cluster answers");
    assert_eq!(audit.verdict, AuditVerdict::Exact, "{name}: {audit:?}");
    let committed = sent
        .iter()
        .filter(|sent| matches!(sent.outcome, client::Outcome::Committed { .. }))
        .count();
    assert!(
        committed > 10,
        "{name}: only {committed} of {} requests committed",
        sent.len()
    );
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
    assert!(cluster.pid(Target::Coordinator).is_some());
}
