//! The promise: PREPARE and its vote, and the one-phase path where the node decides alone.

use alloc::format;

use super::queue::Ahead;
use super::session::Session;
use super::state::{is_merged, net};
use super::{NodeRecord, Participant, SessionId};
use crate::effects::{Effects, Urgency};
use crate::fold::{Fold, Seq};
use crate::id::TxnId;
use crate::leg::Operation;
use crate::locking::Locking;
use crate::message::{Executed, FromNode, Home, Prepare, Vote};
use crate::planted;
use crate::reason::{Holder, Reason, Refusal};

/// What can be done about a transaction now.
pub(super) enum Turn {
    /// All of it.
    Now,
    /// Nothing before that one is out of the way.
    Behind(Ahead),
}

/// Why a node will not do its part.
pub(super) enum Refused {
    /// It looked and it cannot: remembered as a tombstone.
    Cannot(Refusal),
    /// The home knows the request from another attempt: remembered as a tombstone.
    Duplicate(Home),
    /// There is no room for a promise, nor for a tombstone: remembered as long as this process lives, which is as long as
    /// a repeat can be on its way.
    NoRoom,
    /// It has said so before: nothing to remember.
    AsBefore(Refusal),
}

impl Participant {
    pub(super) fn on_prepare(
        &mut self,
        session: SessionId,
        from: &Session,
        prepare: Prepare,
        effects: &mut Effects<Participant>,
    ) {
        let txn = prepare.txn;
        if !self.may_begin(txn, from, effects) {
            return;
        }
        if let Some(prepared) = self.state.prepared().get(&txn) {
            let durable = prepared.seq; // A repeat: the promise stands.
            effects.send(
                session,
                FromNode::Vote {
                    txn,
                    vote: Vote::Yes,
                    durable,
                },
                durable,
            );
            return;
        }
        if self.queue.contains(&txn) {
            return; // A repeat: it keeps its place.
        }
        let turn = self.examine(&prepare, false);
        self.take_turn(session, prepare, false, turn, effects);
    }

    /// Does what can be done about a transaction, as [`Participant::examine`] has just found.
    pub(super) fn take_turn(
        &mut self,
        session: SessionId,
        prepare: Prepare,
        one_phase: bool,
        turn: Result<Turn, Refused>,
        effects: &mut Effects<Participant>,
    ) {
        let looked = match turn {
            Ok(Turn::Behind(ahead)) => {
                return self.wait_behind(session, prepare, one_phase, ahead, effects);
            }
            Ok(Turn::Now) => Ok(()),
            Err(refused) => Err(refused),
        };
        if one_phase {
            self.execute(session, prepare, looked, effects);
        } else {
            self.promise(session, prepare, looked, effects);
        }
    }

    fn promise(
        &mut self,
        session: SessionId,
        prepare: Prepare,
        looked: Result<(), Refused>,
        effects: &mut Effects<Participant>,
    ) {
        let txn = prepare.txn;
        match looked {
            Ok(()) => {
                let Prepare {
                    operations,
                    opens,
                    participants,
                    birth,
                    home,
                    ..
                } = prepare;
                let hold = self.config.locking.hold();
                let record = NodeRecord::PrepareOk {
                    txn,
                    operations,
                    opens,
                    participants,
                    home,
                    hold,
                };
                let urgency = planted!(VoteBeforeSync: Urgency::Forced => Urgency::Lazy);
                let durable = self.append(record, urgency, effects);
                if self.config.locking == Locking::Wait {
                    self.queue.note_birth(txn, birth);
                }
                effects.send(
                    session,
                    FromNode::Vote {
                        txn,
                        vote: Vote::Yes,
                        durable,
                    },
                    planted!(VoteBeforeSync: durable => 0),
                );
            }
            Err(refused) => {
                let vote = match self.bury(&prepare, refused, effects) {
                    Executed::Duplicate(knows) => Vote::Duplicate(knows),
                    Executed::Refused(refusal) => Vote::No(refusal),
                    Executed::Committed => unreachable!("a refusal commits nothing"),
                };
                let durable = self.forced;
                effects.send(session, FromNode::Vote { txn, vote, durable }, durable);
            }
        }
    }

    pub(super) fn on_execute(
        &mut self,
        session: SessionId,
        from: &Session,
        prepare: Prepare,
        effects: &mut Effects<Participant>,
    ) {
        let txn = prepare.txn;
        if !self.may_begin(txn, from, effects) {
            return;
        }
        if self.queue.contains(&txn) {
            return; // A repeat: it keeps its place.
        }
        let Some(home) = prepare.home else {
            effects.alarm(format!("{txn} has one participant but no request: ignored"));
            return;
        };
        if self.state.prepared().contains_key(&txn) {
            return effects.alarm(format!(
                "asked to execute {txn} alone, but it is prepared with others: ignored"
            ));
        }
        if self.state.finished(&txn).is_some() {
            return self.on_query(session, txn, &home, effects); // A repeat: the decision stands.
        }
        let turn = self.examine(&prepare, true);
        self.take_turn(session, prepare, true, turn, effects);
    }

    fn execute(
        &mut self,
        session: SessionId,
        prepare: Prepare,
        looked: Result<(), Refused>,
        effects: &mut Effects<Participant>,
    ) {
        let txn = prepare.txn;
        let home = prepare.home.expect("checked when it arrived");
        let executed = match looked {
            Ok(()) => {
                let Prepare {
                    operations, opens, ..
                } = prepare;
                let record = NodeRecord::CommitOnePhase {
                    txn,
                    operations,
                    opens,
                    home,
                };
                let urgency = planted!(ExecutedBeforeSync: Urgency::Forced => Urgency::Lazy);
                self.append(record, urgency, effects);
                Executed::Committed
            }
            Err(refused) => self.bury(&prepare, refused, effects),
        };
        if home.repeated {
            // What a repeated request is told is final, so the tombstone must be durable first.
            let newest = self.state.seq();
            effects.force(newest);
            self.forced = newest;
        }
        self.tell_executed(session, txn, executed, self.forced, effects);
    }

    /// Answers for a transaction that this node alone decides.
    pub(super) fn tell_executed(
        &self,
        session: SessionId,
        txn: TxnId,
        executed: Executed,
        durable: Seq,
        effects: &mut Effects<Participant>,
    ) {
        effects.send(
            session,
            FromNode::Executed {
                txn,
                executed,
                durable,
            },
            durable,
        );
    }

    /// Only the coordinator whose transaction it is, in the epoch that made it, may begin it (R12).
    fn may_begin(&self, txn: TxnId, from: &Session, effects: &mut Effects<Participant>) -> bool {
        let rightful = txn.coordinator == from.coordinator && from.epoch == Some(txn.at.epoch);
        if !rightful {
            effects.alarm(format!(
                "coordinator {} began {txn}, which is not its own: ignored",
                from.coordinator
            ));
        }
        rightful
    }

    /// Whether it can be done, and whether now. Changes nothing.
    pub(super) fn examine(&self, prepare: &Prepare, one_phase: bool) -> Result<Turn, Refused> {
        let txn = prepare.txn;
        if let Some(finished) = self.state.finished(&txn)
            && !planted!(PreparedAgain)
        {
            let reason = finished.aborted.as_deref().cloned().unwrap_or(Reason::Stale);
            return Err(Refused::AsBefore(reason.into()));
        }
        if self.state.is_below_mark(txn) && !planted!(StalePrepared) {
            return Err(Refused::AsBefore(Reason::Stale.into()));
        }
        if let Some(home) = &prepare.home
            && self.state.requests().get(&home.request).is_some()
        {
            return Err(Refused::Duplicate(*home));
        }
        if !self.has_room || self.turned_away.contains(&txn) {
            return Err(Refused::NoRoom);
        }
        if self.freeze.is_some() && !one_phase && !planted!(AuditWithoutLocks) {
            return Err(Refused::Cannot(Reason::AuditInProgress.into()));
        }
        if !well_formed(&prepare.operations, one_phase) {
            return Err(Refused::AsBefore(Reason::Stale.into()));
        }
        let locking = self.config.locking;
        if locking == Locking::Wait {
            if !self.queue.contains(&txn)
                && let Some(refusal) = self.outranked(prepare)
            {
                return Err(self.cannot(refusal));
            }
            if let Some(ahead) = self.ahead_of(prepare) {
                return Ok(Turn::Behind(ahead));
            }
        }
        self.state
            .ledger()
            .check(&prepare.operations, prepare.opens, locking.hold())
            .map(|()| Turn::Now)
            .map_err(|refusal| self.cannot(refusal))
    }

    /// A refusal, with the time for which its holder has been there.
    fn cannot(&self, refusal: Refusal) -> Refused {
        let dated = |Holder { txn, .. }: Holder| Holder {
            txn,
            held_s: self.held_s(txn),
        };
        Refused::Cannot(Refusal {
            holder: refusal.holder.map(dated),
            ..refusal
        })
    }

    /// Leaves a tombstone where one is due, and says what to answer.
    fn bury(&mut self, prepare: &Prepare, refused: Refused, effects: &mut Effects<Participant>) -> Executed {
        let txn = prepare.txn;
        let mut tombstone = |reason: Reason, holder: Option<TxnId>, home: Option<Home>| {
            let record = NodeRecord::PrepareFailed {
                txn,
                reason,
                holder,
                home,
            };
            if !planted!(RefusalForgotten) {
                self.append(record, Urgency::Lazy, effects);
            }
        };
        match refused {
            Refused::Cannot(refusal) => {
                let holder = refusal.holder.map(|holder| holder.txn);
                tombstone(refusal.reason.clone(), holder, prepare.home);
                Executed::Refused(refusal)
            }
            Refused::Duplicate(home) => {
                tombstone(Reason::Duplicate, None, None);
                // What a repeated request is told is final, so it must be durable before it is told.
                Executed::Duplicate(self.force_knowledge(&home, effects))
            }
            Refused::NoRoom => {
                if !planted!(NoRoomForgotten) {
                    self.turned_away.insert(txn);
                }
                Executed::Refused(Reason::DiskFull(self.config.node).into())
            }
            Refused::AsBefore(refusal) => Executed::Refused(refusal),
        }
    }
}

/// What a coordinator of ours always sends: operations merged per account (R19), and none that makes money here.
fn well_formed(operations: &[Operation], one_phase: bool) -> bool {
    is_merged(operations) && (!one_phase || net(operations) == 0)
}
