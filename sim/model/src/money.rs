//! Is all the money there? At every moment, in memory and on disk.

use std::collections::BTreeSet;

use protocol::coordinator::{CoordinatorState, Phase};
use protocol::effects::Machine;
use protocol::id::TxnId;
use protocol::participant::NodeState;

use crate::state::State;

/// What all balances add up to: 0, or money was made or lost. A prepared transaction counts as if it had been applied
/// if it is decided COMMIT anywhere.
pub(crate) fn out_of_thin_air(state: &State) -> i128 {
    sum(
        state.nodes.iter().map(|process| process.machine.state()),
        state.coordinators.iter().map(|process| process.machine.state()),
    )
}

/// The same, if every process died now and kept nothing unsynced.
pub(crate) fn out_of_thin_air_on_disk(state: &State) -> i128 {
    sum(
        state.nodes.iter().map(|process| &*process.durable),
        state.coordinators.iter().map(|process| &*process.durable),
    )
}

fn sum<'a>(
    nodes: impl Iterator<Item = &'a NodeState> + Clone,
    coordinators: impl Iterator<Item = &'a CoordinatorState>,
) -> i128 {
    let open = coordinators.flat_map(|coordinator| coordinator.open().iter());
    let decided: BTreeSet<TxnId> = open
        .filter(|(_, open)| matches!(open.phase, Phase::Committed(_)))
        .map(|(&txn, _)| txn)
        .collect();
    let committed = |txn: &TxnId| {
        let done = |node: &NodeState| {
            node.finished(txn)
                .is_some_and(|finished| finished.aborted.is_none())
        };
        decided.contains(txn) || nodes.clone().any(done)
    };
    let prepared = nodes.clone().flat_map(|node| node.prepared().iter());
    let promised = prepared.filter(|(txn, _)| committed(txn)).map(|(_, prepared)| {
        let deltas = prepared
            .operations
            .iter()
            .map(|operation| i128::from(operation.delta.get()));
        deltas.sum::<i128>()
    });
    nodes.clone().map(|node| node.ledger().total()).sum::<i128>() + promised.sum::<i128>()
}

/// Whether an account that may not be is below zero.
pub(crate) fn is_overdrawn(state: &State) -> bool {
    let overdrawn = |node: &NodeState| {
        let mut accounts = node.ledger().accounts();
        accounts.any(|(id, account)| account.balance < 0 && !id.is_world())
    };
    state
        .nodes
        .iter()
        .any(|process| overdrawn(process.machine.state()) || overdrawn(&process.durable))
}
