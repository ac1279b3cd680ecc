//! A small cluster's history, written by hand: two nodes, one coordinator, five transactions.

use std::collections::BTreeMap;

use engine::{Content, Inspection, Owner, StoreKind};
use protocol::coordinator::{CoordinatorRecord, CoordinatorState};
use protocol::fold::{Fold, Seq};
use protocol::id::{NodeId, RequestId, StoreId, TxnId, TxnPoint};
use protocol::ledger::HoldKind;
use protocol::leg::Order;
use protocol::message::Home;
use protocol::participant::{NodeRecord, NodeState};
use protocol::reason::Reason;
use verify::{Claims, Images, Invariant, Report, Told, Violation, Word, check};

const COORDINATOR: StoreId = StoreId(0xc0);

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// The transaction `n`, in epoch 1.
pub(crate) fn txn(n: u64) -> TxnId {
    TxnId::new(COORDINATOR, 1, n)
}

/// The request that transaction `n` runs for.
pub(crate) fn request(n: u64) -> RequestId {
    RequestId(u128::from(n))
}

pub(crate) fn deposit(place: &str, amount: &str) -> Order {
    Order::deposit(place.parse().unwrap(), amount.parse().unwrap())
}

pub(crate) fn transfer(from: &str, to: &str, amount: &str) -> Order {
    Order::transfer(
        from.parse().unwrap(),
        to.parse().unwrap(),
        amount.parse().unwrap(),
    )
    .unwrap()
}

/// What every log holds, before anything is broken.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) nodes: BTreeMap<NodeId, Vec<NodeRecord>>,
    pub(crate) coordinator: Vec<CoordinatorRecord>,
    pub(crate) told: Vec<Told>,
    pub(crate) settled: bool,
    pub(crate) complete: bool,
    /// How long each log was whenever one of them had grown.
    pub(crate) moments: Vec<Moment>,
}

/// How long each node's log is, and the coordinator's.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    nodes: BTreeMap<NodeId, usize>,
    coordinator: usize,
}

impl History {
    /// Everybody knows everybody, and nothing has happened.
    pub(crate) fn new() -> History {
        let joined = NodeRecord::Coordinator {
            coordinator: COORDINATOR,
            epoch: 1,
            incarnation: 7,
        };
        let mut coordinator = vec![CoordinatorRecord::Epoch {
            epoch: 1,
            incarnation: 7,
        }];
        for (name, store) in [("N1", 1), ("N2", 2)] {
            coordinator.push(CoordinatorRecord::Node {
                node: node(name),
                store: StoreId(store),
                proved: 0,
                forgives: TxnPoint::default(),
            });
        }
        let nodes = ["N1", "N2"].map(|name| (node(name), vec![joined.clone()]));
        History {
            nodes: nodes.into(),
            coordinator,
            told: Vec::new(),
            settled: false,
            complete: true,
            moments: Vec::new(),
        }
    }

    /// Two deposits, a transfer of 30 from N1/A to N2/B, and one that N1 refuses.
    pub(crate) fn settled() -> History {
        let mut history = History::new();
        history.alone(1, &deposit("N1/A", "100"));
        history.alone(2, &deposit("N2/B", "50"));
        history.moved(3, &transfer("N1/A", "N2/B", "30"));
        history.refused(4, &transfer("N1/A", "N2/B", "500"));
        history.settled = true;
        history
    }

    /// The same, and a transfer of 10 that N1 has applied and N2 has not heard of yet.
    pub(crate) fn in_doubt() -> History {
        let mut history = History::settled();
        let order = transfer("N1/A", "N2/B", "10");
        history.prepared(5, &order);
        history.log(CoordinatorRecord::Commit { txn: txn(5) });
        history.at("N1", NodeRecord::Commit { txn: txn(5) });
        history.tell(5, &order, Word::Committed(txn(5)));
        history.settled = false;
        history
    }

    pub(crate) fn at(&mut self, name: &str, record: NodeRecord) {
        self.nodes.get_mut(&node(name)).unwrap().push(record);
        self.note_moment();
    }

    pub(crate) fn log(&mut self, record: CoordinatorRecord) {
        self.coordinator.push(record);
        self.note_moment();
    }

    fn note_moment(&mut self) {
        self.moments.push(Moment {
            nodes: self.nodes.iter().map(|(&node, log)| (node, log.len())).collect(),
            coordinator: self.coordinator.len(),
        });
    }

    pub(crate) fn tell(&mut self, n: u64, order: &Order, word: Word) {
        self.told.push(Told {
            request: request(n),
            order: order.clone(),
            word,
        });
    }

    fn start(&mut self, n: u64, order: &Order) {
        self.log(CoordinatorRecord::Start {
            txn: txn(n),
            request: request(n),
            order: order.clone(),
        });
        for node in order.participants() {
            self.log(CoordinatorRecord::Prepare { txn: txn(n), node });
        }
    }

    /// A transaction of one node.
    pub(crate) fn alone(&mut self, n: u64, order: &Order) {
        self.start(n, order);
        let [at] = order.participants()[..] else {
            panic!("{order} has one participant")
        };
        self.at(
            at.as_str(),
            NodeRecord::CommitOnePhase {
                txn: txn(n),
                operations: order.operations(at),
                opens: order.opens(),
                home: home(n, order),
            },
        );
        self.log(CoordinatorRecord::Complete { txn: txn(n) });
        self.tell(n, order, Word::Committed(txn(n)));
    }

    /// Every participant votes YES.
    pub(crate) fn prepared(&mut self, n: u64, order: &Order) {
        self.start(n, order);
        for at in order.participants() {
            self.at(at.as_str(), promise(n, order, at));
        }
    }

    /// A transaction that goes all the way.
    pub(crate) fn moved(&mut self, n: u64, order: &Order) {
        self.prepared(n, order);
        self.log(CoordinatorRecord::Commit { txn: txn(n) });
        for at in order.participants() {
            self.at(at.as_str(), NodeRecord::Commit { txn: txn(n) });
        }
        self.log(CoordinatorRecord::Complete { txn: txn(n) });
        self.tell(n, order, Word::Committed(txn(n)));
    }

    /// N1, its home, says NO; N2 had said YES.
    pub(crate) fn refused(&mut self, n: u64, order: &Order) {
        self.start(n, order);
        self.at("N2", promise(n, order, node("N2")));
        let reason = Reason::InsufficientFunds("A".parse().unwrap());
        self.at(
            "N1",
            NodeRecord::PrepareFailed {
                txn: txn(n),
                reason: reason.clone(),
                holder: None,
                home: Some(home(n, order)),
            },
        );
        self.log(CoordinatorRecord::Abort {
            txn: txn(n),
            reason: reason.clone(),
        });
        let abort = NodeRecord::Abort {
            txn: txn(n),
            reason,
            bind: None,
        };
        self.at("N2", abort);
        let word = Word::Aborted {
            txn: Some(txn(n)),
            is_final: false,
        };
        self.tell(n, order, word);
    }

    /// The stores as they would lie on disk, each with its whole log and the state before it.
    pub(crate) fn images(&self) -> Images {
        let mut images = Images::default();
        for (store, (&node, records)) in (1..).zip(&self.nodes) {
            images
                .nodes
                .push(image(Owner::Node(node), StoreId(store), records));
        }
        images
            .coordinators
            .push(image(Owner::Coordinator, COORDINATOR, &self.coordinator));
        images
    }

    /// The stores as they lay there at one moment.
    pub(crate) fn images_at(&self, moment: &Moment) -> Images {
        let mut then = self.clone();
        then.coordinator.truncate(moment.coordinator);
        for (node, log) in &mut then.nodes {
            log.truncate(moment.nodes[node]);
        }
        then.images()
    }

    pub(crate) fn claims(&self) -> Claims {
        Claims {
            told: self.told.clone(),
            complete: self.complete,
            settled: self.settled,
        }
    }

    pub(crate) fn check(&self) -> Report {
        check(&self.images(), &self.claims())
    }
}

pub(crate) fn home(n: u64, order: &Order) -> Home {
    Home {
        request: request(n),
        digest: order.digest(),
        repeated: false,
    }
}

pub(crate) fn promise(n: u64, order: &Order, at: NodeId) -> NodeRecord {
    NodeRecord::PrepareOk {
        txn: txn(n),
        operations: order.operations(at),
        opens: order.opens(),
        participants: order.participants(),
        home: (order.home() == at).then(|| home(n, order)),
        hold: HoldKind::Exclusive,
    }
}

fn image<S: Fold>(owner: Owner, store: StoreId, records: &[S::Record]) -> Inspection<S> {
    Inspection {
        owner,
        kind: StoreKind::Json,
        store,
        cluster: "local".parse().unwrap(),
        content: Content {
            checkpoints: vec![S::empty()],
            records: numbered(records),
            notices: Vec::new(),
            damage: Vec::new(),
        },
    }
}

fn numbered<R: Clone>(records: &[R]) -> Vec<(Seq, R)> {
    (1..).zip(records.iter().cloned()).collect()
}

/// The states that the first `n` records lead to.
pub(crate) fn fold<S: Fold>(records: &[(Seq, S::Record)], n: usize) -> S {
    let mut state = S::empty();
    for (seq, record) in &records[..n] {
        state.apply(*seq, record, &mut Vec::new());
    }
    state
}

pub(crate) fn node_image<'a>(images: &'a mut Images, name: &str) -> &'a mut Content<NodeState> {
    let owner = Owner::Node(node(name));
    let image = images.nodes.iter_mut().find(|image| image.owner == owner);
    &mut image.unwrap().content
}

pub(crate) fn coordinator_image(images: &mut Images) -> &mut Content<CoordinatorState> {
    &mut images.coordinators[0].content
}

/// Exactly these violations, in any order: what, where, and a part of the text.
#[track_caller]
pub(crate) fn expect(report: &Report, expected: &[(Invariant, &str, &str)]) {
    let fits = |violation: &Violation, (invariant, store, text): &(Invariant, &str, &str)| {
        violation.invariant == *invariant && violation.store == *store && violation.to_string().contains(text)
    };
    for wanted in expected {
        let found = report.violations.iter().any(|violation| fits(violation, wanted));
        assert!(found, "{wanted:?} is missing in\n{report}");
    }
    for violation in &report.violations {
        let wanted = expected.iter().any(|wanted| fits(violation, wanted));
        assert!(wanted, "{violation} was not to be expected");
    }
}
