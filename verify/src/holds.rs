//! What of each account is promised away.

use std::collections::BTreeMap;

use protocol::id::TxnId;
use protocol::ledger::HoldKind;
use protocol::leg::Operation;

/// One promise's share of one account.
#[derive(Clone, Copy, Debug)]
struct Share {
    txn: TxnId,
    delta: i128,
    hold: HoldKind,
}

/// All promises of one node.
#[derive(Debug, Default)]
pub(crate) struct Holds<'a> {
    by_account: BTreeMap<&'a str, Vec<Share>>,
}

impl<'a> Holds<'a> {
    /// A promise is made.
    pub(crate) fn hold(&mut self, txn: TxnId, operations: &'a [Operation], hold: HoldKind) {
        for operation in operations {
            let share = Share {
                txn,
                delta: i128::from(operation.delta.get()),
                hold,
            };
            let shares = self.by_account.entry(operation.account.as_str()).or_default();
            shares.push(share);
        }
    }

    /// A promise is kept or taken back.
    pub(crate) fn release(&mut self, txn: TxnId, operations: &[Operation]) {
        for operation in operations {
            if let Some(shares) = self.by_account.get_mut(operation.account.as_str()) {
                shares.retain(|share| share.txn != txn);
            }
        }
    }

    /// What is promised from an account: 0 or less.
    pub(crate) fn debits(&self, account: &str) -> i128 {
        self.shares(account).map(|share| share.delta.min(0)).sum()
    }

    /// Who keeps others out of an account, or would be kept out by a hold of this kind. `None` is for a change without
    /// one.
    pub(crate) fn clash(&self, account: &str, hold: Option<HoldKind>) -> Option<TxnId> {
        let mut shares = self.shares(account);
        let clash =
            shares.find(|share| hold == Some(HoldKind::Exclusive) || share.hold == HoldKind::Exclusive);
        clash.map(|share| share.txn)
    }

    fn shares(&self, account: &str) -> impl Iterator<Item = &Share> {
        self.by_account.get(account).into_iter().flatten()
    }
}
