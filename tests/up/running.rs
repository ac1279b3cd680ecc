//! A running `twopence up`, and one-off commands.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_twopence");

/// What a command said, and how it ended.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

/// Runs a command to its end.
pub(crate) fn twopence(args: &[&str]) -> Said {
    let output = Command::new(BINARY).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        status: output.status,
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ports that are free right now: one for the coordinator, the next three for nodes.
pub(crate) struct Ports(u16);

impl Ports {
    /// The flags that choose them, and any port for HTTP.
    pub(crate) fn flags(&self) -> [&'static str; 6] {
        let text = |port: u16| -> &'static str { port.to_string().leak() };
        let (coordinator, nodes) = (text(self.0), text(self.0 + 1));
        [
            "--coord-port",
            coordinator,
            "--base-port",
            nodes,
            "--http-port",
            "0",
        ]
    }
}

/// A running `twopence up` of two nodes.
pub(crate) struct Up {
    child: Child,
    /// Where its coordinator listens.
    pub(crate) coordinator: String,
    /// What it said once it was up.
    pub(crate) banner: String,
    stdout: Arc<Mutex<String>>,
    data_dir: String,
}

impl Up {
    /// Ports below those that other tests' clusters use.
    pub(crate) fn ports() -> Ports {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let process = u16::try_from(std::process::id() % 250).unwrap();
        loop {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let first = 10_000 + (process * 8 + step * 4) % 1996;
            if (first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Ports(first);
            }
        }
    }

    /// Starts it and waits for its banner. Another test may take a port first: then it tries again.
    pub(crate) fn start(dir: &Path, more: &[&str]) -> Up {
        loop {
            match Up::try_start(dir, more) {
                Ok(up) => return up,
                Err(text) if text.contains("already in use") => {}
                Err(text) => panic!("it did not start: {text}"),
            }
        }
    }

    fn try_start(dir: &Path, more: &[&str]) -> Result<Up, String> {
        let Ports(port) = Up::ports();
        let data_dir = dir.display().to_string();
        let mut command = Command::new(BINARY);
        command
            .args(["up", "--data-dir", &data_dir])
            .args(Ports(port).flags());
        if !more.contains(&"--nodes") {
            command.args(["--nodes", "2"]);
        }
        let mut child = command
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let mut ended = None;
        eventually("it is up", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
                || stdout
                    .lock()
                    .unwrap()
                    .contains("Ctrl-C stops everything cleanly.")
        });
        if ended.is_some() {
            eventually("its last words", || !stderr.lock().unwrap().is_empty());
            thread::sleep(Duration::from_millis(50));
            return Err(stderr.lock().unwrap().clone());
        }
        let banner = stdout.lock().unwrap().clone();
        Ok(Up {
            child,
            coordinator: format!("127.0.0.1:{port}"),
            banner,
            stdout,
            data_dir,
        })
    }

    /// Runs a client command against it, which must succeed. Returns its stdout.
    pub(crate) fn client(&self, args: &[&str]) -> String {
        let said = twopence(&[args, &["--coord", &self.coordinator]].concat());
        assert!(said.status.success(), "{args:?}: {}{}", said.stdout, said.stderr);
        said.stdout
    }

    /// What an account holds.
    pub(crate) fn balance(&self, account: &str) -> i64 {
        self.client(&["balance", account]).trim().parse().unwrap()
    }

    /// Waits for it to say something.
    pub(crate) fn wait_for(&self, text: &str) {
        eventually(text, || self.stdout.lock().unwrap().contains(text));
    }

    /// Where its control panel is, as its banner says.
    pub(crate) fn http(&self) -> String {
        let (_, rest) = self.banner.split_once("http://").unwrap();
        rest.lines().next().unwrap().to_owned()
    }

    /// The process id of one of its processes.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let role = if name == "coordinator" {
            "coordinator"
        } else {
            "node"
        };
        let ours = |pid: u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let args: Vec<String> = line
                .split(|&byte| byte == 0)
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect();
            let has = |text: &str| args.iter().any(|arg| arg == text);
            args.get(1).is_some_and(|arg| arg == role)
                && has(&self.data_dir)
                && (role == "coordinator" || has(name))
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .find(|&pid| ours(pid))
    }

    /// Kills one of its processes.
    pub(crate) fn kill_child(&self, name: &str) {
        signal("KILL", self.pid(name).unwrap());
    }

    /// Asks it to stop and waits until it has. Returns its exit code and all that it said on stdout.
    pub(crate) fn stop(&mut self) -> (Option<i32>, String) {
        signal("TERM", self.child.id());
        let status = self.child.wait().unwrap();
        eventually("its last words", || {
            self.stdout.lock().unwrap().contains("Stopped")
        });
        (status.code(), self.stdout.lock().unwrap().clone())
    }

    /// Kills it, and only it.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // Its processes stop by themselves; their ports and locks are needed again.
        eventually("its processes stop", || {
            self.pid("N1").is_none() && self.pid("N2").is_none()
        });
        eventually("its coordinator stops", || self.pid("coordinator").is_none());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already over in a test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Signals a process that this test started and that has not been reaped.
fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "cannot signal {pid}");
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&all);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut all = into.lock().unwrap();
            all.push_str(&line);
            all.push('\n');
        }
    });
    all
}
