//! Does a sled node really have its vote on disk when it sends it, and the coordinator its decision?
//!
//! kill -9 cannot tell, for the page cache survives it, and sled's own `flush()` does not fsync. So all three processes
//! of a real transfer run under strace: between the record's last write to sled's file and the first byte of the
//! message that shows it, an fsync of that very file must have begun and returned 0.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use client::{Answer, Client, Order, Outcome, Target};
use cluster::{Cluster, ClusterConfig};
use protocol::hello::{Control, Hello, Role};
use protocol::message::{FromNode, Reply, ToNode, Vote};
use protocol::reason::Decision;
use protocol::{codec, frame};

const CALLS: &str =
    "trace=read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync";

#[test]
fn votes_and_decisions_are_synced_to_sleds_file_before_they_are_sent() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: strace is not installed, so nothing was proved about fsync");
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut config = ClusterConfig::new(env!("CARGO_BIN_EXE_twopence"), dir.path().join("data"));
    config.nodes = 2;
    config.store = "sled".to_owned();
    let mut cluster = Cluster::start(config).unwrap();
    let mut client = cluster.client();
    for place in ["N1/A", "N2/B"] {
        commit(
            &mut client,
            Order::deposit(place.parse().unwrap(), "100".parse().unwrap()),
        );
    }
    settle(&mut client);

    let mut traced = Vec::new();
    for target in cluster.targets() {
        let pid = cluster.pid(target).unwrap();
        match Strace::attach(pid, dir.path().join(format!("trace-{}", cluster::name(target)))) {
            Ok(strace) => traced.push((target, strace)),
            Err(why) => {
                println!(
                    "SKIPPED: strace may not attach to a process here ({why}), so nothing was proved about fsync"
                );
                return;
            }
        }
    }
    let mut fresh = cluster.client();
    let order = Order::transfer(
        "N1/A".parse().unwrap(),
        "N2/B".parse().unwrap(),
        "10".parse().unwrap(),
    );
    commit(&mut fresh, order.unwrap());
    settle(&mut fresh);
    for (target, strace) in traced {
        let trace = strace.detach();
        let expected: &[&str] = match target {
            Target::Coordinator => &["commit", "commit", "outcome"],
            Target::Node(_) => &["vote", "ack"],
        };
        let who = cluster::name(target);
        let mut shown = check(&trace, target).unwrap_or_else(|why| panic!("{who}: {why}\n{trace}"));
        shown.sort_unstable_by_key(|what| expected.iter().position(|known| known == what));
        assert_eq!(shown, expected, "{who}:\n{trace}");
        // The same trace must convict a program that leaves its syncs or its records out.
        let unsynced = without(&trace, |line| {
            line.contains("fsync(") || line.contains("fdatasync(")
        });
        check(&unsynced, target).expect_err("a missing sync goes unnoticed");
        let unwritten = without(&trace, |line| line.contains("pwrite"));
        check(&unwritten, target).expect_err("a missing record goes unnoticed");
    }
    let failed = cluster.stop_all();
    assert!(failed.is_empty(), "did not stop cleanly: {failed:?}");
}

fn commit(client: &mut Client, order: Order) {
    let submission = client.submit(None, order).unwrap();
    assert!(
        matches!(submission.outcome, Outcome::Committed { .. }),
        "{submission:?}"
    );
}

/// Asks until every node has acknowledged everything.
fn settle(client: &mut Client) {
    while !client.list(false).unwrap().is_empty() {}
}

fn without(trace: &str, left_out: impl Fn(&str) -> bool) -> String {
    let kept = trace.lines().filter(|line| !left_out(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// strace at work on one process.
struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    fn attach(pid: u32, output: PathBuf) -> Result<Strace, String> {
        let mut child = Command::new("strace")
            .args([
                "-f",
                "-tt",
                "-y",
                "-x",
                "-s",
                "2000000",
                "-e",
                CALLS,
                "-p",
                &pid.to_string(),
                "-o",
            ])
            .arg(&output)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        stderr.read_line(&mut said).map_err(|error| error.to_string())?;
        // What it says when it lets go must not block it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let strace = Strace { child, output };
        if said.contains("attached") {
            Ok(strace)
        } else {
            Err(said.trim().to_owned())
        }
    }

    /// Lets the process go on alone. Returns the trace.
    fn detach(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap();
        fs::read_to_string::<&Path>(&self.output).unwrap()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It has ended already if it was told to detach.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a trace has shown so far.
#[derive(Default)]
struct Seen {
    /// Whether the process is a node: it sends what a coordinator receives.
    is_node: bool,
    /// A write to sled's file has no fsync behind it.
    dirty: bool,
    /// Writes to sled's file since the message came in that calls for a record.
    writes: usize,
    /// Threads in the middle of a write.
    writing: BTreeSet<String>,
    /// Threads in the middle of an fsync that covers every write before it.
    syncing: BTreeSet<String>,
    /// Bytes of each direction of each socket that are not a whole frame yet.
    streams: BTreeMap<(bool, String), Vec<u8>>,
    /// Sockets whose other side is a client.
    clients: BTreeSet<String>,
    /// Messages that showed a record, and had the right to.
    shown: Vec<&'static str>,
}

/// The promises that were sent, in order; the first one that was not on disk is an error.
fn check(trace: &str, process: Target) -> Result<Vec<&'static str>, String> {
    let mut seen = Seen {
        is_node: matches!(process, Target::Node(_)),
        ..Seen::default()
    };
    for line in trace.lines() {
        // strace pads short process numbers with more than one space.
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((_time, call)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        seen.call(thread, call.trim_start())
            .map_err(|why| format!("{why}: {line}"))?;
    }
    Ok(seen.shown)
}

impl Seen {
    fn call(&mut self, thread: &str, call: &str) -> Result<(), String> {
        let done = !call.ends_with("<unfinished ...>");
        if call.starts_with("<...") {
            self.writing.remove(thread);
            if self.syncing.remove(thread) && call.ends_with("= 0") {
                self.dirty = false;
            }
            if call.contains("recv") || call.contains("read") {
                return Err("cannot follow a read that was interrupted".to_owned());
            }
            return Ok(());
        }
        let Some((name, rest)) = call.split_once('(') else {
            return Ok(()); // A signal or an exit.
        };
        let descriptor = rest.split([',', ')']).next().unwrap_or_default();
        let ours = descriptor.contains(".sled/db>");
        if ours && name.contains("write") {
            self.dirty = true;
            self.writes += 1;
            self.syncing.clear();
            if !done {
                self.writing.insert(thread.to_owned());
            }
        } else if ours && name.ends_with("sync") && self.writing.is_empty() {
            if !done {
                self.syncing.insert(thread.to_owned());
            } else if call.ends_with("= 0") {
                self.dirty = false;
            }
        } else if descriptor.contains("<socket:") || descriptor.contains("<TCP:") {
            let sent = name.contains("write") || name.contains("send");
            let mut bytes = quoted(rest);
            if done {
                let returned = call.rsplit("= ").next().unwrap_or_default();
                bytes.truncate(
                    returned
                        .split(' ')
                        .next()
                        .unwrap_or_default()
                        .parse()
                        .unwrap_or(0),
                );
            }
            return self.bytes(descriptor, sent, &bytes);
        }
        Ok(())
    }

    fn bytes(&mut self, socket: &str, sent: bool, bytes: &[u8]) -> Result<(), String> {
        let mut stream = self
            .streams
            .remove(&(sent, socket.to_owned()))
            .unwrap_or_default();
        stream.extend_from_slice(bytes);
        while let Some(body) = frame::read(&stream).map_err(|bad| bad.to_string())? {
            let body = body.to_vec();
            stream.drain(..frame::HEADER_LEN + body.len());
            self.message(socket, sent, &body)?;
        }
        self.streams.insert((sent, socket.to_owned()), stream);
        Ok(())
    }

    fn message(&mut self, socket: &str, sent: bool, body: &[u8]) -> Result<(), String> {
        if Control::is_control(body) {
            let ours = Hello::client("local".parse().expect("a good name"));
            if let (false, Ok(Control::Hello(hello))) = (sent, Control::decode(body, &ours))
                && hello.role == Role::Client
            {
                self.clients.insert(socket.to_owned());
            }
            return Ok(());
        }
        if self.clients.contains(socket) {
            let mut rest = body;
            while sent && !rest.is_empty() {
                let reply: Reply = codec::decode_next(&mut rest).map_err(|bad| bad.to_string())?;
                if matches!(reply.answer, Answer::Outcome(Outcome::Committed { .. })) {
                    self.promise("outcome")?;
                }
            }
            return Ok(());
        }
        let mut rest = body;
        while !rest.is_empty() {
            // A message that calls for a record comes in, or one that shows it goes out.
            if sent != self.is_node {
                self.coordinators_word(sent, &mut rest)?;
            } else {
                self.nodes_word(sent, &mut rest)?;
            }
        }
        Ok(())
    }

    fn coordinators_word(&mut self, sent: bool, rest: &mut &[u8]) -> Result<(), String> {
        match codec::decode_next(rest).map_err(|bad| bad.to_string())? {
            ToNode::Decide {
                decision: Decision::Commit,
                ..
            } if sent => return self.promise("commit"),
            ToNode::Prepare(_) | ToNode::Decide { .. } if !sent => self.writes = 0,
            ToNode::Join { .. }
            | ToNode::Prepare(_)
            | ToNode::Execute(_)
            | ToNode::Decide { .. }
            | ToNode::Query { .. }
            | ToNode::Recall { .. }
            | ToNode::Pending { .. }
            | ToNode::NotMine { .. }
            | ToNode::Mark { .. }
            | ToNode::Ask { .. } => {}
        }
        Ok(())
    }

    fn nodes_word(&mut self, sent: bool, rest: &mut &[u8]) -> Result<(), String> {
        match codec::decode_next(rest).map_err(|bad| bad.to_string())? {
            FromNode::Vote { vote: Vote::Yes, .. } if sent => return self.promise("vote"),
            FromNode::Ack { .. } if sent => return self.promise("ack"),
            FromNode::Vote { .. } => self.writes = 0,
            FromNode::Welcome { .. }
            | FromNode::Refuse { .. }
            | FromNode::Ack { .. }
            | FromNode::Aborted { .. }
            | FromNode::Executed { .. }
            | FromNode::Inquiry { .. }
            | FromNode::Unmatched { .. }
            | FromNode::Mixed { .. }
            | FromNode::Recalled { .. }
            | FromNode::Answer { .. } => {}
        }
        Ok(())
    }

    /// A message goes out that shows a record.
    fn promise(&mut self, what: &'static str) -> Result<(), String> {
        if self.writes == 0 {
            return Err(format!("{what} sent, and nothing was written for it"));
        }
        if self.dirty {
            return Err(format!("{what} sent before its record was synced"));
        }
        self.shown.push(what);
        Ok(())
    }
}

/// The bytes of all strings in a call's arguments.
fn quoted(arguments: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in arguments.split('"').skip(1).step_by(2) {
        // A frame always has a zero byte, so strace writes all of it as \xhh.
        bytes.extend(
            text.split("\\x")
                .skip(1)
                .filter_map(|hex| u8::from_str_radix(hex, 16).ok()),
        );
    }
    bytes
}
