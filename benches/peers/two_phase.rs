//! Transfers between PostgreSQL servers, as a good coordinator would drive them: one thread, many clients, each with a
//! session on every server.
//!
//! Both sides prepare at once; the decision goes to a log of its own, one `fdatasync` for all that are ready; then the
//! client knows, and goes on. Its `COMMIT PREPARED`s are ahead of its next transfer on the same sessions. Wherever
//! there was a choice, the one that is better for PostgreSQL was taken. What a real coordinator needs besides
//! (recovery, request ids, retries) is left out.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use benches::latency::Latencies;
use benches::workload::{Part, Workload};
use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use crate::server::Server;
use crate::session::{Round, Session};

/// Bytes of a decision in the log.
const DECISION_LEN: usize = 128;

/// Length of the log, filled once and written over and over: a sync does not grow it.
const LOG_LEN: usize = 16 * 1024 * 1024;

/// How long answers are waited for at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Commits a second.
    pub(crate) per_second: f64,
    /// From the begin of a transfer until its decision is durable.
    pub(crate) times: Latencies,
    /// Transfers that failed.
    pub(crate) aborted: u64,
}

/// What a round of messages on a session is for.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Prepare,
    Finish,
}

struct Client {
    sessions: Vec<Session>,
    /// For each session, what its rounds on the way are for.
    sent: Vec<VecDeque<Sent>>,
    parts: Vec<Part>,
    gid: String,
    began: Duration,
    /// Sides that have not answered.
    waiting: usize,
    /// Sides that refused, by server.
    refused: Vec<usize>,
}

/// The log of decisions.
pub(crate) struct Decisions {
    file: File,
    at: usize,
    buffer: Vec<u8>,
}

impl Decisions {
    pub(crate) fn new(dir: &Path) -> std::io::Result<Decisions> {
        let mut file = File::create(dir.join("decisions"))?;
        file.write_all(&vec![b'\n'; LOG_LEN])?;
        file.sync_all()?;
        Ok(Decisions {
            file,
            at: LOG_LEN,
            buffer: Vec::new(),
        })
    }

    fn add(&mut self, gid: &str) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(b"COMMIT ");
        self.buffer.extend_from_slice(gid.as_bytes());
        self.buffer.resize(start + DECISION_LEN - 1, b' ');
        self.buffer.push(b'\n');
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if self.at + self.buffer.len() > LOG_LEN {
            self.file.seek(SeekFrom::Start(0))?;
            self.at = 0;
        }
        self.file.write_all(&self.buffer)?;
        self.file.sync_data()?;
        self.at += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }
}

/// A closed loop of so many clients.
pub(crate) struct Run<'a> {
    decisions: &'a mut Decisions,
    workload: Workload,
    servers: usize,
    /// Makes names of transactions unique over all runs.
    name: String,
    number: u64,
    poll: Poll,
    clients: Vec<Client>,
    /// Clients with two promises.
    decided: Vec<usize>,
    /// Clients that can begin a transfer.
    idle: Vec<usize>,
    warmup: Duration,
    time: Duration,
    committed: u64,
    aborted: u64,
    times: Latencies,
}

impl<'a> Run<'a> {
    /// Opens a session on every server for each client.
    pub(crate) fn open(
        servers: &[Server],
        clients: usize,
        decisions: &'a mut Decisions,
        workload: Workload,
        name: String,
    ) -> Result<Run<'a>, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        for client in 0..clients {
            let mut sessions = Vec::new();
            for (index, server) in servers.iter().enumerate() {
                let mut session = Session::for_transfers(server.port)?;
                let token = Token(client * servers.len() + index);
                let interest = Interest::READABLE | Interest::WRITABLE;
                let registered = session.stream.register(poll.registry(), token, interest);
                registered.map_err(|error| error.to_string())?;
                sessions.push(session);
            }
            all.push(Client {
                sent: vec![VecDeque::new(); sessions.len()],
                sessions,
                parts: Vec::new(),
                gid: String::new(),
                began: Duration::ZERO,
                waiting: 0,
                refused: Vec::new(),
            });
        }
        Ok(Run {
            decisions,
            workload,
            servers: servers.len(),
            name,
            number: 0,
            poll,
            idle: (0..all.len()).collect(),
            clients: all,
            decided: Vec::new(),
            warmup: Duration::ZERO,
            time: Duration::ZERO,
            committed: 0,
            aborted: 0,
            times: Latencies::new(),
        })
    }

    /// Runs for `warmup` and then for `time`.
    pub(crate) fn run(mut self, warmup: Duration, time: Duration) -> Result<Found, String> {
        (self.warmup, self.time) = (warmup, time);
        let end = warmup + time;
        let begin = Instant::now();
        let mut events = Events::with_capacity(1024);
        loop {
            let now = begin.elapsed();
            self.decide(begin)?;
            if now < end {
                for client in std::mem::take(&mut self.idle) {
                    self.transfer(client, begin.elapsed())?;
                }
            } else if self
                .clients
                .iter()
                .all(|client| client.sent.iter().all(VecDeque::is_empty))
            {
                break;
            } else if now >= end + DRAIN {
                return Err("PostgreSQL did not finish its last transactions".to_owned());
            }
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            }
            for event in &events {
                let (client, server) = (event.token().0 / self.servers, event.token().0 % self.servers);
                if event.is_writable() {
                    self.clients[client].sessions[server].send()?;
                }
                if event.is_readable() {
                    self.clients[client].sessions[server].receive()?;
                    while let Some(round) = self.clients[client].sessions[server].round() {
                        self.on_round(client, server, round)?;
                    }
                }
            }
        }
        let commits = u32::try_from(self.committed).map_err(|error| error.to_string())?;
        Ok(Found {
            per_second: f64::from(commits) / time.as_secs_f64(),
            times: self.times,
            aborted: self.aborted,
        })
    }

    fn transfer(&mut self, index: usize, now: Duration) -> Result<(), String> {
        self.number += 1;
        let client = &mut self.clients[index];
        self.workload.next(&mut client.parts);
        client.gid = format!("{}-{}", self.name, self.number);
        client.began = now;
        client.refused.clear();
        client.waiting = client.parts.len();
        for part in &client.parts {
            let server = server_of(part, self.servers);
            client.sessions[server].prepare_transfer(part.account, part.delta, &client.gid);
            client.sent[server].push_back(Sent::Prepare);
            client.sessions[server].send()?;
        }
        Ok(())
    }

    fn on_round(&mut self, index: usize, server: usize, round: Round) -> Result<(), String> {
        let client = &mut self.clients[index];
        let sent = client.sent[server].pop_front().ok_or("an answer to nothing")?;
        if sent == Sent::Finish {
            return round.map_err(|why| format!("a promise was not kept: {why}"));
        }
        if round.is_err() {
            client.refused.push(server);
        }
        client.waiting -= 1;
        if client.waiting > 0 {
            return Ok(());
        }
        if client.refused.is_empty() {
            self.decided.push(index);
            return Ok(());
        }
        self.aborted += 1;
        let client = &mut self.clients[index];
        let undo = format!("ROLLBACK PREPARED '{}'", client.gid);
        let refused = std::mem::take(&mut client.refused);
        client.finish(self.servers, |server| {
            if refused.contains(&server) {
                "ROLLBACK"
            } else {
                &undo
            }
        })?;
        self.idle.push(index);
        Ok(())
    }

    /// One sync for every decision that is ready; then the clients know.
    fn decide(&mut self, begin: Instant) -> Result<(), String> {
        if self.decided.is_empty() {
            return Ok(());
        }
        for &index in &self.decided {
            self.decisions.add(&self.clients[index].gid);
        }
        self.decisions
            .sync()
            .map_err(|error| format!("the log of decisions: {error}"))?;
        let now = begin.elapsed();
        for index in std::mem::take(&mut self.decided) {
            let client = &mut self.clients[index];
            if now >= self.warmup && now < self.warmup + self.time {
                self.committed += 1;
                self.times.record(now.saturating_sub(client.began), 1);
            }
            let commit = format!("COMMIT PREPARED '{}'", client.gid);
            client.finish(self.servers, |_| &commit)?;
            self.idle.push(index);
        }
        Ok(())
    }
}

impl Client {
    /// Sends the end of the transfer to both sides.
    fn finish<'b>(&mut self, servers: usize, sql: impl Fn(usize) -> &'b str) -> Result<(), String> {
        for part in &self.parts {
            let server = server_of(part, servers);
            self.sessions[server].query(sql(server));
            self.sent[server].push_back(Sent::Finish);
            self.sessions[server].send()?;
        }
        Ok(())
    }
}

fn server_of(part: &Part, servers: usize) -> usize {
    let count = u64::try_from(servers).expect("few servers");
    usize::try_from(part.account % count).expect("few servers")
}
