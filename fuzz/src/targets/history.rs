//! True histories to damage: a store as it was at many moments of its life, and every state it has ever been in.

use std::sync::OnceLock;

use engine::{Disk, Engine, MemDisk};
use protocol::fold::{Fold, Seq};

use super::disk::{self, ACTIVE};
use super::tape::{Tape, TapeRecord};

/// Steps in a life, of one or two records each.
const STEPS: u64 = 26;

/// A store at one moment.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) disk: MemDisk,
    /// Everything up to here was synced by then, and perhaps told to somebody.
    pub(super) promised: Seq,
}

/// A life.
#[derive(Debug)]
pub(super) struct History {
    /// By sequence, from the empty one on.
    pub(super) states: Vec<Tape>,
    /// Records by sequence; the first is number 1.
    pub(super) records: Vec<TapeRecord>,
    /// In the order of time.
    pub(super) pages: Vec<Page>,
}

/// Two lives of one store: one that cuts a checkpoint whenever it can, one whose segments pile up behind the first.
pub(super) fn histories() -> &'static [History; 2] {
    static HISTORIES: OnceLock<[History; 2]> = OnceLock::new();
    HISTORIES.get_or_init(|| [live(true), live(false)])
}

fn records(at: u64) -> Vec<TapeRecord> {
    let name = ["A", "B", "C"][usize::from(at % 3 == 1) + 2 * usize::from(at % 3 == 2)];
    let set = TapeRecord::Set {
        account: name.parse().expect("a good name"),
        balance: i64::try_from(at * 7).expect("small"),
    };
    let note = |key, text: String| TapeRecord::Note { key, text };
    match at % 4 {
        0 => vec![set],
        1 => vec![note(at, format!("line\n\"{at}\" {{\"crc\":\"")), set],
        2 => vec![set, TapeRecord::Forget { key: at - 1 }],
        _ => vec![note(at, "x".repeat(30))],
    }
}

fn live(checkpoints: bool) -> History {
    let disk = MemDisk::new();
    let opened = disk::open::<Tape>(&disk).unwrap_or_else(|error| panic!("a first start: {error}"));
    let (mut engine, mut state) = (opened.engine, opened.state);
    let mut history = History {
        states: vec![state.clone()],
        records: Vec::new(),
        pages: vec![Page {
            disk: disk.snapshot(),
            promised: 0,
        }],
    };
    for at in 0..STEPS {
        let (mut numbered, mut touched) = (Vec::new(), Vec::new());
        for record in records(at) {
            state.apply(state.seq() + 1, &record, &mut touched);
            history.states.push(state.clone());
            history.records.push(record.clone());
            numbered.push((state.seq(), record));
        }
        engine
            .append(&numbered, &touched, &state)
            .expect("a disk in memory");
        if at % 5 == 3 {
            // Given to the system and not synced: a crash decides. Then somebody waits, or the rest piles up.
            tend(&mut *engine, &mut state, &disk, checkpoints);
            history.pages.push(page(&disk, &*engine));
            if at % 2 == 0 {
                continue;
            }
        }
        engine.sync().expect("a disk in memory");
        history.pages.push(page(&disk, &*engine));
        tend(&mut *engine, &mut state, &disk, checkpoints);
        if at % 6 == 5 {
            // Long enough for the idle mark.
            (0..4).for_each(|_| tend(&mut *engine, &mut state, &disk, checkpoints));
        }
        history.pages.push(page(&disk, &*engine));
    }
    history
}

fn page(disk: &MemDisk, engine: &dyn Engine<Tape>) -> Page {
    Page {
        disk: disk.snapshot(),
        promised: engine.synced(),
    }
}

/// One turn's housekeeping. Where no checkpoint is wanted, what one wrote is taken back.
fn tend(engine: &mut dyn Engine<Tape>, state: &mut Tape, disk: &MemDisk, checkpoints: bool) {
    let before = disk::content(disk);
    engine.tend(state).expect("a disk in memory");
    if !checkpoints {
        for (name, bytes) in before
            .iter()
            .filter(|(name, _)| *name != ACTIVE && !name.ends_with(".tmp"))
        {
            if disk.read(name).ok().as_ref() != Some(bytes) {
                disk.put(name, bytes);
            }
        }
    }
}
