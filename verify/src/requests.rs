//! The request ids that a home remembers, kept here a second time.

use std::collections::{BTreeMap, VecDeque};

use protocol::fold::Seq;
use protocol::id::{RequestId, TxnId};
use protocol::leg::BodyDigest;
use protocol::message::{Home, OperatorWord};
use protocol::participant::{self, Progress};

/// How the attempt that counts stands: `None` while it is prepared, else how it ended and in which record.
type Ended = Option<(OperatorWord, Seq)>;

/// What is kept under one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) txn: TxnId,
    pub(crate) digest: BodyDigest,
    pub(crate) ended: Ended,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Requests {
    attempts: BTreeMap<RequestId, Attempt>,
    /// Finished ones, the oldest first.
    finished: VecDeque<(Seq, RequestId)>,
    window: u64,
    /// Whether ids may have fallen out of the window: whoever uses such a one again runs again.
    pub(crate) has_forgotten: bool,
}

impl Requests {
    pub(crate) fn from_state(state: &participant::Requests) -> Requests {
        let attempts: BTreeMap<RequestId, Attempt> = attempts_of(state).collect();
        let mut finished: Vec<(Seq, RequestId)> = attempts
            .iter()
            .filter_map(|(&request, attempt)| attempt.ended.map(|(_, seq)| (seq, request)))
            .collect();
        finished.sort_unstable();
        let mut requests = Requests {
            attempts,
            finished: finished.into(),
            window: state.window(),
            has_forgotten: false,
        };
        requests.has_forgotten = requests.exceeds(0);
        requests
    }

    pub(crate) fn get(&self, request: &RequestId) -> Option<&Attempt> {
        self.attempts.get(request)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (RequestId, &Attempt)> {
        self.attempts.iter().map(|(&request, attempt)| (request, attempt))
    }

    pub(crate) fn set_window(&mut self, window: u64) {
        self.window = window;
    }

    /// An attempt is prepared.
    pub(crate) fn open(&mut self, home: &Home, txn: TxnId) {
        let attempt = Attempt {
            txn,
            digest: home.digest,
            ended: None,
        };
        self.attempts.insert(home.request, attempt);
    }

    /// An attempt has ended; what counts already goes on counting.
    pub(crate) fn end(&mut self, home: &Home, txn: TxnId, word: OperatorWord, seq: Seq) {
        let counts = |attempt: &Attempt| attempt.txn == txn && attempt.ended.is_none();
        if self
            .attempts
            .get(&home.request)
            .is_some_and(|attempt| !counts(attempt))
        {
            return;
        }
        let attempt = Attempt {
            txn,
            digest: home.digest,
            ended: Some((word, seq)),
        };
        self.attempts.insert(home.request, attempt);
        self.finished.push_back((seq, home.request));
        while self.exceeds(1)
            && let Some((_, oldest)) = self.finished.pop_front()
        {
            self.attempts.remove(&oldest);
            self.has_forgotten = true;
        }
    }

    /// Whether the window is filled, and `more` beyond that.
    fn exceeds(&self, more: u64) -> bool {
        let len = u64::try_from(self.finished.len()).expect("a length fits");
        len >= self.window.saturating_add(more)
    }
}

/// A state's table as this one has it.
pub(crate) fn attempts_of(state: &participant::Requests) -> impl Iterator<Item = (RequestId, Attempt)> {
    let attempts = state
        .entries()
        .map(|(request, entry)| (request, Attempt::from(&entry)));
    let mut attempts: Vec<(RequestId, Attempt)> = attempts.collect();
    attempts.sort_unstable_by_key(|&(request, _)| request);
    attempts.into_iter()
}

impl From<&participant::RequestEntry> for Attempt {
    fn from(entry: &participant::RequestEntry) -> Attempt {
        let ended = match &entry.progress {
            Progress::Open => None,
            Progress::Committed(seq) => Some((OperatorWord::Commit, *seq)),
            Progress::Aborted(seq, _) => Some((OperatorWord::Abort, *seq)),
        };
        Attempt {
            txn: entry.txn,
            digest: entry.digest,
            ended,
        }
    }
}
