//! Many requests in flight on one connection.
//!
//! No retries and no failover here: when the connection breaks, every request in flight is in the unknown. Its user
//! asks again under the same ids, through a new pipeline or a [`Client`](crate::Client), saying `repeated`.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use protocol::hello::{Hello, Role};
use protocol::id::RequestId;
use protocol::message::{Answer, Ask, Reply};

use crate::config::ClientConfig;
use crate::connection::{Connection, Fault};
use crate::error::Error;

/// How many calls a batch should have at most.
pub const BATCH_MAX: usize = 8_192;

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
    /// Reused: the request ids of a batch.
    seen: HashSet<RequestId, BuildHasherDefault<IdHasher>>,
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
            match Connection::open(address, &hello, &[Role::Coordinator], until) {
                Ok(connection) => {
                    return Ok(Pipeline {
                        connection,
                        address: address.clone(),
                        timeout: config.timeout,
                        last_call: 0,
                        in_flight: 0,
                        seen: HashSet::default(),
                    });
                }
                Err(Fault::Late) => failures.push(format!("{address}: no connection in time")),
                Err(Fault::Lost(why)) => failures.push(format!("{address}: {why}")),
            }
        }
        Err(Error::NoCoordinator(failures.join("; ")))
    }

    /// Queues a call and returns its number. What is queued leaves with the next [`Pipeline::flush`], when
    /// [`Pipeline::receive`] has to wait, or when much has gathered.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if the connection is broken: all calls in flight are in the unknown.
    pub fn send(&mut self, ask: Ask) -> Result<u64, Error> {
        self.last_call += 1;
        self.in_flight += 1;
        self.connection.queue(self.last_call, &ask);
        self.flush_if_much()?;
        Ok(self.last_call)
    }

    /// Queues a batch of calls as one frame, if their length allows, and returns their numbers, in order. Each call
    /// stands by itself and is answered as soon as it can be: a batch saves only what many frames cost. A request id
    /// that stands in the batch twice goes out as repeated the second time.
    ///
    /// More than [`BATCH_MAX`] calls at a time gain nothing: a coordinator takes them piece by piece.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn send_batch<A: Borrow<Ask>>(
        &mut self,
        asks: impl IntoIterator<Item = A>,
    ) -> Result<Range<u64>, Error> {
        self.seen.clear();
        let first = self.last_call + 1;
        for ask in asks {
            let ask = ask.borrow();
            self.last_call += 1;
            self.in_flight += 1;
            match self.marked(ask) {
                Some(marked) => self.connection.queue(self.last_call, &marked),
                None => self.connection.queue(self.last_call, ask),
            }
        }
        self.flush_if_much()?;
        Ok(first..self.last_call + 1)
    }

    /// The ask as repeated, if its request stands in this batch already.
    fn marked(&mut self, ask: &Ask) -> Option<Ask> {
        let Ask::Submit {
            request,
            repeated: false,
            order,
        } = ask
        else {
            return None;
        };
        (!self.seen.insert(*request)).then(|| Ask::Submit {
            request: *request,
            repeated: true,
            order: order.clone(),
        })
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn flush(&mut self) -> Result<(), Error> {
        let until = Instant::now() + self.timeout;
        self.connection.flush(until).map_err(|fault| self.broken(fault))
    }

    fn flush_if_much(&mut self) -> Result<(), Error> {
        if self.connection.queued_len() >= QUEUED_LEN_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// The next reply: the number of its call and the answer. `None` if none came within `patience`. Many replies come
    /// at a time; what is queued leaves once those that are here have been taken.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn receive(&mut self, patience: Duration) -> Result<Option<(u64, Answer)>, Error> {
        if let Some(received) = self.received()? {
            return Ok(Some(received));
        }
        self.flush()?;
        match self.connection.receive(Instant::now() + patience) {
            Ok(reply) => Ok(Some(self.answered(reply))),
            Err(Fault::Late) => Ok(None),
            Err(fault @ Fault::Lost(_)) => Err(self.broken(fault)),
        }
    }

    /// The next reply, if it is here already. Neither sends nor looks at the clock.
    ///
    /// # Errors
    /// As [`Pipeline::send`].
    pub fn received(&mut self) -> Result<Option<(u64, Answer)>, Error> {
        match self.connection.received() {
            Ok(reply) => Ok(reply.map(|reply| self.answered(reply))),
            Err(fault) => Err(self.broken(fault)),
        }
    }

    /// Gives the connection away, with what has already arrived on it: for a program with an event loop of its own,
    /// which speaks [`protocol::frame`] from here on. Both sides have said hello; nothing must have been asked yet.
    ///
    /// # Errors
    /// As [`Pipeline::send`], if what is queued cannot be sent.
    pub fn into_stream(mut self) -> Result<(TcpStream, Vec<u8>), Error> {
        self.flush()?;
        Ok(self.connection.into_stream())
    }

    /// How many calls have not been answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn answered(&mut self, reply: Reply) -> (u64, Answer) {
        self.in_flight = self.in_flight.saturating_sub(1);
        (reply.id, reply.answer)
    }

    fn broken(&self, fault: Fault) -> Error {
        let why = match fault {
            Fault::Lost(why) => why,
            Fault::Late => "it does not take what is sent".to_owned(),
        };
        Error::NoAnswer(format!("{}: {why}", self.address))
    }
}

/// Request ids are random already, or chosen by our own user: spreading their bits is enough, and costs next to nothing.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(u128::from(byte));
        }
    }

    fn write_u128(&mut self, id: u128) {
        let high = u64::try_from(id >> 64).expect("64 bits are left");
        let low = u64::try_from(id & u128::from(u64::MAX)).expect("64 bits are left");
        let mixed = (self.0.rotate_left(5) ^ low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
