//! Point reads: wait for the holds that were there on arrival, then tell the balance of that moment (R16).

use alloc::collections::BTreeSet;

use super::{Participant, ParticipantTimer, SessionId};
use crate::effects::Effects;
use crate::id::{AccountId, TxnId};
use crate::message::{BalanceAnswer, NodeAnswer, Page};
use crate::planted;

/// Accounts in one page.
const PAGE_LEN: usize = 1_000;

/// A read that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) session: SessionId,
    ask: u64,
    account: AccountId,
    /// Of the holders on arrival, those that have not ended. Later ones do not count.
    holders: BTreeSet<TxnId>,
    wait_ms: u32,
}

impl Participant {
    pub(super) fn on_read(
        &mut self,
        session: SessionId,
        ask: u64,
        account: AccountId,
        wait_ms: u32,
        effects: &mut Effects<Participant>,
    ) {
        let holders: BTreeSet<TxnId> = self.state.ledger().holds(&account).map(|(txn, _)| txn).collect();
        if holders.is_empty() || planted!(ReadsSkipHolds) {
            let answer = NodeAnswer::Balance(self.balance_now(&account));
            return self.answer(session, ask, answer, effects);
        }
        let read = self.next_read;
        self.next_read += 1;
        self.reads.insert(
            read,
            Read {
                session,
                ask,
                account,
                holders,
                wait_ms,
            },
        );
        effects.set(ParticipantTimer::Read { read, wait_ms });
    }

    pub(super) fn wake_reads(&mut self, ended: TxnId, effects: &mut Effects<Participant>) {
        let mut ready = BTreeSet::new();
        for (&id, read) in &mut self.reads {
            if read.holders.remove(&ended) && read.holders.is_empty() {
                ready.insert(id);
            }
        }
        for id in ready {
            let Read {
                session,
                ask,
                account,
                wait_ms,
                ..
            } = self.reads.remove(&id).expect("just found");
            effects.cancel(ParticipantTimer::Read { read: id, wait_ms });
            let answer = NodeAnswer::Balance(self.balance_now(&account));
            self.answer(session, ask, answer, effects);
        }
    }

    pub(super) fn on_read_timeout(&mut self, read: u64, effects: &mut Effects<Participant>) {
        let Some(Read {
            session,
            ask,
            account,
            holders,
            ..
        }) = self.reads.remove(&read)
        else {
            return; // Answered in the same turn.
        };
        let balance = self
            .state
            .ledger()
            .account(&account)
            .map_or(0, |account| account.balance);
        let (mut lowest, mut highest) = (balance, balance);
        for (txn, delta) in self.state.ledger().holds(&account) {
            if holders.contains(&txn) {
                let bound = if delta.is_debit() {
                    &mut lowest
                } else {
                    &mut highest
                };
                *bound = bound.saturating_add(delta.get());
            }
        }
        let answer = BalanceAnswer::InDoubt {
            holders: holders.into_iter().collect(),
            lowest,
            highest,
        };
        self.answer(session, ask, NodeAnswer::Balance(answer), effects);
    }

    fn balance_now(&self, account: &AccountId) -> BalanceAnswer {
        let found = self.state.ledger().account(account);
        found.map_or(BalanceAnswer::NoSuchAccount, |account| {
            BalanceAnswer::Is(account.balance)
        })
    }

    pub(super) fn accounts_page(&self, after: Option<&AccountId>) -> Page {
        let world = AccountId::world();
        // `@world` sorts before every account that users can name.
        let mut behind = self.state.ledger().accounts_after(after.unwrap_or(&world));
        let accounts = behind.by_ref().take(PAGE_LEN);
        let accounts = accounts
            .map(|(id, account)| (id.clone(), account.balance))
            .collect();
        Page {
            accounts,
            more: behind.next().is_some(),
        }
    }
}
