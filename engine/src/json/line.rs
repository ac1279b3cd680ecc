//! One line of the log: `{"crc":"xxxxxxxx",…}` and a newline.
//!
//! The checksum is the CRC-32 of everything between the comma behind it and the closing brace; the bytes around are
//! fixed. So no bit of a line is without protection. Three kinds of line exist, told apart by their first member:
//!
//! ```text
//! {"crc":"8d0f3a11","segment":3,"first":1201,"previous":"5e0c91b7","format":1,"store":"9f3c2a71b0d4e655"}
//! {"crc":"17b6e2c4","synced":1200}
//! {"crc":"c0ffee00","seq":1201,"action":"prepare_ok",…}
//! ```

use protocol::fold::Seq;
use protocol::id::StoreId;
use protocol::plain::Plain;
use protocol::planted;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::seal::{hex, unhex};

const OPENING: &[u8] = b"{\"crc\":\"";
const AFTER_CRC: &[u8] = b"\",";
const SEQ: &[u8] = b"\"seq\":";
const SYNCED: &[u8] = b"\"synced\":";
const SEGMENT: &[u8] = b"\"segment\":";

/// Where the checksum's digits end and the protected bytes begin, relative to the line.
const BODY: usize = OPENING.len() + 8 + AFTER_CRC.len();

/// The version of the log's format.
pub(crate) const FORMAT: u32 = 1;

/// No store ever numbers a record or a segment higher. Whoever reads a number checks it against this, so that nobody who
/// goes on counting can overflow.
pub(crate) const NUMBER_MAX: u64 = u64::MAX / 2;

/// The first line of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// The segment's number: 1, 2, 3, …
    pub(crate) segment: u64,
    /// The sequence of its first record.
    pub(crate) first: Seq,
    /// CRC-32 of all bytes of the segment before it, as eight digits.
    pub(crate) previous: String,
    pub(crate) format: u32,
    pub(crate) store: StoreId,
}

impl Header {
    /// That of the first segment of `store`.
    pub(crate) fn of_first(store: StoreId) -> Header {
        Header {
            segment: 1,
            first: 1,
            previous: "00000000".to_owned(),
            format: FORMAT,
            store,
        }
    }
}

/// A line whose checksum is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The first line of a segment.
    Header(Header),
    /// Everything up to this record was durable when the line was written.
    Synced(Seq),
    /// A record; `members` are those of its JSON object without the braces.
    Record { seq: Seq, members: &'a [u8] },
}

/// Why a line is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadLine {
    /// It has not the shape of a line.
    Shape,
    /// It is not what was written.
    Checksum { expected: u32, found: u32 },
    /// The checksum is right, the content unknown: another program wrote it.
    Unknown,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadLine::Shape => f.write_str("not a whole line of the log"),
            BadLine::Checksum { expected, found } => {
                write!(
                    f,
                    "checksum mismatch (expected {expected:08x}, found {found:08x})"
                )
            }
            BadLine::Unknown => f.write_str("a line that this program does not know, with a right checksum"),
        }
    }
}

/// Where in `bytes` a line may begin.
pub(crate) fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes
        .windows(OPENING.len())
        .enumerate()
        .filter(|(_, window)| *window == OPENING)
        .map(|(start, _)| start)
}

/// Parses a line without its newline.
///
/// # Errors
/// [`BadLine`].
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, BadLine> {
    let rest = line.strip_prefix(OPENING).ok_or(BadLine::Shape)?;
    let (digits, rest) = rest.split_first_chunk::<8>().ok_or(BadLine::Shape)?;
    let body = rest
        .strip_prefix(AFTER_CRC)
        .and_then(|rest| rest.strip_suffix(b"}"))
        .ok_or(BadLine::Shape)?;
    let expected = unhex(digits).ok_or(BadLine::Shape)?;
    let found = crc32fast::hash(body);
    if expected != found && !planted!(ChecksumUnchecked) {
        return Err(BadLine::Checksum { expected, found });
    }
    parse_body(body).ok_or(BadLine::Unknown)
}

fn parse_body(body: &[u8]) -> Option<Line<'_>> {
    if let Some(rest) = body.strip_prefix(SEQ) {
        let comma = rest.iter().position(|&byte| byte == b',')?;
        let seq = number(&rest[..comma])?;
        Some(Line::Record {
            seq,
            members: &rest[comma + 1..],
        })
    } else if let Some(rest) = body.strip_prefix(SYNCED) {
        number(rest).map(Line::Synced)
    } else if body.starts_with(SEGMENT) {
        let object = [b"{", body, b"}"].concat();
        serde_json::from_slice(&object).ok().map(Line::Header)
    } else {
        None
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends a record's line to `out`.
///
/// # Panics
/// If the record is not a JSON object with members.
pub(crate) fn write_record<R: Serialize + Plain>(seq: Seq, record: &R, out: &mut Vec<u8>) {
    let start = open(out);
    out.extend_from_slice(SEQ);
    write_number(seq, out);
    out.push(b',');
    write_members(record, out);
    close(start, out);
}

/// Appends the members of the JSON object that a record or an entry is.
pub(crate) fn write_members<R: Serialize + Plain>(record: &R, out: &mut Vec<u8>) {
    let object = |out: &mut Vec<u8>| {
        let start = out.len();
        serde_json::to_writer(&mut *out, record)
            .expect("what is kept are JSON objects, and memory takes them");
        assert!(
            out[start..].starts_with(b"{\"") && out.ends_with(b"}"),
            "what is kept are JSON objects with members"
        );
        out.remove(start);
        out.pop();
    };
    let start = out.len();
    if !record.write(out) {
        out.truncate(start);
        object(out);
    } else if cfg!(debug_assertions) {
        let mut expected = Vec::new();
        object(&mut expected);
        assert_eq!(out[start..], expected, "a plain form is what serde would write");
    }
}

/// What the members of a record's JSON object say.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read_members<R: DeserializeOwned + Plain>(members: &[u8]) -> Result<R, serde_json::Error> {
    match R::read(members) {
        Some(record) => Ok(record),
        None => serde_json::from_slice(&[b"{", members, b"}"].concat()),
    }
}

/// Appends a line that says how far the log is durable.
pub(crate) fn write_synced(synced: Seq, out: &mut Vec<u8>) {
    let start = open(out);
    out.extend_from_slice(SYNCED);
    write_number(synced, out);
    close(start, out);
}

/// Appends a segment's first line.
pub(crate) fn write_header(header: &Header, out: &mut Vec<u8>) {
    let start = open(out);
    let body = out.len();
    serde_json::to_writer(&mut *out, header).expect("a header is a JSON object, and memory takes it");
    out.remove(body);
    out.pop();
    close(start, out);
}

fn open(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(OPENING);
    out.extend_from_slice(b"00000000");
    out.extend_from_slice(AFTER_CRC);
    start
}

fn close(start: usize, out: &mut Vec<u8>) {
    let crc = crc32fast::hash(&out[start + BODY..]);
    out[start + OPENING.len()..start + OPENING.len() + 8].copy_from_slice(&hex(crc));
    out.extend_from_slice(b"}\n");
}

fn write_number(value: u64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect("memory takes a number");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Record {
        action: &'static str,
        text: &'static str,
    }

    impl Plain for Record {}

    fn lines() -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header {
            segment: 3,
            first: 1201,
            previous: "5e0c91b7".to_owned(),
            format: FORMAT,
            store: StoreId(0x9f3c),
        };
        write_header(&header, &mut out);
        write_synced(1200, &mut out);
        let (action, text) = ("prepare_ok", "a\nb \u{e9}");
        write_record(1201, &Record { action, text }, &mut out);
        out
    }

    #[test]
    fn lines_read_back_and_look_as_documented() {
        let text = String::from_utf8(lines()).unwrap();
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let [header, synced, record] = lines.try_into().unwrap();
        assert!(
            header.ends_with(r#","segment":3,"first":1201,"previous":"5e0c91b7","format":1,"store":"9f3c"}"#)
        );
        assert!(matches!(parse(header.as_bytes()), Ok(Line::Header(header)) if header.first == 1201));
        assert_eq!(parse(synced.as_bytes()), Ok(Line::Synced(1200)));
        let members = "\"action\":\"prepare_ok\",\"text\":\"a\\nb \u{e9}\"".as_bytes();
        assert_eq!(parse(record.as_bytes()), Ok(Line::Record { seq: 1201, members }));
    }

    #[test]
    fn every_flipped_bit_of_every_line_is_noticed() {
        let good = lines();
        for line in good.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            for bit in 0..line.len() * 8 {
                let mut bad = line.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    parse(&bad).is_err(),
                    "bit {bit} of {}",
                    String::from_utf8_lossy(line)
                );
            }
        }
    }
}
