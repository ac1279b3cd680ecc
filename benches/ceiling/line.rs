//! A connection that never waits and takes many messages with one system call, either way.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::message::{self, Message};

/// Bytes taken with one read.
const READ_LEN: usize = 256 * 1024;

/// A connection.
pub(crate) struct Line {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of a message whose end has not come yet, at the begin of `input`.
    begun: usize,
    output: Vec<u8>,
}

impl Line {
    /// Takes over a connection.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn new(mut stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Line> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Line {
            stream,
            input: vec![0; READ_LEN],
            begun: 0,
            output: Vec::new(),
        })
    }

    /// Hands on all messages that have arrived. `false` if the other side is gone.
    ///
    /// # Errors
    /// Whatever the system reports, and a message that makes no sense.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Message)) -> io::Result<bool> {
        loop {
            let filled = match self.stream.read(&mut self.input[self.begun..]) {
                Ok(0) => return Ok(false),
                Ok(len) => self.begun + len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            };
            let whole = filled - filled % message::LEN;
            for bytes in self.input[..whole].chunks_exact(message::LEN) {
                each(Message::read(bytes).ok_or(ErrorKind::InvalidData)?);
            }
            self.input.copy_within(whole..filled, 0);
            self.begun = filled - whole;
        }
    }

    /// Adds a message to what will be sent.
    pub(crate) fn add(&mut self, message: Message) {
        message.put(&mut self.output);
    }

    /// Sends as much as the system takes.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.output.len() {
            match self.stream.write(&self.output[sent..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.drain(..sent);
        Ok(())
    }
}
