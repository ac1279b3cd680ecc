//! Frames in, bytes out: the sending buffer of one connection.

use std::io::{self, ErrorKind, Write};

use protocol::frame;

/// An empty buffer that grew beyond this is given back.
const KEPT_LEN_MAX: usize = 256 * 1024;

/// Bytes already sent that are worth moving the rest to the front for.
const COMPACT_LEN: usize = 1024 * 1024;

/// Frames that the kernel has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    sent: usize,
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
        frame::write(body, &mut self.buffer);
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
    fn every_byte_arrives_once_and_in_order_through_a_slow_kernel() {
        let mut expected = Vec::new();
        let mut outbox = Outbox::default();
        for number in 0..400_u32 {
            let body = [number.to_le_bytes().as_slice(), &[0; 10_000]].concat();
            frame::write(&body, &mut expected);
            outbox.push(&body);
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
