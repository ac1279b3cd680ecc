//! Words and deeds: what clients were told against what nodes did, checked at the moment of each.
//!
//! What was said or done once must hold for ever, also when a mark has passed and nobody remembers it. So the little
//! that later events have to agree with is kept in [`Past`].

use protocol::coordinator::Phase;
use protocol::effects::Machine;
use protocol::id::{RequestId, TxnId};
use protocol::message::{Answer, Ask, AuditVerdict, Outcome};
use protocol::participant::{NodeRecord, NodeState, Progress};

use crate::state::{Broken, Past};
use crate::watch::Sight;
use crate::world::World;

impl World<'_> {
    /// A node has written this. A commit of two phases counts at once, synced or not: its decision is durable at the
    /// coordinator, so that it can only be done again.
    pub(crate) fn note_record(&mut self, record: &NodeRecord) {
        match record {
            NodeRecord::Commit { txn } => {
                let request = self.request_of(*txn);
                self.committed(*txn, request);
            }
            NodeRecord::Abort { txn, .. } | NodeRecord::PrepareFailed { txn, .. } => self.aborted(*txn),
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::PrepareOk { .. }
            | NodeRecord::CommitOnePhase { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Resolve { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => {}
        }
    }

    /// A node has this on disk. Where one node decides alone, that is the decision.
    pub(crate) fn note_durable(&mut self, record: &NodeRecord) {
        if let NodeRecord::CommitOnePhase { txn, home, .. } = record {
            self.committed(*txn, Some(home.request));
        }
    }

    /// The request behind a transaction that commits: its coordinator keeps it until everyone has acknowledged.
    fn request_of(&self, txn: TxnId) -> Option<RequestId> {
        let open = |process: &crate::process::Process<_>| {
            let machine: &protocol::coordinator::Coordinator = &process.machine;
            machine.state().open().get(&txn).map(|open| open.request)
        };
        self.state.coordinators.iter().find_map(|process| open(process))
    }

    fn change_past(&mut self, change: impl FnOnce(&mut Past)) {
        let mut past = Past::clone(&self.state.past);
        change(&mut past);
        self.state.past = self.model.pools.pasts.share(past);
    }

    fn committed(&mut self, txn: TxnId, request: Option<RequestId>) {
        self.ended(txn, true);
        let wish = request.and_then(|request| self.model.scenario.wish_of(request));
        let Some(wish) = wish else { return };
        match self.state.past.happened[wish] {
            Some(first) if first != txn => self.breaks(Broken::Twice),
            Some(_) => {}
            None => self.change_past(|past| past.happened[wish] = Some(txn)),
        }
        if matches!(self.state.clients[wish].outcome(), Some(Outcome::Aborted { .. })) {
            self.breaks(Broken::WrongWord);
        }
    }

    fn aborted(&mut self, txn: TxnId) {
        self.ended(txn, false);
        let told = |outcome: Option<&Outcome>| outcome == Some(&Outcome::Committed { txn });
        if self.state.clients.iter().any(|client| told(client.outcome())) {
            self.breaks(Broken::WrongWord);
        }
    }

    fn ended(&mut self, txn: TxnId, committed: bool) {
        match self.state.past.ended.get(&txn) {
            Some(&before) if before != committed => self.breaks(Broken::Disagreement),
            Some(_) => {}
            None => self.change_past(|past| {
                past.ended.insert(txn, committed);
            }),
        }
    }

    /// A client has just been told something. Is it true, and will it stay true?
    pub(crate) fn check_word(&mut self, client: usize) {
        let Some(answer) = self.state.clients[client].told.clone() else {
            return;
        };
        match answer {
            Answer::Outcome(Outcome::Committed { txn }) => {
                if !self.is_committed_on_disk(txn) {
                    self.breaks(Broken::CommitNotDurable);
                }
                let happened = self.state.past.happened[client];
                if self.state.past.ended.get(&txn) == Some(&false)
                    || happened.is_some_and(|other| other != txn)
                {
                    self.breaks(Broken::WrongWord);
                }
                if self.state.clients[client].has_repeated() {
                    self.model.seen.note(Sight::RepeatCommitted);
                }
            }
            Answer::Outcome(Outcome::Aborted { .. }) => {
                if self.state.past.happened[client].is_some() {
                    self.breaks(Broken::WrongWord);
                }
                self.model.seen.note(Sight::Aborted);
                if self.state.clients[client].has_repeated() {
                    self.model.seen.note(Sight::RepeatAborted);
                }
            }
            Answer::Audit(report) => match report.verdict {
                AuditVerdict::Exact => {
                    self.model.seen.note(Sight::AuditExact);
                    if report.prepared > 0 {
                        self.model.seen.note(Sight::AuditAmidst);
                    }
                }
                AuditVerdict::Incomplete(_) => self.model.seen.note(Sight::AuditIncomplete),
                AuditVerdict::Violated => self.breaks(Broken::AuditViolated),
            },
            Answer::Done(_) | Answer::Failed(_) => {}
            Answer::Outcome(Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. })
            | Answer::Balance(_)
            | Answer::Accounts(_)
            | Answer::Status(_)
            | Answer::Txn(_)
            | Answer::List(_) => self.breaks(Broken::WrongWord),
        }
        self.see_outcomes();
    }

    fn see_outcomes(&self) {
        let submits = self.model.scenario.wishes.iter().zip(&self.state.clients);
        let mut outcomes = submits
            .filter(|(wish, _)| matches!(wish.ask, Ask::Submit { .. }))
            .map(|(_, client)| client.outcome())
            .collect::<Vec<_>>()
            .into_iter();
        if outcomes
            .clone()
            .all(|outcome| matches!(outcome, Some(Outcome::Committed { .. })))
        {
            self.model.seen.note(Sight::AllCommitted);
        }
        if outcomes.all(|outcome| matches!(outcome, Some(Outcome::Aborted { .. }))) {
            self.model.seen.note(Sight::AllAborted);
        }
    }

    /// Whether COMMIT survives if every process dies now and keeps nothing unsynced.
    fn is_committed_on_disk(&self, txn: TxnId) -> bool {
        let decided = self.state.coordinators.iter().any(|process| {
            let open = process.durable.open().get(&txn);
            open.is_some_and(|open| matches!(open.phase, Phase::Committed(_)))
        });
        let done = |state: &NodeState| {
            let finished = state
                .finished(&txn)
                .is_some_and(|finished| finished.aborted.is_none());
            let mut requests = state.requests().entries();
            let recalled = requests
                .any(|(_, entry)| entry.txn == txn && matches!(entry.progress, Progress::Committed(_)));
            finished || recalled
        };
        decided || self.state.nodes.iter().any(|process| done(&process.durable))
    }
}
