//! The mock as a whole: its four servers, and a load on them.

use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::TcpStream as StdStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use benches::latency::Latencies;
use benches::usage::Usage;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use crate::line::Line;
use crate::message::{Message, Word};
use crate::server;

/// Participants, of which each transaction has two.
const NODES: usize = 3;

/// How long answers are waited for at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// Three nodes and a coordinator. They end when this is dropped.
pub(crate) struct Mock {
    servers: Vec<Child>,
    coordinator: String,
}

/// What a load found.
pub(crate) struct Found {
    /// Transactions a second.
    pub(crate) per_second: f64,
    /// From a request to its outcome.
    pub(crate) times: Latencies,
    /// Microseconds of processor time for each transaction, all processes together, as far as the system tells.
    pub(crate) cpu_us: f64,
    /// The longest time without any outcome.
    pub(crate) longest_gap: Duration,
}

impl Mock {
    /// Starts its servers, with logs in `dir`.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn start(dir: &Path) -> io::Result<Mock> {
        let mut mock = Mock {
            servers: Vec::new(),
            coordinator: String::new(),
        };
        let mut nodes = Vec::new();
        for number in 0..NODES {
            nodes.push(mock.server("node", &dir.join(format!("mock-{number}")), &[])?);
        }
        mock.coordinator = mock.server("coordinator", &dir.join("mock-coordinator"), &nodes)?;
        Ok(mock)
    }

    /// Starts one; its address.
    fn server(&mut self, role: &str, dir: &Path, nodes: &[String]) -> io::Result<String> {
        std::fs::create_dir(dir)?;
        let mut server = Command::new(std::env::current_exe()?)
            .arg(role)
            .arg(dir)
            .args(nodes)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = server.stdout.take().expect("it is piped");
        self.servers.push(server);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        match line.trim() {
            "" => Err(io::Error::other(format!("the mock's {role} does not start"))),
            address => Ok(address.to_owned()),
        }
    }

    /// Keeps `in_flight` transactions open on each of so many connections.
    ///
    /// # Errors
    /// Whatever the system reports, and transactions without an outcome.
    pub(crate) fn load(
        &self,
        clients: usize,
        in_flight: usize,
        warmup: Duration,
        time: Duration,
    ) -> io::Result<Found> {
        let mut poll = Poll::new()?;
        let mut lines = Vec::new();
        for client in 0..clients {
            let stream = StdStream::connect(&self.coordinator)?;
            stream.set_nonblocking(true)?;
            lines.push(Line::new(
                TcpStream::from_std(stream),
                poll.registry(),
                Token(client),
            )?);
        }
        let mut events = Events::with_capacity(1024);
        let begin = Instant::now();
        let mut sent_at = vec![begin; clients * in_flight];
        for place in 0..sent_at.len() {
            lines[place / in_flight].add(request(place));
        }
        lines.iter_mut().try_for_each(Line::send)?;

        let cpu_before = self.cpu();
        let (mut committed, mut whole, mut times) = (0_u32, 0_u32, Latencies::new());
        let (mut answered_at, mut longest_gap) = (warmup, Duration::ZERO);
        let mut open = sent_at.len();
        while open > 0 {
            server::wait(&mut poll, &mut events, Some(DRAIN))?;
            let now = Instant::now();
            let elapsed = now - begin;
            if elapsed > warmup + time + DRAIN {
                return Err(io::Error::other(format!(
                    "{open} of the mock's transactions have no outcome"
                )));
            }
            for event in &events {
                let line = &mut lines[event.token().0];
                let mut answered = Vec::new();
                if !line.receive(|message| answered.push(message))? {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                if !answered.is_empty() && elapsed >= warmup && elapsed < warmup + time {
                    longest_gap = longest_gap.max(elapsed.saturating_sub(answered_at));
                    answered_at = elapsed;
                }
                for Message { place, .. } in answered {
                    let place = usize::try_from(place).expect("at least 32 bits");
                    whole += 1;
                    if elapsed >= warmup && elapsed < warmup + time {
                        committed += 1;
                        times.record(now - sent_at[place], 1);
                    }
                    if elapsed < warmup + time {
                        sent_at[place] = now;
                        line.add(request(place));
                    } else {
                        open -= 1;
                    }
                }
                line.send()?;
            }
        }
        let cpu = self.cpu().saturating_sub(cpu_before);
        Ok(Found {
            per_second: f64::from(committed) / time.as_secs_f64(),
            times,
            cpu_us: cpu.as_secs_f64() * 1e6 / f64::from(whole),
            longest_gap,
        })
    }

    /// Processor time of all its processes so far, this one included.
    fn cpu(&self) -> Duration {
        let servers = self.servers.iter().map(Child::id);
        let all = servers.chain([std::process::id()]);
        all.filter_map(Usage::of).map(|usage| usage.cpu).sum()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // The coordinator first: it would miss its nodes.
        for server in self.servers.iter_mut().rev() {
            // One that has ended already is no matter.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn request(place: usize) -> Message {
    Message {
        word: Word::Request,
        place: u32::try_from(place).expect("transactions in flight are not that many"),
    }
}
