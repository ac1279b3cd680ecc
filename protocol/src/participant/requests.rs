//! The home's memory of request ids: what makes a request happen at most once (R14).
//!
//! All open ids are kept, and of the finished ones at least the newest `window`, by log order. An entry changes only
//! together with the prepare, commit or abort record of its transaction.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{RequestId, TxnId};
use crate::leg::BodyDigest;
use crate::message::{Home, Knowledge};
use crate::numbers::{Log, Numbered, Visit};
use crate::planted;
use crate::reason::Reason;
use crate::table::{Map, hash_unordered};
use crate::unseen::Unseen;

/// How far a request has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Its transaction is prepared.
    Open,
    /// It happened; the record that says so.
    Committed(Seq),
    /// It did not and never will; the record that says so.
    Aborted(Seq, Box<Reason>),
}

impl Progress {
    /// The record that ended it, if it has ended.
    pub(super) fn ended(&self) -> Option<Seq> {
        match self {
            Progress::Open => None,
            Progress::Committed(seq) | Progress::Aborted(seq, _) => Some(*seq),
        }
    }
}

/// What is kept under a request id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestEntry {
    /// Digest of the legs it came with.
    pub digest: BodyDigest,
    /// The attempt that counts.
    pub txn: TxnId,
    /// How far it has come.
    pub progress: Progress,
}

/// Finished requests kept unless told otherwise.
pub const REQUEST_WINDOW: u64 = 1_000_000;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    window: u64,
    entries: Map<RequestId, RequestEntry>,
    /// Finished ones in log order, oldest first.
    finished: VecDeque<(Seq, RequestId)>,
    snapshot: Unseen<Option<Snapshot>>,
}

/// A copy of the finished requests as they were at one moment, on its way in log order. A finished request never changes
/// any more; it can only be forgotten.
#[derive(Clone, Debug)]
struct Snapshot {
    /// The last one that has been copied.
    copied: (Seq, RequestId),
    /// The newest record at that moment.
    through: Seq,
    /// Those behind it that were forgotten before they were copied.
    forgotten: Vec<(RequestId, RequestEntry)>,
}

impl Hash for Requests {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.window, &self.finished).hash(hasher);
        hash_unordered(self.entries.iter(), hasher);
    }
}

impl Default for Requests {
    fn default() -> Requests {
        Requests {
            window: REQUEST_WINDOW,
            entries: Map::default(),
            finished: VecDeque::new(),
            snapshot: Unseen::default(),
        }
    }
}

impl Requests {
    /// What a second attempt is told. The sequence is the newest record that the answer shows.
    pub fn knows(&self, home: &Home) -> (Knowledge, Seq) {
        let Some(entry) = self.entries.get(&home.request) else {
            return (Knowledge::Nothing, 0);
        };
        let shows = entry.progress.ended().unwrap_or(0);
        let knowledge = match &entry.progress {
            _ if entry.digest != home.digest && !planted!(ReuseUnnoticed) => Knowledge::Reused,
            Progress::Open => Knowledge::Open(entry.txn),
            Progress::Committed(_) => Knowledge::Committed(entry.txn),
            Progress::Aborted(_, reason) => Knowledge::Aborted(entry.txn, (**reason).clone()),
        };
        (knowledge, shows)
    }

    /// One entry.
    pub fn get(&self, request: &RequestId) -> Option<&RequestEntry> {
        self.entries.get(request)
    }

    /// All entries: the finished ones in log order, then the open ones in id order.
    pub fn entries(&self) -> impl Iterator<Item = (&RequestId, &RequestEntry)> {
        let finished = self.finished.iter().map(|(_, request)| request);
        let both = finished.chain(self.open_ones());
        both.map(|request| (request, &self.entries[request]))
    }

    /// The open ones, in id order.
    fn open_ones(&self) -> Vec<&RequestId> {
        let entries = self.entries.iter();
        let open = entries.filter(|(_, entry)| entry.progress == Progress::Open);
        let mut open: Vec<&RequestId> = open.map(|(request, _)| request).collect();
        open.sort_unstable();
        open
    }

    /// How many finished requests are kept at the least.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Sets the window; takes effect as further requests finish.
    pub fn set_window(&mut self, window: u64) {
        self.window = window;
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The record with which the oldest remembered finished request ended; 0 if there is none.
    pub fn horizon(&self) -> Seq {
        self.finished.front().map_or(0, |(seq, _)| *seq)
    }

    /// An attempt is prepared: the id is open.
    pub(super) fn open(&mut self, home: &Home, txn: TxnId) {
        let entry = RequestEntry {
            digest: home.digest,
            txn,
            progress: Progress::Open,
        };
        let before = self.entries.insert(home.request, entry);
        assert!(before.is_none(), "request {} is prepared twice", home.request);
    }

    /// An attempt has ended. If another attempt owns the id, nothing changes. `evicted` hears of every id forgotten.
    pub(super) fn end(
        &mut self,
        home: &Home,
        txn: TxnId,
        progress: Progress,
        mut evicted: impl FnMut(RequestId),
    ) {
        let seq = progress.ended().expect("an end names its record");
        let ended = RequestEntry {
            digest: home.digest,
            txn,
            progress,
        };
        match self.entries.entry(home.request) {
            Entry::Occupied(entry) if entry.get().txn != txn || entry.get().progress != Progress::Open => {
                return;
            }
            Entry::Occupied(mut entry) => *entry.get_mut() = ended,
            Entry::Vacant(entry) => _ = entry.insert(ended),
        }
        // At the end, but for a second request that the same record ends: the order is the one that restoring gives.
        let newest = (seq, home.request);
        match self.finished.back() {
            Some(last) if *last > newest => {
                let place = self.finished.partition_point(|other| *other < newest);
                self.finished.insert(place, newest);
            }
            Some(_) | None => self.finished.push_back(newest),
        }
        while u64::try_from(self.finished.len()).expect("a length fits") > self.window {
            let oldest = self.finished.pop_front().expect("longer than the window");
            let (seq, request) = oldest;
            let entry = self.entries.remove(&request);
            if let Some(snapshot) = &mut self.snapshot.0
                && oldest > snapshot.copied
                && seq <= snapshot.through
                && !planted!(SnapshotForgets)
            {
                snapshot.forgotten.extend(entry.map(|entry| (request, entry)));
            }
            evicted(request);
        }
    }

    /// Begins a copy of the finished requests as they are now, with `through` the newest record. Returns the open ones.
    pub(super) fn begin_snapshot(&mut self, through: Seq) -> Vec<(RequestId, RequestEntry)> {
        self.snapshot.0 = Some(Snapshot {
            copied: (0, RequestId(0)),
            through,
            forgotten: Vec::new(),
        });
        let open = self.open_ones().into_iter();
        open.map(|request| (*request, self.entries[request].clone()))
            .collect()
    }

    /// The next `size` finished requests of the copy, or fewer, and those forgotten meanwhile. `None` when it is complete.
    pub(super) fn next_part(&mut self, size: usize) -> Option<Vec<(RequestId, RequestEntry)>> {
        let snapshot = self.snapshot.0.as_mut()?;
        let mut part = mem::take(&mut snapshot.forgotten);
        let from = self.finished.partition_point(|&one| one <= snapshot.copied);
        let rest = self
            .finished
            .range(from..)
            .take_while(|(seq, _)| *seq <= snapshot.through);
        for one in rest.take(size) {
            snapshot.copied = *one;
            part.push((one.1, self.entries[&one.1].clone()));
        }
        if part.is_empty() {
            self.snapshot.0 = None;
            return None;
        }
        Some(part)
    }

    /// Puts a stored entry back; [`Requests::restored`] follows the last.
    pub(super) fn restore(&mut self, request: RequestId, entry: RequestEntry) -> Result<(), &'static str> {
        if let Some(seq) = entry.progress.ended() {
            self.finished.push_back((seq, request));
        }
        match self.entries.insert(request, entry) {
            None => Ok(()),
            Some(_) => Err("a request twice"),
        }
    }

    /// Sorts what [`Requests::restore`] brought back into log order.
    pub(super) fn restored(&mut self) {
        self.finished.make_contiguous().sort_unstable();
    }
}

impl Numbered for Requests {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        for entry in self.entries.values_mut() {
            match &mut entry.progress {
                Progress::Open => {}
                Progress::Committed(seq) | Progress::Aborted(seq, _) => visit(own, seq),
            }
        }
        for (seq, _) in &mut self.finished {
            visit(own, seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::id::StoreId;

    fn home(n: u128) -> Home {
        Home {
            request: RequestId(n),
            digest: BodyDigest(7),
            repeated: false,
        }
    }

    fn txn(n: u64) -> TxnId {
        TxnId::new(StoreId(12), 1, n)
    }

    #[test]
    fn a_full_window_forgets_the_oldest_finished_and_never_an_open_one() {
        let mut requests = Requests::default();
        requests.set_window(2);
        requests.open(&home(9), txn(9));
        let mut evicted = Vec::new();
        for n in 1..=3 {
            requests.end(&home(n.into()), txn(n), Progress::Committed(n), |id| {
                evicted.push(id)
            });
        }
        assert_eq!(evicted, vec![RequestId(1)]);
        assert_eq!(requests.knows(&home(1)).0, Knowledge::Nothing);
        assert_eq!(requests.knows(&home(2)), (Knowledge::Committed(txn(2)), 2));
        assert_eq!(requests.knows(&home(9)).0, Knowledge::Open(txn(9)));
        assert_eq!(requests.horizon(), 2);
    }

    #[test]
    fn a_record_that_ends_two_requests_leaves_what_its_entries_say() {
        let mut requests = Requests::default();
        requests.open(&home(9), txn(9));
        for n in [9, 3] {
            requests.end(
                &home(n),
                txn(9),
                Progress::Aborted(5, Box::new(Reason::Stale)),
                |_| {},
            );
        }
        let mut restored = Requests::default();
        for (id, entry) in requests.entries() {
            restored.restore(*id, entry.clone()).unwrap();
        }
        restored.restored();
        assert_eq!(restored, requests);
    }

    #[test]
    fn the_first_end_of_a_request_is_final() {
        let mut requests = Requests::default();
        requests.end(&home(1), txn(1), Progress::Committed(5), |_| {});
        requests.end(
            &home(1),
            txn(2),
            Progress::Aborted(6, Box::new(Reason::Stale)),
            |_| {},
        );
        assert_eq!(requests.knows(&home(1)), (Knowledge::Committed(txn(1)), 5));
        let other_body = Home {
            digest: BodyDigest(8),
            ..home(1)
        };
        assert_eq!(requests.knows(&other_body).0, Knowledge::Reused);
    }
}
