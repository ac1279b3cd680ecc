//! Three PostgreSQL servers on loopback, each in a directory of its own, as durable as Twopence.
//!
//! PostgreSQL refuses to run as root: then the servers run as `postgres` or `nobody`. They are told by the system when
//! this process dies, in whatever way, and stop.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::session::Session;

/// Where Debian puts the programs of PostgreSQL 15.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every account holds at first.
pub(crate) const OPENING: i64 = 1_000_000_000;

/// Room for the sessions and prepared transactions of so many clients.
pub(crate) const CLIENTS_MAX: usize = 600;

/// A server that runs; it is stopped when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// The user that servers run as, where this process is root.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

/// Why PostgreSQL cannot be measured here, if it cannot.
pub(crate) fn missing() -> Option<String> {
    let postgres = Path::new(PROGRAMS).join("postgres");
    (!postgres.is_file()).then(|| {
        format!(
            "skipped: PostgreSQL 15 is not installed ({} is missing; on Debian: apt-get install postgresql-15)",
            postgres.display()
        )
    })
}

/// Starts `count` servers below `dir` and fills each with its accounts: account `i` lives on server `i % count`.
pub(crate) fn start(dir: &Path, count: u16, accounts: u64) -> Result<Vec<Server>, String> {
    let user = if rustix::process::geteuid().is_root() {
        Some(unprivileged()?)
    } else {
        None
    };
    (0..count)
        .map(|index| {
            let server = Server::start(&dir.join(format!("postgres{}", index + 1)), user)?;
            server.fill(accounts, count, index)?;
            Ok(server)
        })
        .collect()
}

impl Server {
    fn start(dir: &Path, user: Option<User>) -> Result<Server, String> {
        let io = |error| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(io)?;
        if let Some(User { uid, gid }) = user {
            chown(dir, Some(uid), Some(gid)).map_err(io)?;
        }
        let data = dir.join("data");
        let mut init = program("initdb", user);
        init.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--pgdata",
        ]);
        init.arg(&data).current_dir(dir);
        let output = init
            .output()
            .map_err(|error| format!("cannot run initdb: {error}"))?;
        if !output.status.success() {
            return Err(format!(
                "initdb failed: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let mut postgres = program("postgres", user);
        postgres.arg("-D").arg(&data).current_dir(dir);
        postgres.args(["-p", &port.to_string()]);
        let connections = (CLIENTS_MAX + 20).to_string();
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("max_connections", connections.as_str()),
            ("max_prepared_transactions", connections.as_str()),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("wal_sync_method", "fdatasync"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_wal_size", "4GB"),
            ("shared_buffers", "256MB"),
            ("autovacuum_naptime", "5s"),
            // Servers cannot see a deadlock that spans two of them.
            ("lock_timeout", "2s"),
        ] {
            postgres.args(["-c", &format!("{name}={value}")]);
        }
        let log = fs::File::create(dir.join("log")).map_err(io)?;
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = postgres
            .spawn()
            .map_err(|error| format!("cannot run postgres: {error}"))?;
        let mut server = Server { child, port };
        server.wait_ready(&dir.join("log"))?;
        Ok(server)
    }

    fn wait_ready(&mut self, log: &Path) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let failed = match Session::open(self.port) {
                Ok(_) => return Ok(()),
                Err(why) => why,
            };
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() >= until {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("postgres did not start: {failed}\n{said}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn fill(&self, accounts: u64, count: u16, index: u16) -> Result<(), String> {
        let mut session = Session::open(self.port)?;
        // Room in each page for new versions of its rows: what suits updates best.
        session.run(
            "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50)",
        )?;
        session.run(&format!(
            "INSERT INTO account SELECT i, {OPENING} FROM generate_series({index}, {}, {count}) AS i",
            accounts.saturating_sub(1)
        ))?;
        session.run("VACUUM ANALYZE account")?;
        session.run("CHECKPOINT")
    }

    /// A new session.
    pub(crate) fn session(&self) -> Result<Session, String> {
        Session::open(self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // A fast shutdown. It can only fail for a process that has just ended.
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_child(&self.child),
                rustix::process::Signal::INT,
            );
        }
        let until = Instant::now() + PATIENCE;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() >= until {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A program of PostgreSQL that is interrupted when this process dies.
fn program(name: &str, user: Option<User>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(User { uid, gid }) = user {
        command.arg(format!("--reuid={uid}"));
        command.arg(format!("--regid={gid}"));
        command.arg("--clear-groups");
    }
    command.arg(PathBuf::from(PROGRAMS).join(name));
    command
}

/// The first of the users that exists.
fn unprivileged() -> Result<User, String> {
    let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let user = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    found.ok_or_else(|| {
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody".to_owned()
    })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
