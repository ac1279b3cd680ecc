//! What each message does to a transaction in each state: every pair, one line each, in one golden file.

use std::fmt::Write;

use faults::fired;
use protocol::coordinator::{CoordinatorInput, CoordinatorTimer};
use protocol::id::{RequestId, StoreId, TxnId, TxnPoint};
use protocol::leg::Order;
use protocol::message::{Executed, FromNode, Home, Knowledge, OperatorWord, Prepare, ToNode, Vote};
use protocol::money::Amount;
use protocol::participant::{NodeRecord, ParticipantInput};
use protocol::reason::{Decision, Reason};

use crate::transcripts::{BIRTH, C, N1, N2, Story, compare, txn};
use crate::world::node_id;

/// The transaction of every line: N1/A -30, N2/B +30, request 1, home N1.
fn subject() -> TxnId {
    txn(1, 3)
}

fn order() -> Order {
    Order::new(&["N1/A:-30".parse().unwrap(), "N2/B:+30".parse().unwrap()]).unwrap()
}

fn home(repeated: bool) -> Home {
    Home {
        request: RequestId(1),
        digest: order().digest(),
        repeated,
    }
}

fn abort() -> Decision {
    Decision::Abort(Reason::VoteTimeout(node_id(N2)))
}

type State = (&'static str, fn(&mut Story));

/// A node's states of a transaction.
const NODE_STATES: [State; 7] = [
    ("unknown", |_| {}),
    ("prepared", |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
    }),
    ("committed", |s| {
        s.decided();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
    }),
    ("aborted", |s| {
        let decide = ToNode::Decide {
            txn: subject(),
            decision: abort(),
            bind: None,
            durable: 0,
        };
        to_node(s, decide);
        s.world.sync_node(N1);
    }),
    ("below the mark", |s| {
        let mark = ToNode::Mark {
            below: TxnPoint {
                epoch: 1,
                sequence: 9,
            },
            durable: 0,
        };
        to_node(s, mark);
        s.world.sync_node(N1);
    }),
    ("forced to abort", |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        resolve(s, OperatorWord::Abort);
    }),
    ("forced to commit", |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        resolve(s, OperatorWord::Commit);
    }),
];

fn resolve(s: &mut Story, word: OperatorWord) {
    let question = protocol::message::NodeQuestion::Resolve {
        txn: subject(),
        word,
        why: "test".to_owned(),
    };
    to_node(s, ToNode::Ask { ask: 99, question });
    s.world.sync_node(N1);
}

fn to_node(s: &mut Story, message: ToNode) {
    let session = s.world.links[&(C, N1)].session.unwrap();
    s.world
        .step_node(N1, ParticipantInput::Message { session, message });
}

fn node_inputs() -> Vec<ToNode> {
    let prepare = |repeated: bool| Prepare {
        txn: subject(),
        operations: order().operations(node_id(N1)),
        opens: false,
        participants: order().participants(),
        birth: BIRTH,
        home: Some(home(repeated)),
    };
    let deposit = Order::deposit("N1/A".parse().unwrap(), Amount::try_from(5).unwrap());
    let execute = Prepare {
        txn: subject(),
        operations: deposit.operations(node_id(N1)),
        opens: true,
        participants: deposit.participants(),
        birth: BIRTH,
        home: Some(home(false)),
    };
    let decide = |decision: Decision, bind: Option<Home>| ToNode::Decide {
        txn: subject(),
        decision,
        bind,
        durable: 0,
    };
    vec![
        ToNode::Prepare(prepare(false)),
        ToNode::Prepare(prepare(true)),
        ToNode::Execute(execute),
        decide(Decision::Commit, None),
        decide(abort(), None),
        decide(abort(), Some(home(true))),
        ToNode::Query {
            txn: subject(),
            home: home(false),
        },
        ToNode::Recall {
            txn: txn(1, 8),
            home: home(true),
        },
        ToNode::Pending { txn: subject() },
        ToNode::NotMine { txn: subject() },
        ToNode::Mark {
            below: TxnPoint {
                epoch: 1,
                sequence: 9,
            },
            durable: 0,
        },
        // From elsewhere, or from another life.
        ToNode::Prepare(Prepare {
            txn: TxnId::new(StoreId(0xf), 1, 3),
            ..prepare(false)
        }),
        ToNode::Prepare(Prepare {
            txn: txn(2, 3),
            ..prepare(false)
        }),
        ToNode::Decide {
            txn: txn(2, 3),
            decision: Decision::Commit,
            bind: None,
            durable: 0,
        },
    ]
}

#[test]
fn every_message_to_a_node_in_every_state() {
    let mut table = String::new();
    for (state, reach) in NODE_STATES {
        writeln!(table, "== {state}").unwrap();
        for message in node_inputs() {
            let mut story = Story::new(1, 2);
            reach(&mut story);
            story.world.trace.clear();
            story
                .world
                .links
                .get_mut(&(C, N1))
                .unwrap()
                .to_coordinator
                .clear();
            let line = message.to_string();
            if matches!(&message, ToNode::Prepare(late) if late.txn == subject()) && state != "unknown" {
                fired("W2");
            }
            to_node(&mut story, message);
            let before = story.world.links[&(C, N1)].to_coordinator.len();
            story.world.sync_node(N1);
            let link = &story.world.links[&(C, N1)];
            let said = link.to_coordinator.iter().enumerate();
            let said = said.map(|(at, message)| {
                let when = if at < before { "at once" } else { "once synced" };
                format!("says {when}: {message}")
            });
            let did = story
                .world
                .trace
                .iter()
                .filter(|line| *line != "N1 sync")
                .cloned();
            let effects: Vec<String> = did.chain(said).collect();
            let effects = if effects.is_empty() {
                "nothing".to_owned()
            } else {
                effects.join("; ")
            };
            writeln!(table, "{line}\n    {effects}").unwrap();
            let _: &[(u64, NodeRecord)] = &story.world.nodes[N1].records;
        }
    }
    compare("table_of_the_participant", &table);
}

/// A coordinator's states of a transaction; `true` if the request is a repeated one.
const COORDINATOR_STATES: [State; 7] = [
    ("no record", |_| {}),
    ("collecting", |s| s.transfer()),
    ("collecting, N1 has said yes", |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.deliver_to_coordinator(C, N1);
    }),
    ("committed", |s| s.decided()),
    ("delegated", |s| {
        let order = Order::deposit("N1/A".parse().unwrap(), Amount::try_from(5).unwrap());
        let ask = protocol::message::Ask::Submit {
            request: RequestId(1),
            repeated: false,
            order,
        };
        s.world.call(C, 9, protocol::message::Call { id: 9, ask });
    }),
    ("binding", |s| {
        s.repeat(C, 1, "N1/A:-30 N2/B:+30");
        s.world.fire_coordinator(C, CoordinatorTimer::Votes(subject()));
    }),
    ("recalling", |s| {
        s.repeat(C, 1, "N1/A:-30 N2/B:+30");
        let vote = Vote::Duplicate(Knowledge::Open(txn(1, 1)));
        s.world.step_coordinator(
            C,
            CoordinatorInput::Node(
                node_id(N1),
                FromNode::Vote {
                    txn: subject(),
                    vote,
                    durable: 0,
                },
            ),
        );
    }),
];

fn coordinator_inputs() -> Vec<CoordinatorInput> {
    let vote = |vote: Vote| FromNode::Vote {
        txn: subject(),
        vote,
        durable: 1,
    };
    let executed = |executed: Executed| FromNode::Executed {
        txn: subject(),
        executed,
        durable: 1,
    };
    let messages = [
        vote(Vote::Yes),
        vote(Vote::No(Reason::InsufficientFunds("A".parse().unwrap()).into())),
        vote(Vote::Duplicate(Knowledge::Committed(txn(1, 1)))),
        vote(Vote::Duplicate(Knowledge::Open(txn(1, 1)))),
        vote(Vote::Duplicate(Knowledge::Reused)),
        FromNode::Ack {
            txn: subject(),
            durable: 1,
        },
        FromNode::Aborted {
            txn: subject(),
            knows: Knowledge::Aborted(subject(), Reason::Stale),
        },
        FromNode::Aborted {
            txn: subject(),
            knows: Knowledge::Committed(txn(1, 1)),
        },
        executed(Executed::Committed),
        executed(Executed::Refused(
            Reason::InsufficientFunds("A".parse().unwrap()).into(),
        )),
        FromNode::Inquiry { txn: subject() },
        FromNode::Inquiry { txn: txn(1, 99) },
        FromNode::Inquiry {
            txn: TxnId::new(StoreId(0xf), 1, 1),
        },
        FromNode::Unmatched { txn: subject() },
        FromNode::Mixed {
            txn: subject(),
            forced: OperatorWord::Abort,
        },
        FromNode::Recalled {
            txn: subject(),
            knows: Knowledge::Committed(txn(1, 1)),
        },
        FromNode::Recalled {
            txn: subject(),
            knows: Knowledge::Open(txn(1, 1)),
        },
    ];
    let mut inputs: Vec<CoordinatorInput> = messages
        .into_iter()
        .map(|message| CoordinatorInput::Node(node_id(N1), message))
        .collect();
    inputs.push(CoordinatorInput::Disconnected(node_id(N1)));
    for timer in [
        CoordinatorTimer::Votes(subject()),
        CoordinatorTimer::Answer(subject()),
        CoordinatorTimer::Recall(subject()),
    ] {
        inputs.push(CoordinatorInput::Timer(timer));
    }
    inputs
}

#[test]
fn every_message_to_a_coordinator_in_every_state() {
    let mut table = String::new();
    for (state, reach) in COORDINATOR_STATES {
        writeln!(table, "== {state}").unwrap();
        for input in coordinator_inputs() {
            let mut story = Story::new(1, 2);
            reach(&mut story);
            story.world.sync_coordinator(C);
            story.world.trace.clear();
            for n in [N1, N2] {
                story.world.links.get_mut(&(C, n)).unwrap().to_node.clear();
            }
            let line = match &input {
                CoordinatorInput::Node(_, message) => message.to_string(),
                other @ (CoordinatorInput::Start
                | CoordinatorInput::Connected(_)
                | CoordinatorInput::Disconnected(_)
                | CoordinatorInput::Client(..)
                | CoordinatorInput::Timer(_)
                | CoordinatorInput::Room(_)
                | CoordinatorInput::Armed(..)) => format!("{other:?}"),
            };
            let inquiry =
                matches!(&input, CoordinatorInput::Node(_, FromNode::Inquiry { txn }) if *txn == subject());
            if inquiry && state.starts_with("collecting") {
                fired("C13");
            }
            story.world.step_coordinator(C, input);
            let before = [N1, N2].map(|n| story.world.links[&(C, n)].to_node.len());
            story.world.sync_coordinator(C);
            let mut effects: Vec<String> = story
                .world
                .trace
                .iter()
                .filter(|line| *line != "c sync")
                .cloned()
                .collect();
            for n in [N1, N2] {
                for (at, message) in story.world.links[&(C, n)].to_node.iter().enumerate() {
                    let when = if at < before[n] { "at once" } else { "once synced" };
                    effects.push(format!("tells {} {when}: {message}", node_id(n)));
                }
            }
            let effects = if effects.is_empty() {
                "nothing".to_owned()
            } else {
                effects.join("; ")
            };
            writeln!(table, "{line}\n    {effects}").unwrap();
        }
    }
    compare("table_of_the_coordinator", &table);
}
