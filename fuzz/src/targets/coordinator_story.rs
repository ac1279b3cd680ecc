//! What can happen to a coordinator, drawn from an input: three nodes, few accounts and requests, nodes that lie, clients
//! that ask everything.

use protocol::codec;
use protocol::coordinator::{ClientRef, CoordinatorInput};
use protocol::id::{NodeId, Place, RequestId, StoreId, TxnId};
use protocol::leg::Order;
use protocol::message::{
    Ask, BalanceAnswer, Call, Executed, FromNode, Knowledge, NodeAnswer, NodeLine, NodeView, OperatorWord,
    Page, Reference, Target, TxnState, Vote,
};
use protocol::money::{AMOUNT_MAX, Amount};
use protocol::reason::Reason;
use serde::Serialize;

use super::coordinator::{Driven, SELF};
use crate::choices::Choices;
use crate::seen::Seen;

/// Every node there is.
pub(super) fn nodes() -> Vec<NodeId> {
    ["N1", "N2", "N3"]
        .map(|name| name.parse().expect("a good name"))
        .to_vec()
}

/// One thing happens.
pub(super) fn event(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    match choices.below(20) {
        0 | 1 => connect(driven, choices, seen),
        2 => driven.step(CoordinatorInput::Disconnected(node(choices)), seen),
        3..=5 => submit(driven, choices, seen),
        6 | 7 => vote_all(driven, choices, seen),
        8..=11 => {
            let node = node(choices);
            let message = from_node(driven, choices, seen);
            if choices.byte() & 7 == 7 {
                seen.fault("W2");
                driven.step(CoordinatorInput::Node(node, message.clone()), seen);
            }
            driven.step(CoordinatorInput::Node(node, message), seen);
        }
        12 => answer(driven, choices, seen),
        13 | 14 => {
            let ask = ask(driven, choices, seen);
            call(driven, choices, ask, seen);
        }
        15 => driven.step(
            CoordinatorInput::Timer(protocol::coordinator::CoordinatorTimer::Tick),
            seen,
        ),
        16 => {
            let timers: Vec<_> = driven.timers.iter().copied().collect();
            if !timers.is_empty() {
                let timer = *choices.pick(&timers);
                driven.timers.remove(&timer);
                driven.step(CoordinatorInput::Timer(timer), seen);
            }
        }
        17 => match choices.below(5) {
            0 => driven.step(CoordinatorInput::Room(false), seen),
            1 => driven.step(CoordinatorInput::Room(true), seen),
            2 => {
                driven.lagging = false;
                driven.sync();
            }
            3 => driven.lagging = true,
            _ => {
                let client = ClientRef {
                    session: 1,
                    call: driven.next_call,
                };
                driven.next_call += 1;
                driven.step(CoordinatorInput::Armed(client, Ok("armed".to_owned())), seen);
            }
        },
        18 => {
            let kept = choices.below(8);
            let known = if choices.byte() & 3 == 3 { 2 } else { 3 };
            driven.crash(kept, &nodes()[..known], seen);
        }
        _ => raw(driven, choices, seen),
    }
}

fn node(choices: &mut Choices<'_>) -> NodeId {
    *choices.pick(&nodes())
}

/// A node connects and is welcome, perhaps with another store or an older log.
fn connect(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    let node = node(choices);
    driven.step(CoordinatorInput::Connected(node), seen);
    let known = driven.state().node(node);
    let turn = choices.byte();
    let store = known.store.unwrap_or(StoreId(0x11));
    let (store, durable) = match turn % 8 {
        7 => {
            seen.fault("P5");
            (StoreId(store.0 + 1), 0)
        }
        6 => {
            seen.fault("P6");
            (store, known.proved.saturating_sub(1))
        }
        _ => (store, known.proved.saturating_add(u64::from(turn % 3))),
    };
    let welcome = FromNode::Welcome {
        store,
        durable,
        quarantine: (turn & 0xf0 == 0xf0).then(|| text(choices)),
    };
    driven.step(CoordinatorInput::Node(node, welcome), seen);
}

fn text(choices: &mut Choices<'_>) -> String {
    String::from_utf8_lossy(choices.slice(4)).into_owned()
}

fn request(choices: &mut Choices<'_>) -> RequestId {
    RequestId(1 + u128::from(choices.byte() % 4))
}

fn place(choices: &mut Choices<'_>) -> Place {
    let choice = choices.byte();
    let node = ["N1", "N2", "N3", "N9"][usize::from(choice & 3)];
    let account = ["A", "B"][usize::from(choice >> 2 & 1)];
    format!("{node}/{account}").parse().expect("a good name")
}

/// An order as the library builds them, or as nobody builds them.
fn order(choices: &mut Choices<'_>, seen: &mut Seen) -> Order {
    let amount = Amount::try_from(match choices.below(8) {
        0 => AMOUNT_MAX,
        _ => 1 + i64::from(choices.byte()),
    });
    let amount = amount.expect("a good amount");
    let (from, to) = (place(choices), place(choices));
    if [&from, &to].iter().any(|place| place.node.as_str() == "N9") {
        seen.fault("I6");
    }
    match choices.below(6) {
        0 => Order::deposit(to, amount),
        1 => {
            #[derive(Serialize)]
            struct Raw {
                legs: Vec<(Place, i64)>,
                opens: bool,
            }
            seen.fault("I1");
            let raw = Raw {
                legs: vec![
                    (to, amount.get()),
                    (from, -amount.get()),
                    (place(choices), 1 + i64::from(choices.byte())),
                ],
                opens: choices.flag(),
            };
            codec::decode(&codec::encode(&raw)).expect("it is written as an order")
        }
        _ => Order::transfer(from, to.clone(), amount).unwrap_or_else(|_| {
            seen.fault("I4");
            Order::deposit(to, amount)
        }),
    }
}

fn submit(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    let request = request(choices);
    let repeated = choices.flag();
    if repeated {
        seen.fault("I8");
    }
    let order = order(choices, seen);
    call(
        driven,
        choices,
        Ask::Submit {
            request,
            repeated,
            order,
        },
        seen,
    );
}

fn call(driven: &mut Driven, choices: &mut Choices<'_>, ask: Ask, seen: &mut Seen) {
    let id = driven.next_call;
    driven.next_call += 1;
    let session = 1 + u64::from(choices.byte() & 1);
    driven.step(CoordinatorInput::Client(session, Call { id, ask }), seen);
}

/// One of the newest transactions, or one that may never have been.
fn txn(driven: &Driven, choices: &mut Choices<'_>) -> TxnId {
    let choice = choices.byte();
    if choice >= 0xf0 {
        let whose = if choice & 1 == 0 { SELF } else { StoreId(0xd) };
        return TxnId::new(
            whose,
            1 + u32::from(choice >> 1 & 3),
            1 + u64::from(choice >> 2 & 1),
        );
    }
    let back = 1 + usize::from(choice % 4);
    match driven.begun.len().checked_sub(back) {
        Some(index) => driven.begun[index],
        None => TxnId::new(SELF, 1, 1),
    }
}

/// Every participant of a transaction votes YES, and perhaps acknowledges.
fn vote_all(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    let txn = txn(driven, choices);
    let acknowledge = choices.flag();
    for node in nodes() {
        let durable = driven.state().node(node).proved.saturating_add(1);
        let vote = FromNode::Vote {
            txn,
            vote: Vote::Yes,
            durable,
        };
        driven.step(CoordinatorInput::Node(node, vote), seen);
    }
    if acknowledge {
        for node in nodes() {
            driven.step(
                CoordinatorInput::Node(node, FromNode::Ack { txn, durable: 1 }),
                seen,
            );
        }
    }
}

fn reason(choices: &mut Choices<'_>) -> Reason {
    let account = || "A".parse().expect("a good name");
    choices
        .pick(&[
            Reason::InsufficientFunds(account()),
            Reason::LockContention(account()),
            Reason::Stale,
            Reason::DiskFull(nodes()[0]),
            Reason::Duplicate,
        ])
        .clone()
}

fn knows(driven: &Driven, choices: &mut Choices<'_>) -> Knowledge {
    match choices.below(5) {
        0 => Knowledge::Nothing,
        1 => Knowledge::Reused,
        2 => Knowledge::Open(txn(driven, choices)),
        3 => Knowledge::Committed(txn(driven, choices)),
        _ => Knowledge::Aborted(txn(driven, choices), reason(choices)),
    }
}

fn from_node(driven: &Driven, choices: &mut Choices<'_>, seen: &mut Seen) -> FromNode {
    let txn = txn(driven, choices);
    let durable = choices.number();
    match choices.below(16) {
        0 | 1 => FromNode::Vote {
            txn,
            vote: Vote::Yes,
            durable,
        },
        2 => FromNode::Vote {
            txn,
            vote: Vote::No(reason(choices).into()),
            durable,
        },
        3 => FromNode::Vote {
            txn,
            vote: Vote::Duplicate(knows(driven, choices)),
            durable,
        },
        4 | 5 => FromNode::Ack { txn, durable },
        6 => FromNode::Aborted {
            txn,
            knows: knows(driven, choices),
        },
        7 => FromNode::Aborted {
            txn,
            knows: Knowledge::Aborted(txn, reason(choices)),
        },
        8 => FromNode::Executed {
            txn,
            executed: Executed::Committed,
            durable,
        },
        9 => FromNode::Executed {
            txn,
            executed: Executed::Refused(reason(choices).into()),
            durable,
        },
        10 => FromNode::Executed {
            txn,
            executed: Executed::Duplicate(knows(driven, choices)),
            durable,
        },
        11 | 12 => {
            seen.fault("C13");
            FromNode::Inquiry { txn }
        }
        13 => FromNode::Unmatched { txn },
        14 => {
            if choices.flag() {
                FromNode::Mixed {
                    txn,
                    forced: OperatorWord::Commit,
                }
            } else {
                FromNode::Recalled {
                    txn,
                    knows: knows(driven, choices),
                }
            }
        }
        _ => {
            let why = text(choices);
            match choices.below(8) {
                7 => FromNode::Refuse { why },
                _ => FromNode::Welcome {
                    store: StoreId(0x11 + u64::from(choices.byte() & 1)),
                    durable,
                    quarantine: choices.flag().then_some(why),
                },
            }
        }
    }
}

/// A node answers one of the questions it was asked, or one it was not.
fn answer(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    let turn = choices.below(8);
    let (to, ask) = match driven.asked.len().checked_sub(1 + turn) {
        Some(index) => driven.asked[index],
        None => (node(choices), choices.number()),
    };
    let wide = |choices: &mut Choices<'_>| match choices.below(4) {
        0 => 0,
        1 => i128::from(choices.signed()),
        2 => i128::MAX,
        _ => i128::MIN,
    };
    let answer = match choices.below(12) {
        0..=2 => NodeAnswer::Cut {
            sum: 0,
            world: -100,
            prepared: Vec::new(),
            others: choices.byte() & 7 == 7,
        },
        3 => NodeAnswer::Cut {
            sum: wide(choices),
            world: choices.signed(),
            prepared: vec![(txn(driven, choices), wide(choices))],
            others: choices.flag(),
        },
        4 => NodeAnswer::Thawed { held: choices.flag() },
        5 => NodeAnswer::Balance(BalanceAnswer::Is(choices.signed())),
        6 => NodeAnswer::Accounts(Page {
            accounts: Vec::new(),
            more: choices.flag(),
        }),
        7 | 8 => NodeAnswer::Show(NodeView {
            txn: choices.flag().then(|| txn(driven, choices)),
            request: None,
            state: choices
                .pick(&[
                    TxnState::Unknown,
                    TxnState::Prepared,
                    TxnState::Committed,
                    TxnState::Aborted(Reason::Stale),
                ])
                .clone(),
            forced: None,
            operations: Vec::new(),
            participants: nodes(),
            coordinator_connected: choices.flag(),
        }),
        9 => NodeAnswer::List(vec![NodeLine {
            txn: txn(driven, choices),
            operations: Vec::new(),
            participants: nodes(),
            age_s: choices.number(),
            coordinator_connected: choices.flag(),
        }]),
        10 => NodeAnswer::Done(text(choices)),
        _ => NodeAnswer::Failed(text(choices)),
    };
    let message = FromNode::Answer {
        ask,
        answer: Box::new(answer),
    };
    driven.step(CoordinatorInput::Node(to, message), seen);
}

fn ask(driven: &Driven, choices: &mut Choices<'_>, seen: &mut Seen) -> Ask {
    match choices.below(10) {
        0 | 1 => Ask::Audit,
        2 => Ask::Balance {
            place: place(choices),
            wait_ms: *choices.pick(&[0, 1000, u32::MAX]),
        },
        3 => Ask::Accounts {
            node: node(choices),
            after: None,
        },
        4 => Ask::Status,
        5 => Ask::Show(if choices.flag() {
            Reference::Request(request(choices))
        } else {
            Reference::Txn(txn(driven, choices))
        }),
        6 => Ask::List {
            in_doubt: choices.flag(),
        },
        7 => {
            seen.fault("O2");
            Ask::Resolve {
                txn: txn(driven, choices),
                word: if choices.flag() {
                    OperatorWord::Commit
                } else {
                    OperatorWord::Abort
                },
                why: text(choices),
            }
        }
        8 => Ask::Adopt { node: node(choices) },
        _ => Ask::Arm {
            target: if choices.flag() {
                Target::Coordinator
            } else {
                Target::Node(node(choices))
            },
            failpoint: text(choices),
        },
    }
}

/// Bytes that say they are a message of a node or a call of a client.
fn raw(driven: &mut Driven, choices: &mut Choices<'_>, seen: &mut Seen) {
    let from = choices.below(4);
    let len = choices.below(64);
    let body = choices.slice(len);
    let taken = match nodes().get(from) {
        Some(&node) => codec::decode::<FromNode>(body)
            .map(|message| driven.step(CoordinatorInput::Node(node, message), seen))
            .is_ok(),
        None => match codec::decode::<Call>(body) {
            Ok(decoded) => {
                call(driven, choices, decoded.ask, seen);
                true
            }
            Err(_) => false,
        },
    };
    if taken {
        seen.way("raw taken");
    } else {
        seen.way("raw refused");
        seen.fault("I11");
    }
}
