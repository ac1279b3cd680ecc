//! A small state with entries in every table, and a deterministic stream of steps that changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use engine::{Engine, Error, Opened, Owner, StoreConfig, StoreKind};
use protocol::fold::{AccountLine, Fold, Seq, Table};
use protocol::id::AccountId;
use protocol::money::Balance;
use protocol::plain::Plain;
use serde::{Deserialize, Serialize};

/// A state with one map for each table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Toy {
    seq: Seq,
    maps: [BTreeMap<u32, String>; 4],
}

/// Sets or removes one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Record {
    /// Sets it.
    Put { table: usize, id: u32, text: String },
    /// Removes it.
    Cut { table: usize, id: u32 },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Put { table, id, text } => write!(f, "put {table}/{id} of {} bytes", text.len()),
            Record::Cut { table, id } => write!(f, "cut {table}/{id}"),
        }
    }
}

/// Names one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key(usize, u32);

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    table: usize,
    id: u32,
    text: String,
}

impl Plain for Record {}
impl Plain for Entry {}

impl Fold for Toy {
    type Record = Record;
    type Key = Key;
    type Entry = Entry;

    fn empty() -> Toy {
        Toy::default()
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn size(&self) -> usize {
        self.entries().count()
    }

    fn apply(&mut self, seq: Seq, record: &Record, touched: &mut Vec<Key>) {
        assert_eq!(seq, self.seq + 1);
        self.seq = seq;
        match record {
            Record::Put { table, id, text } => {
                self.maps[*table].insert(*id, text.clone());
                touched.push(Key(*table, *id));
            }
            Record::Cut { table, id } => {
                self.maps[*table].remove(id);
                touched.push(Key(*table, *id));
            }
        }
    }

    fn entry(&self, key: &Key) -> Option<Entry> {
        let text = self.maps[key.0].get(&key.1)?.clone();
        Some(Entry {
            table: key.0,
            id: key.1,
            text,
        })
    }

    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        Box::new(self.maps.iter().enumerate().flat_map(|(table, map)| {
            map.iter().map(move |(id, text)| Entry {
                table,
                id: *id,
                text: text.clone(),
            })
        }))
    }

    fn restore(seq: Seq, entries: &mut dyn Iterator<Item = Entry>) -> Result<Toy, String> {
        let mut toy = Toy {
            seq,
            ..Toy::default()
        };
        for entry in entries {
            if toy.maps[entry.table].insert(entry.id, entry.text).is_some() {
                return Err(format!("two entries {}/{}", entry.table, entry.id));
            }
        }
        Ok(toy)
    }

    fn key(entry: &Entry) -> Key {
        Key(entry.table, entry.id)
    }

    fn table(key: &Key) -> Table {
        Table::ALL[key.0]
    }

    fn as_account(_: &Entry) -> Option<AccountLine> {
        None
    }

    fn from_account(_: AccountLine) -> Option<Entry> {
        None
    }

    fn adoption(_: Vec<(AccountId, Balance)>, _: u32) -> Option<Record> {
        None
    }
}

/// Opens N1's sled store in `dir`.
pub(crate) fn open(dir: &Path) -> Result<Opened<Toy>, Error> {
    engine::open(&config(dir))
}

/// N1's sled store in `dir`.
pub(crate) fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        owner: Owner::Node("N1".parse().expect("a node id")),
        kind: StoreKind::Sled,
        cluster: "local".parse().expect("a name"),
        segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
        power_cut: None,
    }
}

/// Applies the records as one step and appends them.
pub(crate) fn step(engine: &mut dyn Engine<Toy>, toy: &mut Toy, records: Vec<Record>) -> Result<(), Error> {
    let (mut touched, mut numbered) = (Vec::new(), Vec::new());
    for record in records {
        toy.apply(toy.seq + 1, &record, &mut touched);
        numbered.push((toy.seq, record));
    }
    engine.append(&numbered, &touched, toy)
}

/// The records of step number `at`: one to five, values of 0 to 200 bytes and now and then of several rows.
pub(crate) fn records(at: u64) -> Vec<Record> {
    let mut random = Random(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..1 + random.below(5))
        .map(|_| {
            let table = usize::try_from(random.below(4)).expect("in range");
            let id = u32::try_from(random.below(400)).expect("in range");
            if random.below(4) == 0 {
                return Record::Cut { table, id };
            }
            let len = if random.below(50) == 0 {
                random.below(9000)
            } else {
                random.below(200)
            };
            let letter = char::from(b'a' + u8::try_from(random.below(26)).expect("in range"));
            Record::Put {
                table,
                id,
                text: letter.to_string().repeat(usize::try_from(len).expect("in range")),
            }
        })
        .collect()
}

/// The state after the first `steps` steps of [`records`].
pub(crate) fn state_after(steps: u64) -> Toy {
    let mut toy = Toy::empty();
    for at in 0..steps {
        for record in records(at) {
            toy.apply(toy.seq + 1, &record, &mut Vec::new());
        }
    }
    toy
}

/// How many steps there are up to the first that ends with record `seq` or a later one.
pub(crate) fn steps_until(seq: Seq) -> u64 {
    let (mut steps, mut records_before) = (0, 0);
    while records_before < seq {
        records_before += u64::try_from(records(steps).len()).expect("a few");
        steps += 1;
    }
    steps
}

/// Copies a folder with everything in it, but for what a store that has just started may still be removing.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the target is new");
    for entry in fs::read_dir(from).expect("the source is there") {
        let entry = entry.expect("the source is there");
        if entry.path().extension().is_some_and(|end| end == "retired") {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
