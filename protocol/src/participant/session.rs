//! Coordinators' connections: who may speak, and in which life (R11, R12, R22).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use super::{CoordinatorSeen, NodeRecord, Participant, SessionId};
use crate::effects::{Effects, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::{CoordinatorId, Epoch, Incarnation, TxnId};
use crate::message::{FromNode, NodeAnswer, ToNode};
use crate::planted;

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) coordinator: CoordinatorId,
    /// The epoch it joined with; `None` before it has.
    pub(super) epoch: Option<Epoch>,
    /// Its log is not to be trusted: only questions are answered.
    pub(super) quarantined: bool,
    /// The newest record of its log that it has proved durable on this connection.
    pub(super) proved: Seq,
}

impl Participant {
    pub(super) fn on_connected(&mut self, session: SessionId, coordinator: CoordinatorId) {
        let new = Session {
            coordinator,
            epoch: None,
            quarantined: false,
            proved: 0,
        };
        self.sessions.insert(session, new);
    }

    pub(super) fn on_disconnected(&mut self, session: SessionId, effects: &mut Effects<Participant>) {
        // Whoever comes back with an older log must be met by what this connection has proved.
        self.record_proofs(effects);
        self.sessions.remove(&session);
        self.reads.retain(|_, read| read.session != session);
        // Their votes could not be sent; the coordinator counts a lost link as NO, or asks again.
        self.stop_all(|waiter| waiter.session == session, effects);
        if self
            .freeze
            .as_ref()
            .is_some_and(|freeze| freeze.session == session)
        {
            self.freeze = None;
        }
    }

    /// The session, if it has joined and was not replaced.
    pub(super) fn live_session(&self, session: SessionId) -> Option<Session> {
        self.sessions
            .get(&session)
            .filter(|session| session.epoch.is_some())
            .copied()
    }

    /// Where to reach a coordinator that may be trusted.
    pub(super) fn session_of(&self, coordinator: CoordinatorId) -> Option<SessionId> {
        let usable = |session: &Session| {
            session.coordinator == coordinator && session.epoch.is_some() && !session.quarantined
        };
        self.sessions
            .iter()
            .find(|(_, session)| usable(session))
            .map(|(&id, _)| id)
    }

    pub(super) fn on_join(&mut self, session: SessionId, join: ToNode, effects: &mut Effects<Participant>) {
        let ToNode::Join {
            epoch,
            incarnation,
            durable,
            history,
            proved: node_proved,
        } = join
        else {
            unreachable!("the caller looked");
        };
        // How far this log reached before the coordinator came: joining adds to it.
        let ends = self.state.seq();
        let Some(&Session { coordinator, .. }) = self.sessions.get(&session) else {
            return;
        };
        self.stop_all(|waiter| waiter.session == session, effects);
        // What its earlier connections have proved counts, also where they are not known to be dead yet.
        self.record_proofs(effects);
        let seen = self.state.coordinator(coordinator);
        if let Some(why) = outdated(seen.epoch, seen.incarnation, epoch, incarnation)
            && !planted!(OldEpochAccepted)
        {
            effects.alarm(format!("refused coordinator {coordinator}: {why}"));
            effects.send(session, FromNode::Refuse { why }, self.forced);
            effects.hangups.push(session);
            self.sessions.remove(&session);
            return;
        }
        if epoch > seen.epoch {
            let record = NodeRecord::Coordinator {
                coordinator,
                epoch,
                incarnation,
            };
            self.append(record, Urgency::Forced, effects);
        }
        let replaced = |(&id, other): (&SessionId, &Session)| {
            (id != session && other.coordinator == coordinator).then_some(id)
        };
        for old in self
            .sessions
            .iter()
            .filter_map(replaced)
            .collect::<BTreeSet<SessionId>>()
        {
            self.on_disconnected(old, effects);
            effects.hangups.push(old);
        }
        if let Some((store, seq)) = node_proved
            && store == self.config.store
            && seq > ends
        {
            effects.alarm(format!(
                "coordinator {coordinator} has seen this store durable up to record {seq}, but it ends at {}: it lost \
                 acknowledged records (an old backup?) and stays quarantined until `twopence adopt {}`",
                ends, self.config.node
            ));
        }
        let quarantine = self.mistrust(coordinator, &seen, durable, &history);
        if quarantine.is_some() && !seen.quarantined && !planted!(QuarantineForgotten) {
            self.append(NodeRecord::Quarantine { coordinator }, Urgency::Forced, effects);
        }
        if let Some(why) = &quarantine {
            effects.alarm(format!("quarantined coordinator {coordinator}: {why}"));
        }
        let joined = self.sessions.get_mut(&session).expect("looked up above");
        joined.epoch = Some(epoch);
        joined.quarantined = quarantine.is_some();
        joined.proved = durable;
        let trusted = quarantine.is_none();
        let newest = self.state.seq();
        effects.force(newest);
        self.forced = newest;
        effects.send(
            session,
            FromNode::Welcome {
                store: self.config.store,
                durable: ends,
                quarantine,
            },
            newest,
        );
        if trusted {
            let of_coordinator = |txn: &&TxnId| txn.coordinator == coordinator;
            let mut doubtful: BTreeSet<TxnId> = self
                .state
                .prepared()
                .keys()
                .filter(of_coordinator)
                .copied()
                .collect();
            doubtful.extend(
                self.state
                    .awaiting_truth()
                    .filter(|txn| txn.coordinator == coordinator),
            );
            for txn in doubtful {
                self.inquire(txn, effects);
            }
        }
    }

    /// Why a coordinator's log cannot be trusted any more, if it cannot (R22).
    fn mistrust(
        &self,
        coordinator: CoordinatorId,
        seen: &CoordinatorSeen,
        durable: Seq,
        history: &[(Epoch, Incarnation)],
    ) -> Option<String> {
        let forked = history
            .iter()
            .any(|&(epoch, incarnation)| epoch == seen.epoch && incarnation != seen.incarnation);
        let lost = if seen.quarantined {
            format!("the log of coordinator {coordinator} lost decisions before")
        } else if forked {
            format!(
                "the coordinator's log has another epoch {} than the one seen here: it lost decisions",
                seen.epoch
            )
        } else if durable < seen.proved {
            format!(
                "the coordinator's log ends at record {durable} but had proved record {} durable: it lost decisions",
                seen.proved
            )
        } else {
            return None;
        };
        if planted!(ShortLogTrusted) {
            return None;
        }
        let node = self.config.node;
        Some(format!(
            "{lost} (an old backup?). Bring the newer log back if you can; then, or to accept the loss, run `twopence adopt \
             {node}`"
        ))
    }

    /// The coordinator has shown that its log is durable up to here.
    pub(super) fn on_proof(&mut self, session: SessionId, durable: Seq) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.proved = session.proved.max(durable);
        }
    }

    /// Writes down what coordinators have proved since the last time; lazily, since a lost proof only detects less.
    pub(super) fn record_proofs(&mut self, effects: &mut Effects<Participant>) {
        let trusted = self
            .sessions
            .values()
            .filter(|session| session.epoch.is_some() && !session.quarantined);
        let proofs: BTreeSet<(CoordinatorId, Seq)> = trusted
            .map(|session| (session.coordinator, session.proved))
            .collect();
        for (coordinator, through) in proofs {
            if through > self.state.coordinator(coordinator).proved {
                self.append(
                    NodeRecord::Proved { coordinator, through },
                    Urgency::Lazy,
                    effects,
                );
            }
        }
    }

    /// An operator accepts a coordinator's log as it is.
    pub(super) fn on_adopt(
        &mut self,
        session: SessionId,
        ask: u64,
        durable: Seq,
        effects: &mut Effects<Participant>,
    ) {
        let Some(Session { coordinator, .. }) = self.live_session(session) else {
            return;
        };
        self.append(
            NodeRecord::AcceptLog {
                coordinator,
                through: durable,
            },
            Urgency::Forced,
            effects,
        );
        if let Some(session) = self.sessions.get_mut(&session) {
            session.quarantined = false;
            session.proved = durable;
        }
        let text = format!(
            "{} accepts the log of coordinator {coordinator} at record {durable}",
            self.config.node
        );
        effects.warning(text.clone());
        self.answer(session, ask, NodeAnswer::Done(text), effects);
        let doubtful: BTreeSet<TxnId> = self.state.prepared().keys().copied().collect();
        for txn in doubtful.into_iter().filter(|txn| txn.coordinator == coordinator) {
            self.inquire(txn, effects);
        }
    }
}

/// Why a coordinator may not join, if it may not (R12).
fn outdated(
    seen_epoch: Epoch,
    seen_incarnation: Incarnation,
    epoch: Epoch,
    incarnation: Incarnation,
) -> Option<String> {
    if epoch < seen_epoch {
        Some(format!(
            "epoch {epoch} is over: the same coordinator was started again with epoch {seen_epoch}, from a copy of \
             its log or before this process woke up; stop this process and use the newer one"
        ))
    } else if epoch == seen_epoch && incarnation != seen_incarnation {
        Some(format!(
            "two processes run as the same coordinator in epoch {epoch}, from copies of one log; stop this process, \
             keep the other"
        ))
    } else {
        None
    }
}
