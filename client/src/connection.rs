//! One blocking connection to a coordinator: hellos, frames, deadlines.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::time::{Duration, Instant};

use protocol::codec;
use protocol::frame;
use protocol::hello::{Control, Hello, Refused, Role};
use protocol::message::{Ask, Call, Reply};

const BUFFER_LEN: usize = 64 * 1024;

/// Why a connection brought nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Not by the time that was given; the connection is still good.
    Late,
    /// It is of no use any more. The text says why.
    Lost(String),
}

/// An open connection whose far side is a coordinator of our cluster.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    hello: Hello,
    /// What was received and not yet used is `input[used..filled]`.
    input: Vec<u8>,
    used: usize,
    filled: usize,
    output: Vec<u8>,
}

impl Connection {
    /// Connects to `address` (`host:port`), says `hello` and checks the other side's.
    pub(crate) fn open(address: &str, hello: &Hello, until: Instant) -> Result<Connection, Fault> {
        let stream = dial(address, until)?;
        stream.set_nodelay(true).map_err(lost)?;
        let mut connection = Connection {
            stream,
            hello: hello.clone(),
            input: vec![0; BUFFER_LEN],
            used: 0,
            filled: 0,
            output: Vec::new(),
        };
        frame::write(&Control::Hello(hello.clone()).encode(), &mut connection.output);
        connection.flush(until)?;
        connection.expect_coordinator(until)?;
        Ok(connection)
    }

    /// Queues a call. [`Connection::flush`] sends what is queued.
    pub(crate) fn queue(&mut self, id: u64, ask: Ask) {
        frame::write(&codec::encode(&Call { id, ask }), &mut self.output);
    }

    /// How many bytes are queued.
    pub(crate) fn queued_len(&self) -> usize {
        self.output.len()
    }

    /// Sends what is queued. After an error nobody knows how much of it arrived.
    pub(crate) fn flush(&mut self, until: Instant) -> Result<(), Fault> {
        if self.output.is_empty() {
            return Ok(());
        }
        let left = time_left(until).unwrap_or(Duration::from_millis(1));
        self.stream.set_write_timeout(Some(left)).map_err(lost)?;
        let written = self.stream.write_all(&self.output);
        self.output.clear();
        match written {
            Ok(()) => Ok(()),
            Err(error) if is_late(&error) => Err(Fault::Lost("it does not take what is sent".to_owned())),
            Err(error) => Err(lost(error)),
        }
    }

    /// The next reply.
    pub(crate) fn receive(&mut self, until: Instant) -> Result<Reply, Fault> {
        loop {
            let body = self.frame(until)?;
            let body = &self.input[body];
            if !Control::is_control(body) {
                return codec::decode(body).map_err(|error| Fault::Lost(format!("bad reply: {error}")));
            }
            match Control::decode(body, &self.hello) {
                Ok(Control::Ping) => {}
                Ok(Control::Hello(_)) => return Err(Fault::Lost("it says hello twice".to_owned())),
                Ok(Control::Refused(Refused(why))) => return Err(Fault::Lost(why)),
                Err(bad) => return Err(Fault::Lost(bad.to_string())),
            }
        }
    }

    /// Whether the connection still stands, as far as one can tell without sending anything.
    pub(crate) fn is_alive(&self) -> bool {
        let peeked = || {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            peeked
        };
        match peeked() {
            Ok(len) => len > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn expect_coordinator(&mut self, until: Instant) -> Result<(), Fault> {
        let body = self.frame(until)?;
        let (body, ours) = (&self.input[body], &self.hello);
        if !Control::is_control(body) {
            return Err(Fault::Lost("that is not a Twopence process".to_owned()));
        }
        let theirs = match Control::decode(body, ours) {
            Ok(Control::Hello(theirs)) => theirs,
            Ok(Control::Refused(Refused(why))) => return Err(Fault::Lost(why)),
            Ok(Control::Ping) => return Err(Fault::Lost("it does not say hello".to_owned())),
            Err(bad) => return Err(Fault::Lost(bad.to_string())),
        };
        let checked = ours.check(&theirs, &[Role::Coordinator]);
        checked.map(|_version| ()).map_err(|refused| {
            // Our own words for what people at a prompt meet most.
            Fault::Lost(if theirs.cluster != ours.cluster {
                let (theirs_is, ours_is) = (&theirs.cluster, &ours.cluster);
                format!("{theirs} belongs to cluster {theirs_is}, not to {ours_is}: check the address and --cluster")
            } else if theirs.role == Role::Node {
                format!("that is {theirs}: clients talk to the coordinator")
            } else {
                refused.to_string()
            })
        })
    }

    /// Where in the input the body of the next frame is.
    fn frame(&mut self, until: Instant) -> Result<Range<usize>, Fault> {
        loop {
            let body = frame::read(&self.input[self.used..self.filled]);
            let body = body.map_err(|bad| Fault::Lost(format!("it does not speak our protocol: {bad}")))?;
            if let Some(body) = body {
                let start = self.used + frame::HEADER_LEN;
                self.used = start + body.len();
                return Ok(start..self.used);
            }
            self.fill(until)?;
        }
    }

    /// Reads once, at least one byte.
    fn fill(&mut self, until: Instant) -> Result<(), Fault> {
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        } else if self.filled == self.input.len() {
            self.input.copy_within(self.used..self.filled, 0);
            (self.used, self.filled) = (0, self.filled - self.used);
            if self.filled == self.input.len() {
                // A frame longer than the buffer; its length has been checked.
                self.input.resize(self.input.len() * 2, 0);
            }
        }
        loop {
            let left = time_left(until).ok_or(Fault::Late)?;
            self.stream.set_read_timeout(Some(left)).map_err(lost)?;
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(Fault::Lost("it closed the connection".to_owned())),
                Ok(len) => {
                    self.filled += len;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => return Err(Fault::Late),
                Err(error) => return Err(lost(error)),
            }
        }
    }
}

/// Tries every address that the name stands for.
fn dial(address: &str, until: Instant) -> Result<TcpStream, Fault> {
    let resolved = address.to_socket_addrs();
    let resolved = resolved.map_err(|error| Fault::Lost(format!("cannot resolve the address: {error}")))?;
    let mut fault = Fault::Lost("the address stands for nothing".to_owned());
    for socket in resolved {
        let Some(left) = time_left(until) else {
            return Err(Fault::Late);
        };
        match TcpStream::connect_timeout(&socket, left) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_late(&error) => fault = Fault::Late,
            Err(error) => fault = lost(error),
        }
    }
    Err(fault)
}

/// The time until `until`, if it lies ahead.
fn time_left(until: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn lost(error: io::Error) -> Fault {
    Fault::Lost(if error.kind() == io::ErrorKind::ConnectionRefused {
        "nothing listens there".to_owned()
    } else {
        error.to_string()
    })
}
