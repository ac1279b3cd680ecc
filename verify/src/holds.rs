//! What of each account is promised away.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::TxnId;
use protocol::ledger::HoldKind;
use protocol::leg::Operation;

/// The promises of one account. A hot one may have thousands at a time, so nothing looks at all of them.
#[derive(Debug, Default)]
struct Shares {
    /// What each takes, 0 or less.
    debits: BTreeMap<TxnId, i128>,
    /// Those that keep everybody out.
    exclusive: BTreeSet<TxnId>,
    /// What all of them take.
    debits_sum: i128,
}

/// All promises of one node.
#[derive(Debug, Default)]
pub(crate) struct Holds<'a> {
    by_account: BTreeMap<&'a str, Shares>,
}

impl<'a> Holds<'a> {
    /// A promise is made.
    pub(crate) fn hold(&mut self, txn: TxnId, operations: &'a [Operation], hold: HoldKind) {
        for operation in operations {
            let shares = self.by_account.entry(operation.account.as_str()).or_default();
            let debit = i128::from(operation.delta.get()).min(0);
            *shares.debits.entry(txn).or_default() += debit;
            shares.debits_sum += debit;
            if hold == HoldKind::Exclusive {
                shares.exclusive.insert(txn);
            }
        }
    }

    /// A promise is kept or taken back.
    pub(crate) fn release(&mut self, txn: TxnId, operations: &[Operation]) {
        for operation in operations {
            if let Some(shares) = self.by_account.get_mut(operation.account.as_str()) {
                shares.debits_sum -= shares.debits.remove(&txn).unwrap_or(0);
                shares.exclusive.remove(&txn);
            }
        }
    }

    /// What is promised from an account: 0 or less.
    pub(crate) fn debits(&self, account: &str) -> i128 {
        self.by_account.get(account).map_or(0, |shares| shares.debits_sum)
    }

    /// Who keeps others out of an account, or would be kept out by a hold of this kind. `None` is for a change without
    /// one.
    pub(crate) fn clash(&self, account: &str, hold: Option<HoldKind>) -> Option<TxnId> {
        let shares = self.by_account.get(account)?;
        let clash = match hold {
            Some(HoldKind::Exclusive) => shares.debits.keys().next(),
            Some(HoldKind::Escrow) | None => shares.exclusive.first(),
        };
        clash.copied()
    }
}
