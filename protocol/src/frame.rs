//! Frames: how messages are told apart in a byte stream.
//!
//! ```text
//! ┌────────────────┬────────────────┬──────────────────────┐
//! │ body length    │ CRC-32 of body │ body                 │
//! │ u32, LE        │ u32, LE        │ 1 to BODY_LEN_MAX    │
//! └────────────────┴────────────────┴──────────────────────┘
//! ```
//!
//! A body is one control frame (see [`hello`](crate::hello)), or one message, or several behind each other: a client
//! packs a batch of calls into one frame, and a server all that a turn says to one peer. Each message counts by itself, as
//! if it had a frame of its own; a frame only saves the cost of many.
//!
//! The length is checked before anything is allocated, the checksum before anything is decoded. A frame that fails
//! either makes the stream meaningless, so its connection is closed.

use alloc::vec::Vec;
use core::fmt;

/// Bytes before the body.
pub const HEADER_LEN: usize = 8;

/// Longest body: 1 MiB.
pub const BODY_LEN_MAX: usize = 1024 * 1024;

/// Why a byte stream is not a sequence of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// The announced body is empty.
    Empty,
    /// The announced body is longer than [`BODY_LEN_MAX`].
    TooLong(u32),
    /// The body is not the one that was sent.
    Checksum {
        /// As announced.
        expected: u32,
        /// As computed.
        found: u32,
    },
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFrame::Empty => f.write_str("empty frame"),
            BadFrame::TooLong(len) => write!(f, "frame of {len} bytes, the limit is {BODY_LEN_MAX}"),
            BadFrame::Checksum { expected, found } => {
                write!(
                    f,
                    "frame checksum mismatch (expected {expected:08x}, found {found:08x})"
                )
            }
        }
    }
}

impl core::error::Error for BadFrame {}

/// Appends one frame with `body` to `out`.
///
/// # Panics
/// If the body is empty or too long: senders bound what they say.
pub fn write(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&header(body));
    out.extend_from_slice(body);
}

fn header(body: &[u8]) -> [u8; HEADER_LEN] {
    assert!(
        (1..=BODY_LEN_MAX).contains(&body.len()),
        "a frame of {} bytes",
        body.len()
    );
    let len = u32::try_from(body.len()).expect("checked against the limit");
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&len.to_le_bytes());
    header[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    header
}

/// A frame that grows at the end of a buffer, to be filled by encoding straight into it.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// Where in the buffer its header stands.
    start: usize,
}

impl Growing {
    /// Begins a frame. From now on, what is appended to `out` is its body.
    pub fn begin(out: &mut Vec<u8>) -> Growing {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        Growing { start }
    }

    /// How long the body is by now.
    pub fn body_len(&self, out: &[u8]) -> usize {
        out.len() - self.start - HEADER_LEN
    }

    /// Completes the frame.
    ///
    /// # Panics
    /// If the body is empty or too long: senders bound what they say.
    pub fn seal(self, out: &mut [u8]) {
        let (header, body) = out[self.start..].split_at_mut(HEADER_LEN);
        header.copy_from_slice(&self::header(body));
    }
}

/// Looks for one whole frame at the start of `bytes`. Returns its body; the frame is `HEADER_LEN + body.len()` long.
/// `Ok(None)` means that more bytes are needed.
///
/// # Errors
/// If no continuation can make this a frame.
pub fn read(bytes: &[u8]) -> Result<Option<&[u8]>, BadFrame> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let announced = u32::from_le_bytes(*len);
    let len = match usize::try_from(announced) {
        Ok(0) => return Err(BadFrame::Empty),
        Ok(len) if len <= BODY_LEN_MAX => len,
        Ok(_) | Err(_) => return Err(BadFrame::TooLong(announced)),
    };
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(body) = rest.get(..len) else {
        return Ok(None);
    };
    let (expected, found) = (u32::from_le_bytes(*crc), crc32fast::hash(body));
    if expected == found {
        Ok(Some(body))
    } else {
        Err(BadFrame::Checksum { expected, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_frame_asks_for_more_and_the_whole_reads_back() {
        let mut bytes = Vec::new();
        write(b"hello", &mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(None), "{end} bytes");
        }
        bytes.extend_from_slice(b"next");
        assert_eq!(read(&bytes), Ok(Some(&b"hello"[..])));
    }

    #[test]
    fn a_frame_that_grew_has_the_bytes_of_one_that_was_written() {
        let (mut grown, mut written) = (b"before".to_vec(), b"before".to_vec());
        let frame = Growing::begin(&mut grown);
        assert_eq!(frame.body_len(&grown), 0);
        grown.extend_from_slice(b"one");
        grown.extend_from_slice(b"two");
        assert_eq!(frame.body_len(&grown), 6);
        frame.seal(&mut grown);
        write(b"onetwo", &mut written);
        assert_eq!(grown, written);
    }

    #[test]
    fn every_flipped_bit_is_refused_or_asks_for_more() {
        let mut good = Vec::new();
        write(b"transfer 10", &mut good);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            faults::fired("W10");
            assert!(
                !matches!(read(&bad), Ok(Some(_))),
                "flipped bit {bit} went unnoticed"
            );
        }
    }

    #[test]
    fn lengths_are_refused_before_the_body_arrives() {
        assert_eq!(read(&[0, 0, 0, 0]), Err(BadFrame::Empty));
        assert_eq!(read(&u32::MAX.to_le_bytes()), Err(BadFrame::TooLong(u32::MAX)));
        assert_eq!(read(&[1, 0, 16, 0]), Err(BadFrame::TooLong(1024 * 1024 + 1)));
    }
}
