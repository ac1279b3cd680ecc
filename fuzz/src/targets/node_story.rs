//! What can happen to a participant, drawn from an input: few coordinators, epochs, transactions, accounts and requests, so
//! that everything meets everything.

use protocol::codec;
use protocol::id::{AccountId, Birth, NodeId, RequestId, StoreId, TxnId, TxnPoint};
use protocol::leg::{BodyDigest, Operation};
use protocol::message::{Home, NodeQuestion, OperatorWord, Prepare, Reference, ToNode};
use protocol::money::{AMOUNT_MAX, Delta};
use protocol::participant::{ParticipantInput, ParticipantTimer, SessionId};
use protocol::reason::{Decision, Reason};

use super::node::Node;
use crate::choices::Choices;
use crate::seen::Seen;

/// One thing happens.
pub(super) fn event(node: &mut Node, choices: &mut Choices<'_>, seen: &mut Seen) {
    match choices.below(20) {
        0 | 1 => connect(node, choices, seen),
        2 => {
            let session = session(node, choices);
            let join = join(choices, seen);
            message(node, session, join, seen);
        }
        3 | 4 => {
            let session = session(node, choices);
            let prepare = ToNode::Prepare(prepare(choices, seen));
            message(node, session, prepare, seen);
        }
        5 => {
            let session = session(node, choices);
            let execute = ToNode::Execute(prepare(choices, seen));
            message(node, session, execute, seen);
        }
        6 | 7 => deposit(node, choices, seen),
        8 => decide(node, choices, Decision::Commit, seen),
        9 => {
            let reason = choices.pick(&[
                Reason::CoordinatorRestarted,
                Reason::PresumedAbort,
                Reason::Duplicate,
            ]);
            decide(node, choices, reason.clone(), seen);
        }
        10 => {
            let session = session(node, choices);
            let (txn, home) = (txn(choices), home(choices, seen));
            let about = match choices.below(4) {
                0 => ToNode::Query { txn, home },
                1 => ToNode::Recall { txn, home },
                2 => ToNode::Pending { txn },
                _ => ToNode::NotMine { txn },
            };
            message(node, session, about, seen);
        }
        11 => {
            let session = session(node, choices);
            let mark = ToNode::Mark {
                below: txn(choices).at,
                durable: choices.number(),
            };
            message(node, session, mark, seen);
        }
        12 | 13 => {
            let session = session(node, choices);
            node.next_ask += 1;
            let ask = ToNode::Ask {
                ask: node.next_ask,
                question: question(choices, seen),
            };
            message(node, session, ask, seen);
        }
        14 => node.step(ParticipantInput::Timer(ParticipantTimer::Tick), seen),
        15 => {
            let timers: Vec<_> = node.timers.iter().copied().collect();
            if !timers.is_empty() {
                let timer = *choices.pick(&timers);
                node.timers.remove(&timer);
                node.step(ParticipantInput::Timer(timer), seen);
            }
        }
        16 => node.step(ParticipantInput::Room(choices.flag()), seen),
        17 => {
            let session = session(node, choices);
            node.disconnect(session, seen);
        }
        18 => match choices.below(6) {
            0 => {
                node.lagging = false;
                node.sync(seen);
            }
            1 => node.lagging = true,
            kept => node.crash(kept - 2, seen),
        },
        _ => raw(node, choices, seen),
    }
}

fn message(node: &mut Node, session: SessionId, message: ToNode, seen: &mut Seen) {
    node.step(ParticipantInput::Message { session, message }, seen);
}

/// A coordinator connects and joins as it should, in its next epoch or the same.
fn connect(node: &mut Node, choices: &mut Choices<'_>, seen: &mut Seen) {
    let coordinator = coordinator(choices);
    let session = node.next_session;
    node.next_session += 1;
    node.sessions.push((session, coordinator));
    node.step(ParticipantInput::Connected { session, coordinator }, seen);
    let seen_before = node.state().coordinator(coordinator);
    let next = u32::from(choices.flag());
    let join = ToNode::Join {
        epoch: seen_before.epoch.saturating_add(next).max(1),
        incarnation: if next == 0 { seen_before.incarnation } else { 5 },
        durable: seen_before.proved,
        history: Vec::new(),
        proved: None,
    };
    message(node, session, join, seen);
}

fn coordinator(choices: &mut Choices<'_>) -> StoreId {
    StoreId(0xc + u64::from(choices.byte() % 2))
}

/// The newest connection more often than not; now and then one that never was.
fn session(node: &Node, choices: &mut Choices<'_>) -> SessionId {
    let back = choices.below(6);
    let newest = node.sessions.len().checked_sub(1 + back / 2);
    newest.map_or(999, |index| node.sessions[index].0)
}

fn join(choices: &mut Choices<'_>, seen: &mut Seen) -> ToNode {
    seen.fault("P9");
    ToNode::Join {
        epoch: *choices.pick(&[0, 1, 2, 3, u32::MAX]),
        incarnation: *choices.pick(&[5, 6, 0]),
        durable: choices.number(),
        history: (0..choices.below(3))
            .map(|_| (u32::from(choices.byte() % 4), 5 + u64::from(choices.byte() % 2)))
            .collect(),
        proved: choices
            .flag()
            .then(|| (StoreId(0x11 + u64::from(choices.byte() % 2)), choices.number())),
    }
}

fn txn(choices: &mut Choices<'_>) -> TxnId {
    let choice = choices.byte();
    if choice == 255 {
        return TxnId::new(StoreId(choices.number()), u32::MAX, choices.number());
    }
    let at = TxnPoint {
        epoch: 1 + u32::from(choice >> 2 & 1),
        sequence: 1 + u64::from(choice >> 3 & 3),
    };
    TxnId {
        coordinator: StoreId(0xc + u64::from(choice >> 1 & 1)),
        at,
    }
}

fn home(choices: &mut Choices<'_>, seen: &mut Seen) -> Home {
    let choice = choices.byte();
    if choice & 4 == 4 {
        seen.fault("I9");
    }
    Home {
        request: RequestId(1 + u128::from(choice & 3)),
        digest: BodyDigest(u64::from(choice >> 2 & 1)),
        repeated: choice & 8 == 8,
    }
}

fn account(choices: &mut Choices<'_>) -> AccountId {
    let choice = choices.below(16);
    match choice {
        15 => AccountId::world(),
        _ => ["A", "B", "C", "Z"][choice % 4].parse().expect("a good name"),
    }
}

fn delta(choices: &mut Choices<'_>, seen: &mut Seen) -> Delta {
    let value = match choices.below(8) {
        0..=2 => -i64::from(choices.byte()) - 1,
        3..=5 => i64::from(choices.byte()) + 1,
        6 => {
            seen.fault("I2");
            AMOUNT_MAX
        }
        _ => {
            seen.fault("I1");
            -AMOUNT_MAX
        }
    };
    Delta::try_from(value).expect("a good delta")
}

fn prepare(choices: &mut Choices<'_>, seen: &mut Seen) -> Prepare {
    let txn = txn(choices);
    let shape = choices.byte();
    let mut operations: Vec<Operation> = (0..1 + shape % 3)
        .map(|_| Operation {
            account: account(choices),
            delta: delta(choices, seen),
        })
        .collect();
    if shape & 16 == 0 {
        // As a coordinator of ours sends them.
        operations.sort();
        operations.dedup_by(|a, b| a.account == b.account);
    }
    if operations
        .iter()
        .any(|operation| operation.account.as_str() == "Z")
    {
        seen.fault("I7");
    }
    if operations.iter().any(|operation| operation.delta.is_debit()) {
        seen.fault("I3");
    }
    let participants = ["N1", "N2"]
        .map(|name| name.parse::<NodeId>().expect("a good name"))
        .to_vec();
    Prepare {
        txn,
        operations: operations.into(),
        opens: shape & 32 == 32,
        participants: participants.into(),
        birth: Birth(u64::from(shape >> 1 & 7)),
        home: (shape & 64 == 64).then(|| home(choices, seen)),
    }
}

/// Money comes in, as it should: in the epoch of the connection, under a request.
fn deposit(node: &mut Node, choices: &mut Choices<'_>, seen: &mut Seen) {
    let Some(&(session, coordinator)) = node.sessions.last() else {
        return connect(node, choices, seen);
    };
    let epoch = node.state().coordinator(coordinator).epoch;
    let amount = match choices.below(8) {
        0 => AMOUNT_MAX,
        _ => 1 + i64::from(choices.byte()),
    };
    let operation = |account, delta| Operation {
        account,
        delta: Delta::try_from(delta).expect("a good delta"),
    };
    let account = ["A", "B", "C"][choices.below(3)].parse().expect("a good name");
    // Sequences of their own, so that deposits are new more often than not.
    let execute = Prepare {
        txn: TxnId::new(coordinator, epoch, 100 + u64::from(choices.byte())),
        operations: vec![operation(AccountId::world(), -amount), operation(account, amount)].into(),
        opens: true,
        participants: vec!["N1".parse().expect("a good name")].into(),
        birth: Birth(4),
        home: Some(Home {
            request: RequestId(100 + u128::from(choices.byte())),
            digest: BodyDigest(1),
            repeated: choices.flag(),
        }),
    };
    message(node, session, ToNode::Execute(execute), seen);
}

/// A decision: of something prepared, more often than not, by the coordinator that may.
fn decide(node: &mut Node, choices: &mut Choices<'_>, decision: impl Into<Decided>, seen: &mut Seen) {
    let prepared: Vec<TxnId> = node.state().prepared().keys().copied().collect();
    let aimed = choices.byte();
    let (txn, session) = if aimed & 1 == 0 && !prepared.is_empty() {
        let txn = *choices.pick(&prepared);
        let its = node
            .sessions
            .iter()
            .rev()
            .find(|(_, coordinator)| *coordinator == txn.coordinator);
        (txn, its.map_or(999, |(session, _)| *session))
    } else {
        (txn(choices), session(node, choices))
    };
    let Decided(decision) = decision.into();
    let decide = ToNode::Decide {
        txn,
        decision,
        bind: (aimed & 2 == 2).then(|| home(choices, seen)),
        durable: choices.number(),
    };
    seen.fault("W3");
    if aimed & 4 == 4 {
        seen.fault("W2");
        message(node, session, decide.clone(), seen);
    }
    message(node, session, decide, seen);
}

struct Decided(Decision);

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Decided {
        Decided(decision)
    }
}

impl From<Reason> for Decided {
    fn from(reason: Reason) -> Decided {
        Decided(Decision::Abort(reason))
    }
}

fn question(choices: &mut Choices<'_>, seen: &mut Seen) -> NodeQuestion {
    match choices.below(12) {
        0 | 1 => NodeQuestion::Balance {
            account: account(choices),
            wait_ms: 1000,
        },
        2 => NodeQuestion::Accounts(choices.flag().then(|| account(choices))),
        3 => NodeQuestion::Cut,
        4 => NodeQuestion::Freeze,
        5 => NodeQuestion::Thaw {
            freeze: 2 + u64::from(choices.byte() % 8),
        },
        6 => NodeQuestion::Status,
        7 => {
            let by_request = choices.flag();
            NodeQuestion::Show(if by_request {
                Reference::Request(RequestId(1 + u128::from(choices.byte() % 4)))
            } else {
                Reference::Txn(txn(choices))
            })
        }
        8 => NodeQuestion::List,
        9 => {
            seen.fault("O2");
            NodeQuestion::Resolve {
                txn: txn(choices),
                word: if choices.flag() {
                    OperatorWord::Commit
                } else {
                    OperatorWord::Abort
                },
                why: String::from_utf8_lossy(choices.slice(4)).into_owned(),
            }
        }
        10 => NodeQuestion::Adopt {
            durable: choices.number(),
        },
        _ => NodeQuestion::Arm("sync=kill".to_owned()),
    }
}

/// Bytes that say they are a message.
fn raw(node: &mut Node, choices: &mut Choices<'_>, seen: &mut Seen) {
    let session = session(node, choices);
    let len = choices.below(64);
    match codec::decode::<ToNode>(choices.slice(len)) {
        Ok(decoded) => {
            seen.way("raw taken");
            message(node, session, decoded, seen);
        }
        Err(_) => {
            seen.way("raw refused");
            seen.fault("I11");
        }
    }
}
