//! One blocking connection to a process: hellos, frames, deadlines.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::time::{Duration, Instant};

use protocol::codec;
use protocol::frame::{self, BODY_LEN_MAX, Growing};
use protocol::hello::{Control, Hello, Refused, Role};
use protocol::message::Ask;
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

const BUFFER_LEN: usize = 64 * 1024;

/// Why a connection brought nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Not by the time that was given; the connection is still good.
    Late,
    /// It is of no use any more. The text says why.
    Lost(String),
}

/// An open connection whose far side is a process of our cluster.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    hello: Hello,
    theirs: Hello,
    /// What was received and not yet used is `input[used..filled]`.
    input: Vec<u8>,
    used: usize,
    filled: usize,
    /// Where in the input the messages of the last frame are that were not handed out yet.
    messages: Range<usize>,
    output: Vec<u8>,
    /// The last frame of the output, while more messages may join it.
    open: Option<Growing>,
}

impl Connection {
    /// Connects to `address` (`host:port`), says `hello` and checks the other side's, whose role must be one of `accepts`.
    pub(crate) fn open(
        address: &str,
        hello: &Hello,
        accepts: &[Role],
        until: Instant,
    ) -> Result<Connection, Fault> {
        let stream = dial(address, until)?;
        stream.set_nodelay(true).map_err(lost)?;
        let mut connection = Connection {
            stream,
            hello: hello.clone(),
            theirs: hello.clone(), // Until it has said hello, below.
            input: vec![0; BUFFER_LEN],
            used: 0,
            filled: 0,
            messages: 0..0,
            output: Vec::new(),
            open: None,
        };
        frame::write(&Control::Hello(hello.clone()).encode(), &mut connection.output);
        connection.flush(until)?;
        connection.theirs = connection.expect_hello(accepts, until)?;
        Ok(connection)
    }

    /// Who is at the far side.
    pub(crate) fn theirs(&self) -> &Hello {
        &self.theirs
    }

    /// Queues a call, in the same frame as what was queued before it. [`Connection::flush`] sends what is queued.
    pub(crate) fn queue(&mut self, id: u64, ask: &Ask) {
        // The bytes of a `Call`, whose ask need not be ours.
        self.queue_message(&(id, ask));
    }

    /// Queues a message, in the same frame as what was queued before it.
    pub(crate) fn queue_message<T: Serialize + Short>(&mut self, message: &T) {
        let open = *self.open.get_or_insert_with(|| Growing::begin(&mut self.output));
        let start = self.output.len();
        codec::encode_into(message, &mut self.output);
        if open.body_len(&self.output) > BODY_LEN_MAX {
            let too_much = self.output.split_off(start);
            open.seal(&mut self.output);
            self.open = Some(Growing::begin(&mut self.output));
            self.output.extend_from_slice(&too_much);
        }
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
        if let Some(open) = self.open.take() {
            open.seal(&mut self.output);
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

    /// The next message.
    pub(crate) fn receive<T: Serialize + DeserializeOwned + Short>(
        &mut self,
        until: Instant,
    ) -> Result<T, Fault> {
        loop {
            if let Some(message) = self.received()? {
                return Ok(message);
            }
            self.fill(until)?;
        }
    }

    /// The next message, if it is here already.
    pub(crate) fn received<T: Serialize + DeserializeOwned + Short>(&mut self) -> Result<Option<T>, Fault> {
        while self.messages.is_empty() {
            let Some(body) = self.next_frame()? else {
                return Ok(None);
            };
            if Control::is_control(&self.input[body.clone()]) {
                self.mind(body)?;
            } else {
                self.messages = body;
            }
        }
        let mut rest = &self.input[self.messages.clone()];
        let message = codec::decode_next(&mut rest);
        self.messages.start = self.messages.end - rest.len();
        match message {
            Ok(message) => Ok(Some(message)),
            Err(bad) => Err(Fault::Lost(format!("bad reply: {bad}"))),
        }
    }

    /// The socket, without time limits, and what was received and not yet used.
    pub(crate) fn into_stream(self) -> (TcpStream, Vec<u8>) {
        // They can only be refused if they are zero.
        let _ = self.stream.set_read_timeout(None);
        let _ = self.stream.set_write_timeout(None);
        (self.stream, self.input[self.used..self.filled].to_vec())
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

    fn expect_hello(&mut self, accepts: &[Role], until: Instant) -> Result<Hello, Fault> {
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
        match ours.check(&theirs, accepts) {
            Ok(_version) => Ok(theirs),
            // Our own words for what people at a prompt meet most.
            Err(refused) => Err(Fault::Lost(if theirs.cluster != ours.cluster {
                let (theirs_is, ours_is) = (&theirs.cluster, &ours.cluster);
                format!(
                    "{theirs} belongs to cluster {theirs_is}, not to {ours_is}: check the address and --cluster"
                )
            } else if theirs.role == Role::Node {
                format!("that is {theirs}: clients talk to the coordinator")
            } else {
                refused.to_string()
            })),
        }
    }

    /// Heeds a control frame among the messages.
    fn mind(&self, body: Range<usize>) -> Result<(), Fault> {
        match Control::decode(&self.input[body], &self.hello) {
            Ok(Control::Ping) => Ok(()),
            Ok(Control::Hello(_)) => Err(Fault::Lost("it says hello twice".to_owned())),
            Ok(Control::Refused(Refused(why))) => Err(Fault::Lost(why)),
            Err(bad) => Err(Fault::Lost(bad.to_string())),
        }
    }

    /// Where in the input the body of the next frame is.
    fn frame(&mut self, until: Instant) -> Result<Range<usize>, Fault> {
        loop {
            if let Some(body) = self.next_frame()? {
                return Ok(body);
            }
            self.fill(until)?;
        }
    }

    /// The same, if all of it is here already.
    fn next_frame(&mut self) -> Result<Option<Range<usize>>, Fault> {
        let body = frame::read(&self.input[self.used..self.filled]);
        let body = body.map_err(|bad| Fault::Lost(format!("it does not speak our protocol: {bad}")))?;
        Ok(body.map(|body| {
            let start = self.used + frame::HEADER_LEN;
            self.used = start + body.len();
            start..self.used
        }))
    }

    /// Reads once, at least one byte. All that came before has been handed out, but for a part of a frame.
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
