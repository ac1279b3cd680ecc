//! The log for people: its newest lines first, with their checksums, while the process that owns it may be writing.
//!
//! Nothing is locked and nothing is changed. Segments are told by the numbers in their first lines, so that one that is
//! closed and renamed while this reads is neither missed nor shown twice; a last line that is
//! not whole is read again, for it may just be being written.
//! What is damaged is shown as it is: whether a store can start is not decided here.

use std::io;

use protocol::fold::{Fold, Seq};
use serde_json::Value;

use crate::disk::Disk;
use crate::json::line::{self, BadLine, Line};
use crate::json::names::Names;
use crate::json::segment::trim_filler;
use crate::{Error, Owner};

/// How often a log that is being rotated is looked at again.
const TRIES_MAX: u32 = 20;

/// Bytes that are searched for one page.
const SEARCHED_MAX: usize = 64 * 1024 * 1024;

/// Where a line stands. It stays there for as long as its segment exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    /// The segment's number.
    pub segment: u64,
    /// Bytes before the line.
    pub offset: u64,
}

/// Which lines.
#[derive(Clone, Debug)]
pub struct LogAsk {
    /// Those before this place; the newest if `None`.
    pub before: Option<LogPlace>,
    /// Those that name this transaction or request.
    pub naming: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it stands.
    pub place: LogPlace,
    /// Its record's sequence, if it is a record.
    pub seq: Option<Seq>,
    /// The checksum as it is written there.
    pub crc: String,
    /// Whether the checksum is right.
    pub crc_ok: bool,
    /// The record's action; `segment` and `synced` for the lines between records; `damaged`.
    pub action: String,
    /// The transaction that the record is about.
    pub txn: Option<String>,
    /// What the line says, in the notation of process logs; what is wrong with a damaged one.
    pub text: String,
    /// The line.
    pub raw: String,
}

/// Lines of a log, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Where to go on; `None` at the log's beginning.
    pub next: Option<LogPlace>,
}

/// Reads a page of `owner`'s log.
///
/// # Errors
/// [`Error::Io`], [`Error::Mismatch`] if there is no log.
pub(crate) fn peek<S: Fold, D: Disk>(disk: &D, owner: Owner, ask: &LogAsk) -> Result<LogPage, Error> {
    let names = Names::new(owner);
    for _ in 0..TRIES_MAX {
        if let Some(page) = Peek::new(disk, &names, ask).read::<S>()? {
            return Ok(page);
        }
    }
    // It rotates faster than it can be read. Some of it is better than nothing.
    let mut peek = Peek::new(disk, &names, ask);
    peek.gaps_are_ends = true;
    Ok(peek.read::<S>()?.unwrap_or_default())
}

struct Peek<'a, D> {
    disk: &'a D,
    names: &'a Names,
    ask: &'a LogAsk,
    gaps_are_ends: bool,
    page: LogPage,
}

impl<'a, D: Disk> Peek<'a, D> {
    fn new(disk: &'a D, names: &'a Names, ask: &'a LogAsk) -> Peek<'a, D> {
        Peek {
            disk,
            names,
            ask,
            gaps_are_ends: false,
            page: LogPage::default(),
        }
    }

    /// The page; `None` if the log was rotated meanwhile.
    fn read<S: Fold>(mut self) -> Result<Option<LogPage>, Error> {
        let io = |what: &str, error| Error::io(format!("cannot {what} the log {}", self.names.active), error);
        let listed = self.disk.list().map_err(|error| io("find", error))?;
        let closed = self.names.closed_among(&listed);
        let files = std::iter::once(self.names.active.clone())
            .chain(closed.iter().rev().map(|&first| self.names.closed(first)));
        let mut previous: Option<u64> = None;
        let mut searched = 0;
        for (index, name) in files.enumerate() {
            let mut bytes = match self.disk.read(&name) {
                Ok(bytes) => bytes,
                // Older segments go when a checkpoint replaces them.
                Err(error) if error.kind() == io::ErrorKind::NotFound && index > 0 => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if closed.is_empty() && self.is_empty().map_err(|error| io("find", error))? {
                        return Err(Error::Mismatch(format!(
                            "{} is not there: there is no log here",
                            self.disk.display(&name)
                        )));
                    }
                    if self.gaps_are_ends {
                        break;
                    }
                    return Ok(None);
                }
                Err(error) => return Err(io("read", error)),
            };
            trim_filler(&mut bytes);
            if index == 0 && ends_badly(&bytes) && !self.gaps_are_ends {
                return Ok(None);
            }
            let number = segment_number(&bytes).unwrap_or(0);
            match previous {
                Some(newer) if number == newer => continue,
                Some(newer) if number + 1 != newer && number != 0 => {
                    if self.gaps_are_ends {
                        break;
                    }
                    return Ok(None);
                }
                Some(_) | None => {}
            }
            previous = Some(number);
            searched += bytes.len();
            if !self.take::<S>(number, &bytes) || searched > SEARCHED_MAX {
                return Ok(Some(self.page));
            }
        }
        self.page.next = None;
        Ok(Some(self.page))
    }

    /// Whether there is no segment at all. One may have been closed since the names were listed.
    fn is_empty(&self) -> io::Result<bool> {
        let listed = self.disk.list()?;
        Ok(!listed.contains(&self.names.active) && self.names.closed_among(&listed).is_empty())
    }

    /// Takes the lines of one segment, the last one first. Returns whether there is room for more.
    fn take<S: Fold>(&mut self, segment: u64, bytes: &[u8]) -> bool {
        let mut end = bytes.strip_suffix(b"\n").unwrap_or(bytes).len();
        loop {
            let start = bytes[..end]
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1);
            let line = &bytes[start..end];
            let place = LogPlace {
                segment,
                offset: u64::try_from(start).expect("a segment's length fits"),
            };
            let wanted = !line.is_empty()
                && self.ask.before.is_none_or(|before| place < before)
                && self.ask.naming.as_ref().is_none_or(|id| names(line, id));
            if wanted {
                if self.page.lines.len() == self.ask.limit {
                    return false;
                }
                self.page.lines.push(decode::<S>(place, line));
            }
            self.page.next = Some(place);
            if start == 0 {
                return true;
            }
            end = start - 1;
        }
    }
}

/// Whether the last line is not whole: it may be that it is just being written.
fn ends_badly(bytes: &[u8]) -> bool {
    let Some(bytes) = bytes.strip_suffix(b"\n") else {
        return true;
    };
    let last = bytes.rsplit(|&byte| byte == b'\n').next();
    last.is_some_and(|line| line::parse(line).is_err())
}

/// Whether a line names this id, as a whole.
fn names(line: &[u8], id: &str) -> bool {
    let quoted = format!("\"{id}\"");
    line.windows(quoted.len())
        .any(|window| window == quoted.as_bytes())
}

fn segment_number(bytes: &[u8]) -> Option<u64> {
    let first = bytes.split(|&byte| byte == b'\n').next()?;
    match line::parse(first) {
        Ok(Line::Header(header)) => Some(header.segment),
        Ok(Line::Synced(_) | Line::Record { .. }) | Err(_) => None,
    }
}

fn decode<S: Fold>(place: LogPlace, line: &[u8]) -> LogLine {
    let raw = String::from_utf8_lossy(line).into_owned();
    let shown = |seq, action: &str, txn, text| LogLine {
        place,
        seq,
        crc: raw.get(8..16).unwrap_or_default().to_owned(),
        crc_ok: true,
        action: action.to_owned(),
        txn,
        text,
        raw: raw.clone(),
    };
    match line::parse(line) {
        Ok(Line::Header(header)) => shown(
            None,
            "segment",
            None,
            format!("segment {} begins with record {}", header.segment, header.first),
        ),
        Ok(Line::Synced(synced)) => shown(
            None,
            "synced",
            None,
            format!("everything up to record {synced} was on disk"),
        ),
        Ok(Line::Record { seq, members }) => {
            let object = [b"{", members, b"}"].concat();
            let value: Value = serde_json::from_slice(&object).unwrap_or_default();
            let member = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            let text = match serde_json::from_slice::<S::Record>(&object) {
                Ok(record) => record.to_string(),
                Err(error) => format!("a record that this program does not know: {error}"),
            };
            let action = member("action").unwrap_or_default();
            shown(Some(seq), &action, member("txn"), text)
        }
        Err(bad) => LogLine {
            crc_ok: bad == BadLine::Unknown,
            ..shown(None, "damaged", None, bad.to_string())
        },
    }
}
