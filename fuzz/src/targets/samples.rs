//! One message of every kind, as seeds: the fuzzer learns from them what messages look like.

use protocol::id::{Birth, NodeId, Place, RequestId, StoreId, TxnId, TxnPoint};
use protocol::leg::{BodyDigest, Operation, Order};
use protocol::message::{
    Answer, Ask, AuditReport, AuditVerdict, BalanceAnswer, Call, ClusterStatus, CoordinatorStatus,
    CoordinatorView, Executed, Freshness, FromNode, Home, InDoubt, Knowledge, LinkState, NodeAnswer,
    NodeLine, NodeQuestion, NodeStatus, NodeView, OperatorWord, Outcome, Page, Prepare, Reference, Reply,
    Target, ToNode, TxnReport, TxnState, Vote, Work,
};
use protocol::reason::{Decision, Holder, Reason, Refusal};

fn txn() -> TxnId {
    TxnId::new(StoreId(0x9f3c), 2, 300)
}

fn node() -> NodeId {
    "N1".parse().expect("a good name")
}

fn place() -> Place {
    "N1/A".parse().expect("a good name")
}

fn order() -> Order {
    let legs = ["N1/A:-30", "N2/B:+10", "N3/C:+20"].map(|leg| leg.parse().expect("a good leg"));
    Order::new(&legs).expect("a balanced order")
}

fn deposit() -> Order {
    Order::deposit(place(), "100".parse().expect("a good amount"))
}

fn home() -> Home {
    Home {
        request: RequestId(1 << 100),
        digest: BodyDigest(0xabcd),
        repeated: true,
    }
}

fn prepare(order: &Order) -> Prepare {
    Prepare {
        txn: txn(),
        operations: order.operations(node()),
        opens: order.opens(),
        participants: order.participants(),
        birth: Birth(1_700_000_000_000),
        home: Some(home()),
    }
}

fn operations() -> Vec<Operation> {
    order().operations(node()).to_vec()
}

fn refusal() -> Refusal {
    Refusal {
        reason: Reason::LockContention(place().account),
        holder: Some(Holder {
            txn: txn(),
            held_s: 3,
        }),
    }
}

pub(super) fn to_node() -> Vec<ToNode> {
    let ask = |question| ToNode::Ask { ask: 5, question };
    vec![
        ToNode::Join {
            epoch: 2,
            incarnation: u64::MAX,
            durable: 1000,
            history: vec![(1, 8), (2, u64::MAX)],
            proved: Some((StoreId(5), 70)),
        },
        ToNode::Prepare(prepare(&order())),
        ToNode::Execute(prepare(&deposit())),
        ToNode::Decide {
            txn: txn(),
            decision: Decision::Commit,
            bind: None,
            durable: 251,
        },
        ToNode::Decide {
            txn: txn(),
            decision: Decision::Abort(Reason::Unreachable(node())),
            bind: Some(home()),
            durable: 0,
        },
        ToNode::Query {
            txn: txn(),
            home: home(),
        },
        ToNode::Recall {
            txn: txn(),
            home: home(),
        },
        ToNode::Pending { txn: txn() },
        ToNode::NotMine { txn: txn() },
        ToNode::Mark {
            below: TxnPoint {
                epoch: 2,
                sequence: 70_000,
            },
            durable: 9,
        },
        ask(NodeQuestion::Balance {
            account: place().account,
            wait_ms: 1000,
        }),
        ask(NodeQuestion::Accounts(Some(place().account))),
        ask(NodeQuestion::Cut),
        ask(NodeQuestion::Freeze),
        ask(NodeQuestion::Thaw { freeze: 4 }),
        ask(NodeQuestion::Status),
        ask(NodeQuestion::Show(Reference::Request(RequestId(7)))),
        ask(NodeQuestion::List),
        ask(NodeQuestion::Resolve {
            txn: txn(),
            word: OperatorWord::Abort,
            why: "disk lost".to_owned(),
        }),
        ask(NodeQuestion::Adopt { durable: 12 }),
        ask(NodeQuestion::Arm("x.y=kill@2".to_owned())),
    ]
}

fn node_answers() -> Vec<NodeAnswer> {
    vec![
        NodeAnswer::Balance(BalanceAnswer::Is(-5)),
        NodeAnswer::Accounts(page()),
        NodeAnswer::Cut {
            sum: i128::MIN,
            world: i64::MIN,
            prepared: vec![(txn(), -30)],
            others: true,
        },
        NodeAnswer::Thawed { held: true },
        NodeAnswer::Status(node_status()),
        NodeAnswer::Show(view()),
        NodeAnswer::List(vec![NodeLine {
            txn: txn(),
            operations: operations(),
            participants: order().participants().to_vec(),
            age_s: 3,
            coordinator_connected: false,
        }]),
        NodeAnswer::Done("done".to_owned()),
        NodeAnswer::Failed("no".to_owned()),
    ]
}

pub(super) fn from_node() -> Vec<FromNode> {
    let mut all = vec![
        FromNode::Welcome {
            store: StoreId(5),
            durable: 70,
            quarantine: None,
        },
        FromNode::Welcome {
            store: StoreId(5),
            durable: 70,
            quarantine: Some("an old backup".to_owned()),
        },
        FromNode::Refuse {
            why: "epoch 1 is over".to_owned(),
        },
        FromNode::Ack {
            txn: txn(),
            durable: 1 << 40,
        },
        FromNode::Aborted {
            txn: txn(),
            knows: Knowledge::Aborted(txn(), Reason::InsufficientFunds(place().account)),
        },
        FromNode::Inquiry { txn: txn() },
        FromNode::Unmatched { txn: txn() },
        FromNode::Mixed {
            txn: txn(),
            forced: OperatorWord::Commit,
        },
        FromNode::Recalled {
            txn: txn(),
            knows: Knowledge::Open(txn()),
        },
    ];
    for vote in [
        Vote::Yes,
        Vote::No(refusal()),
        Vote::Duplicate(Knowledge::Committed(txn())),
    ] {
        all.push(FromNode::Vote {
            txn: txn(),
            vote,
            durable: 71,
        });
    }
    for executed in [
        Executed::Committed,
        Executed::Refused(refusal()),
        Executed::Duplicate(Knowledge::Reused),
    ] {
        all.push(FromNode::Executed {
            txn: txn(),
            executed,
            durable: 72,
        });
    }
    all.extend(node_answers().into_iter().map(|answer| FromNode::Answer {
        ask: 5,
        answer: Box::new(answer),
    }));
    all
}

pub(super) fn calls() -> Vec<Call> {
    let submit = |order, repeated| Ask::Submit {
        request: RequestId(u128::MAX),
        repeated,
        order,
    };
    let asks = vec![
        submit(order(), false),
        submit(deposit(), true),
        Ask::Balance {
            place: place(),
            wait_ms: 1000,
        },
        Ask::Accounts {
            node: node(),
            after: Some(place().account),
        },
        Ask::Audit,
        Ask::Status,
        Ask::Show(Reference::Txn(txn())),
        Ask::List { in_doubt: true },
        Ask::Resolve {
            txn: txn(),
            word: OperatorWord::Commit,
            why: "ticket 4711".to_owned(),
        },
        Ask::Adopt { node: node() },
        Ask::Arm {
            target: Target::Node(node()),
            failpoint: "sync=error:eio".to_owned(),
        },
        Ask::Arm {
            target: Target::Coordinator,
            failpoint: "sync=kill".to_owned(),
        },
    ];
    asks.into_iter().map(|ask| Call { id: 6, ask }).collect()
}

pub(super) fn replies() -> Vec<Reply> {
    let outcomes = [
        Outcome::Committed { txn: txn() },
        Outcome::Aborted {
            txn: None,
            refusal: refusal(),
        },
        Outcome::Unknown {
            why: "no answer".to_owned(),
        },
        Outcome::Reused,
        Outcome::Rejected {
            why: "unbalanced".to_owned(),
        },
    ];
    let balances = [
        BalanceAnswer::Is(i64::MAX),
        BalanceAnswer::InDoubt {
            holders: vec![txn()],
            lowest: -1,
            highest: 1,
        },
        BalanceAnswer::NoSuchAccount,
    ];
    let mut answers: Vec<Answer> = outcomes.into_iter().map(Answer::Outcome).collect();
    answers.extend(balances.map(Answer::Balance));
    answers.extend([
        Answer::Accounts(page()),
        Answer::Audit(AuditReport {
            verdict: AuditVerdict::Incomplete("N2 is away".to_owned()),
            in_accounts: 1 << 70,
            brought_in: -1,
            prepared: 3,
        }),
        Answer::Status(ClusterStatus {
            coordinator: CoordinatorStatus {
                id: StoreId(0x9f3c),
                epoch: 2,
                sequence: 900,
                open: 1,
                unacknowledged: 1,
                asking: 0,
                work: work(),
            },
            nodes: vec![
                LinkState::Up(node(), node_status()),
                LinkState::Quarantined(node(), "lost records".to_owned()),
                LinkState::Down(node()),
            ],
        }),
        Answer::Txn(TxnReport {
            reference: Reference::Txn(txn()),
            txn: Some(txn()),
            coordinator: CoordinatorView::Committed {
                unacknowledged: vec![node()],
            },
            nodes: vec![(node(), Some(view())), (node(), None)],
        }),
        Answer::List(vec![InDoubt {
            txn: txn(),
            age_s: 3,
            participants: order().participants().to_vec(),
            prepared: vec![(node(), operations())],
            coordinator: CoordinatorView::Delegated { to: node() },
            freshness: Freshness::InDoubt,
        }]),
        Answer::Done("done".to_owned()),
        Answer::Failed("no".to_owned()),
    ]);
    answers
        .into_iter()
        .map(|answer| Reply { id: 6, answer })
        .collect()
}

fn page() -> Page {
    Page {
        accounts: vec![(place().account, 1000)],
        more: true,
    }
}

fn node_status() -> NodeStatus {
    NodeStatus {
        store: StoreId(5),
        kind: "json".to_owned(),
        locking: "no-wait".to_owned(),
        sequence: 70,
        accounts: 3,
        prepared: 1,
        requests: 2,
        request_window: 1_000_000,
        request_horizon: 4,
        has_room: true,
        work: work(),
    }
}

fn work() -> Work {
    Work {
        records: 90,
        syncs: 17,
        bytes: 5000,
        checkpoints: 1,
    }
}

fn view() -> NodeView {
    NodeView {
        txn: Some(txn()),
        request: Some(RequestId(7)),
        state: TxnState::Aborted(Reason::Stale),
        forced: Some("ticket 4711".to_owned()),
        operations: operations(),
        participants: order().participants().to_vec(),
        coordinator_connected: true,
    }
}
