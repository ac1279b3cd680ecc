//! The short way through the format is the same format: what it writes is what serde writes, and whatever it reads means
//! the same to serde.

use protocol::coordinator::CoordinatorRecord;
use protocol::id::{AccountId, RequestId, StoreId, TxnId, TxnPoint};
use protocol::ledger::HoldKind;
use protocol::leg::{BodyDigest, Operation, Order};
use protocol::message::{Home, OperatorWord};
use protocol::participant::{NodeEntry, NodeRecord, Progress, RequestEntry};
use protocol::plain::Plain;
use protocol::reason::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn txn(coordinator: u64, sequence: u64) -> TxnId {
    TxnId::new(StoreId(coordinator), 3, sequence)
}

fn home(request: u128, repeated: bool) -> Home {
    Home {
        request: RequestId(request),
        digest: BodyDigest(0xab_cdef),
        repeated,
    }
}

fn operation(account: AccountId, delta: i64) -> Operation {
    Operation {
        account,
        delta: delta.try_into().unwrap(),
    }
}

fn node_records() -> Vec<NodeRecord> {
    let named = |name: &str| name.parse::<AccountId>().unwrap();
    let nodes = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let prepare = |operations: Vec<Operation>, names, home, hold| NodeRecord::PrepareOk {
        txn: txn(u64::MAX, u64::MAX),
        operations: operations.into(),
        opens: false,
        participants: nodes(names),
        home,
        hold,
    };
    let largest = 1_000_000_000_000_000_000;
    vec![
        prepare(
            vec![operation(named("A"), -30)],
            &["N1", "N2"],
            Some(home(1, true)),
            HoldKind::Escrow,
        ),
        prepare(
            vec![
                operation(AccountId::world(), -largest),
                operation(named("a.b:c_-9"), largest),
            ],
            &["N1", "N-2", "abcdefghijklmnop"],
            None,
            HoldKind::Exclusive,
        ),
        prepare(Vec::new(), &[], Some(home(u128::MAX, false)), HoldKind::Escrow),
        NodeRecord::PrepareFailed {
            txn: txn(0, 0),
            reason: Reason::LockContention(named("A")),
            holder: Some(txn(1, 1)),
            home: None,
        },
        NodeRecord::Commit { txn: txn(12, 1) },
        NodeRecord::CommitOnePhase {
            txn: txn(12, 2),
            operations: vec![
                operation(AccountId::world(), -5),
                operation(named(&"x".repeat(64)), 5),
            ]
            .into(),
            opens: true,
            home: home(7, false),
        },
        NodeRecord::Abort {
            txn: txn(12, 3),
            reason: Reason::CoordinatorDiskFull,
            bind: Some(home(1 << 64, true)),
        },
        NodeRecord::Mark {
            coordinator: StoreId(0xf0),
            below: TxnPoint {
                epoch: u32::MAX,
                sequence: 10,
            },
        },
        NodeRecord::Proved {
            coordinator: StoreId(0),
            through: u64::MAX,
        },
    ]
}

fn coordinator_records() -> Vec<CoordinatorRecord> {
    let node = || "N1".parse().unwrap();
    let txn = txn(12, 1);
    let legs = ["N1/A:-30", "N2/b:c:+10", "N3/C:+20"].map(|leg| leg.parse().unwrap());
    let start = |order| CoordinatorRecord::Start {
        txn,
        request: RequestId(9),
        order,
    };
    vec![
        start(Order::new(&legs).unwrap()),
        start(Order::deposit("N1/A".parse().unwrap(), "5".parse().unwrap())),
        CoordinatorRecord::Prepare { txn, node: node() },
        CoordinatorRecord::Commit { txn },
        CoordinatorRecord::Abort {
            txn,
            reason: Reason::VoteTimeout(node()),
        },
        CoordinatorRecord::Complete { txn },
        CoordinatorRecord::Mark {
            node: node(),
            below: TxnPoint::default(),
        },
        CoordinatorRecord::Proved {
            node: node(),
            through: 0,
        },
    ]
}

fn node_entries() -> Vec<NodeEntry> {
    let request = |request, progress| {
        let entry = RequestEntry {
            digest: BodyDigest(0xab_cdef),
            txn: txn(0x9f3c, 17),
            progress,
        };
        NodeEntry::Request(RequestId(request), entry)
    };
    let reason = Reason::LockContention("a.b:c_-9".parse().unwrap());
    vec![
        request(1, Progress::Open),
        request(u128::MAX, Progress::Committed(u64::MAX)),
        request(1 << 64, Progress::Aborted(7, Box::new(reason))),
    ]
}

/// The members of what serde makes of it.
fn members<T: Serialize>(value: &T) -> Vec<u8> {
    let object = serde_json::to_vec(value).unwrap();
    object[1..object.len() - 1].to_vec()
}

fn agrees<T: DeserializeOwned + PartialEq + Plain + std::fmt::Debug>(text: &[u8]) -> bool {
    let Some(plain) = T::read(text) else {
        return false;
    };
    let general: Result<T, _> = serde_json::from_slice(&[b"{", text, b"}"].concat());
    assert_eq!(plain, general.unwrap(), "{}", String::from_utf8_lossy(text));
    true
}

fn check<T: DeserializeOwned + PartialEq + Plain + Serialize + std::fmt::Debug>(all: &[T]) {
    for one in all {
        let text = members(one);
        let mut plain = Vec::new();
        assert!(one.write(&mut plain), "{one:?} has a plain form");
        assert_eq!(plain, text, "{one:?}");
        assert_eq!(T::read(&text).as_ref(), Some(one));
        for at in 0..=text.len() {
            agrees::<T>(&text[..at]);
            for byte in *b" \"\\,:-+{}[]0a1zA\n\x00\xc3" {
                let mut changed = text.clone();
                changed.insert(at, byte);
                agrees::<T>(&changed);
                if at < text.len() {
                    changed.remove(at + 1);
                    agrees::<T>(&changed);
                }
            }
        }
    }
}

#[test]
fn a_plain_form_is_what_serde_writes_and_nothing_else_is_read_as_one() {
    check(&node_records());
    check(&coordinator_records());
    check(&node_entries());
}

#[test]
fn a_plain_form_is_read_whatever_stands_behind_it() {
    for entry in node_entries() {
        let text = members(&entry);
        for behind in ["", "}", "},{\"request\":[", "]", "\""] {
            let both = [&text, behind.as_bytes()].concat();
            assert_eq!(NodeEntry::read_first(&both), Some((entry.clone(), text.len())));
            assert_eq!(NodeEntry::read(&both).is_some(), behind.is_empty());
        }
    }
}

#[test]
fn numbers_out_of_bounds_and_rare_records_have_no_plain_form() {
    let text = |through: &str| {
        format!("\"action\":\"proved\",\"coordinator\":\"c\",\"through\":{through}").into_bytes()
    };
    assert!(agrees::<NodeRecord>(&text("18446744073709551615")));
    for bad in ["18446744073709551616", "01", "-1", "-0", "1.0", "1e1", ""] {
        assert_eq!(NodeRecord::read(&text(bad)), None, "{bad}");
    }
    let rare = NodeRecord::Truth {
        txn: txn(1, 1),
        truth: OperatorWord::Commit,
    };
    assert!(!rare.write(&mut Vec::new()));
    assert_eq!(NodeRecord::read(&members(&rare)), None);
}
