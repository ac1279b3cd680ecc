//! The decision and its consequences: votes, acknowledgements, inquiries, and what homes recall.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::members::Members;
use super::submit::note_counted_as_abort;
use super::{Coordinator, CoordinatorRecord, CoordinatorTimer, Phase, Stage};
use crate::effects::{Effects, Urgency};
use crate::fold::Seq;
use crate::id::{NodeId, TxnId};
use crate::message::{Executed, Knowledge, Outcome, ToNode, Vote};
use crate::planted;
use crate::reason::{Decision, Reason, Refusal};

impl Coordinator {
    pub(super) fn on_vote(
        &mut self,
        node: NodeId,
        txn: TxnId,
        vote: Vote,
        effects: &mut Effects<Coordinator>,
    ) {
        let Some(live) = self.live.get_mut(&txn) else {
            return; // Late: the decision stands, and whoever is in doubt asks.
        };
        let place = live.place_of(node);
        let Stage::Collecting(yes) = &mut live.stage else {
            return; // Late or repeated: the decision stands.
        };
        let Some(place) = place else {
            return effects.alarm(format!(
                "{node} voted on {txn}, in which it takes no part: ignored"
            ));
        };
        match vote {
            Vote::Yes => {
                yes.insert(place);
                if *yes == Members::first(live.participants.len()) {
                    self.decide_commit(txn, effects);
                }
            }
            Vote::No(refusal) => self.decide_abort(txn, refusal, Some(node), effects),
            Vote::Duplicate(knows) => {
                self.abort_everywhere(txn, Reason::Duplicate, Some(node), effects);
                self.on_knowledge(txn, knows, effects);
            }
        }
    }

    fn decide_commit(&mut self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        effects.cancel(CoordinatorTimer::Votes(txn));
        let urgency = planted!(DecisionBeforeSync: Urgency::Forced => Urgency::Lazy);
        let durable = self.append(CoordinatorRecord::Commit { txn }, urgency, effects);
        let live = self.live.get_mut(&txn).expect("a transaction with votes is live");
        live.stage = Stage::Committed(Members::first(live.participants.len()));
        live.since = self.tick;
        let participants = live.participants.clone();
        if let Some(client) = live.client.take() {
            self.reply_outcome(client, Outcome::Committed { txn }, effects);
        }
        for node in participants {
            let shows = planted!(DecisionBeforeSync: durable => 0);
            self.tell(node, commit(txn, durable), shows, effects);
        }
    }

    /// Decides ABORT. `refused_by` needs no message: it released everything when it said NO.
    pub(super) fn decide_abort(
        &mut self,
        txn: TxnId,
        refusal: Refusal,
        refused_by: Option<NodeId>,
        effects: &mut Effects<Coordinator>,
    ) {
        self.abort_everywhere(txn, refusal.reason.clone(), refused_by, effects);
        let live = self.live.get_mut(&txn).expect("an undecided transaction is live");
        if !live.home.repeated || planted!(AbortToldUnbound) {
            let outcome = Outcome::Aborted {
                txn: Some(txn),
                refusal,
            };
            self.conclude(txn, outcome, effects);
            return self.forget(txn, effects);
        }
        live.stage = Stage::Binding(refusal.into());
        effects.set(CoordinatorTimer::Answer(txn));
        self.bind(txn, effects);
    }

    /// Writes ABORT and tells every participant that may be prepared. Needs no sync: no record means abort.
    fn abort_everywhere(
        &mut self,
        txn: TxnId,
        reason: Reason,
        refused_by: Option<NodeId>,
        effects: &mut Effects<Coordinator>,
    ) {
        effects.cancel(CoordinatorTimer::Votes(txn));
        self.append(
            CoordinatorRecord::Abort {
                txn,
                reason: reason.clone(),
            },
            Urgency::Lazy,
            effects,
        );
        let live = self.live.get(&txn).expect("an undecided transaction is live");
        for &node in &live.participants {
            let bound_later = live.home.repeated && node == live.home_node && reason != Reason::Duplicate;
            if Some(node) != refused_by && !bound_later && self.is_up(node) {
                let decision = Decision::Abort(reason.clone());
                self.tell(
                    node,
                    ToNode::Decide {
                        txn,
                        decision,
                        bind: None,
                        durable: 0,
                    },
                    0,
                    effects,
                );
            }
        }
    }

    /// Has the home hold the abort of a repeated request, durably.
    pub(super) fn bind(&self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        let Some(live) = self.live.get(&txn) else { return };
        let Stage::Binding(refusal) = &live.stage else {
            return;
        };
        if self.is_up(live.home_node) {
            let decision = Decision::Abort(refusal.reason.clone());
            let bind = Some(live.home);
            self.tell(
                live.home_node,
                ToNode::Decide {
                    txn,
                    decision,
                    bind,
                    durable: 0,
                },
                0,
                effects,
            );
        }
    }

    pub(super) fn on_bound(
        &mut self,
        node: NodeId,
        txn: TxnId,
        knows: Knowledge,
        effects: &mut Effects<Coordinator>,
    ) {
        let Some(live) = self.live.get(&txn) else { return };
        let Stage::Binding(refusal) = &live.stage else {
            return;
        };
        if node != live.home_node {
            return;
        }
        if let Knowledge::Aborted(bound, _) = &knows
            && *bound == txn
        {
            let outcome = Outcome::Aborted {
                txn: Some(txn),
                refusal: (**refusal).clone(),
            };
            self.conclude(txn, outcome, effects);
            return self.forget(txn, effects);
        }
        self.on_knowledge(txn, knows, effects);
    }

    /// What the home knows of the request's first attempt decides what this attempt's client is told.
    fn on_knowledge(&mut self, txn: TxnId, knows: Knowledge, effects: &mut Effects<Coordinator>) {
        let outcome = match knows {
            Knowledge::Committed(first) => Outcome::Committed { txn: first },
            Knowledge::Aborted(first, reason) => Outcome::Aborted {
                txn: Some(first),
                refusal: reason.into(),
            },
            Knowledge::Reused => Outcome::Reused,
            Knowledge::Nothing => Outcome::Unknown {
                why: "the request's home node could write nothing down about it; its disk may be full"
                    .to_string(),
            },
            Knowledge::Open(_) => {
                let tick = self.tick;
                let live = self.live.get_mut(&txn).expect("the caller looked it up");
                if live.stage != Stage::Recalling {
                    live.stage = Stage::Recalling;
                    live.since = tick;
                    effects.set(CoordinatorTimer::Answer(txn));
                }
                return effects.set(CoordinatorTimer::Recall(txn));
            }
        };
        self.conclude(txn, outcome, effects);
        self.forget(txn, effects);
    }

    /// Asks the home how the first attempt ended.
    pub(super) fn recall(&self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        let Some(live) = self.live.get(&txn) else { return };
        if live.stage != Stage::Recalling {
            return;
        }
        if self.is_up(live.home_node) {
            self.tell(
                live.home_node,
                ToNode::Recall { txn, home: live.home },
                0,
                effects,
            );
        }
    }

    pub(super) fn on_recalled(
        &mut self,
        node: NodeId,
        txn: TxnId,
        knows: Knowledge,
        effects: &mut Effects<Coordinator>,
    ) {
        let waiting = self
            .live
            .get(&txn)
            .is_some_and(|live| live.stage == Stage::Recalling && live.home_node == node);
        if waiting {
            self.on_knowledge(txn, knows, effects);
        }
    }

    pub(super) fn on_executed(
        &mut self,
        node: NodeId,
        txn: TxnId,
        executed: Executed,
        effects: &mut Effects<Coordinator>,
    ) {
        let Some(live) = self.live.get(&txn) else { return };
        if live.stage != Stage::Delegated || live.home_node != node {
            return;
        }
        let repeated = live.home.repeated;
        self.append(CoordinatorRecord::Complete { txn }, Urgency::Lazy, effects);
        let outcome = match executed {
            Executed::Committed => Outcome::Committed { txn },
            Executed::Refused(refusal) => {
                if repeated && !is_final(&refusal.reason) {
                    // The node did not even look, so it remembers nothing: make it, before the client is told.
                    let live = self.live.get_mut(&txn).expect("just looked up");
                    live.stage = Stage::Binding(refusal.into());
                    return self.bind(txn, effects);
                }
                Outcome::Aborted {
                    txn: Some(txn),
                    refusal,
                }
            }
            Executed::Duplicate(knows) => return self.on_knowledge(txn, knows, effects),
        };
        self.conclude(txn, outcome, effects);
        self.forget(txn, effects);
    }

    pub(super) fn on_ack(&mut self, node: NodeId, txn: TxnId, effects: &mut Effects<Coordinator>) {
        let Some(live) = self.live.get_mut(&txn) else {
            return;
        };
        let place = live.place_of(node);
        let Stage::Committed(unacknowledged) = &mut live.stage else {
            return;
        };
        if let Some(place) = place {
            unacknowledged.remove(place);
        }
        if unacknowledged.is_empty() || planted!(ForgottenAfterOneAck) {
            self.append(CoordinatorRecord::Complete { txn }, Urgency::Lazy, effects);
            self.forget(txn, effects);
        }
    }

    /// A prepared node asks how it ended (R5): abort is presumed only for what this unbroken log would know.
    pub(super) fn on_inquiry(&mut self, node: NodeId, txn: TxnId, effects: &mut Effects<Coordinator>) {
        if txn.coordinator != self.config.id {
            return self.tell(node, ToNode::NotMine { txn }, 0, effects);
        }
        if self.knows_future(txn) && !planted!(FuturePresumedAborted) {
            return effects.alarm(format!(
                "{node} asks about {txn}, which this log has not begun: the log lost records (an old backup?). Not \
                 answered; the node stays in doubt until an operator resolves it"
            ));
        }
        let phase = self.state.open().get(&txn).map(|open| open.phase);
        match planted!(ActivePresumedAborted: phase => phase.filter(|&phase| phase != Phase::Started)) {
            Some(Phase::Committed(seq)) => self.tell(node, commit(txn, seq), seq, effects),
            Some(Phase::Started) => self.tell(node, ToNode::Pending { txn }, 0, effects),
            None if self.state.is_suspect()
                && txn.at.epoch < self.state.epoch()
                && !planted!(SuspectLogPresumes) =>
            {
                effects.alarm(format!(
                    "{node} asks about {txn}, of which this log has no record, but a node has shown that it lost records: \
                     not presumed aborted. Bring the newer log back, or accept this one with `twopence adopt`"
                ));
                self.tell(node, ToNode::Pending { txn }, 0, effects);
            }
            None => self.tell(node, presumed_abort(txn), 0, effects),
        }
    }

    pub(super) fn on_unmatched(&mut self, node: NodeId, txn: TxnId, effects: &mut Effects<Coordinator>) {
        if !self.live.contains_key(&txn) {
            return; // Late: it has ended, and the node may have forgotten it.
        }
        if self.is_forgiven(node, txn) {
            effects.alarm(format!(
                "{node}'s part of committed {txn} was lost with the records that an operator gave up"
            ));
            return self.on_ack(node, txn, effects);
        }
        effects.alarm(format!(
            "{node} does not know {txn}, which it voted YES on and which has committed: it lost an acknowledged record"
        ));
        self.quarantine(node, effects);
    }

    pub(super) fn on_votes_timeout(&mut self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        let Some(live) = self.live.get(&txn) else { return };
        let Stage::Collecting(yes) = &live.stage else {
            return;
        };
        let mut silent = (0..live.participants.len()).filter(|&place| !yes.contains(place));
        let silent = silent.next().expect("with every vote in, it would be decided");
        let silent = live.participants[silent];
        let reason = if self.is_up(silent) {
            Reason::VoteTimeout(silent)
        } else {
            Reason::Unreachable(silent)
        };
        if planted!(SilenceCommits) {
            return self.decide_commit(txn, effects);
        }
        note_counted_as_abort(&reason, effects);
        self.decide_abort(txn, reason.into(), None, effects);
    }

    pub(super) fn on_answer_timeout(&mut self, txn: TxnId, effects: &mut Effects<Coordinator>) {
        let Some(live) = self.live.get(&txn) else { return };
        let home = live.home_node;
        let (why, keep) = match &live.stage {
            Stage::Delegated => (format!("{home} has not said whether it did it"), true),
            Stage::Binding(_) => (format!("{home} has not confirmed the abort"), false),
            Stage::Recalling => (
                format!("the first attempt of this request is still open at {home}"),
                false,
            ),
            Stage::Collecting(_) | Stage::Committed(_) => return,
        };
        let outcome = planted!(UnknownToldAborted: Outcome::Unknown { why } => Outcome::Aborted {
            txn: Some(txn),
            refusal: Reason::Unreachable(home).into(),
        });
        self.conclude(txn, outcome, effects);
        if !keep {
            self.forget(txn, effects);
        }
    }

    /// A link broke: what had not voted counts as NO (R7); what is decided waits.
    pub(super) fn abort_waiting_for(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let waits = |live: &super::Live| match &live.stage {
            Stage::Collecting(yes) => live.place_of(node).is_some_and(|place| !yes.contains(place)),
            Stage::Delegated => planted!(LostLinkDecides) && live.home_node == node,
            Stage::Committed(_) | Stage::Binding(_) | Stage::Recalling => false,
        };
        let waiting: Vec<TxnId> = self
            .live
            .that(|_, live| waits(live))
            .map(|(&txn, _)| txn)
            .collect();
        for txn in waiting {
            let reason = Reason::Unreachable(node);
            note_counted_as_abort(&reason, effects);
            self.decide_abort(txn, reason.into(), None, effects);
        }
    }
}

pub(super) fn commit(txn: TxnId, durable: Seq) -> ToNode {
    ToNode::Decide {
        txn,
        decision: Decision::Commit,
        bind: None,
        durable,
    }
}

pub(super) fn presumed_abort(txn: TxnId) -> ToNode {
    ToNode::Decide {
        txn,
        decision: Decision::Abort(Reason::PresumedAbort),
        bind: None,
        durable: 0,
    }
}

/// Whether a node that gives this reason has written it down under the request's id.
fn is_final(reason: &Reason) -> bool {
    match reason {
        Reason::InsufficientFunds(_)
        | Reason::LockContention(_)
        | Reason::UnknownAccount(_)
        | Reason::CreditOverflow(_)
        | Reason::AuditInProgress
        | Reason::Unreachable(_) => true,
        Reason::UnknownNode(_)
        | Reason::VoteTimeout(_)
        | Reason::Quarantined(_)
        | Reason::DiskFull(_)
        | Reason::CoordinatorDiskFull
        | Reason::Stale
        | Reason::CoordinatorRestarted
        | Reason::PresumedAbort
        | Reason::Duplicate
        | Reason::OperatorDecision => false,
    }
}
