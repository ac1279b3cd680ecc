//! Reading one segment of the log, and telling a torn tail from corruption (R25).
//!
//! A crash leaves the end of the active segment undefined, but only from the first byte that no sync covered. Every
//! synced group starts with a line that names the sequence synced by then; so when a line is bad and a later, whole one
//! names a synced sequence at or past the one expected there, something that was durable is gone: corruption. Without
//! such a line nothing from the bad one on was ever promised, and it is dropped.

use std::io::BufRead;

use protocol::fold::Seq;
use protocol::id::StoreId;
use protocol::planted;

use crate::Error;
use crate::json::line::{self, BadLine, FORMAT, Header, Line, NUMBER_MAX};

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    /// The newest record; the one before the segment if it has none.
    pub(crate) last: Seq,
    /// The last line if it is a mark: how far it says the log is synced.
    pub(crate) ends_with_mark: Option<Seq>,
    /// The length of what is whole, in bytes.
    pub(crate) valid_len: usize,
    /// What stands behind that, if anything does.
    pub(crate) dropped: Option<Dropped>,
}

/// A tail that was never promised.
#[derive(Debug)]
pub(crate) struct Dropped {
    line: usize,
    offset: usize,
    len: usize,
    why: BadLine,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Dropped {
            line,
            offset,
            len,
            why,
        } = self;
        write!(
            f,
            "line {line}, offset {offset}: dropped the last {len} bytes: {why}; nothing in them was ever promised"
        )
    }
}

/// Whose segment is read, for checks and texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The file as a person finds it.
    pub(crate) path: &'a str,
    pub(crate) store: StoreId,
}

impl Source<'_> {
    pub(crate) fn corrupt(&self, line: usize, offset: usize, why: impl std::fmt::Display) -> Error {
        Error::Corrupt(format!(
            "{}: line {line}, offset {offset}: {why}. This log is damaged; nothing was changed and nothing is served from \
             it. Restore the data directory from a backup, or copy the damaged file's good version back",
            self.path
        ))
    }
}

/// Reads a segment and hands over each record's sequence and JSON members, in order.
///
/// # Errors
/// [`Error::Corrupt`] as above, or what `on_record` returns.
pub(crate) fn read(
    bytes: &[u8],
    source: Source<'_>,
    mut on_record: impl FnMut(Seq, &[u8], Place) -> Result<(), Error>,
) -> Result<Segment, Error> {
    let (header, start) = read_header(bytes, source)?;
    let mut last = header.first - 1;
    let mut ends_with_mark = None;
    let mut lines = Lines {
        bytes,
        offset: start,
        number: 2,
    };
    while let Some((at, found)) = lines.next() {
        let corrupt = |why: String| source.corrupt(at.line, at.offset, why);
        match found {
            Ok(Line::Record { seq, members }) if seq == last + 1 => {
                on_record(seq, members, at)?;
                (last, ends_with_mark) = (seq, None);
            }
            Ok(Line::Record { seq, .. }) => {
                return Err(corrupt(format!("record {seq} where record {} belongs", last + 1)));
            }
            Ok(Line::Synced(synced)) if synced <= last => ends_with_mark = Some(synced),
            Ok(Line::Synced(synced)) => {
                return Err(corrupt(format!(
                    "the log was durable up to record {synced}, but {last} is the last one here"
                )));
            }
            Ok(Line::Header(_)) => return Err(corrupt("a segment's first line in its middle".to_owned())),
            Err(BadLine::Unknown) => return Err(corrupt(BadLine::Unknown.to_string())),
            Err(why) => {
                Lines { offset: at.offset, ..lines }.refuse_if_promised(last + 1).map_err(|synced| {
                    corrupt(format!("{why} where record {} belongs, but a later line proves it durable up to record {synced}", last + 1))
                })?;
                let dropped = Dropped {
                    line: at.line,
                    offset: at.offset,
                    len: bytes.len() - at.offset,
                    why,
                };
                return Ok(Segment {
                    header,
                    last,
                    ends_with_mark,
                    valid_len: at.offset,
                    dropped: Some(dropped),
                });
            }
        }
    }
    Ok(Segment {
        header,
        last,
        ends_with_mark,
        valid_len: bytes.len(),
        dropped: None,
    })
}

/// Takes the line breaks away that were written ahead of the segment's end, all but the last line's own.
pub(crate) fn trim_filler(bytes: &mut Vec<u8>) {
    const FILLER: &[u8] = &[b'\n'; 4096];
    let mut rest = bytes.as_slice();
    // Many at once: there may be megabytes of them.
    while let Some(shorter) = rest.strip_suffix(FILLER) {
        rest = shorter;
    }
    let last = rest.iter().rposition(|&byte| byte != b'\n');
    let end = last.map_or(0, |last| last + 1);
    bytes.truncate((end + 1).min(bytes.len()));
}

/// The first line is synced before its segment gets its name, so a bad one is never a torn one.
pub(crate) fn read_header(bytes: &[u8], source: Source<'_>) -> Result<(Header, usize), Error> {
    let mut lines = Lines {
        bytes,
        offset: 0,
        number: 1,
    };
    let header = match lines.next() {
        Some((_, Ok(Line::Header(header)))) => header,
        Some((_, Ok(Line::Record { .. } | Line::Synced(_)))) | None => {
            return Err(source.corrupt(1, 0, "the segment's first line is missing"));
        }
        Some((_, Err(why))) => return Err(source.corrupt(1, 0, why)),
    };
    if header.format != FORMAT {
        let why = format!("it has format {}, this program knows {FORMAT}", header.format);
        return Err(source.corrupt(1, 0, why));
    }
    if header.first == 0 || header.first.max(header.segment) > NUMBER_MAX {
        let why = format!(
            "no store has a segment {} from record {} on",
            header.segment, header.first
        );
        return Err(source.corrupt(1, 0, why));
    }
    if header.store != source.store {
        let why = format!(
            "it belongs to store {}, this is store {}",
            header.store, source.store
        );
        return Err(source.corrupt(1, 0, why));
    }
    Ok((header, lines.offset))
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) offset: usize,
}

struct Lines<'a> {
    bytes: &'a [u8],
    offset: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(Place, Result<Line<'a>, BadLine>)> {
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let at = Place {
            line: self.number,
            offset: self.offset,
        };
        let len = { rest }.skip_until(b'\n').expect("memory can be read");
        self.offset += len;
        let parsed = match rest[..len].strip_suffix(b"\n") {
            Some(line) => line::parse(line),
            None => Err(BadLine::Shape),
        };
        self.number += 1;
        Some((at, parsed))
    }

    /// Whether a whole line from here on says that `expected` was durable; if so, up to where.
    ///
    /// Where a newline was damaged, a whole line stands at the end of a bad one.
    fn refuse_if_promised(&self, expected: Seq) -> Result<(), Seq> {
        for line in self.bytes[self.offset..].split_inclusive(|&byte| byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                continue;
            };
            for start in line::starts(line) {
                match line::parse(&line[start..]) {
                    Ok(Line::Synced(synced)) if synced >= expected && !planted!(CutAtFirstBadLine) => {
                        return Err(synced);
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::line::{write_header, write_record, write_synced};

    #[derive(serde::Serialize)]
    struct Record {
        action: &'static str,
    }

    impl protocol::plain::Plain for Record {}

    const SOURCE: Source<'_> = Source {
        path: "log.jsonl",
        store: StoreId(7),
    };

    fn log(build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header::of_first(StoreId(7));
        write_header(&header, &mut out);
        build(&mut out);
        out
    }

    fn record(seq: Seq, out: &mut Vec<u8>) {
        write_record(seq, &Record { action: "x" }, out);
    }

    fn last(bytes: &[u8]) -> Result<Seq, Error> {
        read(bytes, SOURCE, |_, _, _| Ok(())).map(|segment| segment.last)
    }

    /// Header, records 1 to 4 with marks 0 and 2, then a mark 4, then record 5 that no mark covers.
    fn sample() -> (Vec<u8>, usize) {
        let mut covered = 0;
        let bytes = log(|out| {
            write_synced(0, out);
            record(1, out);
            record(2, out);
            write_synced(2, out);
            record(3, out);
            record(4, out);
            covered = out.len();
            write_synced(4, out);
            record(5, out);
        });
        (bytes, covered)
    }

    #[test]
    fn every_flipped_bit_that_a_mark_covers_is_corruption_and_every_other_one_a_dropped_tail() {
        let (good, covered) = sample();
        assert_eq!(last(&good).unwrap(), 5);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let result = read(&bad, SOURCE, |_, _, _| Ok(()));
            if bit / 8 < covered {
                assert!(
                    matches!(&result, Err(Error::Corrupt(text)) if text.contains("log.jsonl: line ")),
                    "bit {bit}"
                );
            } else {
                let segment = result.unwrap();
                assert!(segment.last == 4 && segment.dropped.is_some(), "bit {bit}");
            }
        }
    }

    #[test]
    fn line_breaks_written_ahead_hold_nothing_and_a_damaged_one_loses_nothing() {
        let (good, _) = sample();
        let mut filled = good.clone();
        filled.extend_from_slice(&[b'\n'; 64]);
        for bit in good.len() * 8..filled.len() * 8 {
            let mut bad = filled.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            trim_filler(&mut bad);
            let segment = read(&bad, SOURCE, |_, _, _| Ok(())).unwrap();
            assert!(segment.last == 5 && segment.dropped.is_some(), "bit {bit}");
        }
        trim_filler(&mut filled);
        assert_eq!(filled, good);
        let mut unended = good[..good.len() - 1].to_vec();
        trim_filler(&mut unended);
        assert_eq!(
            unended,
            good[..good.len() - 1],
            "a last line without its end stays as it is"
        );
        for len in [0, 1, 2, 4094, 4095, 4096, 4097, 9000] {
            let mut filled = [&good[..], &vec![b'\n'; len]].concat();
            trim_filler(&mut filled);
            assert_eq!(filled.len(), good.len(), "{len} line breaks");
        }
    }

    #[test]
    fn a_log_cut_anywhere_behind_its_first_line_is_a_prefix() {
        let (good, _) = sample();
        let header = good.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for end in 0..good.len() {
            let found = last(&good[..end]);
            if end < header {
                assert!(found.is_err(), "cut at {end}");
            } else {
                let whole = good[header..end].iter().filter(|&&byte| byte == b'\n').count();
                let expected = [0, 0, 1, 2, 2, 3, 4, 4, 5][whole];
                assert_eq!(found.unwrap(), expected, "cut at {end}");
            }
        }
    }

    #[test]
    fn lines_that_were_moved_doubled_or_taken_out_are_corruption() {
        let surgeries: [fn(&mut Vec<u8>); 4] = [
            |out| [1, 1].into_iter().for_each(|seq| record(seq, out)),
            |out| [1, 3].into_iter().for_each(|seq| record(seq, out)),
            |out| {
                record(1, out);
                write_synced(2, out);
            },
            |out| {
                let header = out.clone();
                out.extend(header);
            },
        ];
        for surgery in surgeries {
            assert!(matches!(last(&log(surgery)), Err(Error::Corrupt(_))));
        }
        let (good, _) = sample();
        let other = Source {
            store: StoreId(8),
            ..SOURCE
        };
        assert!(read(&good, other, |_, _, _| Ok(())).is_err());
    }
}
