//! The short way through a state file: a piece at a time, and only in the form in which it was written.
//!
//! A state file may be longer than the state in memory, so it is never there as a whole: while one thread reads on, another makes
//! the state of what was read. Nothing comes of that before the checksum has turned out right. Whatever is not as
//! [`state_file`](super::state_file) writes it, by a single byte, is left to [`state_file::read`](super::state_file::read),
//! which takes the whole file and says what is wrong with it.

use std::io::{self, Read};
use std::panic;
use std::sync::mpsc;
use std::thread;

use protocol::fold::{AccountLine, Fold, Seq};
use protocol::id::{AccountId, StoreId};
use protocol::plain::Plain;
use serde::Deserialize;
use serde::de::{DeserializeOwned, value};

use crate::disk::Disk;
use crate::json::line::NUMBER_MAX;
use crate::json::log::length;
use crate::json::packed::{Packed, Unpacked};
use crate::json::recovery::Home;
use crate::json::state_file::{Checkpoint, SUFFIX, opening};
use crate::seal;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// Longer than an account or a usual entry. Longer ones cost a second look.
const ENTRY_LEN: usize = 1024;

/// Entries handed over at once, and how many such batches may wait.
const BATCH: usize = 256;
const BATCHES_AHEAD: usize = 16;

/// Why there is no checkpoint.
#[derive(Debug)]
enum Stop {
    /// The disk could not read it.
    Io(io::Error),
    /// It is not what we would have written, or not a state.
    Strange,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

/// Reads the store's state file. `None` if that has to be read as a whole.
///
/// # Errors
/// Whatever the disk reports.
pub(crate) fn read<S: Fold, D: Disk>(home: &Home<D>) -> io::Result<Option<Checkpoint<S>>> {
    let text = Text::new(home.disk.open(&home.names.state)?);
    match read_text(text, home.store) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(Stop::Strange) => Ok(None),
        Err(Stop::Io(error)) => Err(error),
    }
}

fn read_text<S: Fold>(mut text: Text, store: StoreId) -> Result<Checkpoint<S>, Stop> {
    let Head {
        sequence,
        previous,
        balances,
    } = head(&mut text, store)?;
    let body = Body::<S> {
        balances: balances.unpack(),
        is_long: !text.ended,
        text,
        batch: Vec::new(),
    };
    let (state, len) = if body.is_long {
        thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(BATCHES_AHEAD);
            let reader = thread::Builder::new().name("read".to_owned());
            let reader = reader.spawn_scoped(scope, move || body.read(|batch| sender.send(batch).is_ok()))?;
            let state = S::restore(sequence, &mut batches.into_iter().flatten());
            let len = reader
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))?;
            Ok::<_, Stop>((state, len))
        })?
    } else {
        let mut entries = Vec::new();
        let len = body.read(|batch| {
            entries.extend(batch);
            true
        })?;
        (S::restore(sequence, &mut entries.into_iter()), len)
    };
    let state = state.map_err(|_| Stop::Strange)?;
    Ok(Checkpoint { state, previous, len })
}

/// What stands in front of the versions.
struct Head {
    sequence: Seq,
    previous: Seq,
    balances: Packed,
}

fn head(text: &mut Text, store: StoreId) -> Result<Head, Stop> {
    let mut balances = Packed::default();
    text.want(ENTRY_LEN)?;
    text.literal(b"{\n")?;
    loop {
        text.want(ENTRY_LEN)?;
        text.literal(b"  \"")?;
        let end = text.rest().iter().position(|&byte| byte == b'"');
        let name = &text.rest()[..end.ok_or(Stop::Strange)?];
        if name == b"_meta" {
            break;
        }
        let id = account(std::str::from_utf8(name).map_err(|_| Stop::Strange)?)?;
        text.pass(name.len());
        text.literal(b"\": ")?;
        let balance = text.signed()?;
        text.literal(b",\n")?;
        sure(balances.push(id, balance.cast_unsigned()))?;
    }
    text.literal(&opening(store).as_bytes()[3..])?;
    let sequence = text.number()?;
    text.literal(b",\"previous\":")?;
    let previous = text.number()?;
    text.literal(b",\"versions\":{")?;
    sure(previous <= sequence && sequence <= NUMBER_MAX)?;
    Ok(Head {
        sequence,
        previous,
        balances,
    })
}

/// The rest of it, from the versions on.
struct Body<S: Fold> {
    text: Text,
    balances: Unpacked,
    is_long: bool,
    batch: Vec<S::Entry>,
}

impl<S: Fold> Body<S> {
    /// Hands all entries over, in batches, until `give` says that nobody wants more. Returns the file's length.
    fn read(mut self, mut give: impl FnMut(Vec<S::Entry>) -> bool) -> Result<u64, Stop> {
        let mut is_first = true;
        while let Some((name, balance)) = self.balances.next() {
            let text = &mut self.text;
            text.want(ENTRY_LEN)?;
            text.literal(if is_first { b"\"" } else { b",\"" })?;
            text.literal(name.as_bytes())?;
            text.literal(b"\":")?;
            is_first = false;
            let line = AccountLine {
                id: account(name)?,
                balance: balance.cast_signed(),
                version: text.number()?,
            };
            let entry = S::from_account(line).ok_or(Stop::Strange)?;
            self.hand_over(entry, &mut give)?;
        }
        self.text.want(ENTRY_LEN)?;
        self.text.literal(b"},\"entries\":[")?;
        if !self.text.rest().starts_with(b"]") {
            loop {
                let entry = self.text.entry()?;
                // An account that a person does not see among the balances would be money all the same.
                sure(S::as_account(&entry).is_none())?;
                self.hand_over(entry, &mut give)?;
                if !self.text.rest().starts_with(b",") {
                    break;
                }
                self.text.literal(b",")?;
            }
        }
        sure(give(self.batch))?;
        self.text.end()
    }

    fn hand_over(
        &mut self,
        entry: S::Entry,
        give: &mut impl FnMut(Vec<S::Entry>) -> bool,
    ) -> Result<(), Stop> {
        if self.batch.len() == BATCH {
            let next = Vec::with_capacity(BATCH);
            sure(give(std::mem::replace(&mut self.batch, next)))?;
        }
        self.batch.push(entry);
        Ok(())
    }
}

fn sure(is_so: bool) -> Result<(), Stop> {
    if is_so { Ok(()) } else { Err(Stop::Strange) }
}

fn account(name: &str) -> Result<AccountId, Stop> {
    // Through serde, which knows the one account that users cannot name.
    let deserializer = value::StrDeserializer::<value::Error>::new(name);
    AccountId::deserialize(deserializer).map_err(|_| Stop::Strange)
}

/// A file that is read from its beginning to its end.
struct Text {
    from: Box<dyn Read + Send>,
    /// What is there of it.
    buffer: Vec<u8>,
    /// How much of that has been read.
    at: usize,
    /// Whether there is no more of it.
    ended: bool,
    /// Over what is not in the buffer any more, and how long that was.
    crc: crc32fast::Hasher,
    len: u64,
}

impl Text {
    fn new(from: Box<dyn Read + Send>) -> Text {
        Text {
            from,
            buffer: Vec::with_capacity(CHUNK),
            at: 0,
            ended: false,
            crc: crc32fast::Hasher::new(),
            len: 0,
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Sees to it that the next `len` bytes are there, or all that are left.
    fn want(&mut self, len: usize) -> io::Result<()> {
        if self.rest().len() >= len || self.ended {
            return Ok(());
        }
        self.let_go();
        let missing = len.max(CHUNK) - self.buffer.len();
        let missing = u64::try_from(missing).expect("memory fits in 64 bits");
        let read = self.from.by_ref().take(missing).read_to_end(&mut self.buffer)?;
        self.ended = u64::try_from(read).expect("memory fits in 64 bits") < missing;
        Ok(())
    }

    /// Takes what has been read out of the buffer.
    fn let_go(&mut self) {
        self.crc.update(&self.buffer[..self.at]);
        self.len += length(&self.buffer[..self.at]);
        self.buffer.drain(..self.at);
        self.at = 0;
    }

    fn pass(&mut self, len: usize) {
        self.at += len;
    }

    fn literal(&mut self, text: &[u8]) -> Result<(), Stop> {
        sure(self.rest().starts_with(text))?;
        self.pass(text.len());
        Ok(())
    }

    /// A number as JSON has it: no sign, no leading zero.
    fn number(&mut self) -> Result<u64, Stop> {
        let rest = self.rest();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = &rest[..len];
        sure(len == 1 || !digits.starts_with(b"0"))?;
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        self.pass(len);
        number.ok_or(Stop::Strange)
    }

    fn signed(&mut self) -> Result<i64, Stop> {
        let is_negative = self.literal(b"-").is_ok();
        let size = self.number()?;
        let number = if is_negative {
            sure(size > 0)?;
            0_i64.checked_sub_unsigned(size)
        } else {
            i64::try_from(size).ok()
        };
        number.ok_or(Stop::Strange)
    }

    /// An entry, and whatever it takes to find its end.
    fn entry<E: Plain + DeserializeOwned>(&mut self) -> Result<E, Stop> {
        self.want(ENTRY_LEN)?;
        if let Some(members) = self.rest().strip_prefix(b"{")
            && let Some((entry, len)) = E::read_first(members)
            && members.get(len) == Some(&b'}')
        {
            self.pass(len + 2);
            return Ok(entry);
        }
        loop {
            let mut values = serde_json::Deserializer::from_slice(self.rest()).into_iter();
            match values.next() {
                Some(Ok(entry)) => {
                    let len = values.byte_offset();
                    self.pass(len);
                    // What follows it.
                    self.want(ENTRY_LEN)?;
                    return Ok(entry);
                }
                Some(Err(error)) if error.is_eof() && !self.ended => {
                    self.want(2 * self.rest().len() + CHUNK)?;
                }
                Some(Err(_)) | None => return Err(Stop::Strange),
            }
        }
    }

    /// The end of a sealed file. Returns its length.
    fn end(mut self) -> Result<u64, Stop> {
        self.want(ENTRY_LEN)?;
        self.literal(b"],")?;
        self.literal(seal::MEMBER)?;
        self.let_go();
        let digits = seal::hex(self.crc.clone().finalize());
        self.literal(&digits)?;
        self.literal(SUFFIX)?;
        self.want(1)?;
        sure(self.rest().is_empty())?;
        self.let_go();
        Ok(self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use protocol::id::{NodeId, RequestId, TxnId};
    use protocol::leg::BodyDigest;
    use protocol::participant::{CoordinatorSeen, Finished, NodeEntry, NodeState, Progress, RequestEntry};
    use protocol::reason::Reason;

    use super::*;
    use crate::json::names::Names;
    use crate::json::state_file::{self, Content};
    use crate::{MemDisk, Owner};

    const STORE: StoreId = StoreId(0x9f3c);

    /// A state with entries of all lengths and kinds, those without a plain form among them.
    fn state(accounts: i64, requests: u64) -> NodeState {
        let txn = |sequence| TxnId::new(StoreId(0xc), 1, sequence);
        let seq = 2 * requests + 9;
        let mut entries = vec![
            NodeEntry::Account(AccountId::world(), -accounts * 5, 1),
            NodeEntry::Coordinator(StoreId(0xc), CoordinatorSeen::default()),
            NodeEntry::Settings(1000, Some(7)),
        ];
        let account = |n| NodeEntry::Account(format!("a{n:06}").parse().unwrap(), 5, seq);
        entries.extend((0..accounts).map(account));
        for n in 0..requests {
            let reason = || Box::new(Reason::LockContention("a000001".parse().unwrap()));
            let progress = match n % 3 {
                0 => Progress::Open,
                1 => Progress::Committed(n + 1),
                _ => Progress::Aborted(n + 1, reason()),
            };
            let entry = RequestEntry {
                digest: BodyDigest(n),
                txn: txn(n),
                progress,
            };
            entries.push(NodeEntry::Request(RequestId(n.into()), entry));
        }
        let forced = |why: String| protocol::participant::Forced { why, truth: None };
        for (n, why) in (0..).zip(["a \"quoted\" word", &"long ".repeat(CHUNK / 2), "", "[{}"]) {
            let end = Finished {
                aborted: None,
                seq,
                forced: Some(Box::new(forced(why.to_owned()))),
            };
            entries.push(NodeEntry::Finished(txn(1_000_000 + n), end));
        }
        NodeState::restore(seq, &mut entries.into_iter()).unwrap()
    }

    fn home() -> Home<MemDisk> {
        let owner = Owner::Node("N1".parse::<NodeId>().unwrap());
        Home {
            disk: MemDisk::default(),
            names: Names::new(owner),
            owner,
            store: STORE,
        }
    }

    fn written(state: &NodeState) -> Vec<u8> {
        let home = home();
        let file = home.disk.create("state").unwrap();
        state_file::write(&home, file, 3, Content::of(state)).unwrap();
        home.disk.read("state").unwrap()
    }

    /// A reader that gives `step` bytes at a time.
    struct Drops(Cursor<Vec<u8>>, usize);

    impl Read for Drops {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = out.len().min(self.1);
            self.0.read(&mut out[..len])
        }
    }

    fn read_in(bytes: &[u8], step: usize) -> Result<Checkpoint<NodeState>, Stop> {
        let from = Drops(Cursor::new(bytes.to_vec()), step);
        read_text(Text::new(Box::new(from)), STORE)
    }

    #[test]
    fn what_was_written_is_read_piece_by_piece() {
        for (accounts, requests) in [(0, 0), (1, 1), (10_000, 20_000)] {
            let state = state(accounts, requests);
            let bytes = written(&state);
            for step in [usize::MAX, CHUNK, 7777] {
                let found = read_in(&bytes, step).unwrap();
                assert_eq!((found.previous, found.len), (3, length(&bytes)));
                assert_eq!(found.state, state);
            }
        }
        let nothing = NodeState::restore(3, &mut std::iter::empty()).unwrap();
        assert_eq!(read_in(&written(&nothing), 1).unwrap().state, nothing);
    }

    #[test]
    fn a_file_with_any_other_byte_or_another_end_is_left_to_those_who_read_it_whole() {
        let entries = [
            NodeEntry::Account(AccountId::world(), -5, 1),
            NodeEntry::Account("A".parse().unwrap(), 5, 2),
            NodeEntry::Settings(10, None),
        ];
        let bytes = written(&NodeState::restore(9, &mut entries.into_iter()).unwrap());
        let is_strange = |bytes: &[u8]| matches!(read_in(bytes, usize::MAX), Err(Stop::Strange));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(is_strange(&bad), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(is_strange(&bytes[..end]), "cut at {end}");
        }
        assert!(is_strange(&[&bytes[..], b"\n"].concat()));
    }

    #[test]
    fn damage_far_into_a_long_file_is_found_by_whoever_reads_it() {
        let bytes = written(&state(10_000, 20_000));
        for at in [
            bytes.len() / 7,
            bytes.len() / 2,
            bytes.len() - 3 * CHUNK,
            bytes.len() - 30,
        ] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(matches!(read_in(&bad, CHUNK), Err(Stop::Strange)), "byte {at}");
            assert!(
                matches!(read_in(&bytes[..at], CHUNK), Err(Stop::Strange)),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_file_that_says_the_same_in_other_words_is_read_as_a_whole() {
        let home = home();
        let bytes = written(&state(3, 3));
        let mut text = String::from_utf8(bytes).unwrap();
        text.truncate(text.find("\"checksum\"").unwrap());
        let mut spaced = text.replace("\"sequence\":", "\"sequence\": ").into_bytes();
        seal::seal(&mut spaced, SUFFIX);
        assert!(matches!(read_in(&spaced, CHUNK), Err(Stop::Strange)));
        let whole = state_file::read::<NodeState, _>(&home, &spaced).unwrap();
        assert_eq!(whole.state, state(3, 3));
    }
}
