//! Frames in, bytes out: the sending buffer of one connection.

use std::io::{self, ErrorKind, Write};

use protocol::frame::{self, Growing};

/// A frame is joined by more messages until it is this long: the receiver can begin with it while the next is on its way.
const JOINED_LEN_MAX: usize = 32 * 1024;

/// An empty buffer that grew beyond this is given back.
const KEPT_LEN_MAX: usize = 256 * 1024;

/// Bytes already sent that are worth moving the rest to the front for.
const COMPACT_LEN: usize = 1024 * 1024;

/// Frames that the kernel has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    sent: usize,
    /// The last frame, while more messages may join it.
    open: Option<Growing>,
}

/// How far a write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The kernel has everything.
    All,
    /// The kernel's buffer is full; a writable event follows.
    Blocked,
}

impl Outbox {
    /// Queues one frame with `body`.
    pub(crate) fn push(&mut self, body: &[u8]) {
        self.seal();
        frame::write(body, &mut self.buffer);
    }

    /// Queues a message that may share a frame with those joined before it. Says whether it began a new frame.
    pub(crate) fn join(&mut self, message: &[u8]) -> bool {
        let fits = |open: &Growing| open.body_len(&self.buffer) + message.len() <= JOINED_LEN_MAX;
        let began = !self.open.as_ref().is_some_and(fits);
        if began {
            self.seal();
            self.open = Some(Growing::begin(&mut self.buffer));
        }
        self.buffer.extend_from_slice(message);
        began
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            open.seal(&mut self.buffer);
        }
    }

    /// Bytes not sent yet.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.sent
    }

    /// Writes until everything is sent or the kernel takes no more. Returns the bytes it took, too.
    ///
    /// # Errors
    /// Whatever ended the connection.
    pub(crate) fn write_to(&mut self, mut stream: impl Write) -> io::Result<(Written, usize)> {
        self.seal();
        let before = self.sent;
        let written = loop {
            if self.sent == self.buffer.len() {
                break Written::All;
            }
            match stream.write(&self.buffer[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Written::Blocked,
                Err(error) => return Err(error),
            }
        };
        let taken = self.sent - before;
        if written == Written::All {
            self.sent = 0;
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_LEN_MAX);
        } else if self.sent >= COMPACT_LEN {
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
        Ok((written, taken))
    }
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;

    /// Takes `room` bytes, then blocks; interrupts every other call.
    struct Kernel {
        got: Vec<u8>,
        room: usize,
        step: usize,
        calls: usize,
    }

    impl Write for Kernel {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(2) {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = bytes.len().min(self.room).min(self.step);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.got.extend_from_slice(&bytes[..len]);
            self.room -= len;
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn messages_join_a_frame_until_it_is_long_enough() {
        let mut outbox = Outbox::default();
        assert!(outbox.join(&[1; JOINED_LEN_MAX - 1]));
        assert!(!outbox.join(&[2]));
        assert!(outbox.join(&[3]));
        assert!(outbox.join(&[4; 2 * JOINED_LEN_MAX]), "a long one has its own");
        assert!(outbox.join(&[5]));
        let mut sent = Vec::new();
        outbox.write_to(&mut sent).unwrap();
        assert!(outbox.join(&[6]), "what was sent is over");
        outbox.write_to(&mut sent).unwrap();
        let (mut rest, mut lens) = (sent.as_slice(), Vec::new());
        while let Some(body) = frame::read(rest).unwrap() {
            lens.push(body.len());
            rest = &rest[frame::HEADER_LEN + body.len()..];
        }
        assert_eq!(lens, [JOINED_LEN_MAX, 1, 2 * JOINED_LEN_MAX, 1, 1]);
    }

    #[test]
    fn every_byte_arrives_once_and_in_order_through_a_slow_kernel() {
        let (mut expected, mut joined) = (Vec::new(), Vec::new());
        let mut outbox = Outbox::default();
        for number in 0..400_u32 {
            let body = [number.to_le_bytes().as_slice(), &[0; 10_000]].concat();
            if number % 4 == 0 {
                frame::write(&body, &mut expected);
                outbox.push(&body);
            } else {
                joined.extend_from_slice(&body);
                assert_eq!(outbox.join(&body), number % 4 == 1, "{number}");
            }
            if number % 4 == 3 {
                frame::write(&mem::take(&mut joined), &mut expected);
            }
        }
        let mut kernel = Kernel {
            got: Vec::new(),
            room: 0,
            step: 70_001,
            calls: 0,
        };
        faults::fired("W9");
        let mut rounds = 0;
        loop {
            kernel.room += 1_500_000;
            let (written, _) = outbox.write_to(&mut kernel).unwrap();
            rounds += 1;
            if written == Written::All {
                break;
            }
        }
        assert!(rounds > 1, "the kernel was meant to block");
        assert!(kernel.got == expected, "bytes were lost, repeated or moved");
        assert_eq!(outbox.len(), 0);
        assert!(outbox.buffer.capacity() <= KEPT_LEN_MAX);
    }
}
