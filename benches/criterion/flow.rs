//! What a transfer costs without a network and without waiting for a disk: a coordinator and three nodes in one thread,
//! piece by piece. First the machines alone, then with their messages as bytes, then with json stores in memory.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::{Engine, Error, Owner, Stats, StoreConfig, StoreKind, Turn};
use protocol::codec;
use protocol::coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorInput, CoordinatorMessage, CoordinatorTo,
};
use protocol::effects::{Machine, Outgoing};
use protocol::fold::{Fold, Seq};
use protocol::id::{NodeId, Place, RequestId, StoreId};
use protocol::leg::{Leg, Order};
use protocol::locking::Locking;
use protocol::message::{Answer, Ask, Call, Outcome};
use protocol::money::{Amount, Delta};
use protocol::participant::{Participant, ParticipantConfig, ParticipantInput, REQUEST_WINDOW, SessionId};
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Participants, of which each transfer has two.
const NODES: usize = 3;

/// Accounts on each node.
const ACCOUNTS: usize = 33_000;

/// Transfers in flight, and messages that are looked at together.
const GROUP: usize = 1024;
const AHEAD: usize = 32;

const COORDINATOR: StoreId = StoreId(9);
const SESSION: SessionId = 1;

/// What is in the way of a message.
#[derive(Clone, Copy, PartialEq)]
enum Pieces {
    Machines,
    Messages,
    Stores,
}

/// A store that keeps nothing.
struct Nowhere {
    appended: Seq,
    synced: Seq,
}

impl<S: Fold> Engine<S> for Nowhere {
    fn append(&mut self, records: &[(Seq, S::Record)], _: &[S::Key], _: &S) -> Result<(), Error> {
        self.appended = records.last().map_or(self.appended, |(seq, _)| *seq);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.synced = self.appended;
        Ok(())
    }

    fn synced(&self) -> Seq {
        self.synced
    }

    fn tend(&mut self, _: &mut S) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn has_room(&mut self, _: usize) -> bool {
        true
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn close(self: Box<Self>, _: &S) -> Result<(), Error> {
        Ok(())
    }
}

/// A process without its event loop.
struct Process<M: Machine> {
    machine: M,
    turn: Turn<M>,
    inputs: Vec<M::Input>,
}

impl<M: Machine> Process<M> {
    fn new(pieces: Pieces, dir: &Path, owner: Owner, machine: impl FnOnce(M::State) -> M) -> Process<M> {
        let (engine, state): (Box<dyn Engine<M::State>>, M::State) = if pieces == Pieces::Stores {
            let config = StoreConfig {
                dir: dir.to_owned(),
                owner,
                kind: StoreKind::Json,
                cluster: "local".parse().expect("a good name"),
                segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
                power_cut: None,
            };
            let opened = engine::open(&config).expect("a new store");
            (opened.engine, opened.state)
        } else {
            let nowhere = Nowhere {
                appended: 0,
                synced: 0,
            };
            (Box::new(nowhere), M::State::empty())
        };
        Process {
            machine: machine(state),
            turn: Turn::new(engine),
            inputs: Vec::new(),
        }
    }

    /// One turn of the loop: everything that has arrived, one sync, everything that may be said.
    fn turn(&mut self, send: impl FnMut(Outgoing<M::To, M::Message>)) {
        let now = Instant::now();
        let mut inputs = self.inputs.drain(..);
        loop {
            let handful: Vec<M::Input> = inputs.by_ref().take(AHEAD).collect();
            if handful.is_empty() {
                break;
            }
            self.machine.look_ahead(&handful);
            for input in handful {
                let stepped =
                    self.turn
                        .step(&mut self.machine, input, now, |_| Duration::from_secs(2), |_| ());
                stepped.expect("nothing fails");
            }
        }
        drop(inputs);
        self.turn.sync_and_send(now, send).expect("the store works");
        self.turn.tend(&mut self.machine).expect("the store works");
    }
}

struct World {
    pieces: Pieces,
    coordinator: Process<Coordinator>,
    nodes: Vec<Process<Participant>>,
    answers: u64,
    /// Reused: a message on its way.
    bytes: Vec<u8>,
}

impl World {
    /// Everybody knows everybody, and all accounts are open.
    fn new(pieces: Pieces, dir: &Path, orders: &mut Orders) -> World {
        let participant = |index: usize| {
            let config = ParticipantConfig {
                node: orders.nodes[index],
                store: StoreId(index.try_into().expect("small")),
                store_kind: "json".to_owned(),
                locking: Locking::NoWait,
                request_window: REQUEST_WINDOW,
            };
            let owner = Owner::Node(config.node);
            Process::new(pieces, dir, owner, |state| Participant::new(config, state))
        };
        let config = CoordinatorConfig {
            id: COORDINATOR,
            incarnation: 1,
            nodes: orders.nodes.to_vec(),
        };
        let coordinator = |state| Coordinator::new(config, state).expect("a new log");
        let mut world = World {
            pieces,
            coordinator: Process::new(pieces, dir, Owner::Coordinator, coordinator),
            nodes: (0..NODES).map(participant).collect(),
            answers: 0,
            bytes: Vec::new(),
        };
        world.coordinator.inputs.push(CoordinatorInput::Start);
        for (node, id) in world.nodes.iter_mut().zip(&orders.nodes) {
            node.inputs.push(ParticipantInput::Start);
            node.inputs.push(ParticipantInput::Connected {
                session: SESSION,
                coordinator: COORDINATOR,
            });
            world.coordinator.inputs.push(CoordinatorInput::Connected(*id));
        }
        (0..4).for_each(|_| world.turns());
        for accounts in orders.accounts.clone() {
            for some in accounts.chunks(512) {
                let deposits = some.iter().map(|account| {
                    let amount = Amount::try_from(1_000_000_000).expect("money");
                    orders.call(Order::deposit(account.clone(), amount))
                });
                world.answer(deposits.collect::<Vec<Call>>());
            }
        }
        world
    }

    /// A turn of everybody.
    fn turns(&mut self) {
        let World {
            pieces,
            coordinator,
            nodes,
            answers,
            bytes,
        } = self;
        coordinator.turn(|Outgoing { to, message, .. }| match (to, message) {
            (CoordinatorTo::Node(to), CoordinatorMessage::Node(message)) => {
                let message = through(*pieces, bytes, message);
                let index = usize::from(to.as_str().as_bytes()[1] - b'1');
                let session = SESSION;
                nodes[index]
                    .inputs
                    .push(ParticipantInput::Message { session, message });
            }
            (CoordinatorTo::Client(_), CoordinatorMessage::Client(reply)) => {
                let reply = through(*pieces, bytes, reply);
                let committed = matches!(reply.answer, Answer::Outcome(Outcome::Committed { .. }));
                assert!(committed, "{reply}");
                *answers += 1;
            }
            (to, message) => panic!("{message} cannot go to {to:?}"),
        });
        for (node, id) in nodes.iter_mut().zip(node_ids()) {
            node.turn(|Outgoing { message, .. }| {
                let message = through(*pieces, bytes, message);
                coordinator.inputs.push(CoordinatorInput::Node(id, message));
            });
        }
    }

    /// From so many calls to their answers.
    fn answer(&mut self, calls: Vec<Call>) {
        let expected = self.answers + u64::try_from(calls.len()).expect("few");
        for call in calls {
            let call = through(self.pieces, &mut self.bytes, call);
            self.coordinator.inputs.push(CoordinatorInput::Client(1, call));
        }
        while self.answers < expected {
            self.turns();
        }
    }
}

/// What clients ask for.
struct Orders {
    nodes: [NodeId; NODES],
    /// Of each node.
    accounts: [Vec<Place>; NODES],
    /// The account of the last transfer.
    account: usize,
    requests: u128,
}

impl Orders {
    fn new() -> Orders {
        let nodes = node_ids();
        let accounts = nodes.map(|node| {
            let place = |account| format!("{node}/a{account:08}").parse().expect("a good place");
            (0..ACCOUNTS).map(place).collect()
        });
        Orders {
            nodes,
            accounts,
            account: 0,
            requests: 0,
        }
    }

    /// A group of transfers, each between two nodes.
    fn transfers(&mut self) -> Vec<Call> {
        (0..GROUP).map(|number| self.transfer(number % NODES)).collect()
    }

    fn transfer(&mut self, from: usize) -> Call {
        // Far from each other, and each once in a long time: nobody is in anybody's way.
        self.account = (self.account + 7919) % ACCOUNTS;
        let leg = |node: usize, amount: i64| Leg {
            place: self.accounts[node % NODES][self.account].clone(),
            delta: Delta::try_from(amount).expect("not zero"),
        };
        let legs = [leg(from, -1), leg(from + 1, 1)];
        self.call(Order::new(&legs).expect("it balances"))
    }

    fn call(&mut self, order: Order) -> Call {
        self.requests += 1;
        // Ids as different as random ones.
        let request = RequestId(
            self.requests
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        );
        Call {
            id: 1,
            ask: Ask::Submit {
                request,
                repeated: false,
                order,
            },
        }
    }
}

fn node_ids() -> [NodeId; NODES] {
    ["N1", "N2", "N3"].map(|name| name.parse().expect("a good name"))
}

/// A message as it arrives at the other side.
fn through<T: Short + Serialize + DeserializeOwned>(pieces: Pieces, bytes: &mut Vec<u8>, message: T) -> T {
    if pieces == Pieces::Machines {
        return message;
    }
    bytes.clear();
    codec::encode_into(&message, bytes);
    codec::decode_next(&mut &bytes[..]).expect("it was just written")
}

fn flow(criterion: &mut Criterion) {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let dir = dir.expect("a directory");
    let mut group = criterion.benchmark_group("flow");
    group.throughput(Throughput::Elements(GROUP.try_into().expect("small")));
    for (name, pieces) in [
        ("the machines alone", Pieces::Machines),
        ("with messages as bytes", Pieces::Messages),
        ("with json stores in memory", Pieces::Stores),
    ] {
        let mut orders = Orders::new();
        let mut world = World::new(pieces, dir.path(), &mut orders);
        group.bench_function(name, |bencher| {
            let transfers = || orders.transfers();
            bencher.iter_batched(transfers, |calls| world.answer(calls), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group! {
    name = flow_benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = flow
}
criterion_main!(flow_benches);
