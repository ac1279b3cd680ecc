//! The tap: what a process sees of its transactions, kept and counted beside the loop.
//!
//! The loop tells the tap what it is about to step, what was recorded, synced and sent; a service says what that means
//! ([`Meaning`]). Everything is counted; lines are written out only for the transactions that [`sampling`] keeps, so that
//! all others cost a comparison or two. The tap never waits and never grows: its ring pushes out what is old.

pub(crate) mod meaning;
mod ring;
mod sampling;
mod stopwatch;

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant, SystemTime};

use protocol::fold::Seq;
use protocol::histogram::Histogram;
use protocol::id::TxnId;
use protocol::message::watch::{Held, LINE_LEN_MAX, Numbers, Party, Sight, Sighting};

use meaning::{End, Meaning, Moment};
use ring::Ring;
use sampling::Sampling;
use stopwatch::Stopwatch;

/// Sights of one transaction that are told at a time.
const RECALLED_MAX: usize = 1_000;

/// What a process has seen.
#[derive(Debug)]
pub(crate) struct Tap {
    started: Instant,
    sampling: Sampling,
    ring: Ring,
    stopwatch: Stopwatch,
    /// Set while a request is stepped that has no transaction yet: whether it is repeated.
    asked: Option<bool>,
    /// Kept transactions with records that are not synced yet; may repeat.
    unsynced: Vec<TxnId>,
    committed: u64,
    aborted: BTreeMap<&'static str, u64>,
    unknown: u64,
    syncs: Histogram,
    decisions: Histogram,
}

impl Tap {
    pub(crate) fn new(now: Instant) -> Tap {
        Tap {
            started: now,
            sampling: Sampling::new(now),
            ring: Ring::default(),
            stopwatch: Stopwatch::new(now),
            asked: None,
            unsynced: Vec::new(),
            committed: 0,
            aborted: BTreeMap::new(),
            unknown: 0,
            syncs: Histogram::default(),
            decisions: Histogram::default(),
        }
    }

    /// A message is about to be stepped.
    pub(crate) fn heard(&mut self, meaning: Meaning, now: Instant, line: impl FnOnce() -> (Party, String)) {
        if let Moment::Asked { repeated } = meaning.moment {
            self.asked = Some(repeated);
        }
        if let Some(txn) = self.note(meaning, now) {
            let (from, line) = line();
            self.see(
                txn,
                Sight::Received {
                    from,
                    line: cut(line),
                },
            );
        }
    }

    /// A step is over: what was asked for in it and got no transaction never gets one.
    pub(crate) fn stepped(&mut self) {
        self.asked = None;
    }

    /// A record was appended. `request` writes out the request that it begins a transaction for.
    pub(crate) fn recorded(
        &mut self,
        meaning: Meaning,
        now: Instant,
        (seq, forced): (Seq, bool),
        line: impl FnOnce() -> String,
        request: impl FnOnce(bool) -> Option<String>,
    ) {
        let Some(txn) = self.note(meaning, now) else {
            return;
        };
        if let Some(line) = self.asked.take().and_then(request) {
            let (from, line) = (Party::Client, cut(line));
            self.see(txn, Sight::Received { from, line });
        }
        let line = cut(line());
        self.see(txn, Sight::Recorded { seq, line, forced });
        self.unsynced.push(txn);
    }

    /// Everything up to record `through` is on disk.
    pub(crate) fn synced(&mut self, through: Seq, took: Duration) {
        let took_us = micros(took);
        self.syncs.add(took_us);
        let mut unsynced = mem::take(&mut self.unsynced);
        unsynced.sort_unstable();
        unsynced.dedup();
        for txn in unsynced.drain(..) {
            self.see(txn, Sight::Synced { through, took_us });
        }
        self.unsynced = unsynced;
    }

    /// A message leaves.
    pub(crate) fn said(&mut self, meaning: Meaning, now: Instant, line: impl FnOnce() -> (Party, String)) {
        if let Some(txn) = self.note(meaning, now) {
            let (to, line) = line();
            self.see(txn, Sight::Sent { to, line: cut(line) });
        }
    }

    /// A message leaves for somebody who is not connected.
    pub(crate) fn lost(&mut self, meaning: Meaning, now: Instant) {
        self.note(meaning, now);
    }

    /// A message stops at the gate.
    pub(crate) fn held(&mut self, held: Held) {
        let Held { txn, to, line } = held;
        if self.sampling.keeps(txn) {
            self.see(txn, Sight::Held { to, line });
        }
    }

    /// Counts. Returns the transaction if it is kept.
    fn note(&mut self, meaning: Meaning, now: Instant) -> Option<TxnId> {
        match meaning.moment {
            Moment::Asked { .. } | Moment::Passes => {}
            Moment::Begins => {
                self.sampling.came(meaning.txn?, now);
                self.stopwatch.start(meaning.txn?, now);
            }
            Moment::Comes => self.sampling.came(meaning.txn?, now),
            Moment::UnderWay => self.stopwatch.start(meaning.txn?, now),
            Moment::Ends(end) => {
                self.count(end);
                if let Some(took) = meaning.txn.and_then(|txn| self.stopwatch.stop(txn, now)) {
                    self.decisions.add(micros(took));
                }
            }
        }
        meaning.txn.filter(|&txn| self.sampling.keeps(txn))
    }

    fn count(&mut self, end: End) {
        match end {
            End::Committed => self.committed += 1,
            End::Aborted(word) => *self.aborted.entry(word).or_default() += 1,
            End::Unknown => self.unknown += 1,
        }
    }

    fn see(&mut self, txn: TxnId, what: Sight) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.ring.push(now.map_or(0, micros), txn, what);
    }

    /// Whether lines about `txn` are kept.
    pub(crate) fn keeps(&self, txn: TxnId) -> bool {
        self.sampling.keeps(txn)
    }

    /// One transaction in so many is kept.
    pub(crate) fn every(&self) -> u64 {
        self.sampling.every()
    }

    /// The ring, for whoever follows.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// What is still kept about one transaction.
    pub(crate) fn recall(&self, txn: TxnId) -> Vec<Sighting> {
        self.ring.about(txn, RECALLED_MAX)
    }

    /// How long a transaction has been under way, if that is known.
    pub(crate) fn age(&self, txn: TxnId, now: Instant) -> Option<Duration> {
        self.stopwatch.elapsed(txn, now)
    }

    /// What was counted; the rest is for the loop to fill in.
    pub(crate) fn numbers(&self, now: Instant) -> Numbers {
        let aborted = self.aborted.iter();
        Numbers {
            up_ms: millis(now.saturating_duration_since(self.started)),
            committed: self.committed,
            aborted: aborted
                .map(|(word, count)| ((*word).to_owned(), *count))
                .collect(),
            unknown: self.unknown,
            syncs: self.syncs.clone(),
            decisions: self.decisions.clone(),
            every: self.every(),
            sights: self.ring.seen(),
            ..Numbers::default()
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A line that is not too long.
pub(crate) fn cut(mut line: String) -> String {
    line.truncate(line.floor_char_boundary(LINE_LEN_MAX));
    line
}
