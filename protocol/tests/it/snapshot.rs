//! A snapshot is the state of one moment, however the state changes while it is taken.

use protocol::fold::Fold;
use protocol::id::{AccountId, RequestId, StoreId, TxnId};
use protocol::leg::{BodyDigest, Operation};
use protocol::message::Home;
use protocol::participant::{NodeEntry, NodeRecord, NodeState};

fn apply(state: &mut NodeState, record: &NodeRecord) {
    state.apply(state.seq() + 1, record, &mut Vec::new());
}

/// Deposit number `n`, which opens its account or not. Every third one is only prepared, and committed by the next.
fn deposit(state: &mut NodeState, n: u64) {
    let operation = |account: AccountId, delta: i64| Operation {
        account,
        delta: delta.try_into().unwrap(),
    };
    let account = format!("A{}", n * 7 % 23).parse().unwrap();
    let operations = vec![operation(AccountId::world(), -5), operation(account, 5)];
    let home = Home {
        request: RequestId(u128::from(n * 13 % 101)),
        digest: BodyDigest(n),
        repeated: false,
    };
    let txn = TxnId::new(StoreId(12), 1, n);
    if n.is_multiple_of(3) {
        let (opens, participants, home) = (true, vec!["N1".parse().unwrap()], Some(home));
        let hold = protocol::ledger::HoldKind::Escrow;
        apply(
            state,
            &NodeRecord::PrepareOk {
                txn,
                operations: operations.into(),
                opens,
                participants: participants.into(),
                home,
                hold,
            },
        );
        return;
    }
    let before = TxnId::new(StoreId(12), 1, n - 1);
    if state.prepared().contains_key(&before) {
        apply(state, &NodeRecord::Commit { txn: before });
    }
    let opens = true;
    apply(
        state,
        &NodeRecord::CommitOnePhase {
            txn,
            operations: operations.into(),
            opens,
            home,
        },
    );
}

fn sorted(mut entries: Vec<NodeEntry>) -> Vec<NodeEntry> {
    entries.sort_by_key(NodeState::key);
    entries
}

#[test]
fn a_snapshot_shows_the_state_as_it_was_when_it_began() {
    for size in 1..=6 {
        for deposits_per_part in 0..=4 {
            let mut state = NodeState::empty();
            apply(&mut state, &NodeRecord::RequestWindow { requests: 9 });
            (1..=14).for_each(|n| deposit(&mut state, n));
            let expected = sorted(state.entries().collect());
            assert!(state.begin_snapshot());
            let (mut n, mut entries) = (14, Vec::new());
            while let Some(part) = state.next_part(size) {
                entries.extend(part);
                for _ in 0..deposits_per_part {
                    n += 1;
                    deposit(&mut state, n);
                }
            }
            let accounts: Vec<usize> = (0..entries.len())
                .filter(|&place| NodeState::as_account(&entries[place]).is_some())
                .collect();
            assert!(
                accounts.iter().copied().eq(0..accounts.len()),
                "accounts come first"
            );
            let names: Vec<AccountId> = entries
                .iter()
                .filter_map(|entry| NodeState::as_account(entry).map(|line| line.id))
                .collect();
            assert!(names.is_sorted(), "and in name order: {names:?}");
            assert_eq!(
                sorted(entries),
                expected,
                "parts of {size}, {deposits_per_part} deposits after each"
            );
            assert_eq!(state.next_part(size), None, "it ends once");
        }
    }
}

#[test]
fn a_snapshot_that_begins_anew_is_of_the_later_moment() {
    let mut state = NodeState::empty();
    (1..=20).for_each(|n| deposit(&mut state, n));
    assert!(state.begin_snapshot());
    state.next_part(2).unwrap();
    (21..=30).for_each(|n| deposit(&mut state, n));
    let expected = sorted(state.entries().collect());
    assert!(state.begin_snapshot());
    let mut entries = Vec::new();
    while let Some(part) = state.next_part(3) {
        entries.extend(part);
    }
    assert_eq!(sorted(entries), expected);
}
