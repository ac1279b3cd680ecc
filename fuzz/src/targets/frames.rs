//! Frames: whatever bytes arrive, and however they are cut, the same frames come out, or the same complaint.
//!
//! An input is a way to cut (its first byte) and either raw bytes or a list of pieces to build a stream from, since
//! nobody guesses a checksum.

use protocol::frame::{self, BODY_LEN_MAX, BadFrame, HEADER_LEN};
use reactor::Inbox;

use crate::choices::Choices;
use crate::crc32::crc32;
use crate::seen::Seen;
use crate::target::{Target, peak_of};

pub(crate) const TARGET: Target = Target {
    name: "frames",
    holds: "cut anywhere, a stream gives the same frames; what was written reads back; nothing is allocated for a promise",
    judge,
    seeds,
    memory: (64 << 20, 64),
    shows: &[
        "whole", "more", "empty", "too long", "checksum", "large", "bytewise", "put back",
    ],
    faults: &["W9", "W10", "I11"],
};

/// What a stream says: its bodies, and how it ends.
type Story = (Vec<Vec<u8>>, Result<(), BadFrame>);

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let cut = choices.byte();
    let stream = if cut & 0x80 == 0 {
        build(&mut choices, seen)
    } else {
        choices.rest().to_vec()
    };
    let expected = by_the_book(&stream);
    assert_eq!(at_once(&stream), expected, "read in one piece");
    let mut story = (Vec::new(), Ok(()));
    let used = peak_of(|| story = in_pieces(&stream, cut, seen));
    assert_eq!(story, expected, "read in pieces");
    let found: usize = expected.0.iter().map(Vec::len).sum();
    let limit = u64::try_from(256 * 1024 + 3 * found + 4 * stream.len()).expect("memory fits in 64 bits");
    assert!(
        used <= limit,
        "{used} bytes were held for a stream of {}",
        stream.len()
    );

    let mut written = Vec::new();
    expected
        .0
        .iter()
        .for_each(|body| frame::write(body, &mut written));
    assert!(
        stream.starts_with(&written),
        "what was read is written with other bytes"
    );
    note(&expected, &stream, written.len(), seen);
}

fn note((bodies, end): &Story, stream: &[u8], read: usize, seen: &mut Seen) {
    if bodies.iter().any(|body| body.len() > 100_000) {
        seen.way("large");
    }
    seen.way(match end {
        Ok(()) if read == stream.len() => "whole",
        Ok(()) => "more",
        Err(BadFrame::Empty) => "empty",
        Err(BadFrame::TooLong(_)) => "too long",
        Err(BadFrame::Checksum { .. }) => "checksum",
    });
}

/// Builds a stream of good, damaged and mad frames.
fn build(choices: &mut Choices<'_>, seen: &mut Seen) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut large = 2;
    while !choices.is_over() {
        let start = stream.len();
        match choices.below(8) {
            0..=2 => frame::write(&sized(choices), &mut stream),
            3 if large > 0 => {
                large -= 1;
                // From below the inbox's chunk to the longest body there is.
                let len = 1 + choices.below(65_536) * 16;
                frame::write(&vec![choices.byte(); len.min(BODY_LEN_MAX)], &mut stream);
            }
            4 => {
                frame::write(&sized(choices), &mut stream);
                let bit = choices.below((stream.len() - start) * 8);
                stream[start + bit / 8] ^= 1 << (bit % 8);
                seen.fault("W10");
            }
            5 => {
                let len = choices.number().to_le_bytes();
                stream.extend_from_slice(&len[..4]);
                stream.extend_from_slice(choices.slice(6));
                seen.fault("I11");
            }
            6 => {
                frame::write(&sized(choices), &mut stream);
                let keep = choices.below(stream.len() - start);
                stream.truncate(start + keep);
            }
            _ => {
                let len = choices.below(24);
                stream.extend_from_slice(choices.slice(len));
            }
        }
    }
    stream
}

fn sized(choices: &mut Choices<'_>) -> Vec<u8> {
    let len = 1 + choices.below(40);
    let mut body = choices.slice(len).to_vec();
    body.resize(len, 0);
    body
}

/// What the stream says by the picture at the head of `protocol::frame`.
fn by_the_book(stream: &[u8]) -> Story {
    let word = |at: usize| {
        let bytes = stream.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    };
    let (mut bodies, mut at) = (Vec::new(), 0);
    while let Some(announced) = word(at) {
        let len = usize::try_from(announced).expect("at least 32 bits");
        if len == 0 {
            return (bodies, Err(BadFrame::Empty));
        }
        if len > 1_048_576 {
            return (bodies, Err(BadFrame::TooLong(announced)));
        }
        let (Some(expected), Some(body)) = (word(at + 4), stream.get(at + 8..at + 8 + len)) else {
            break;
        };
        let found = crc32(body);
        if found != expected {
            return (bodies, Err(BadFrame::Checksum { expected, found }));
        }
        bodies.push(body.to_vec());
        at += 8 + len;
    }
    (bodies, Ok(()))
}

fn at_once(stream: &[u8]) -> Story {
    let (mut bodies, mut rest) = (Vec::new(), stream);
    loop {
        match frame::read(rest) {
            Ok(Some(body)) => {
                bodies.push(body.to_vec());
                rest = &rest[HEADER_LEN + body.len()..];
            }
            Ok(None) => return (bodies, Ok(())),
            Err(bad) => return (bodies, Err(bad)),
        }
    }
}

/// Feeds an inbox as a socket would, settling after each piece.
fn in_pieces(stream: &[u8], cut: u8, seen: &mut Seen) -> Story {
    let sizes = [1, 2, 3, 7, 8, 9, 63, 4096, 4097, 65_535, 65_536, usize::MAX];
    let (mut bodies, mut rest) = (Vec::new(), stream);
    let (mut inbox, mut spare) = (Inbox::default(), Vec::new());
    let mut piece = usize::from(cut & 0x7f);
    // Byte by byte through a megabyte proves nothing that a hundred bytes don't.
    let smallest = if stream.len() > 10_000 { 7 } else { 0 };
    if smallest == 0 && piece % sizes.len() == 0 {
        seen.way("bytewise");
    }
    seen.fault("W9");
    while !rest.is_empty() {
        let space = inbox.space(&mut spare);
        assert!(!space.is_empty(), "an inbox always has room for more");
        let size = sizes[smallest.max(piece % sizes.len())];
        // Every third way changes its step as it goes.
        if cut.is_multiple_of(3) {
            piece += 5;
        }
        let len = size.min(space.len()).min(rest.len());
        space[..len].copy_from_slice(&rest[..len]);
        inbox.filled(len);
        rest = &rest[len..];
        loop {
            match inbox.next_frame() {
                Ok(Some(body)) => {
                    let mut whole = inbox.body(&body).to_vec();
                    let waiting = if cut.is_multiple_of(2) { 0 } else { whole.len() / 2 };
                    if waiting > 0 {
                        // A part of it has to wait, as that of a batch when too much is open.
                        whole.truncate(whole.len() - waiting);
                        inbox.put_back(waiting);
                        inbox.settle(&mut spare);
                        let rest = inbox.rest().expect("it was put back");
                        whole.extend_from_slice(inbox.body(&rest));
                        seen.way("put back");
                    }
                    bodies.push(whole);
                }
                Ok(None) => break,
                Err(bad) => return (bodies, Err(bad)),
            }
        }
        inbox.settle(&mut spare);
    }
    let read: usize = bodies.iter().map(|body| HEADER_LEN + body.len()).sum();
    assert_eq!(
        inbox.is_empty(),
        read == stream.len(),
        "what is left over is kept"
    );
    (bodies, Ok(()))
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "good-bytewise",
            b"\x00\x00\x04hello\x01\x00x\x02\x08longer so".to_vec(),
        ),
        (
            "good-changing",
            b"\x03\x00\x04hello\x01\x27body of forty bytes, more or less so....\x00\x00z".to_vec(),
        ),
        (
            "large-then-small",
            b"\x09\x03\xff\xff\x41\x00\x02abc\x03\x00\x20\x42".to_vec(),
        ),
        ("flipped-length", b"\x01\x04\x04hello\x09\x00\x04after".to_vec()),
        ("flipped-body", b"\x07\x04\x04hello\x46\x00\x04after".to_vec()),
        ("mad-length", b"\x02\x00\x01ok\x05\x09".to_vec()),
        ("empty", b"\x05\x05\x00".to_vec()),
        ("cut", b"\x04\x06\x08longer so\x0b".to_vec()),
        ("raw-http", b"\x83GET / HTTP/1.1\r\n\r\n".to_vec()),
        (
            "raw-frame",
            b"\x80\x05\x00\x00\x00\x86\xa6\x10\x36hello\x01\x00".to_vec(),
        ),
    ]
}
