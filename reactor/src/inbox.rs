//! Bytes in, frames out: the receiving buffer of one connection.
//!
//! A connection without a partial frame owns no buffer: it borrows the loop's spare one for the moment it is read.
//! A buffer grows only as bytes arrive, whatever length a frame announces. Public so that it can be fed without sockets.

use std::mem;
use std::ops::Range;

use protocol::frame::{self, BadFrame, HEADER_LEN};

/// Bytes that one read can take.
const CHUNK_LEN: usize = 64 * 1024;

/// A partial frame up to this long is copied out, so that the spare buffer can serve the next connection.
const COPIED_LEN_MAX: usize = 4 * 1024;

/// Received bytes that have not been handled yet.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    /// Where the unhandled bytes are within `buffer`.
    filled: Range<usize>,
    /// How many of them, from the first, are what was put back of a frame.
    rest_len: usize,
}

impl Inbox {
    /// Room to read into; `spare` is the buffer all connections share.
    pub fn space(&mut self, spare: &mut Vec<u8>) -> &mut [u8] {
        if self.buffer.len() < CHUNK_LEN {
            let mut larger = mem::take(spare);
            larger.resize(larger.len().max(CHUNK_LEN), 0);
            let kept = &self.buffer[self.filled.clone()];
            larger[..kept.len()].copy_from_slice(kept);
            self.filled = 0..kept.len();
            self.buffer = larger;
        } else if self.filled.end == self.buffer.len() {
            if self.filled.start > 0 {
                self.buffer.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        &mut self.buffer[self.filled.end..]
    }

    /// Notes that `len` bytes were read into [`Inbox::space`].
    ///
    /// # Panics
    /// If there was not that much space.
    pub fn filled(&mut self, len: usize) {
        self.filled.end += len;
        assert!(
            self.filled.end <= self.buffer.len(),
            "a read stays within its space"
        );
    }

    /// Takes the next whole frame; says where its body is.
    ///
    /// # Errors
    /// If the bytes are not a frame. The connection is useless then.
    pub fn next_frame(&mut self) -> Result<Option<Range<usize>>, BadFrame> {
        let Some(body) = frame::read(&self.buffer[self.filled.clone()])? else {
            return Ok(None);
        };
        let start = self.filled.start + HEADER_LEN;
        let body = start..start + body.len();
        self.filled.start = body.end;
        Ok(Some(body))
    }

    /// Takes back the last `len` bytes of the body that was found last: messages that have to wait.
    ///
    /// # Panics
    /// If there was no such body.
    pub fn put_back(&mut self, len: usize) {
        assert_eq!(self.rest_len, 0, "one body at a time");
        self.filled.start = self.filled.start.checked_sub(len).expect("they lay before");
        self.rest_len = len;
    }

    /// Takes what was put back, if anything was; says where it is.
    pub fn rest(&mut self) -> Option<Range<usize>> {
        let len = mem::take(&mut self.rest_len);
        let start = self.filled.start;
        self.filled.start += len;
        (len > 0).then_some(start..start + len)
    }

    /// The body that [`Inbox::next_frame`] or [`Inbox::rest`] found last.
    pub fn body(&self, body: &Range<usize>) -> &[u8] {
        &self.buffer[body.clone()]
    }

    /// Whether unhandled bytes are left.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.filled = 0..0;
        self.rest_len = 0;
    }

    /// Gives the buffer back unless it holds much of a frame.
    pub fn settle(&mut self, spare: &mut Vec<u8>) {
        if self.filled.len() > COPIED_LEN_MAX || self.buffer.len() < CHUNK_LEN {
            return;
        }
        let kept = self.buffer[self.filled.clone()].to_vec();
        self.filled = 0..kept.len();
        let buffer = mem::replace(&mut self.buffer, kept);
        if spare.is_empty() && buffer.len() == CHUNK_LEN {
            *spare = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bodies: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for body in bodies {
            frame::write(body, &mut bytes);
        }
        bytes
    }

    /// Feeds `bytes` in pieces of at most `step`, settling after each; returns the bodies found.
    fn feed(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let (mut inbox, mut spare, mut found) = (Inbox::default(), Vec::new(), Vec::new());
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = inbox.space(&mut spare);
            let len = step.min(space.len()).min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            inbox.filled(len);
            rest = &rest[len..];
            while let Some(body) = inbox.next_frame().unwrap() {
                found.push(inbox.body(&body).to_vec());
            }
            inbox.settle(&mut spare);
        }
        assert!(inbox.is_empty());
        assert!(
            inbox.buffer.len() <= COPIED_LEN_MAX,
            "an idle connection owns no buffer"
        );
        found
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let large = vec![7; 300_000];
        let bodies: [&[u8]; 4] = [b"a", b"second", &large, b"last"];
        let bytes = framed(&bodies);
        for step in [1, 2, 7, 8, 9, 4096, 4097, 65_535, 65_536, 1_000_000] {
            assert_eq!(feed(&bytes, step), bodies, "pieces of {step} bytes");
        }
    }

    #[test]
    fn what_is_put_back_comes_out_again_whatever_is_read_meanwhile() {
        for len in [2, 5_000, 300_000] {
            let (mut inbox, mut spare) = (Inbox::default(), Vec::new());
            let body: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let mut feed = |inbox: &mut Inbox, mut bytes: &[u8]| {
                while !bytes.is_empty() {
                    let space = inbox.space(&mut spare);
                    let taken = space.len().min(bytes.len());
                    space[..taken].copy_from_slice(&bytes[..taken]);
                    inbox.filled(taken);
                    bytes = &bytes[taken..];
                }
                inbox.settle(&mut spare);
            };
            feed(&mut inbox, &framed(&[&body]));
            let found = inbox.next_frame().unwrap().unwrap();
            assert_eq!(inbox.body(&found), body);
            inbox.put_back(len - 1);
            assert!(!inbox.is_empty());
            feed(&mut inbox, &framed(&[b"next", &vec![9; 70_000]]));
            let rest = inbox.rest().unwrap();
            assert_eq!(inbox.body(&rest), &body[1..], "{len} bytes");
            assert_eq!(inbox.rest(), None);
            let next = inbox.next_frame().unwrap().unwrap();
            assert_eq!(inbox.body(&next), b"next");
        }
    }

    #[test]
    fn a_long_announcement_allocates_nothing_before_its_bytes_arrive() {
        let (mut inbox, mut spare) = (Inbox::default(), Vec::new());
        let announced = framed(&[&vec![1; frame::BODY_LEN_MAX]]);
        inbox.space(&mut spare)[..100].copy_from_slice(&announced[..100]);
        inbox.filled(100);
        assert_eq!(inbox.next_frame(), Ok(None));
        inbox.settle(&mut spare);
        assert_eq!(inbox.buffer.len(), 100);
        assert_eq!(spare.len(), CHUNK_LEN);
    }
}
