//! A cluster with money in it, the commands run against it, and whether it came through unharmed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use client::Target;
use cluster::{Cluster, ClusterConfig};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_twopence");

pub(crate) const STORES: [&str; 2] = ["json", "sled"];

/// What one command left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Checks the exit code and that stderr contains every one of `words`.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) -> &Run {
        assert_eq!(self.code, code, "twopence {}: {self:#?}", self.line);
        for word in words {
            assert!(self.stderr.contains(word), "stderr lacks {word:?}: {self:#?}");
        }
        self
    }

    /// Checks that the command succeeded and printed every one of `words`.
    #[track_caller]
    pub(crate) fn prints(&self, words: &[&str]) -> &Run {
        assert_eq!(self.code, 0, "{self:#?}");
        for word in words {
            assert!(self.stdout.contains(word), "stdout lacks {word:?}: {self:#?}");
        }
        self
    }

    /// The value of `name=…` in a result line.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let value = self.stdout.split([',', '(', ')']).find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            (key == name).then(|| value.to_owned())
        });
        value.unwrap_or_else(|| panic!("no {name}= in {self:#?}"))
    }
}

/// Runs the binary to its end; kills it and fails if it has not ended in time.
#[track_caller]
pub(crate) fn run<S: AsRef<str>>(args: &[S]) -> Run {
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    let mut child = Command::new(BINARY)
        .args(&args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let stdout = thread::spawn(move || text(&mut stdout));
    let stderr = thread::spawn(move || text(&mut stderr));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let line = args.join(" ");
    let code = status.and_then(|status| status.code());
    let code = code.unwrap_or_else(|| panic!("{line:?} did not end by itself: {status:?}\n{stdout}{stderr}"));
    Run {
        line,
        code,
        stdout,
        stderr,
    }
}

fn text(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Waits until `found` finds something.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn node(name: &str) -> Target {
    Target::Node(name.parse().unwrap())
}

pub(crate) fn temp_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Every file below `dir` whose name begins with `prefix`, with its content. One that a process at work renames or removes
/// meanwhile may be missing.
pub(crate) fn files(dir: &Path, prefix: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return found,
        entries => entries.unwrap(),
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with(prefix) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ""));
        } else {
            match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                content => _ = found.insert(path.clone(), content.unwrap()),
            }
        }
    }
    found
}

/// Puts `files` back in place of everything in `dir` that begins with `prefix`.
pub(crate) fn put_back(dir: &Path, prefix: &str, files: &BTreeMap<PathBuf, Vec<u8>>) {
    wipe(dir, prefix);
    for (path, content) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Removes every file and folder in `dir` whose name begins with `prefix`.
pub(crate) fn wipe(dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(prefix) {
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// A server besides those of the cluster. Killed with its test.
pub(crate) struct Extra(Child);

impl Extra {
    pub(crate) fn start(mut command: Command) -> Extra {
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Extra(command.spawn().unwrap())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running cluster where N1/A, N2/B and N3/C hold 1000 each.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) dir: TempDir,
}

/// What must be the same after a case that is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pids: Vec<Option<u32>>,
    pub(crate) accounts: String,
}

impl World {
    pub(crate) fn start(store: &str) -> World {
        World::start_with(store, |_| {})
    }

    pub(crate) fn start_with(store: &str, change: impl FnOnce(&mut ClusterConfig)) -> World {
        let dir = temp_dir();
        let mut config = ClusterConfig::new(BINARY, dir.path());
        config.store = store.to_owned();
        config.prepare_timeout_ms = 1000;
        change(&mut config);
        let cluster = Cluster::start(config).unwrap_or_else(|error| panic!("{error}"));
        let world = World { cluster, dir };
        for place in ["N1/A", "N2/B", "N3/C"] {
            world.run(&format!("deposit {place} 1000")).prints(&[]);
        }
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn coord(&self) -> String {
        self.cluster.address(Target::Coordinator)
    }

    /// Runs a client command, given as words, against this cluster.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Run {
        let coord = self.coord();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["--coord", &coord]);
        run(&words)
    }

    #[track_caller]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let targets = self.cluster.targets();
        let accounts = self.run("accounts");
        accounts.prints(&[]);
        Snapshot {
            pids: targets
                .into_iter()
                .map(|target| self.cluster.pid(target))
                .collect(),
            accounts: accounts.stdout,
        }
    }

    /// The same processes, alive, the same balances, an exact audit, and nothing open.
    #[track_caller]
    pub(crate) fn unharmed(&mut self, before: &Snapshot) {
        self.whole();
        assert_eq!(&self.snapshot(), before);
    }

    /// All processes alive, nothing open (any more, soon), an exact audit.
    #[track_caller]
    pub(crate) fn whole(&mut self) {
        let ended = self.cluster.ended();
        assert!(ended.is_empty(), "ended: {ended:?}");
        let mut open = String::new();
        wait("no open transaction", || {
            open = self.run("tx list").stdout;
            open.is_empty().then_some(())
        });
        self.run("audit").prints(&["Money conserved"]);
    }

    /// The coordinator dies with this transfer decided and nobody told: its client hears that the outcome is unknown.
    #[track_caller]
    pub(crate) fn leaves_untold(&self, transfer: &str) {
        self.cluster
            .client()
            .arm(Target::Coordinator, "synced.COMMIT=kill")
            .unwrap();
        self.run(transfer).says(6, &["unknown"]);
    }

    /// Asserts that the cluster moves money, then stops it.
    #[track_caller]
    pub(crate) fn works_and_stops(mut self) {
        self.run("transfer N1/A N2/B 1").prints(&["success=true"]);
        self.run("transfer N2/B N1/A 1").prints(&["success=true"]);
        self.whole();
        let failed = self.cluster.stop_all();
        assert!(failed.is_empty(), "did not stop cleanly: {failed:?}");
    }

    /// The command line of a coordinator on this cluster's data directory, for the nodes `nodes`.
    pub(crate) fn coordinator_args(&self, port: u16, nodes: &str) -> Vec<String> {
        let nodes: Vec<String> = nodes
            .split(' ')
            .map(|name| format!("{name}:{}", self.cluster.address(node(name))))
            .collect();
        let store = &self.cluster.config().store;
        let line = format!(
            "coordinator --port {port} --store {store} --nodes {} --data-dir",
            nodes.join(",")
        );
        let dir = self.path().to_str().unwrap().to_owned();
        line.split(' ').map(str::to_owned).chain([dir]).collect()
    }

    /// The command line of a node on this cluster's data directory.
    pub(crate) fn node_args(&self, name: &str, port: u16) -> Vec<String> {
        node_args(self.path(), name, port, &self.cluster.config().store)
    }
}

/// Waits until `status` shows `name` in this state.
#[track_caller]
pub(crate) fn shown_as(world: &World, name: &str, state: &str) -> Run {
    wait(&format!("{name} {state}"), || {
        let status = world.run("status");
        let mut lines = status.stdout.lines();
        let shown = lines.any(|line| line.starts_with(name) && line.contains(state));
        shown.then_some(status)
    })
}

pub(crate) fn node_args(dir: &Path, name: &str, port: u16, store: &str) -> Vec<String> {
    let line = format!("node --node-id {name} --port {port} --store {store} --data-dir");
    let dir = dir.to_str().unwrap().to_owned();
    line.split(' ').map(str::to_owned).chain([dir]).collect()
}
