//! A process that runs out of memory under load dies at once, and that is like any other death.
//!
//! The system lets one process limit another one on Linux only.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;

use client::Target;
use faults::fired;
use protocol::frame;
use protocol::hello::{Control, Hello};
use protocol::id::StoreId;
use rustix::process::{Resource, Rlimit, Signal, prlimit};

use crate::load::{self, PATIENCE, for_a_while};
use crate::trouble::{each, pid};

/// More than any process has memory for that may not grow.
const STRANGERS: usize = 100;

#[test]
fn a_process_without_memory_dies_as_if_it_were_killed() {
    for store in ["json", "sled"] {
        load::through(
            "no memory",
            store,
            |_| {},
            |cluster, _| {
                for target in each() {
                    let pid = pid(cluster, target);
                    let statm = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_nonzero())).unwrap();
                    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
                    let all_there_is = Rlimit {
                        current: Some(pages * 4096),
                        maximum: None,
                    };
                    prlimit(Some(pid), Resource::As, all_there_is).unwrap();
                    fired("P14");
                    // What is free within its limit is soon taken by strangers who never end what they say.
                    let address = cluster.address(target);
                    let strangers: Vec<_> = (0..STRANGERS)
                        .map_while(|number| long_frame(&address, target, number))
                        .collect();
                    let exit = cluster.wait_exit(target, PATIENCE).unwrap();
                    drop(strangers);
                    assert_eq!(exit.status.signal(), Some(Signal::ABORT.as_raw()), "{exit}");
                    cluster.restart(target).unwrap();
                    for_a_while();
                }
            },
        );
    }
}

/// Says hello as somebody whom `target` listens to, as the `number`th, and most of the longest frame there is. `None` if
/// nobody is there to hear it.
fn long_frame(address: &str, target: Target, number: usize) -> Option<TcpStream> {
    let cluster = "local".parse().unwrap();
    let hello = match target {
        // A node that hears the same coordinator again lets go of the first one.
        Target::Node(_) => Hello::coordinator(cluster, StoreId(0xbad + u64::try_from(number).unwrap())),
        // The memory of somebody who is refused is free again.
        Target::Coordinator => Hello::client(cluster),
    };
    let mut stream = TcpStream::connect(address).ok()?;
    let mut bytes = Vec::new();
    frame::write(&Control::Hello(hello).encode(), &mut bytes);
    let len = bytes.len();
    frame::write(&vec![0; frame::BODY_LEN_MAX], &mut bytes);
    bytes.truncate(len + frame::BODY_LEN_MAX);
    stream.write_all(&bytes).ok()?;
    Some(stream)
}
