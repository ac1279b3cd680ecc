//! What operators ask of a node: status, single transactions, what is prepared, and forcing an outcome.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{NodeRecord, Participant, SessionId};
use crate::effects::{Effects, Urgency};
use crate::fold::Fold;
use crate::id::{RequestId, TxnId};
use crate::message::{NodeAnswer, NodeLine, NodeStatus, NodeView, OperatorWord, Reference, TxnState, Work};
use crate::planted;
use crate::reason::one_line;

/// Longest reason an operator can give, in characters.
const WHY_LEN_MAX: usize = 200;

/// Most names (accounts and participants) in one list, so that it always fits in a frame.
pub(crate) const LIST_NAMES_MAX: usize = 4_000;

impl Participant {
    pub(super) fn status(&self) -> NodeStatus {
        let count = |len: usize| u64::try_from(len).expect("a length fits");
        NodeStatus {
            store: self.config.store,
            kind: self.config.store_kind.clone(),
            locking: self.config.locking.to_string(),
            sequence: self.state.seq(),
            accounts: count(self.state.ledger().len()),
            prepared: count(self.state.prepared().len()),
            requests: count(self.state.requests().len()),
            request_window: self.state.requests().window(),
            request_horizon: self.state.requests().horizon(),
            has_room: self.has_room,
            work: Work::default(),
        }
    }

    pub(super) fn view(&self, reference: Reference) -> NodeView {
        let (txn, request) = match reference {
            Reference::Txn(txn) => (Some(txn), self.request_of(txn)),
            Reference::Request(request) => (
                self.state.requests().get(&request).map(|entry| entry.txn),
                Some(request),
            ),
        };
        let mut view = NodeView {
            txn,
            request,
            state: TxnState::Unknown,
            forced: None,
            operations: Vec::new(),
            participants: Vec::new(),
            coordinator_connected: txn.is_some_and(|txn| self.session_of(txn.coordinator).is_some()),
        };
        let Some(txn) = txn else {
            return NodeView {
                request: None,
                ..view
            };
        };
        if let Some(prepared) = self.state.prepared().get(&txn) {
            view.state = TxnState::Prepared;
            view.operations = prepared.operations.to_vec();
            view.participants = prepared.participants.to_vec();
        } else if let Some(finished) = self.state.finished(&txn) {
            view.state = match &finished.aborted {
                None => TxnState::Committed,
                Some(reason) => TxnState::Aborted((**reason).clone()),
            };
            view.forced = finished.forced.as_ref().map(|forced| forced.why.clone());
        } else if let Some(state) = self.state_by_request(request, txn) {
            view.state = state;
        } else if self.state.is_below_mark(txn) {
            view.state = TxnState::Forgotten;
        }
        view
    }

    /// A home remembers how a request ended for longer than outcomes are kept.
    fn state_by_request(&self, request: Option<RequestId>, txn: TxnId) -> Option<TxnState> {
        let entry = self.state.requests().get(&request?)?;
        if entry.txn != txn {
            return None;
        }
        match &entry.progress {
            super::Progress::Open => None,
            super::Progress::Committed(_) => Some(TxnState::Committed),
            super::Progress::Aborted(_, reason) => Some(TxnState::Aborted((**reason).clone())),
        }
    }

    /// Scans: for people who ask about one transaction, not for the hot path.
    fn request_of(&self, txn: TxnId) -> Option<RequestId> {
        self.state
            .requests()
            .entries()
            .find(|(_, entry)| entry.txn == txn)
            .map(|(request, _)| request)
    }

    pub(super) fn lines(&self) -> Vec<NodeLine> {
        let line = |(&txn, prepared): (&TxnId, &super::Prepared)| NodeLine {
            txn,
            operations: prepared.operations.to_vec(),
            participants: prepared.participants.to_vec(),
            age_s: self.held_s(txn),
            coordinator_connected: self.session_of(txn.coordinator).is_some(),
        };
        let names = |line: &NodeLine| line.operations.len() + line.participants.len();
        bounded(self.state.prepared().iter().map(line), names).collect()
    }

    /// Transactions that wait for their decision, and for how many seconds this process has seen each of them wait.
    pub fn in_doubt(&self) -> impl Iterator<Item = (TxnId, u64)> {
        let prepared = self.state.prepared().keys();
        prepared.map(|&txn| (txn, self.held_s(txn)))
    }

    /// For how many seconds this process has seen a transaction prepared.
    pub(super) fn held_s(&self, txn: TxnId) -> u64 {
        let since = self.prepared_since.get(&txn);
        since.map_or(0, |since| self.tick - since)
    }

    /// An operator forces the end of a prepared transaction. Idempotent; never overwrites what has ended.
    pub(super) fn on_resolve(
        &mut self,
        session: SessionId,
        ask: u64,
        txn: TxnId,
        word: OperatorWord,
        why: &str,
        effects: &mut Effects<Participant>,
    ) {
        let node = self.config.node;
        let answer = if self.session_of(txn.coordinator).is_some() {
            NodeAnswer::Failed(format!(
                "{node}: the coordinator of {txn} is connected and will end it; nothing was changed"
            ))
        } else if self.state.prepared().contains_key(&txn) {
            let why = one_line(why, WHY_LEN_MAX);
            self.append(
                NodeRecord::Resolve {
                    txn,
                    word,
                    why: why.clone(),
                },
                planted!(ResolvedBeforeSync: Urgency::Forced => Urgency::Lazy),
                effects,
            );
            self.ended(txn, effects);
            effects.alarm(format!("an operator forced {txn} to {word}: {why}"));
            NodeAnswer::Done(format!("{node}: {txn} forced to {word}"))
        } else if let Some(finished) = self.state.finished(&txn) {
            let ended = finished.word();
            if ended == word {
                NodeAnswer::Done(format!("{node}: {txn} had ended with {word} already"))
            } else {
                NodeAnswer::Failed(format!(
                    "{node}: {txn} had ended with {ended} already; that stands"
                ))
            }
        } else {
            NodeAnswer::Failed(format!("{node}: {txn} is not prepared here; nothing was changed"))
        };
        self.answer(session, ask, answer, effects);
    }
}

/// As many of `lines` as have [`LIST_NAMES_MAX`] names together, oldest first.
pub(crate) fn bounded<T>(
    lines: impl Iterator<Item = T>,
    names: impl Fn(&T) -> usize,
) -> impl Iterator<Item = T> {
    let mut total = 0;
    lines.take_while(move |line| {
        total += 1 + names(line);
        total <= LIST_NAMES_MAX
    })
}
