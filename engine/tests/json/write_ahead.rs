//! The write-ahead rule: nothing leaves before what it shows is durable, and one sync covers everything that waits.

use std::fmt;
use std::time::{Duration, Instant};

use engine::{MemDisk, WriteAhead};
use protocol::effects::{Effects, Machine, Urgency};

use crate::bank::{Bank, Record, open_mem};

/// A machine whose steps the test writes itself.
struct Script;

#[derive(Clone, Debug, PartialEq)]
struct Word(&'static str);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Machine for Script {
    type State = Bank;
    type Input = ();
    type To = u8;
    type Message = Word;
    type Timer = u32;

    fn step(&mut self, (): (), _effects: &mut Effects<Script>) {
        unreachable!("the test fills the effects")
    }

    fn state(&self) -> &Bank {
        unreachable!("the test keeps the state")
    }

    fn state_mut(&mut self) -> &mut Bank {
        unreachable!("the test keeps the state")
    }
}

struct Driver {
    wal: WriteAhead<Script>,
    bank: Bank,
    effects: Effects<Script>,
    now: Instant,
}

impl Driver {
    fn new() -> Driver {
        let opened = open_mem(&MemDisk::new()).unwrap();
        Driver {
            wal: WriteAhead::new(opened.engine),
            bank: opened.state,
            effects: Effects::new(),
            now: Instant::now(),
        }
    }

    fn append(&mut self, urgency: Urgency, word: &'static str) {
        let record = Record::Note {
            key: 1,
            text: word.to_owned(),
        };
        let seq = self.effects.append(&mut self.bank, record, urgency);
        self.effects.send(0, Word(word), seq);
    }

    fn take(&mut self) {
        self.wal.take(&mut self.effects, &self.bank, self.now).unwrap();
    }

    fn flush(&mut self) -> Vec<&'static str> {
        self.wal.flush(self.now).unwrap();
        self.released()
    }

    fn released(&mut self) -> Vec<&'static str> {
        let mut words = Vec::new();
        self.wal.drain_released(|outgoing| words.push(outgoing.message.0));
        words
    }
}

#[test]
fn nothing_leaves_before_its_sync_and_one_sync_covers_many() {
    let mut driver = Driver::new();
    for word in ["one", "two", "three"] {
        driver.append(Urgency::Forced, word);
        driver.take();
        assert_eq!(driver.released(), Vec::<&str>::new());
    }
    assert_eq!(driver.wal.waiting(), 3);
    assert_eq!(driver.flush(), ["one", "two", "three"]);
    assert_eq!(
        (
            driver.wal.stats().syncs,
            driver.wal.synced(),
            driver.wal.deadline()
        ),
        (1, 3, None)
    );
    assert_eq!(driver.flush(), Vec::<&str>::new());
    assert_eq!(driver.wal.stats().syncs, 1);
}

#[test]
fn a_message_that_shows_nothing_new_passes_one_that_waits() {
    let mut driver = Driver::new();
    driver.append(Urgency::Lazy, "acknowledged");
    driver.effects.send(1, Word("balance"), 0);
    driver.take();
    assert_eq!(driver.flush(), ["balance"]);
    driver.effects.send(1, Word("later"), 0);
    driver.append(Urgency::Forced, "vote");
    driver.take();
    assert_eq!(driver.flush(), ["acknowledged", "later", "vote"]);
}

#[test]
fn a_lazy_record_rides_along_or_is_synced_by_its_deadline() {
    let mut driver = Driver::new();
    driver.append(Urgency::Lazy, "first");
    driver.take();
    let deadline = driver.wal.deadline().unwrap();
    assert_eq!(deadline, driver.now + Duration::from_millis(5));
    driver.now += Duration::from_millis(4);
    driver.append(Urgency::Lazy, "second");
    driver.take();
    assert_eq!(driver.wal.deadline(), Some(deadline), "the oldest one counts");
    assert_eq!(driver.flush(), Vec::<&str>::new());
    driver.now += Duration::from_millis(1);
    assert_eq!(driver.flush(), ["first", "second"]);
    assert_eq!((driver.wal.stats().syncs, driver.wal.deadline()), (1, None));
}

#[test]
fn a_repeated_decision_forces_a_lazy_record() {
    let mut driver = Driver::new();
    driver.append(Urgency::Lazy, "acknowledged");
    driver.take();
    assert_eq!(driver.flush(), Vec::<&str>::new());
    driver.effects.force(1);
    driver.take();
    assert_eq!(driver.flush(), ["acknowledged"]);
}
