//! The end: decisions, repeats, tombstones, low-water marks, and what a home recalls.

use alloc::collections::BTreeSet;
use alloc::format;

use super::session::Session;
use super::{NodeRecord, Participant, SessionId};
use crate::effects::{Effects, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::{TxnId, TxnPoint};
use crate::message::{Executed, FromNode, Home, Knowledge, OperatorWord};
use crate::planted;
use crate::reason::{Decision, Reason};

impl Participant {
    pub(super) fn on_decide(
        &mut self,
        session: SessionId,
        from: &Session,
        txn: TxnId,
        decision: Decision,
        bind: Option<Home>,
        effects: &mut Effects<Participant>,
    ) {
        if txn.coordinator != from.coordinator || from.epoch < Some(txn.at.epoch) {
            effects.alarm(format!(
                "coordinator {} decided {txn}, which is not its own: ignored",
                from.coordinator
            ));
            return;
        }
        match decision {
            Decision::Commit => self.on_commit(session, txn, effects),
            Decision::Abort(reason) => self.on_abort(session, txn, reason, bind, effects),
        }
    }

    fn on_commit(&mut self, session: SessionId, txn: TxnId, effects: &mut Effects<Participant>) {
        if self.state.prepared().contains_key(&txn) {
            let durable = self.append(NodeRecord::Commit { txn }, Urgency::Lazy, effects);
            self.ended(txn, effects);
            let shows = planted!(AckBeforeSync: durable => 0);
            effects.send(session, FromNode::Ack { txn, durable }, shows);
            return;
        }
        match self.state.finished(&txn) {
            Some(finished) if finished.forced.is_some() => {
                self.on_truth(session, txn, OperatorWord::Commit, effects);
            }
            Some(finished) if finished.aborted.is_none() => {
                let durable = finished.seq; // A repeat: somebody waits for this acknowledgement.
                let shows = planted!(RepeatedAckBeforeSync: durable => 0);
                effects.force(shows);
                effects.send(session, FromNode::Ack { txn, durable }, shows);
            }
            None if self.state.is_below_mark(txn) || planted!(UnknownCommitAcked) => {
                // The mark may be as new as the commit that it made this node forget: neither may be lost after this.
                let durable = self.state.seq();
                effects.force(durable);
                self.forced = durable;
                effects.send(session, FromNode::Ack { txn, durable }, durable);
            }
            Some(_) | None => {
                effects.alarm(format!(
                    "COMMIT for {txn}, which this node neither holds prepared nor has committed: not acknowledged. \
                     Its store lost a vote, or the coordinator's log is not the one that asked"
                ));
                effects.send(session, FromNode::Unmatched { txn }, self.forced);
            }
        }
    }

    fn on_abort(
        &mut self,
        session: SessionId,
        txn: TxnId,
        reason: Reason,
        bind: Option<Home>,
        effects: &mut Effects<Participant>,
    ) {
        let prepared = self.state.prepared().contains_key(&txn);
        match self.state.finished(&txn) {
            Some(finished) if finished.forced.is_some() => {
                self.on_truth(session, txn, OperatorWord::Abort, effects);
            }
            Some(finished) if finished.aborted.is_none() => {
                effects.alarm(format!(
                    "ABORT for {txn}, which has committed here: ignored, look at both logs"
                ));
                return;
            }
            Some(_) => {} // A tombstone already; the request may still have to be bound.
            None if prepared
                || (self.has_room && !self.state.is_below_mark(txn) && !planted!(NoTombstone)) =>
            {
                self.append(
                    NodeRecord::Abort {
                        txn,
                        reason: reason.clone(),
                        bind,
                    },
                    Urgency::Lazy,
                    effects,
                );
                if prepared {
                    self.ended(txn, effects);
                }
            }
            // Ended below the mark; or the disk's last space is for promises: a late prepare gets NO there or asks.
            None => {}
        }
        self.stop_waiting(txn, effects);
        if let Some(home) = bind {
            let unbound = self.state.requests().knows(&home).0 == Knowledge::Nothing;
            // What an operator forced stays as it is, also where the request that it ended is no longer remembered.
            let stands = self
                .state
                .finished(&txn)
                .is_some_and(|finished| finished.forced.is_some());
            if unbound && !stands && self.has_room && !self.state.is_below_mark(txn) {
                // The tombstone was there before this request was tied to it.
                self.append(NodeRecord::Abort { txn, reason, bind }, Urgency::Lazy, effects);
            }
            let knows = self.force_knowledge(&home, effects);
            effects.send(session, FromNode::Aborted { txn, knows }, self.forced);
        }
    }

    /// What the home holds under a request id, with everything that the answer can show forced.
    pub(super) fn force_knowledge(&mut self, home: &Home, effects: &mut Effects<Participant>) -> Knowledge {
        let (knows, shows) = self.state.requests().knows(home);
        let shows = planted!(KnowledgeBeforeSync: shows => 0);
        effects.force(shows);
        self.forced = self.forced.max(shows);
        knows
    }

    /// A coordinator lost the answer to a one-participant transaction.
    pub(super) fn on_query(
        &mut self,
        session: SessionId,
        txn: TxnId,
        home: &Home,
        effects: &mut Effects<Participant>,
    ) {
        if self.state.prepared().contains_key(&txn) {
            return effects.alarm(format!(
                "asked to end {txn} alone, but it is prepared with others: ignored"
            ));
        }
        if self.state.finished(&txn).is_none() {
            if self.state.is_below_mark(txn) {
                effects.alarm(format!(
                    "asked about {txn}, which its coordinator had declared ended"
                ));
                effects.send(session, FromNode::Unmatched { txn }, self.forced);
                return;
            }
            // "Never seen" must stay true: the tombstone refuses the message if it still arrives (R18). If it is here and
            // waits, it has waited long enough.
            let waited = self.stop_waiting(txn, effects);
            let reason = waited.map_or(Reason::Unreachable(self.config.node), Reason::LockContention);
            if planted!(NeverSeenForgotten) {
                let executed = Executed::Refused(reason.into());
                return self.tell_executed(session, txn, executed, self.forced, effects);
            }
            self.append(
                NodeRecord::Abort {
                    txn,
                    reason,
                    bind: Some(*home),
                },
                Urgency::Forced,
                effects,
            );
        }
        let finished = self
            .state
            .finished(&txn)
            .expect("buried above if it was not there");
        let (seq, aborted) = (finished.seq, finished.aborted.as_deref().cloned());
        let executed = match aborted {
            None => Executed::Committed,
            Some(reason) => match self.force_knowledge(home, effects) {
                Knowledge::Aborted(other, _) if other == txn => Executed::Refused(reason.into()),
                Knowledge::Nothing => Executed::Refused(reason.into()),
                knows @ (Knowledge::Reused
                | Knowledge::Open(_)
                | Knowledge::Committed(_)
                | Knowledge::Aborted(..)) => Executed::Duplicate(knows),
            },
        };
        effects.force(seq);
        let durable = self.forced.max(seq);
        self.forced = durable;
        self.tell_executed(session, txn, executed, durable, effects);
    }

    pub(super) fn on_recall(
        &mut self,
        session: SessionId,
        txn: TxnId,
        home: &Home,
        effects: &mut Effects<Participant>,
    ) {
        let knows = self.force_knowledge(home, effects);
        effects.send(session, FromNode::Recalled { txn, knows }, self.forced);
    }

    pub(super) fn on_mark(&mut self, from: &Session, below: TxnPoint, effects: &mut Effects<Participant>) {
        let coordinator = from.coordinator;
        if below <= self.state.coordinator(coordinator).mark {
            return;
        }
        // Below the mark a COMMIT needs our acknowledgement; what was forced here and never got one had aborted.
        let undecided: BTreeSet<TxnId> = self.state.awaiting_truth().collect();
        for txn in undecided
            .into_iter()
            .filter(|txn| txn.coordinator == coordinator && txn.at < below)
        {
            self.learn_truth(txn, OperatorWord::Abort, effects);
        }
        self.turned_away
            .retain(|txn| txn.coordinator != coordinator || txn.at >= below);
        self.append(NodeRecord::Mark { coordinator, below }, Urgency::Lazy, effects);
        let passed = |txn: TxnId| txn.coordinator == coordinator && txn.at < below;
        self.stop_all(|waiter| passed(waiter.prepare.txn), effects);
    }

    /// The coordinator's decision about a transaction that an operator had forced (R21).
    fn on_truth(
        &mut self,
        session: SessionId,
        txn: TxnId,
        truth: OperatorWord,
        effects: &mut Effects<Participant>,
    ) {
        let seq = self.learn_truth(txn, truth, effects);
        let forced = self
            .state
            .finished(&txn)
            .expect("kept until its truth is known")
            .word();
        if forced != truth && !planted!(MixedUnreported) {
            effects.send(session, FromNode::Mixed { txn, forced }, seq);
        } else if truth == OperatorWord::Commit {
            effects.send(session, FromNode::Ack { txn, durable: seq }, seq);
        }
    }

    fn learn_truth(&mut self, txn: TxnId, truth: OperatorWord, effects: &mut Effects<Participant>) -> Seq {
        let finished = self.state.finished(&txn).expect("kept until its truth is known");
        let forced = finished.word();
        if !finished.awaits_truth() {
            let seq = finished.seq;
            effects.force(seq);
            return seq;
        }
        let seq = self.append(NodeRecord::Truth { txn, truth }, Urgency::Forced, effects);
        if forced == truth {
            effects.info(format!(
                "{txn} was forced to {forced} here, and that is what its coordinator decided"
            ));
        } else {
            effects.alarm(format!(
                "HEURISTIC_MIXED {txn}: an operator forced {forced} here, its coordinator had decided {truth}. Money \
                 is wrong by this node's part of it; `twopence tx show {txn}` lists what each node did"
            ));
        }
        seq
    }

    /// Everything that waited for the transaction's end here.
    pub(super) fn ended(&mut self, txn: TxnId, effects: &mut Effects<Participant>) {
        self.prepared_since.remove(&txn);
        self.queue.forget_birth(&txn);
        self.wake_reads(txn, effects);
        self.check_freeze(effects);
        self.let_pass(txn, effects);
    }
}
