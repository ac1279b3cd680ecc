//! One connection of the load generator: it never waits, and it takes many frames with one read.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;

use client::{ClientConfig, Pipeline};
use mio::net::TcpStream;
use protocol::frame;

use crate::places::Places;

/// Where reading begins; grows for frames that are longer.
const INPUT_LEN: usize = 64 * 1024;

/// A connection, and the places of its open requests.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    used: usize,
    filled: usize,
    /// Frames that wait to be sent; of the first, `sent` bytes have left.
    pub(crate) output: Vec<u8>,
    sent: usize,
    pub(crate) places: Places,
}

/// Why a connection is of no use any more.
pub(crate) type Broken = String;

impl Line {
    /// Connects and says hello. At most `places` requests of `batch` calls are open at a time.
    pub(crate) fn open(config: &ClientConfig, places: usize, batch: usize) -> Result<Line, Broken> {
        let pipeline = Pipeline::connect(config).map_err(|error| error.to_string())?;
        let (stream, arrived) = pipeline.into_stream().map_err(|error| error.to_string())?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut input = arrived;
        let filled = input.len();
        input.resize(INPUT_LEN.max(filled), 0);
        Ok(Line {
            stream: TcpStream::from_std(stream),
            input,
            used: 0,
            filled,
            output: Vec::new(),
            sent: 0,
            places: Places::new(places, batch),
        })
    }

    /// Sends as much as the system takes.
    pub(crate) fn send(&mut self) -> Result<(), Broken> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Err("it takes nothing more".to_owned()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once. Returns whether there may be more to read.
    pub(crate) fn receive(&mut self) -> Result<bool, Broken> {
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        } else if self.used > 0 && self.filled * 2 > self.input.len() {
            self.input.copy_within(self.used..self.filled, 0);
            (self.used, self.filled) = (0, self.filled - self.used);
        }
        if self.filled == self.input.len() {
            // A frame longer than this; its length has been checked.
            self.input.resize(self.input.len() * 2, 0);
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => Err("it closed the connection".to_owned()),
            Ok(len) => {
                self.filled += len;
                Ok(self.filled == self.input.len())
            }
            Err(error) if is_patience(&error) => Ok(error.kind() == ErrorKind::Interrupted),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where the body of the next whole frame is in what was received, for [`Line::places_and`].
    pub(crate) fn frame(&mut self) -> Result<Option<Range<usize>>, Broken> {
        let body = frame::read(&self.input[self.used..self.filled]).map_err(|bad| bad.to_string())?;
        Ok(body.map(|body| {
            let start = self.used + frame::HEADER_LEN;
            self.used = start + body.len();
            start..self.used
        }))
    }

    /// The places, and what was received in `range`.
    pub(crate) fn places_and(&mut self, range: Range<usize>) -> (&mut Places, &[u8]) {
        (&mut self.places, &self.input[range])
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
