//! The home's memory of request ids: what makes a request happen at most once (R14).
//!
//! All open ids are kept, and of the finished ones at least the newest `window`, by log order. An entry changes only
//! together with the prepare, commit or abort record of its transaction.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::hint::black_box;
use core::mem;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::fold::Seq;
use crate::id::{CoordinatorId, Epoch, RequestId, TxnId};
use crate::index;
use crate::leg::BodyDigest;
use crate::message::{Home, Knowledge};
use crate::numbers::{Log, Numbered, Visit};
use crate::planted;
use crate::reason::Reason;
use crate::scattered::Scattered;
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
    pub(crate) fn ended(&self) -> Option<Seq> {
        match self {
            Progress::Open => None,
            Progress::Committed(seq) | Progress::Aborted(seq, _) => Some(*seq),
        }
    }
}

/// What is kept under a request id.
///
/// As JSON it is an array, since a state file holds a million of them: the digest and the transaction, then the record
/// that ended it, if it has ended, then the reason, if it was aborted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// Most requests that are forgotten when one ends. One is enough, but for a window that was made smaller: a million at
/// once would be a step larger than any store wants to write.
const FORGOTTEN_MAX: usize = 64;

/// The table.
#[derive(Clone, Debug)]
pub struct Requests {
    window: u64,
    open: Map<RequestId, OpenRequest>,
    /// In log order, oldest first.
    ended: VecDeque<Ended>,
    /// Where the ended ones are: their places, counted from the first one there ever was, modulo 2^32.
    places: Scattered,
    /// The place of the oldest.
    oldest: u32,
    aside: Aside,
    snapshot: Unseen<Option<Snapshot>>,
}

/// A request whose transaction is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct OpenRequest {
    digest: BodyDigest,
    txn: TxnId,
}

/// A request that has ended, with nothing wasted: there are a million of them. What many have in common, and what few
/// have, stands [`Aside`].
#[derive(Clone, Debug)]
struct Ended {
    seq: Seq,
    /// The halves of the request id, which as one number would have to be aligned.
    request: [u64; 2],
    digest: BodyDigest,
    /// The transaction's sequence in its epoch.
    sequence: u64,
    epoch: u32,
    reason: Option<NonZeroU32>,
}

impl Ended {
    fn request(&self) -> RequestId {
        let [high, low] = self.request;
        RequestId(u128::from(high) << 64 | u128::from(low))
    }

    /// Its place in log order: one record can end two requests.
    fn at(&self) -> (Seq, [u64; 2]) {
        (self.seq, self.request)
    }
}

/// Parts of ended requests by their places here. Which places those are is no part of what is known.
#[derive(Clone, Debug, Default)]
struct Aside {
    /// The epochs of their transactions, each with how many of them there are: one for each start of a coordinator.
    epochs: Vec<(CoordinatorId, Epoch, u32)>,
    /// Why they were aborted. The first place is never used.
    reasons: Vec<Option<Box<Reason>>>,
    /// Places of reasons that are free.
    free: Vec<NonZeroU32>,
}

impl Aside {
    fn put_epoch(&mut self, coordinator: CoordinatorId, epoch: Epoch) -> u32 {
        let is_it = |one: &(CoordinatorId, Epoch, u32)| one.0 == coordinator && one.1 == epoch;
        let known = self.epochs.iter().rposition(is_it);
        let place = known.or_else(|| self.epochs.iter().position(|(_, _, count)| *count == 0));
        let place = place.unwrap_or_else(|| {
            self.epochs.push((coordinator, epoch, 0));
            self.epochs.len() - 1
        });
        let count = self.epochs[place].2 + 1;
        self.epochs[place] = (coordinator, epoch, count);
        u32::try_from(place).expect("fewer epochs than requests")
    }

    fn put_reason(&mut self, reason: Box<Reason>) -> NonZeroU32 {
        if let Some(place) = self.free.pop() {
            self.reasons[index::place(place.get())] = Some(reason);
            return place;
        }
        if self.reasons.is_empty() {
            self.reasons.push(None);
        }
        self.reasons.push(Some(reason));
        let place = u32::try_from(self.reasons.len() - 1).expect("fewer than four billion reasons");
        NonZeroU32::new(place).expect("the first place is not used")
    }

    /// The attempt that counts.
    fn txn(&self, ended: &Ended) -> TxnId {
        let (coordinator, epoch, _) = self.epochs[index::place(ended.epoch)];
        TxnId::new(coordinator, epoch, ended.sequence)
    }

    /// Why it was aborted, if it was.
    fn reason(&self, ended: &Ended) -> Option<&Reason> {
        let place = ended.reason?;
        let reason = self.reasons[index::place(place.get())].as_deref();
        Some(reason.expect("a reason is kept as long as its request"))
    }

    /// Whatever is known about it.
    fn all(&self, ended: &Ended) -> (Seq, [u64; 2], BodyDigest, TxnId, Option<&Reason>) {
        let Ended {
            seq, request, digest, ..
        } = *ended;
        (seq, request, digest, self.txn(ended), self.reason(ended))
    }

    fn entry(&self, ended: &Ended) -> RequestEntry {
        RequestEntry {
            digest: ended.digest,
            txn: self.txn(ended),
            progress: match self.reason(ended) {
                None => Progress::Committed(ended.seq),
                Some(reason) => Progress::Aborted(ended.seq, Box::new(reason.clone())),
            },
        }
    }

    /// It is forgotten.
    fn drop_of(&mut self, ended: &Ended) {
        self.epochs[index::place(ended.epoch)].2 -= 1;
        if let Some(place) = ended.reason {
            self.reasons[index::place(place.get())] = None;
            self.free.push(place);
        }
    }
}

/// A copy of the ended requests as they were at one moment, on its way in log order. An ended request never changes any
/// more; it can only be forgotten.
#[derive(Clone, Debug)]
struct Snapshot {
    /// The last one that has been copied.
    copied: (Seq, [u64; 2]),
    /// The newest record at that moment.
    through: Seq,
    /// Those behind it that were forgotten before they were copied.
    forgotten: Vec<(RequestId, RequestEntry)>,
}

/// Where an ended request is found is no part of what is known about it.
impl PartialEq for Requests {
    fn eq(&self, other: &Requests) -> bool {
        self.window == other.window && self.open == other.open && self.ended_all().eq(other.ended_all())
    }
}

impl Eq for Requests {}

impl Hash for Requests {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.window, self.ended.len()).hash(hasher);
        self.ended_all().for_each(|one| one.hash(hasher));
        hash_unordered(self.open.iter(), hasher);
    }
}

impl Default for Requests {
    fn default() -> Requests {
        Requests {
            window: REQUEST_WINDOW,
            open: Map::default(),
            ended: VecDeque::new(),
            places: Scattered::default(),
            oldest: 0,
            aside: Aside::default(),
            snapshot: Unseen::default(),
        }
    }
}

impl Requests {
    /// What a second attempt is told. The sequence is the newest record that the answer shows.
    pub fn knows(&self, home: &Home) -> (Knowledge, Seq) {
        let reused = |digest: BodyDigest| digest != home.digest && !planted!(ReuseUnnoticed);
        if let Some(open) = self.open.get(&home.request) {
            let knowledge = if reused(open.digest) {
                Knowledge::Reused
            } else {
                Knowledge::Open(open.txn)
            };
            return (knowledge, 0);
        }
        let Some(ended) = self.ended(home.request) else {
            return (Knowledge::Nothing, 0);
        };
        let txn = self.aside.txn(ended);
        let knowledge = match self.aside.reason(ended) {
            _ if reused(ended.digest) => Knowledge::Reused,
            None => Knowledge::Committed(txn),
            Some(reason) => Knowledge::Aborted(txn, reason.clone()),
        };
        (knowledge, ended.seq)
    }

    /// One entry.
    pub fn get(&self, request: &RequestId) -> Option<RequestEntry> {
        let open = self.open.get(request).map(OpenRequest::entry);
        open.or_else(|| self.ended(*request).map(|ended| self.aside.entry(ended)))
    }

    /// All entries: the finished ones in log order, then the open ones in id order.
    pub fn entries(&self) -> impl Iterator<Item = (RequestId, RequestEntry)> {
        let ended = self
            .ended
            .iter()
            .map(|ended| (ended.request(), self.aside.entry(ended)));
        ended.chain(self.open_ones())
    }

    /// The ids behind `last`, found without a walk through all: the open ones in id order, then the finished ones in log
    /// order. One that is forgotten has nothing behind it.
    pub(super) fn behind(&self, last: Option<&RequestId>) -> impl Iterator<Item = RequestId> {
        let known = last.map(|last| (self.open.contains_key(last), self.ended(*last)));
        let (open, place) = match known {
            None | Some((true, _)) => (self.open_ones(), 0),
            Some((false, None)) => (Vec::new(), self.ended.len()),
            Some((false, Some(ended))) => {
                let place = self.ended.partition_point(|other| other.at() <= ended.at());
                (Vec::new(), place)
            }
        };
        let open = open.into_iter().map(|(request, _)| request);
        let open = open.filter(move |request| last.is_none_or(|last| request > last));
        open.chain(self.ended.range(place..).map(Ended::request))
    }

    /// The open ones, in id order.
    fn open_ones(&self) -> Vec<(RequestId, RequestEntry)> {
        let open = self.open.iter().map(|(&request, open)| (request, open.entry()));
        let mut open: Vec<(RequestId, RequestEntry)> = open.collect();
        open.sort_unstable_by_key(|(request, _)| *request);
        open
    }

    /// How many finished requests are kept at the least.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Sets the window; takes effect as further requests finish, some at a time.
    pub fn set_window(&mut self, window: u64) {
        self.window = window;
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record with which the oldest remembered finished request ended; 0 if there is none.
    pub fn horizon(&self) -> Seq {
        self.ended.front().map_or(0, |ended| ended.seq)
    }

    /// An attempt is prepared: the id is open.
    pub(super) fn open(&mut self, home: &Home, txn: TxnId) {
        let open = OpenRequest {
            digest: home.digest,
            txn,
        };
        let before = self.open.insert(home.request, open);
        let known = before.is_some() || self.ended(home.request).is_some();
        assert!(!known, "request {} is prepared twice", home.request);
    }

    /// An attempt has ended with record `seq`. If another attempt owns the id, nothing changes. `evicted` hears of every
    /// id forgotten.
    pub(super) fn end(
        &mut self,
        home: &Home,
        txn: TxnId,
        seq: Seq,
        aborted: Option<Box<Reason>>,
        mut evicted: impl FnMut(RequestId),
    ) {
        match self.open.get(&home.request) {
            Some(open) if open.txn != txn => return,
            Some(_) => _ = self.open.remove(&home.request),
            None if self.ended(home.request).is_some() => return,
            None => {}
        }
        let ended = self.aside(seq, home.request, home.digest, txn, aborted);
        self.push(ended);
        for _ in 0..FORGOTTEN_MAX {
            if u64::try_from(self.ended.len()).expect("a length fits") <= self.window {
                break;
            }
            let oldest = self.ended.pop_front().expect("longer than the window");
            let request = oldest.request();
            self.places.remove(index::hash(&request), self.oldest);
            self.oldest = self.oldest.wrapping_add(1);
            if let Some(snapshot) = &mut self.snapshot.0
                && oldest.at() > snapshot.copied
                && oldest.seq <= snapshot.through
                && !planted!(SnapshotForgets)
            {
                snapshot.forgotten.push((request, self.aside.entry(&oldest)));
            }
            self.aside.drop_of(&oldest);
            evicted(request);
        }
    }

    /// Puts aside what is not kept with each.
    fn aside(
        &mut self,
        seq: Seq,
        request: RequestId,
        digest: BodyDigest,
        txn: TxnId,
        aborted: Option<Box<Reason>>,
    ) -> Ended {
        Ended {
            seq,
            request: request.halves(),
            digest,
            sequence: txn.at.sequence,
            epoch: self.aside.put_epoch(txn.coordinator, txn.at.epoch),
            reason: aborted.map(|reason| self.aside.put_reason(reason)),
        }
    }

    /// All that is known about each ended one, in log order.
    fn ended_all(&self) -> impl Iterator<Item = (Seq, [u64; 2], BodyDigest, TxnId, Option<&Reason>)> {
        self.ended.iter().map(|ended| self.aside.all(ended))
    }

    /// Adds one at the end, but for a second request that the same record ends: the order is the one that restoring gives.
    fn push(&mut self, ended: Ended) {
        let mut later = Vec::new();
        while self.ended.back().is_some_and(|last| last.at() > ended.at()) {
            let last = self.ended.pop_back().expect("just looked");
            let place = self.place(self.ended.len());
            self.places.remove(index::hash(&last.request()), place);
            later.push(last);
        }
        self.push_back(ended);
        while let Some(last) = later.pop() {
            self.push_back(last);
        }
    }

    fn push_back(&mut self, ended: Ended) {
        let place = self.place(self.ended.len());
        self.places.insert(index::hash(&ended.request()), place);
        self.ended.push_back(ended);
    }

    /// The place of the one that is `behind` the oldest by so many.
    fn place(&self, behind: usize) -> u32 {
        let behind = u32::try_from(behind).expect("a window is below four billion");
        self.oldest.wrapping_add(behind)
    }

    fn at(&self, place: u32) -> &Ended {
        let behind = place.wrapping_sub(self.oldest);
        &self.ended[usize::try_from(behind).expect("at least 32 bits")]
    }

    /// Where a finished request most probably stands, if it is there. Looks at the index alone.
    pub(super) fn likely(&self, request: RequestId) -> Option<u32> {
        self.places.likely(index::hash(&request))
    }

    /// Looks at the finished request that stands there.
    pub(super) fn look_at(&self, place: u32) {
        black_box(self.at(place).request);
    }

    /// Looks at a request whose transaction is prepared, if it is one.
    pub(super) fn look_at_open(&self, request: &RequestId) {
        black_box(self.open.get(request).map(|open| open.txn));
    }

    /// Looks up the oldest ones, which so many that end will make forgotten.
    pub(super) fn look_at_oldest(&self, ending: usize) {
        let len = u64::try_from(self.ended.len() + ending).expect("a length fits");
        if len > self.window {
            let oldest = self.ended.iter().take(ending);
            oldest.for_each(|one| _ = black_box(self.likely(one.request())));
        }
    }

    fn ended(&self, request: RequestId) -> Option<&Ended> {
        let wanted = request.halves();
        let place = self
            .places
            .find(index::hash(&request), |place| self.at(place).request == wanted);
        place.map(|place| self.at(place))
    }

    /// Begins a copy of the finished requests as they are now, with `through` the newest record. Returns the open ones.
    pub(super) fn begin_snapshot(&mut self, through: Seq) -> Vec<(RequestId, RequestEntry)> {
        self.snapshot.0 = Some(Snapshot {
            copied: (0, [0, 0]),
            through,
            forgotten: Vec::new(),
        });
        self.open_ones()
    }

    /// The next `size` finished requests of the copy, or fewer, and those forgotten meanwhile. `None` when it is complete.
    pub(super) fn next_part(&mut self, size: usize) -> Option<Vec<(RequestId, RequestEntry)>> {
        let snapshot = self.snapshot.0.as_mut()?;
        let mut part = mem::take(&mut snapshot.forgotten);
        let from = self.ended.partition_point(|one| one.at() <= snapshot.copied);
        let rest = self.ended.range(from..);
        let rest = rest.take_while(|one| one.seq <= snapshot.through);
        for one in rest.take(size) {
            snapshot.copied = one.at();
            part.push((one.request(), self.aside.entry(one)));
        }
        if part.is_empty() {
            self.snapshot.0 = None;
            return None;
        }
        Some(part)
    }

    /// Puts a stored entry back; [`Requests::restored`] follows the last.
    pub(super) fn restore(&mut self, request: RequestId, entry: RequestEntry) -> Result<(), &'static str> {
        let RequestEntry {
            digest,
            txn,
            progress,
        } = entry;
        if self.open.contains_key(&request) || self.ended(request).is_some() {
            return Err("a request twice");
        }
        let (seq, aborted) = match progress {
            Progress::Open => {
                self.open.insert(request, OpenRequest { digest, txn });
                return Ok(());
            }
            Progress::Committed(seq) => (seq, None),
            Progress::Aborted(seq, reason) => (seq, Some(reason)),
        };
        let ended = self.aside(seq, request, digest, txn, aborted);
        self.push_back(ended);
        Ok(())
    }

    /// Sorts what [`Requests::restore`] brought back into log order.
    pub(super) fn restored(&mut self) {
        let ended = self.ended.make_contiguous();
        if ended.is_sorted_by_key(Ended::at) {
            return;
        }
        ended.sort_unstable_by_key(Ended::at);
        self.places = Scattered::default();
        for behind in 0..self.ended.len() {
            let hash = index::hash(&self.ended[behind].request());
            self.places.insert(hash, self.place(behind));
        }
    }
}

impl OpenRequest {
    fn entry(&self) -> RequestEntry {
        RequestEntry {
            digest: self.digest,
            txn: self.txn,
            progress: Progress::Open,
        }
    }
}

impl Numbered for Requests {
    fn each_number(&mut self, own: Log, visit: &mut Visit<'_>) {
        for ended in &mut self.ended {
            visit(own, &mut ended.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
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
            requests.end(&home(n.into()), txn(n), n, None, |id| evicted.push(id));
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
            requests.end(&home(n), txn(9), 5, Some(Box::new(Reason::Stale)), |_| {});
        }
        let mut restored = Requests::default();
        for (id, entry) in requests.entries() {
            restored.restore(id, entry).unwrap();
        }
        restored.restored();
        assert_eq!(restored, requests);
    }

    #[test]
    fn what_stands_aside_is_right_for_each_and_does_not_grow() {
        assert_eq!(size_of::<Ended>(), 48);
        let txn = |n: u64| TxnId::new(StoreId(n % 2), u32::try_from(n / 100).unwrap(), n);
        let account = |n: u64| format!("a{}", n % 7).parse().unwrap();
        let aborted = |n: u64| n.is_multiple_of(3).then(|| Reason::UnknownAccount(account(n)));
        let mut requests = Requests::default();
        requests.set_window(50);
        for n in 1..=3000 {
            let reason = aborted(n).map(Box::new);
            requests.end(&home(n.into()), txn(n), n, reason, |_| {});
            for known in n.saturating_sub(49).max(1)..=n {
                let progress = match aborted(known) {
                    None => Progress::Committed(known),
                    Some(reason) => Progress::Aborted(known, Box::new(reason)),
                };
                let entry = requests.get(&RequestId(known.into())).unwrap();
                assert_eq!((entry.txn, entry.progress), (txn(known), progress));
            }
        }
        let Aside { epochs, reasons, .. } = &requests.aside;
        assert!(epochs.len() <= 4 && reasons.len() <= 19, "{epochs:?} {reasons:?}");
        assert_eq!(epochs.iter().map(|(_, _, count)| count).sum::<u32>(), 50);
        let again = reread(&requests);
        assert_eq!(again, requests);
        let mut other = again.clone();
        other.ended[7].sequence += 1;
        assert_ne!(other, requests);
        let aborted = requests.ended.iter().position(|one| one.reason.is_some());
        let mut other = again;
        other.ended[aborted.unwrap()].reason = None;
        assert_ne!(other, requests);
    }

    #[test]
    fn the_first_end_of_a_request_is_final() {
        let mut requests = Requests::default();
        requests.end(&home(1), txn(1), 5, None, |_| {});
        requests.end(&home(1), txn(2), 6, Some(Box::new(Reason::Stale)), |_| {});
        assert_eq!(requests.knows(&home(1)), (Knowledge::Committed(txn(1)), 5));
        let other_body = Home {
            digest: BodyDigest(8),
            ..home(1)
        };
        assert_eq!(requests.knows(&other_body).0, Knowledge::Reused);
    }

    #[test]
    fn a_smaller_window_is_reached_in_steps_that_stay_small() {
        let mut requests = Requests::default();
        for n in 1..=1000 {
            requests.end(&home(n.into()), txn(n), n, None, |_| {});
        }
        requests.set_window(3);
        for n in 1001..1100 {
            let mut forgotten = 0;
            requests.end(&home(n.into()), txn(n), n, None, |_| forgotten += 1);
            assert!(forgotten <= FORGOTTEN_MAX);
        }
        assert_eq!((requests.len(), requests.horizon()), (3, 1097));
    }

    /// What the table should remember: the finished ones in log order.
    #[derive(Default)]
    struct Plain(Vec<(Seq, RequestId)>);

    impl Plain {
        fn end(&mut self, seq: Seq, request: RequestId, window: u64) -> Vec<RequestId> {
            if self.0.iter().any(|&(_, other)| other == request) {
                return Vec::new();
            }
            self.0.push((seq, request));
            self.0.sort();
            let over = self.0.len().saturating_sub(usize::try_from(window).unwrap());
            self.0
                .drain(..over.min(FORGOTTEN_MAX))
                .map(|(_, request)| request)
                .collect()
        }
    }

    fn reread(requests: &Requests) -> Requests {
        let mut entries: Vec<_> = requests.entries().collect();
        entries.reverse();
        let mut restored = Requests::default();
        restored.set_window(requests.window());
        for (id, entry) in entries {
            assert_eq!(restored.restore(id, entry.clone()), Ok(()));
            assert_eq!(restored.restore(id, entry), Err("a request twice"));
        }
        restored.restored();
        restored
    }

    /// The same table with other places.
    fn moved(mut requests: Requests, oldest: u32) -> Requests {
        requests.oldest = oldest;
        requests.places = Scattered::default();
        for behind in 0..requests.ended.len() {
            let hash = index::hash(&requests.ended[behind].request());
            requests.places.insert(hash, requests.place(behind));
        }
        requests
    }

    #[test]
    fn whatever_comes_and_goes_where_places_begin_anew_the_table_is_the_plain_list() {
        let mut number = 1_u64;
        let mut random = |below: u64| {
            number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (number >> 33) % below
        };
        // Places run over 2^32 soon.
        let mut requests = Requests {
            oldest: u32::MAX - 100,
            ..Requests::default()
        };
        let (mut plain, mut window, mut copy) = (Plain::default(), REQUEST_WINDOW, None);
        for seq in 1..3000 {
            match random(40) {
                0 => {
                    window = random(30);
                    requests.set_window(window);
                }
                1 if copy.is_none() => {
                    let oldest = requests.oldest;
                    requests = reread(&requests);
                    assert_eq!(requests.oldest, 0);
                    requests = moved(requests, oldest);
                }
                2 => {
                    assert!(requests.begin_snapshot(seq - 1).is_empty());
                    copy = Some((plain.0.clone(), Vec::new()));
                }
                _ => {}
            }
            // Now and then one record ends two requests, in any order, and some that have ended already.
            for _ in 0..=random(8) / 7 {
                let request = RequestId(random(300).into());
                let mut forgotten = Vec::new();
                let home = Home { request, ..home(0) };
                requests.end(&home, txn(seq), seq, None, |id| forgotten.push(id));
                assert_eq!(forgotten, plain.end(seq, request, window));
            }
            if let Some((expected, copied)) = &mut copy {
                match requests.next_part(2) {
                    Some(part) => {
                        copied.extend(
                            part.into_iter()
                                .map(|(id, entry)| (entry.progress.ended().unwrap(), id)),
                        );
                    }
                    None => {
                        copied.sort();
                        assert_eq!(copied, expected);
                        copy = None;
                    }
                }
            }
            let known: Vec<_> = requests.entries().map(|(id, _)| id).collect();
            assert!(known.iter().eq(plain.0.iter().map(|(_, id)| id)));
            for id in (0..300).map(RequestId) {
                let ended = plain
                    .0
                    .iter()
                    .find(|(_, other)| *other == id)
                    .map(|(seq, _)| *seq);
                assert_eq!(requests.get(&id).and_then(|entry| entry.progress.ended()), ended);
            }
        }
        assert!(requests.oldest < u32::MAX / 2, "places began anew");
        assert_eq!(reread(&requests), requests);
    }
}
