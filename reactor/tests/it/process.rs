//! What concerns a whole process: signals, its parent, its file descriptors, failpoints. Each test runs itself again
//! as a child process, which serves.

use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use engine::failpoint;
use faults::fired;
use reactor::{Config, Limits, Reactor};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::toy::{self, Shared};
use crate::wire::{Came, Wire, eventually};

const ADDRESS: &str = "serving at ";

/// Serves in a child process that runs the test `name`. Killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    _errors: BufReader<std::process::ChildStderr>,
}

impl Process {
    fn start(name: &str, stdin: impl Into<Stdio>) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("process::{name}"), "--exact", "--nocapture"])
            .env("REACTOR_CHILD", "1")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(errors.read_line(&mut line).unwrap(), 0, "the child died early");
            if let Some((_, address)) = line.trim().split_once(ADDRESS) {
                break address.parse().unwrap();
            }
        };
        Process {
            child,
            address,
            _errors: errors,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exits_cleanly(mut self) -> bool {
        let mut status = None;
        eventually("the child ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is_child() -> bool {
    std::env::var_os("REACTOR_CHILD").is_some()
}

fn config() -> Config {
    toy::for_clients(Limits::default())
}

/// What the child does.
fn serve(config: Config) {
    let reactor = Reactor::bind(config).unwrap();
    eprintln!("{ADDRESS}{}", reactor.local_addr().unwrap());
    let shared = Arc::new(Shared::default());
    toy::serve(reactor, &shared).unwrap();
    assert!(shared.closed_cleanly.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn sigterm_and_sigint_stop_cleanly() {
    if is_child() {
        return serve(Config {
            signals: true,
            ..config()
        });
    }
    for signal in [Signal::TERM, Signal::INT] {
        let process = Process::start("sigterm_and_sigint_stop_cleanly", Stdio::null());
        let mut wire = Wire::client(process.address);
        assert_eq!(wire.ask("write x"), "write x is record 2");
        process.signal(signal);
        assert_eq!(wire.next(), Came::End);
        assert!(process.exits_cleanly());
    }
}

#[test]
fn the_end_of_the_parent_stops_cleanly() {
    if is_child() {
        return serve(Config {
            parent_pipe: Some(0),
            ..config()
        });
    }
    let (reading, writing): (PipeReader, _) = std::io::pipe().unwrap();
    let process = Process::start("the_end_of_the_parent_stops_cleanly", reading);
    let mut wire = Wire::client(process.address);
    assert_eq!(wire.ask("echo x"), "echo x");
    drop(writing);
    assert_eq!(wire.next(), Came::End);
    assert!(process.exits_cleanly());
}

#[test]
fn running_out_of_descriptors_does_not_make_the_listener_deaf() {
    if is_child() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(40),
            maximum: hard,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        return serve(config());
    }
    let name = "running_out_of_descriptors_does_not_make_the_listener_deaf";
    let process = Process::start(name, Stdio::null());
    let mut served: Vec<Wire> = Vec::new();
    let mut turned_away = 0;
    for _ in 0..100 {
        let mut wire = Wire::connect(process.address);
        // A hello from the server, or the end: never silence.
        match wire.next() {
            Came::End => {
                turned_away += 1;
                fired("W12");
            }
            Came::Control(_) => served.push(wire),
            other @ (Came::Text(_) | Came::Body(_)) => panic!("unexpected: {other:?}"),
        }
    }
    assert!(
        served.len() > 10 && turned_away > 10,
        "{} and {turned_away}",
        served.len()
    );
    served.clear();
    let mut served_again = false;
    eventually("a new client is served", || {
        served_again = matches!(Wire::connect(process.address).next(), Came::Control(_));
        served_again
    });
}

#[test]
fn failpoints_lose_messages_or_kill_before_or_after_they_leave() {
    if is_child() {
        failpoint::enable();
        for point in [
            "received.echo=error:eio",
            "sending.open=error:eio",
            "sent.write@client=kill",
        ] {
            failpoint::arm(point).unwrap();
        }
        return serve(config());
    }
    let name = "failpoints_lose_messages_or_kill_before_or_after_they_leave";
    let process = Process::start(name, Stdio::null());
    let mut wire = Wire::client(process.address);
    wire.say("echo lost");
    wire.say("open lost");
    assert_eq!(wire.ask("state"), "open 1 room true gone 0");
    assert_eq!(wire.ask("echo x"), "echo x");
    // The answer left before the process died.
    assert_eq!(wire.ask("write x"), "write x is record 2");
    assert_eq!(wire.next(), Came::End);
    assert!(!process.exits_cleanly());
}
