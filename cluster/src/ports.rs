//! Which ports of 127.0.0.1 can a cluster use, so that clusters started at the same time do not meet?
//!
//! A port is asked for outside the range from which the system takes the near end of outgoing connections, and stays
//! reserved for as long as its cluster lives, also while the process that listens on it is down: the reservation is a
//! listener on the same port of 127.0.0.2, which no process of ours uses. Where that address does not exist the
//! reservation is given up; a process that then finds its port taken says so, and the start is repeated.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The ports asked for: below the usual ephemeral range, above the ports that services like.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// Free ports, reserved until dropped.
#[derive(Debug)]
pub(crate) struct FreePorts {
    pub(crate) ports: Vec<u16>,
    reservations: Vec<TcpListener>,
}

impl FreePorts {
    /// Finds `count` free ports.
    ///
    /// # Errors
    /// If there are not so many.
    pub(crate) fn find(count: usize) -> io::Result<FreePorts> {
        // A standard hasher is seeded at random: enough to keep two processes apart.
        let seed = RandomState::new().build_hasher().finish();
        let start = u16::try_from(seed % u64::from(COUNT)).expect("smaller than COUNT");
        FreePorts::find_from(FIRST + start, count)
    }

    fn find_from(start: u16, count: usize) -> io::Result<FreePorts> {
        let mut found = FreePorts {
            ports: Vec::with_capacity(count),
            reservations: Vec::with_capacity(count),
        };
        for step in 0..COUNT {
            if found.ports.len() == count {
                return Ok(found);
            }
            let port = FIRST + (start - FIRST + step) % COUNT;
            let reservation = match TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)) {
                Ok(listener) => Some(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => None,
                Err(_) => continue,
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                found.ports.push(port);
                found.reservations.extend(reservation);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "too few free ports on 127.0.0.1",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_nobody_else_finds_them_while_reserved() {
        let mut seen = Vec::new();
        let mut held = Vec::new();
        for _ in 0..200 {
            let found = FreePorts::find(4).unwrap();
            seen.extend(found.ports.iter().copied());
            held.push(found);
        }
        let found = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), found, "a port was given out twice");
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let port = FreePorts::find(1).unwrap().ports[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(FreePorts::find_from(port, 1).unwrap().ports, [port]);
        drop(listener);
        assert_eq!(FreePorts::find_from(port, 1).unwrap().ports, [port]);
    }
}
