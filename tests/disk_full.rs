//! What happens when the disk is full? New promises are refused in so many words, given ones are kept, everybody can
//! still look, and work goes on once there is space. On a small file system of its own; mounting one needs root.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use client::{
    AccountId, AuditVerdict, Client, ClientConfig, Order, Outcome, Place, Reason, RequestId, Target,
};
use cluster::{Cluster, ClusterConfig};
use faults::fired;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// Requests in a row that the full disk has to refuse.
const REFUSALS: usize = 300;

/// Requests after which a disk of this size is certainly full.
const REQUESTS_MAX: usize = 100_000;

/// Every account starts with this much.
const START: i64 = 1_000_000;

#[test]
fn a_full_disk_under_json_refuses_new_promises_and_keeps_the_given_ones() {
    full_disk("json", 4, 1);
}

#[test]
fn a_full_disk_under_sled_refuses_new_promises_and_keeps_the_given_ones() {
    full_disk("sled", 32, 12);
}

/// A file system of a few MiB, gone when dropped.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn mount(mib: u32) -> Result<SmallDisk, String> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir.path())
            .output()
            .map_err(|error| error.to_string())?;
        if mounted.status.success() {
            Ok(SmallDisk { dir })
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just being killed may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.dir.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.dir.path().display());
        }
    }
}

/// What was asked for, and what must have come of it.
#[derive(Default)]
struct Book {
    balances: BTreeMap<Place, i64>,
    committed: Vec<(RequestId, Order, Outcome)>,
    /// Requests without an answer.
    open: Vec<(RequestId, Order)>,
    asked: usize,
}

impl Book {
    /// Asks for the next thing. Returns why it was refused, if it was.
    fn ask(&mut self, client: &mut Client) -> Option<Reason> {
        self.asked += 1;
        let order = self.next();
        let submission = client.submit(None, order.clone()).unwrap();
        let (request, outcome) = (submission.request, submission.outcome);
        match outcome {
            Outcome::Committed { .. } => {
                self.write_down(request, order, outcome);
                None
            }
            Outcome::Aborted { refusal, .. } => Some(refusal.reason),
            Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => {
                panic!("{order}: {outcome}")
            }
        }
    }

    /// Asks for what can hardly be done now: processes may stop over it, and leave the outcome open. Returns whether
    /// it was done.
    fn ask_in_need(&mut self, client: &mut Client) -> bool {
        self.asked += 1;
        let order = self.next();
        let Ok(submission) = client.submit(None, order.clone()) else {
            return false; // No coordinator: nothing was sent.
        };
        let request = submission.request;
        match submission.outcome {
            outcome @ Outcome::Committed { .. } => {
                self.write_down(request, order, outcome);
                return true;
            }
            Outcome::Unknown { .. } => self.open.push((request, order)),
            Outcome::Aborted { .. } => {}
            outcome @ (Outcome::Reused | Outcome::Rejected { .. }) => panic!("{order}: {outcome}"),
        }
        false
    }

    /// Learns what became of requests whose outcome was left open.
    fn learn(&mut self, client: &mut Client) {
        for (request, order) in std::mem::take(&mut self.open) {
            match client.submit(Some(request), order.clone()).unwrap().outcome {
                outcome @ Outcome::Committed { .. } => self.write_down(request, order, outcome),
                Outcome::Aborted { .. } => {}
                outcome @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                    panic!("{order}: {outcome}")
                }
            }
        }
    }

    fn write_down(&mut self, request: RequestId, order: Order, outcome: Outcome) {
        for leg in order.legs() {
            if leg.place.account != AccountId::world() {
                *self.balances.entry(leg.place.clone()).or_default() += leg.delta.get();
            }
        }
        self.committed.push((request, order, outcome));
    }

    /// Transfers between nodes, a transfer within one, and accounts that are new: all that makes files grow.
    fn next(&self) -> Order {
        let transfer = |from: &str, to: &str| {
            Order::transfer(from.parse().unwrap(), to.parse().unwrap(), "1".parse().unwrap()).unwrap()
        };
        match self.asked % 5 {
            0 => transfer("N1/A", "N2/B"),
            1 => transfer("N2/B", "N3/C"),
            2 => transfer("N3/C", "N1/A"),
            3 => transfer("N1/A", "N1/AA"),
            _ => {
                let place = format!("N{}/new-{}", self.asked / 5 % 3 + 1, self.asked);
                Order::deposit(place.parse().unwrap(), "1".parse().unwrap())
            }
        }
    }

    /// Nothing acknowledged is missing, nothing refused has happened.
    fn check(&self, client: &mut Client) {
        let audit = client.audit().unwrap();
        assert_eq!(audit.verdict, AuditVerdict::Exact, "{audit:?}");
        let mut found = BTreeMap::new();
        for node in ["N1", "N2", "N3"] {
            let node = node.parse().unwrap();
            for (account, balance) in client.all_accounts(node).unwrap() {
                found.insert(Place { node, account }, balance);
            }
        }
        assert!(found == self.balances, "accounts are not what was acknowledged");
    }
}

fn full_disk(store: &str, mib: u32, ballast_mib: usize) {
    let disk = match SmallDisk::mount(mib) {
        Ok(disk) => disk,
        Err(why) => {
            println!(
                "SKIPPED: cannot mount a small file system ({why}), so nothing was shown about a full disk"
            );
            return;
        }
    };
    let ballast = disk.path("ballast");
    fs::write(&ballast, vec![1; ballast_mib * 1024 * 1024]).unwrap();
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), disk.path("data"));
    config.store = store.to_owned();
    let mut cluster = Cluster::start(config).unwrap_or_else(|error| panic!("{error}"));
    let pids = pids(&cluster);
    let mut client = cluster.client();
    let mut book = Book::default();
    for place in ["N1/A", "N2/B", "N3/C", "N1/AA"] {
        let place: Place = place.parse().unwrap();
        let order = Order::deposit(place.clone(), START.to_string().parse().unwrap());
        assert!(matches!(
            client.submit(None, order).unwrap().outcome,
            Outcome::Committed { .. }
        ));
        book.balances.insert(place, START);
    }

    fill(&mut book, &mut client);
    fired("D8");
    let refused_at = book.asked;
    assert!(
        book.committed.len() > 100,
        "{store}: full after {} requests",
        book.committed.len()
    );
    // It stays refused, however often it is asked for, and every process stays.
    let mut refused = 0;
    while refused < REFUSALS {
        match book.ask(&mut client) {
            Some(reason) => refused += usize::from(is_disk_full(&reason)),
            None => assert!(book.asked < refused_at + 20 * REFUSALS, "{store}: it is not full"),
        }
    }
    assert_eq!(alive(&mut cluster), pids, "{store}");
    book.check(&mut client);
    the_command_line_says_so(&cluster);

    // Now somebody else takes what was kept in reserve. Whoever cannot keep a promise then has to stop, and says why.
    let greedy = disk.path("greedy");
    take_all(&greedy);
    fired("D8");
    let mut hasty = Client::new(ClientConfig {
        timeout: Duration::from_secs(1),
        ..cluster.client_config()
    })
    .unwrap();
    // What a process knows of free space may be a little old.
    let began = Instant::now();
    let mut refused = 0;
    while refused < 10 {
        refused = if book.ask_in_need(&mut hasty) {
            0
        } else {
            refused + 1
        };
        assert!(
            began.elapsed() < PATIENCE,
            "{store}: promises go on without space for them"
        );
    }
    let mut stopped = cluster.ended();
    for (_, exit) in &stopped {
        assert!(
            exit.last_lines.iter().any(|line| line.contains("No space left")),
            "{store}: {exit}"
        );
    }

    fs::remove_file(&greedy).unwrap();
    fs::remove_file(&ballast).unwrap();
    stopped.extend(cluster.ended());
    let mut died_late = false;
    let began = Instant::now();
    while let Err(error) = cluster.start_all() {
        // One that was about to give up only does so now; the next start finds its end.
        let gave_up = error.to_string().contains("No space left");
        assert!(gave_up && began.elapsed() < PATIENCE, "{store}: {error}");
        died_late = true;
    }
    book.learn(&mut client);
    let began = Instant::now();
    let mut worked = 0;
    while worked < 20 {
        worked += usize::from(book.ask(&mut client).is_none());
        assert!(
            began.elapsed() < PATIENCE,
            "{store}: space is back and nothing works"
        );
    }
    if stopped.is_empty() && !died_late {
        assert_eq!(alive(&mut cluster), pids, "{store}");
    }
    book.check(&mut client);
    // What was acknowledged is on the disk.
    cluster.kill9_all();
    cluster.start_all().unwrap_or_else(|error| panic!("{error}"));
    let mut client = cluster.client();
    book.check(&mut client);
    for (request, order, outcome) in book.committed.iter().rev().take(50) {
        let again = client.submit(Some(*request), order.clone()).unwrap().outcome;
        assert_eq!(&again, outcome, "{store}: {order}");
    }
    book.check(&mut client);
    let failed = cluster.stop_all();
    assert!(failed.is_empty(), "{store}: did not stop cleanly: {failed:?}");
}

/// Asks until the disk is full.
fn fill(book: &mut Book, client: &mut Client) {
    loop {
        match book.ask(client) {
            None => assert!(book.asked < REQUESTS_MAX, "the disk never fills"),
            Some(reason) if is_disk_full(&reason) => return,
            Some(reason) => panic!("{reason}"),
        }
    }
}

fn is_disk_full(reason: &Reason) -> bool {
    matches!(reason, Reason::DiskFull(_) | Reason::CoordinatorDiskFull)
}

/// What a person reads: the reason, that no money moved, what to do.
fn the_command_line_says_so(cluster: &Cluster) {
    let output = Command::new(env!("CARGO_BIN_EXE_twopence"))
        .args(["transfer", "N1/A", "N2/B", "1", "--coord"])
        .arg(cluster.address(Target::Coordinator))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stdout}{stderr}");
    assert!(stdout.contains("disk_full"), "{stdout}");
    for words in ["disk space", "No money moved.", "Free some"] {
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}

/// Writes until there is no space for one more byte.
fn take_all(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let mut len = 1024 * 1024;
    while len > 0 {
        match file.write(&vec![2; len]) {
            Ok(written) if written == len => {}
            Ok(_) | Err(_) => len /= 2,
        }
    }
}

fn pids(cluster: &Cluster) -> Vec<Option<u32>> {
    cluster
        .targets()
        .into_iter()
        .map(|target| cluster.pid(target))
        .collect()
}

/// The same once it is certain that none has ended.
fn alive(cluster: &mut Cluster) -> Vec<Option<u32>> {
    // A process that is about to give up gets the time to.
    thread::sleep(Duration::from_millis(300));
    let ended = cluster.ended();
    assert!(ended.is_empty(), "{ended:?}");
    pids(cluster)
}
