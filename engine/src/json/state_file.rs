//! The checkpoint: a file that a person can read and a machine can trust.
//!
//! ```text
//! {
//!   "@world": -1000,
//!   "A": 1000,
//!   "_meta": {"format":2,"store":"9f3c","sequence":12,"previous":0,"versions":{"@world":1,"A":1},"entries":[…],"checksum":"xxxxxxxx"}
//! }
//! ```
//!
//! Balances come first, sorted; everything else the state holds stands in `_meta`. The checksum covers every byte before
//! its digits, and what follows them is fixed. Written and read in one pass: a million accounts are no exception.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use protocol::fold::{AccountLine, Fold, Seq};
use protocol::id::{AccountId, StoreId};
use protocol::money::Balance;
use protocol::planted;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::disk::{Disk, DiskFile};
use crate::json::line::{NUMBER_MAX, write_members};
use crate::json::log::length;
use crate::json::packed::Packed;
use crate::json::recovery::Home;
use crate::seal::{self, Broken};
use crate::{Error, Owner, failpoint};

const FORMAT: u32 = 2;

/// The oldest format that can be read. In it, a request was an object with named members.
const FORMAT_OLDEST: u32 = 1;

pub(crate) const SUFFIX: &[u8] = b"\"}\n}\n";

/// Bytes written at once.
const CHUNK: usize = 256 * 1024;

/// The most bytes that may wait for the system to write them out. A long file that is written out as a whole keeps the disk
/// busy for a good part of a second, in which no log can be synced.
const STEP: u64 = 1024 * 1024;

/// A checkpoint that was read.
#[derive(Debug)]
pub(crate) struct Checkpoint<S> {
    pub(crate) state: S,
    /// The newest record in the checkpoint that this one replaced.
    pub(crate) previous: Seq,
    /// The file's length, in bytes.
    pub(crate) len: u64,
}

/// What is to be written: all entries of the state at record `seq`, accounts first and in name order.
pub(crate) struct Content<'a, S: Fold> {
    pub(crate) seq: Seq,
    pub(crate) entries: Box<dyn Iterator<Item = io::Result<S::Entry>> + 'a>,
}

impl<S: Fold> Content<'_, S> {
    /// All of a state that is there.
    pub(crate) fn of(state: &S) -> Content<'_, S> {
        Content {
            seq: state.seq(),
            entries: Box::new(state.entries().map(Ok)),
        }
    }
}

/// Writes a checkpoint into `file`, which is empty or to be written over, and syncs it. Returns its length in bytes.
///
/// # Errors
/// Whatever the disk or the entries report.
pub(crate) fn write<S: Fold, D: Disk>(
    home: &Home<D>,
    file: D::File,
    previous: Seq,
    content: Content<'_, S>,
) -> io::Result<u64> {
    let Content { seq, mut entries } = content;
    let mut writer = Writer {
        file,
        buffer: Vec::with_capacity(CHUNK + 4096),
        crc: crc32fast::Hasher::new(),
        len: 0,
        unsynced: 0,
    };
    let mut versions = Packed::default();
    let mut first_other = None;
    writer.buffer.extend_from_slice(b"{\n");
    for entry in &mut entries {
        let entry = entry?;
        let Some(AccountLine { id, balance, version }) = S::as_account(&entry) else {
            first_other = Some(entry);
            break;
        };
        writer.buffer.extend_from_slice(b"  ");
        writer.name(id.as_str());
        writer.buffer.extend_from_slice(b": ");
        writer.json(&balance);
        writer.buffer.extend_from_slice(b",\n");
        writer.pour(CHUNK)?;
        assert!(versions.push(id, version), "accounts come in name order");
    }
    let numbers = format!("{seq},\"previous\":{previous},\"versions\":{{");
    writer.buffer.extend_from_slice(opening(home.store).as_bytes());
    writer.buffer.extend_from_slice(numbers.as_bytes());
    let (mut versions, mut index) = (versions.unpack(), 0);
    while let Some((name, version)) = versions.next() {
        writer.comma(index);
        writer.name(name);
        writer.buffer.push(b':');
        writer.json(&version);
        writer.pour(CHUNK)?;
        index += 1;
    }
    drop(versions);
    writer.buffer.extend_from_slice(b"},\"entries\":[");
    for (index, entry) in first_other.map(Ok).into_iter().chain(entries).enumerate() {
        let entry = entry?;
        assert!(S::as_account(&entry).is_none(), "accounts come first");
        writer.comma(index);
        writer.buffer.push(b'{');
        write_members(&entry, &mut writer.buffer);
        writer.buffer.push(b'}');
        writer.pour(CHUNK)?;
    }
    writer.buffer.extend_from_slice(b"],");
    writer.buffer.extend_from_slice(seal::MEMBER);
    writer.pour(0)?;
    let digits = seal::hex(writer.crc.finalize());
    let end = [&digits, SUFFIX].concat();
    writer.file.append(&end)?;
    // It may be longer from a former life.
    writer.file.trim()?;
    failpoint::check("checkpoint.k3")?;
    planted!(UnsyncedCheckpoint: writer.file.sync()? => ());
    Ok(writer.len + length(&end))
}

/// How `_meta` begins, up to the sequence.
pub(crate) fn opening(store: StoreId) -> String {
    format!("  \"_meta\": {{\"format\":{FORMAT},\"store\":\"{store}\",\"sequence\":")
}

struct Writer<F> {
    file: F,
    buffer: Vec<u8>,
    crc: crc32fast::Hasher,
    /// What the file has been given, in bytes.
    len: u64,
    /// The part of that which may wait for the system to write it out.
    unsynced: u64,
}

impl<F: DiskFile> Writer<F> {
    fn json<T: Serialize>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.buffer, value).expect("entries are JSON, and memory takes them");
    }

    /// No account's name needs an escape.
    fn name(&mut self, name: &str) {
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.push(b'"');
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.buffer.push(b',');
        }
    }

    /// Empties the buffer into the file once it holds `at_least` bytes.
    fn pour(&mut self, at_least: usize) -> io::Result<()> {
        if self.buffer.len() >= at_least {
            self.crc.update(&self.buffer);
            self.file.append(&self.buffer)?;
            self.len += length(&self.buffer);
            self.unsynced += length(&self.buffer);
            self.buffer.clear();
            if self.unsynced >= STEP {
                self.file.sync()?;
                self.unsynced = 0;
            }
        }
        Ok(())
    }
}

/// Reads the checkpoint in `bytes`.
///
/// # Errors
/// [`Error::Corrupt`] if it is not one that this store wrote, with what to do about it.
pub(crate) fn read<S: Fold, D: Disk>(home: &Home<D>, bytes: &[u8]) -> Result<Checkpoint<S>, Error> {
    seal::check(bytes, SUFFIX).map_err(|broken| Error::Corrupt(refusal(home, bytes, &broken)))?;
    parse(home.store, bytes).map_err(|why| {
        Error::Corrupt(format!(
            "{}: {why}. Nothing was changed. Restore the data directory from a backup",
            home.disk.display(&home.names.state)
        ))
    })
}

/// Reads the checkpoint in `bytes`, whichever file it comes from.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_any<S: Fold>(store: StoreId, bytes: &[u8]) -> Result<Checkpoint<S>, String> {
    seal::check(bytes, SUFFIX).map_err(|broken| broken.to_string())?;
    parse(store, bytes)
}

/// Whether `bytes` is a whole checkpoint, of whichever store.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    seal::check(bytes, SUFFIX).is_ok()
}

fn refusal<D: Disk>(home: &Home<D>, bytes: &[u8], broken: &Broken) -> String {
    let (state, previous) = (
        home.disk.display(&home.names.state),
        home.disk.display(&home.names.previous),
    );
    let undo = format!("copy {previous} over it (the log still holds everything since) and start again");
    let is_json = serde_json::from_slice::<de::IgnoredAny>(bytes).is_ok();
    match home.owner {
        Owner::Node(node) if is_json => format!(
            "{state} is not as this store wrote it ({broken}): it looks edited by hand. No money moved, nothing was \
             changed. Undo the edit: {undo}. Then move money with a command: twopence deposit {node}/A 100, or twopence \
             transfer {node}/A {node}/B 10"
        ),
        Owner::Node(_) | Owner::Coordinator => {
            format!("{state} is damaged: {broken}. Nothing was changed. To repair it, {undo}")
        }
    }
}

fn parse<S: Fold>(store: StoreId, bytes: &[u8]) -> Result<Checkpoint<S>, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file: File<'_> = json
        .deserialize_map(FileVisitor)
        .map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    let File { accounts, meta } = file;
    if !(FORMAT_OLDEST..=FORMAT).contains(&meta.format) {
        return Err(format!(
            "it has format {}, this program knows {FORMAT_OLDEST} to {FORMAT}",
            meta.format
        ));
    }
    if meta.store != store {
        return Err(format!(
            "it belongs to store {}, this is store {store}",
            meta.store
        ));
    }
    let (sequence, previous) = (meta.sequence, meta.previous);
    if previous > sequence || sequence > NUMBER_MAX {
        return Err(format!(
            "it says that it has record {sequence} and replaces a state at record {previous}, which cannot be"
        ));
    }
    let Ascending(versions) = meta.versions;
    if accounts.len() != versions.len()
        || accounts
            .iter()
            .zip(&versions)
            .any(|(account, version)| account.0 != version.0)
    {
        return Err("its balances and versions are not of the same accounts".to_owned());
    }
    let lines = accounts
        .into_iter()
        .zip(versions)
        .map(|((id, balance), (_, version))| AccountLine { id, balance, version });
    let mut homeless = None;
    let accounts = lines.filter_map(|line| {
        let id = line.id.clone();
        let entry = S::from_account(line);
        if entry.is_none() {
            homeless = Some(id);
        }
        entry
    });
    let mut others = Elements::<S::Entry>::of(meta.entries);
    let mut hidden = None;
    let entries = accounts.chain(others.by_ref().inspect(|entry| {
        if let Some(account) = S::as_account(entry) {
            hidden.get_or_insert(account.id);
        }
    }));
    let state = S::restore(sequence, &mut { entries });
    if let Some(wrong) = others.wrong {
        return Err(wrong);
    }
    // An account that a person does not see among the balances would be money all the same.
    if let Some(id) = hidden {
        return Err(format!("account {id} stands among its other entries"));
    }
    match homeless {
        Some(id) => Err(format!("it names account {id} in a store that keeps no accounts")),
        None => Ok(Checkpoint {
            state: state?,
            previous,
            len: length(bytes),
        }),
    }
}

/// The elements of an array, one at a time: a million of them at once would take more memory than the state made of them.
struct Elements<'a, E> {
    /// What follows the last one.
    rest: &'a str,
    /// Why it ended before its time.
    wrong: Option<String>,
    _of: PhantomData<E>,
}

impl<'a, E> Elements<'a, E> {
    fn of(array: &'a RawValue) -> Elements<'a, E> {
        let inside = array
            .get()
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Elements {
            rest: inside.unwrap_or_default().trim_start(),
            wrong: inside
                .is_none()
                .then(|| "its other entries are no array".to_owned()),
            _of: PhantomData,
        }
    }
}

impl<'a, E: Deserialize<'a>> Iterator for Elements<'a, E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<E>();
        match values.next()? {
            Ok(entry) => {
                let rest = self.rest[values.byte_offset()..].trim_start();
                // That it is an array was checked when it was found.
                self.rest = rest.strip_prefix(',').unwrap_or(rest);
                Some(entry)
            }
            Err(error) => {
                self.rest = "";
                self.wrong = Some(format!("one of its other entries is not known here: {error}"));
                None
            }
        }
    }
}

struct File<'a> {
    accounts: Vec<(AccountId, Balance)>,
    meta: Meta<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta<'a> {
    format: u32,
    store: StoreId,
    sequence: Seq,
    previous: Seq,
    versions: Ascending,
    #[serde(borrow)]
    entries: &'a RawValue,
    #[serde(rename = "checksum")]
    _checksum: String,
}

/// A map whose keys ascend, so that none occurs twice.
struct Ascending(Vec<(AccountId, u64)>);

fn push_ascending<T, E: de::Error>(list: &mut Vec<(AccountId, T)>, id: AccountId, value: T) -> Result<(), E> {
    if list.last().is_some_and(|(last, _)| *last >= id) {
        return Err(E::custom(format_args!("account {id} is out of order")));
    }
    list.push((id, value));
    Ok(())
}

impl<'de> Deserialize<'de> for Ascending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ascending, D::Error> {
        struct MapVisitor;

        impl<'de> Visitor<'de> for MapVisitor {
            type Value = Ascending;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of accounts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ascending, A::Error> {
                let mut list = Vec::new();
                while let Some((id, value)) = map.next_entry()? {
                    push_ascending(&mut list, id, value)?;
                }
                Ok(Ascending(list))
            }
        }

        deserializer.deserialize_map(MapVisitor)
    }
}

enum Key {
    Account(AccountId),
    Meta,
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account id or _meta")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
        if text == "_meta" {
            return Ok(Key::Meta);
        }
        // Through serde, which knows the one account that users cannot name.
        AccountId::deserialize(de::value::StrDeserializer::new(text)).map(Key::Account)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("balances and _meta")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File<'de>, A::Error> {
        let mut accounts = Vec::new();
        let mut meta = None;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::Account(id) => push_ascending(&mut accounts, id, map.next_value()?)?,
                Key::Meta if meta.is_none() => meta = Some(map.next_value()?),
                Key::Meta => return Err(de::Error::duplicate_field("_meta")),
            }
        }
        let meta = meta.ok_or_else(|| de::Error::missing_field("_meta"))?;
        Ok(File { accounts, meta })
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{RequestId, TxnId};
    use protocol::leg::BodyDigest;
    use protocol::participant::{NodeEntry, NodeState, Progress, RequestEntry};
    use protocol::reason::Reason;

    use super::*;
    use crate::MemDisk;
    use crate::json::names::Names;

    const STORE: StoreId = StoreId(7);

    /// A state in which requests have come as far as they can.
    fn requests() -> NodeState {
        let request = |n: u64, progress| {
            let entry = RequestEntry {
                digest: BodyDigest(0xab),
                txn: TxnId::new(StoreId(0xc), 1, n),
                progress,
            };
            NodeEntry::Request(RequestId(n.into()), entry)
        };
        let entries = [
            request(1, Progress::Open),
            request(2, Progress::Committed(5)),
            request(3, Progress::Aborted(6, Box::new(Reason::Stale))),
        ];
        NodeState::restore(9, &mut entries.into_iter()).unwrap()
    }

    fn written(state: &NodeState) -> String {
        let owner = Owner::Node("N1".parse().unwrap());
        let home = Home {
            disk: MemDisk::default(),
            names: Names::new(owner),
            owner,
            store: STORE,
        };
        let file = home.disk.create("state").unwrap();
        write(&home, file, 0, Content::of(state)).unwrap();
        String::from_utf8(home.disk.read("state").unwrap()).unwrap()
    }

    /// A file with another content, rightly sealed.
    fn sealed_anew(text: &str) -> Vec<u8> {
        let (body, _) = text.rsplit_once("\"checksum\":").unwrap();
        let mut bytes = body.as_bytes().to_vec();
        seal::seal(&mut bytes, SUFFIX);
        bytes
    }

    #[test]
    fn a_file_of_format_1_is_read_and_formats_nobody_knows_are_refused() {
        let state = requests();
        let text = written(&state);
        let named = |n, progress: &str| format!(r#"{{"digest":"ab","txn":"c-1-{n}","progress":{progress}}}"#);
        let older = text
            .replace(r#""format":2"#, r#""format":1"#)
            .replace(r#"["ab","c-1-1"]"#, &named(1, r#""open""#))
            .replace(r#"["ab","c-1-2",5]"#, &named(2, r#"{"committed":5}"#))
            .replace(
                r#"["ab","c-1-3",6,"stale_prepare"]"#,
                &named(3, r#"{"aborted":[6,"stale_prepare"]}"#),
            );
        assert!(!older.contains(r#"["ab""#), "all of it is as it was: {older}");
        for text in [&text, &older] {
            let read = read_any::<NodeState>(STORE, &sealed_anew(text)).unwrap();
            assert_eq!(read.state, state);
        }
        for unknown in [FORMAT_OLDEST - 1, FORMAT + 1] {
            let text = text.replace(r#""format":2"#, &format!(r#""format":{unknown}"#));
            let refused = read_any::<NodeState>(STORE, &sealed_anew(&text)).unwrap_err();
            assert!(refused.contains(&format!("format {unknown}")), "{refused}");
        }
    }

    /// Counts what was written and not synced.
    #[derive(Default)]
    struct Counted {
        unsynced: u64,
        most: u64,
    }

    impl DiskFile for Counted {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.unsynced += length(bytes);
            self.most = self.most.max(self.unsynced);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            self.unsynced = 0;
            Ok(())
        }

        fn fill_ahead(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn trim(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_long_file_is_synced_while_it_is_written() {
        let mut writer = Writer {
            file: Counted::default(),
            buffer: Vec::new(),
            crc: crc32fast::Hasher::new(),
            len: 0,
            unsynced: 0,
        };
        while writer.len < 10 * STEP {
            writer.name("an account");
            writer.pour(CHUNK).unwrap();
        }
        let limit = STEP + 2 * length(&[0; CHUNK]);
        assert!(
            (STEP..limit).contains(&writer.file.most),
            "{} bytes",
            writer.file.most
        );
    }
}
