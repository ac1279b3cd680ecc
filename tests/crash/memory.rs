//! A process that runs out of memory under load dies at once, and that is like any other death.
//!
//! The system lets one process limit another one on Linux only.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;

use faults::fired;
use protocol::frame;
use protocol::hello::{Control, Hello};
use protocol::id::StoreId;
use rustix::process::{Resource, Rlimit, Signal, prlimit};

use crate::load::{self, PATIENCE, for_a_while};
use crate::trouble::{each, pid};

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
                    // A frame this long needs memory.
                    let stranger = long_frame(&cluster.address(target));
                    let exit = cluster.wait_exit(target, PATIENCE).unwrap();
                    drop(stranger);
                    assert_eq!(exit.status.signal(), Some(Signal::ABORT.as_raw()), "{exit}");
                    cluster.restart(target).unwrap();
                    for_a_while();
                }
            },
        );
    }
}

/// Says hello and most of the longest frame there is.
fn long_frame(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let hello = Hello::coordinator("local".parse().unwrap(), StoreId(0xbad));
    let mut bytes = Vec::new();
    frame::write(&Control::Hello(hello).encode(), &mut bytes);
    let len = bytes.len();
    frame::write(&vec![0; frame::BODY_LEN_MAX], &mut bytes);
    bytes.truncate(len + frame::BODY_LEN_MAX);
    // The other side may die before it has heard all of it.
    let _ = stream.write_all(&bytes);
    stream
}
