//! Connections this process keeps up by itself: to whom, and when to dial again.
//!
//! A link is down until its peer's hello has been checked. Every failure doubles the wait before the next attempt, up
//! to a limit; a link that was up starts from the shortest wait again. A name with several addresses is tried at one
//! after the other.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::hello::{Hello, Role};

use crate::listener::resolve;
use crate::{Error, Limits, Session};

/// A peer to stay connected to.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Host and port, such as `127.0.0.1:6001`. A name is resolved once, at start.
    pub address: String,
    /// What to say there; [`Hello::expects`] names the node that should answer.
    pub hello: Hello,
    /// Roles that may answer.
    pub accepts: Vec<Role>,
}

/// The state of one link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) dial: Dial,
    addresses: Vec<SocketAddr>,
    next_address: usize,
    /// The connection in use or in the making.
    pub(crate) session: Option<Session>,
    wait: Duration,
    /// What was logged last, so that a peer that stays away fills no log.
    complaint: String,
}

impl Link {
    pub(crate) fn new(dial: Dial, limits: &Limits) -> Result<Link, Error> {
        Ok(Link {
            addresses: resolve(&dial.address)?,
            dial,
            next_address: 0,
            session: None,
            wait: limits.redial_min,
            complaint: String::new(),
        })
    }

    /// Whom the link leads to, for the log.
    pub(crate) fn whom(&self) -> String {
        match self.dial.hello.expects {
            Some(node) => format!("node {node} at {}", self.dial.address),
            None => self.dial.address.clone(),
        }
    }

    /// The address to try now.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let address = self.addresses[self.next_address];
        self.next_address = (self.next_address + 1) % self.addresses.len();
        address
    }

    /// Notes that the peer answered and was accepted.
    pub(crate) fn up(&mut self, limits: &Limits) {
        log::info!("connected to {}", self.whom());
        self.wait = limits.redial_min;
        self.complaint.clear();
    }

    /// Notes that the connection ended or never was; returns how long to wait before the next attempt.
    pub(crate) fn down(&mut self, why: &str, limits: &Limits) -> Duration {
        self.session = None;
        if self.complaint != why {
            log::warn!("no connection to {}: {why}; trying again", self.whom());
            why.clone_into(&mut self.complaint);
        }
        let wait = self.wait;
        // All addresses of a name count as one attempt.
        if self.next_address == 0 {
            self.wait = (wait * 2).min(limits.redial_max);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_starts_over_once_connected() {
        let limits = Limits::default();
        let dial = Dial {
            address: "127.0.0.1:1".to_owned(),
            hello: Hello::client("local".parse().unwrap()),
            accepts: vec![Role::Node],
        };
        let mut link = Link::new(dial, &limits).unwrap();
        let mut waits = || {
            link.address();
            let wait = link.down("no", &limits);
            if wait == limits.redial_max {
                link.up(&limits);
            }
            wait.as_millis()
        };
        let seen: Vec<u128> = (0..9).map(|_| waits()).collect();
        assert_eq!(seen, [20, 40, 80, 160, 200, 20, 40, 80, 160]);
    }

    #[test]
    fn an_address_that_means_nothing_is_named() {
        let dial = Dial {
            address: "127.0.0.1".to_owned(),
            hello: Hello::client("local".parse().unwrap()),
            accepts: vec![Role::Node],
        };
        let error = Link::new(dial, &Limits::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot resolve 127.0.0.1:"),
            "{error}"
        );
    }
}
