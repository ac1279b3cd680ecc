//! A blocking client that can also misbehave.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use protocol::codec;
use protocol::frame;
use protocol::hello::{Control, Hello};

use crate::toy;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What came.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Text(String),
    Control(Control),
    Body(Vec<u8>),
    End,
}

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
    /// Messages of the last frame that were not asked for yet.
    rest: Vec<u8>,
}

impl Wire {
    /// Connects and says nothing.
    pub(crate) fn connect(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire {
            stream,
            received: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Connects, exchanges hellos and takes the welcome.
    pub(crate) fn client(address: SocketAddr) -> Wire {
        Wire::greeted(address, Hello::client(toy::cluster()))
    }

    pub(crate) fn greeted(address: SocketAddr, hello: Hello) -> Wire {
        let mut wire = Wire::connect(address);
        wire.control(Control::Hello(hello));
        assert!(matches!(wire.next(), Came::Control(Control::Hello(_))));
        assert_eq!(wire.text(), "welcome");
        wire
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn control(&mut self, control: Control) {
        self.raw(&framed(&control.encode()));
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.raw(&said(text));
    }

    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.say(text);
        self.text()
    }

    /// The next message or control frame, or the end of the stream.
    pub(crate) fn next(&mut self) -> Came {
        loop {
            let mut rest = self.rest.as_slice();
            if let Ok(text) = codec::decode_next(&mut rest) {
                self.rest = rest.to_vec();
                return Came::Text(text);
            }
            match self.next_body() {
                Came::Body(body) if codec::decode_next::<String>(&mut body.as_slice()).is_ok() => {
                    self.rest = body;
                }
                came @ (Came::Body(_) | Came::Text(_) | Came::Control(_) | Came::End) => return came,
            }
        }
    }

    /// The next frame's body, whatever is in it, or a control frame, or the end of the stream.
    pub(crate) fn next_body(&mut self) -> Came {
        loop {
            if let Some(body) = frame::read(&self.received).unwrap() {
                let body = body.to_vec();
                self.received.drain(..frame::HEADER_LEN + body.len());
                if Control::is_control(&body) {
                    return Came::Control(Control::decode(&body, &Hello::client(toy::cluster())).unwrap());
                }
                return Came::Body(body);
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Came::End,
                Ok(len) => self.received.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Came::End,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    pub(crate) fn text(&mut self) -> String {
        match self.next() {
            Came::Text(text) => text,
            other @ (Came::Control(_) | Came::Body(_) | Came::End) => panic!("not a message: {other:?}"),
        }
    }

    /// Skips hello, welcome and answers; returns why the server refuses.
    pub(crate) fn refusal(&mut self) -> String {
        loop {
            match self.next_body() {
                Came::Control(Control::Refused(refused)) => {
                    assert_eq!(self.next(), Came::End);
                    return refused.0;
                }
                Came::End => panic!("closed without a reason"),
                Came::Control(_) | Came::Text(_) | Came::Body(_) => {}
            }
        }
    }

    /// Skips everything until the server closes.
    pub(crate) fn end(&mut self) {
        while self.next() != Came::End {}
    }
}

pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(body, &mut bytes);
    bytes
}

pub(crate) fn said(text: &str) -> Vec<u8> {
    framed(&codec::encode(&text.to_owned()))
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}
