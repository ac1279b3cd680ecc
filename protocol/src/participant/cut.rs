//! One node's side of an audit: sums at a cut, and the freeze that several coordinators need.

use alloc::string::ToString;

use super::state::net;
use super::{Participant, ParticipantTimer, SessionId};
use crate::effects::Effects;
use crate::id::AccountId;
use crate::message::NodeAnswer;
use crate::planted;

/// New prepares are refused until this ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Freeze {
    pub(super) session: SessionId,
    ask: u64,
    answered: bool,
}

impl Participant {
    /// Sums everything now. Asked in one turn at all nodes over FIFO links, the sums are one cut of the coordinator's
    /// own transactions; `others` says that somebody else's may straddle it.
    pub(super) fn cut(&self, session: SessionId) -> NodeAnswer {
        let mine = self.live_session(session).map(|session| session.coordinator);
        let others = self.state.coordinators().keys().any(|&id| Some(id) != mine);
        let ledger = self.state.ledger();
        let world = ledger
            .account(&AccountId::world())
            .map_or(0, |account| account.balance);
        let prepared = self
            .state
            .prepared()
            .iter()
            .map(|(&txn, prepared)| (txn, net(&prepared.operations)));
        NodeAnswer::Cut {
            sum: ledger.total(),
            world,
            prepared: prepared.collect(),
            others,
        }
    }

    pub(super) fn on_freeze(&mut self, session: SessionId, ask: u64, effects: &mut Effects<Participant>) {
        if self.freeze.is_some() {
            let busy = NodeAnswer::Failed("another audit is under way".to_string());
            return self.answer(session, ask, busy, effects);
        }
        self.freeze = Some(Freeze {
            session,
            ask,
            answered: false,
        });
        effects.set(ParticipantTimer::Thaw);
        // Who waits holds accounts elsewhere, perhaps, and would be refused with its turn.
        self.all_look_again(effects);
        self.check_freeze(effects);
    }

    /// Answers a freeze as soon as nothing is prepared.
    pub(super) fn check_freeze(&mut self, effects: &mut Effects<Participant>) {
        if !self.state.prepared().is_empty() && !planted!(FrozenTooEarly) {
            return;
        }
        let Some(Freeze {
            session,
            ask,
            answered: answered @ false,
        }) = &mut self.freeze
        else {
            return;
        };
        *answered = true;
        let (session, ask) = (*session, *ask);
        let cut = self.cut(session);
        self.answer(session, ask, cut, effects);
    }

    pub(super) fn on_thaw(
        &mut self,
        session: SessionId,
        ask: u64,
        freeze: u64,
        effects: &mut Effects<Participant>,
    ) {
        // Another freeze, even of the same coordinator, says nothing about the one that is meant.
        let meant = |found: &mut Freeze| found.session == session && found.ask == freeze;
        let ended = self.freeze.take_if(meant);
        if ended.is_some() {
            effects.cancel(ParticipantTimer::Thaw);
        }
        let held = ended.is_some_and(|freeze| freeze.answered);
        self.answer(session, ask, NodeAnswer::Thawed { held }, effects);
    }

    pub(super) fn on_thaw_timer(&mut self, effects: &mut Effects<Participant>) {
        if let Some(Freeze {
            session,
            ask,
            answered: false,
        }) = self.freeze.take()
        {
            let late = NodeAnswer::Failed("transactions stayed prepared for the whole freeze".to_string());
            self.answer(session, ask, late, effects);
        }
    }
}
