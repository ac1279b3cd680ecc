//! Many requests in flight on one connection.
//!
//! No retries and no failover here: when the connection breaks, every request in flight is in the unknown. Its user
//! asks again under the same ids, through a new pipeline or a [`Client`](crate::Client), saying `repeated`.

use std::time::{Duration, Instant};

use protocol::hello::Hello;
use protocol::message::{Answer, Ask};

use crate::config::ClientConfig;
use crate::connection::{Connection, Fault};
use crate::error::Error;

/// Queued bytes that are sent without being asked to.
const QUEUED_LEN_MAX: usize = 64 * 1024;

/// One connection with many calls in flight. Replies come in any order.
///
/// Send, then [`receive`](Pipeline::receive) until fewer are in flight, and so on: a coordinator stops reading from a
/// client that lets more than a mebibyte of replies pile up, and drops it some seconds later.
#[derive(Debug)]
pub struct Pipeline {
    connection: Connection,
    address: String,
    timeout: Duration,
    last_call: u64,
    in_flight: usize,
}

impl Pipeline {
    /// Connects to the first coordinator of `config` that accepts.
    ///
    /// # Errors
    /// [`Error::NoCoordinator`] if none does.
    pub fn connect(config: &ClientConfig) -> Result<Pipeline, Error> {
        let until = Instant::now() + config.timeout;
        let hello = Hello::client(config.cluster.clone());
        let mut failures = Vec::new();
        for address in &config.coordinators {
            match Connection::open(address, &hello, until) {
                Ok(connection) => {
                    return Ok(Pipeline {
                        connection,
                        address: address.clone(),
                        timeout: config.timeout,
                        last_call: 0,
                        in_flight: 0,
                    });
                }
                Err(Fault::Late) => failures.push(format!("{address}: no connection in time")),
                Err(Fault::Lost(why)) => failures.push(format!("{address}: {why}")),
            }
        }
        Err(Error::NoCoordinator(failures.join("; ")))
    }

    /// Queues a call and returns its number. What is queued leaves with the next [`Pipeline::flush`] or
    /// [`Pipeline::receive`], or when much has gathered.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if the connection is broken: all calls in flight are in the unknown.
    pub fn send(&mut self, ask: Ask) -> Result<u64, Error> {
        self.last_call += 1;
        self.in_flight += 1;
        self.connection.queue(self.last_call, ask);
        if self.connection.queued_len() >= QUEUED_LEN_MAX {
            self.flush()?;
        }
        Ok(self.last_call)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn flush(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.timeout;
        self.connection.flush(until).map_err(|fault| self.broken(fault))
    }

    /// The next reply: the number of its call and the answer. `None` if none came within `patience`.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn receive(&mut self, patience: Duration) -> Result<Option<(u64, Answer)>, Error> {
        self.flush()?;
        match self.connection.receive(Instant::now() + patience) {
            Ok(reply) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                Ok(Some((reply.id, reply.answer)))
            }
            Err(Fault::Late) => Ok(None),
            Err(fault @ Fault::Lost(_)) => Err(self.broken(fault)),
        }
    }

    /// How many calls have not been answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn broken(&self, fault: Fault) -> Error {
        let why = match fault {
            Fault::Lost(why) => why,
            Fault::Late => "it does not take what is sent".to_owned(),
        };
        Error::NoAnswer(format!("{}: {why}", self.address))
    }
}
