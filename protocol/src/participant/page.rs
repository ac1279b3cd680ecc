//! A node's entries page by page, for those who look on: a page is found without walking through those before it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;
use core::ops::Bound::{Excluded, Unbounded};

use super::state::{NodeEntry, NodeKey, NodeState};
use crate::fold::Fold;

/// The kinds of entries, in the order of [`NodeKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Account,
    Prepared,
    Finished,
    Request,
    Coordinator,
    Settings,
}

fn kind(key: &NodeKey) -> Kind {
    match key {
        NodeKey::Account(_) => Kind::Account,
        NodeKey::Prepared(_) => Kind::Prepared,
        NodeKey::Finished(_) => Kind::Finished,
        NodeKey::Request(_) => Kind::Request,
        NodeKey::Coordinator(_) => Kind::Coordinator,
        NodeKey::Settings => Kind::Settings,
    }
}

type Keys<'a> = Box<dyn Iterator<Item = NodeKey> + 'a>;

/// The first `len` entries behind `after`, kind by kind. Open requests come before finished ones, and those in log order.
pub(super) fn page(state: &NodeState, after: Option<&NodeKey>, len: usize) -> Vec<NodeEntry> {
    let accounts: Keys<'_> = if let Some(NodeKey::Account(last)) = after {
        Box::new(
            state
                .ledger()
                .accounts_after(last)
                .map(|(id, _)| NodeKey::Account(id.clone())),
        )
    } else {
        Box::new(
            state
                .ledger()
                .accounts()
                .map(|(id, _)| NodeKey::Account(id.clone())),
        )
    };
    let last = if let Some(NodeKey::Prepared(last)) = after {
        Some(*last)
    } else {
        None
    };
    // These are sorted when they are reached, which they seldom are.
    let prepared = iter::once_with(move || state.prepared().behind(last)).flatten();
    let prepared = prepared.map(|(txn, _)| NodeKey::Prepared(*txn));
    let last = if let Some(NodeKey::Finished(last)) = after {
        Some(*last)
    } else {
        None
    };
    let finished = iter::once_with(move || state.ended().behind(last)).flatten();
    let finished = finished.map(|(txn, _)| NodeKey::Finished(*txn));
    let last = if let Some(NodeKey::Request(last)) = after {
        Some(last)
    } else {
        None
    };
    let requests = iter::once_with(move || state.requests().behind(last)).flatten();
    let requests = requests.map(NodeKey::Request);
    let last = if let Some(NodeKey::Coordinator(last)) = after {
        Excluded(*last)
    } else {
        Unbounded
    };
    let coordinators = state
        .coordinators()
        .range((last, Unbounded))
        .map(|(id, _)| NodeKey::Coordinator(*id));
    let settings = after
        .is_none_or(|key| *key != NodeKey::Settings)
        .then_some(NodeKey::Settings);
    let kinds: [(Kind, Keys<'_>); 6] = [
        (Kind::Account, accounts),
        (Kind::Prepared, Box::new(prepared)),
        (Kind::Finished, Box::new(finished)),
        (Kind::Request, Box::new(requests)),
        (Kind::Coordinator, Box::new(coordinators)),
        (Kind::Settings, Box::new(settings.into_iter())),
    ];
    let passed = after.map(kind);
    let left = kinds
        .into_iter()
        .filter(|(kind, _)| passed.is_none_or(|passed| *kind >= passed));
    let keys = left.flat_map(|(_, keys)| keys);
    keys.filter_map(|key| state.entry(&key)).take(len).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::id::{RequestId, StoreId, TxnId};
    use crate::ledger::{HoldKind, Slots};
    use crate::leg::{BodyDigest, Operation};
    use crate::message::Home;
    use crate::participant::{CoordinatorSeen, Finished, Prepared, Progress, RequestEntry};

    fn entries() -> Vec<NodeEntry> {
        let txn = |sequence| TxnId::new(StoreId(0xc), 1, sequence);
        let request = |sequence, progress| {
            let entry = RequestEntry {
                digest: BodyDigest(1),
                txn: txn(sequence),
                progress,
            };
            NodeEntry::Request(RequestId(100 - u128::from(sequence)), entry)
        };
        let finished = |sequence| {
            let end = Finished {
                aborted: None,
                seq: sequence,
                forced: None,
            };
            NodeEntry::Finished(txn(sequence), end)
        };
        let prepared = |sequence, account: &str| {
            let prepared = Prepared {
                operations: vec![Operation {
                    account: account.parse().unwrap(),
                    delta: 1.try_into().unwrap(),
                }]
                .into(),
                opens: false,
                participants: vec!["N1".parse().unwrap()].into(),
                home: Some(Home {
                    request: RequestId(100 - u128::from(sequence)),
                    digest: BodyDigest(1),
                    repeated: false,
                }),
                hold: HoldKind::Exclusive,
                seq: sequence,
                slots: Slots::default(),
            };
            NodeEntry::Prepared(txn(sequence), Box::new(prepared))
        };
        let mut entries = vec![
            NodeEntry::Coordinator(StoreId(0xc), CoordinatorSeen::default()),
            NodeEntry::Coordinator(StoreId(0xd), CoordinatorSeen::default()),
            NodeEntry::Settings(10, None),
        ];
        for (sequence, account) in [(1, "A"), (2, "B")] {
            entries.push(NodeEntry::Account(account.parse().unwrap(), 5, 1));
            entries.extend([prepared(sequence, account), request(sequence, Progress::Open)]);
        }
        for sequence in 3..=6 {
            entries.extend([
                finished(sequence),
                request(sequence, Progress::Committed(sequence)),
            ]);
        }
        entries
    }

    #[test]
    fn pages_of_any_length_together_are_all_entries_once() {
        let state = NodeState::restore(9, &mut entries().into_iter()).unwrap();
        let sorted = |mut entries: Vec<NodeEntry>| {
            entries.sort_by_key(NodeState::key);
            entries
        };
        for len in 1..=20 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = state.page(after.as_ref(), len);
                assert!(page.len() <= len);
                let Some(last) = page.last() else { break };
                after = Some(NodeState::key(last));
                found.extend(page);
            }
            assert_eq!(sorted(found), sorted(state.entries().collect()), "pages of {len}");
        }
        let gone = NodeKey::Request(RequestId(7));
        let behind = state.page(Some(&gone), 20);
        assert!(
            behind.iter().all(|entry| NodeState::key(entry) > gone),
            "{behind:?}"
        );
    }
}
