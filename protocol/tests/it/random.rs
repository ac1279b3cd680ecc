//! Random worlds: transfers, repeats, crashes, cuts, late timers and duplicates in any order. Now and then, and in the end,
//! when everything has healed, the logs are looked at from outside: they must agree with each other, and the accounts
//! must hold exactly what clients were told, no more and no less.

use std::collections::BTreeSet;

use faults::fired;
use protocol::coordinator::CoordinatorTimer;
use protocol::effects::Machine;
use protocol::id::{Place, RequestId};
use protocol::leg::{Leg, Order};
use protocol::locking::Locking;
use protocol::message::{Answer, Ask, AuditVerdict, Call, Outcome, ToNode};
use protocol::money::Amount;
use protocol::participant::ParticipantTimer;
use verify::{Claims, Told, Word};

use crate::oracle;
use crate::world::{World, node_id};

const NODES: usize = 3;
const COORDINATORS: usize = 2;
const FUNDED: i64 = 100;

/// xorshift64*: small, seeded, the same everywhere.
struct Choices(u64);

impl Choices {
    fn new(seed: u64) -> Choices {
        Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A request as its client sees it.
struct Request {
    order: Order,
    /// Whether it was ever sent.
    sent: bool,
    /// The call of its first send: a client that has repeated a request listens to that one no more.
    first_call: u64,
    /// What the client was told, if it is final. The first word counts; later ones must agree.
    told: Option<Outcome>,
}

/// Shows the end of the story if the test fails.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = &self.world.trace;
            let shown = std::env::var("TRACE")
                .ok()
                .map_or(40, |lines| lines.parse().unwrap());
            for line in &trace[trace.len().saturating_sub(shown)..] {
                println!("{line}");
            }
        }
    }
}

struct Run {
    world: World,
    choices: Choices,
    requests: Vec<Request>,
    calls: u64,
    /// Calls whose connection the client gave up when it turned to another coordinator.
    abandoned: BTreeSet<u64>,
    exact_audits: usize,
    /// What clients were told, for the oracle.
    claims: Claims,
    /// Promises in doubt, whenever somebody looked.
    in_doubt: usize,
}

fn told(index: usize, order: &Order, outcome: &Outcome, is_final: bool) -> Told {
    let word = match outcome {
        Outcome::Committed { txn } => Word::Committed(*txn),
        Outcome::Aborted { txn, .. } => Word::Aborted { txn: *txn, is_final },
        Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => Word::Unknown,
    };
    Told {
        request: request_id(index),
        order: order.clone(),
        word,
    }
}

fn request_id(index: usize) -> RequestId {
    RequestId(u128::try_from(index).unwrap() + 1)
}

fn place(node: usize, account: usize) -> Place {
    format!("{}/{}", node_id(node), ["A", "B"][account])
        .parse()
        .unwrap()
}

impl Run {
    fn new(seed: u64) -> Run {
        let policies = u64::try_from(Locking::ALL.len()).unwrap();
        let locking = Locking::ALL[usize::try_from(seed % policies).unwrap()];
        let mut run = Run {
            world: World::new(COORDINATORS, NODES, locking),
            choices: Choices::new(seed),
            requests: Vec::new(),
            calls: 0,
            abandoned: BTreeSet::new(),
            exact_audits: 0,
            claims: Claims::default(),
            in_doubt: 0,
        };
        for node in 0..NODES {
            for account in 0..2 {
                let order = Order::deposit(place(node, account), Amount::try_from(FUNDED).unwrap());
                run.requests.push(Request {
                    order,
                    sent: false,
                    first_call: 0,
                    told: None,
                });
                run.submit(run.requests.len() - 1, 0);
            }
        }
        run.world.settle();
        run.listen();
        assert!(
            run.requests
                .iter()
                .all(|request| matches!(request.told, Some(Outcome::Committed { .. })))
        );
        run
    }

    fn submit(&mut self, index: usize, coordinator: usize) {
        if self.world.coordinators[coordinator].machine.is_none() {
            return; // Nobody hears it; nothing was sent.
        }
        let request = &mut self.requests[index];
        let ask = Ask::Submit {
            request: request_id(index),
            repeated: request.sent,
            order: request.order.clone(),
        };
        self.calls += 1;
        if request.sent {
            self.abandoned.insert(request.first_call);
            fired("I8");
        } else {
            request.first_call = self.calls;
        }
        request.sent = true;
        // The client's number says which request the reply is about.
        self.world.call(
            coordinator,
            u64::try_from(index).unwrap(),
            Call { id: self.calls, ask },
        );
    }

    /// Hears what clients were told.
    fn listen(&mut self) {
        for (_, client, reply) in std::mem::take(&mut self.world.replies) {
            match reply.answer {
                Answer::Outcome(Outcome::Unknown { .. }) => {}
                Answer::Outcome(outcome @ (Outcome::Committed { .. } | Outcome::Aborted { .. })) => {
                    let index = usize::try_from(client).unwrap();
                    if !self.abandoned.contains(&reply.id) {
                        let is_final = self.requests[index].first_call != reply.id;
                        self.claims
                            .told
                            .push(told(index, &self.requests[index].order, &outcome, is_final));
                        self.told(index, outcome);
                    }
                }
                Answer::Outcome(outcome @ (Outcome::Reused | Outcome::Rejected { .. })) => {
                    panic!("request {client} was told {outcome}")
                }
                Answer::Audit(report) => match report.verdict {
                    AuditVerdict::Exact => self.exact_audits += 1,
                    AuditVerdict::Incomplete(_) => {}
                    AuditVerdict::Violated => panic!("a false alarm or lost money: {report:?}"),
                },
                other @ (Answer::Balance(_)
                | Answer::Accounts(_)
                | Answer::Status(_)
                | Answer::Txn(_)
                | Answer::List(_)
                | Answer::Done(_)
                | Answer::Failed(_)) => panic!("nobody asked for {other}"),
            }
        }
    }

    fn told(&mut self, index: usize, outcome: Outcome) {
        match (&self.requests[index].told, &outcome) {
            (None, _) => self.requests[index].told = Some(outcome),
            (Some(Outcome::Committed { txn: first }), Outcome::Committed { txn }) => {
                assert_eq!(first, txn, "request {index} happened twice");
            }
            (Some(Outcome::Aborted { .. }), Outcome::Aborted { .. }) => {}
            (Some(before), _) => panic!("request {index} was told {before}, and then {outcome}"),
        }
    }

    fn new_order(&mut self) -> Order {
        let amount = i64::try_from(1 + self.choices.below(60)).unwrap();
        let leg = |place: Place, delta: i64| Leg {
            place,
            delta: delta.try_into().unwrap(),
        };
        loop {
            let from = place(self.choices.below(NODES), self.choices.below(2));
            let to = place(self.choices.below(NODES), self.choices.below(2));
            let third = place(self.choices.below(NODES), self.choices.below(2));
            let legs = if self.choices.percent(25) {
                vec![leg(from, -2 * amount), leg(to, amount), leg(third, amount)]
            } else {
                vec![leg(from, -amount), leg(to, amount)]
            };
            if let Ok(order) = Order::new(&legs) {
                return order;
            }
        }
    }

    /// One thing happens.
    fn event(&mut self) {
        let (c, n) = (self.choices.below(COORDINATORS), self.choices.below(NODES));
        match self.choices.below(100) {
            0..12 => {
                let order = self.new_order();
                self.requests.push(Request {
                    order,
                    sent: false,
                    first_call: 0,
                    told: None,
                });
                self.submit(self.requests.len() - 1, c);
            }
            12..18 => {
                let open: Vec<usize> = (0..self.requests.len())
                    .filter(|&index| self.requests[index].told.is_none())
                    .collect();
                if !open.is_empty() {
                    let index = open[self.choices.below(open.len())];
                    self.submit(index, c);
                }
            }
            18..68 => {
                for _ in 0..12 {
                    let (c, n) = (self.choices.below(COORDINATORS), self.choices.below(NODES));
                    if self.choices.percent(50) {
                        self.world.deliver_to_node(c, n);
                    } else {
                        self.world.deliver_to_coordinator(c, n);
                    }
                }
            }
            68..76 => self.world.sync_node(n),
            76..82 => self.world.sync_coordinator(c),
            82..83 => {
                let link = &self.world.links[&(c, n)];
                if !link.to_node.is_empty() || !link.to_coordinator.is_empty() {
                    fired("W1");
                }
                self.world.cut(c, n);
            }
            83..88 => {
                for c in 0..COORDINATORS {
                    self.world.connect(c, n);
                }
            }
            88..89 => {
                let kept = self.choices.below(4);
                self.world.crash_node(n, kept);
            }
            89..90 => {
                let kept = self.choices.below(4);
                self.world.crash_coordinator(c, kept);
            }
            90..94 => {
                self.world.start_node(n);
                self.world.start_coordinator(c);
                self.world.connect(c, n);
            }
            94..96 => self.duplicate(c, n),
            96..97 => {
                if self.world.coordinators[c].machine.is_some() {
                    self.calls += 1;
                    self.world.call(
                        c,
                        u64::MAX,
                        Call {
                            id: self.calls,
                            ask: Ask::Audit,
                        },
                    );
                }
            }
            97..99 => {
                let timers: Vec<CoordinatorTimer> =
                    self.world.coordinators[c].timers.iter().copied().collect();
                if !timers.is_empty() {
                    let timer = timers[self.choices.below(timers.len())];
                    self.world.fire_coordinator(c, timer);
                }
            }
            _ => {
                let timers: Vec<ParticipantTimer> = self.world.nodes[n].timers.iter().copied().collect();
                if !timers.is_empty() {
                    let timer = timers[self.choices.below(timers.len())];
                    self.world.fire_node(n, timer);
                }
            }
        }
        self.listen();
        if self.choices.percent(1) {
            self.look();
        }
    }

    /// Were the power cut everywhere now, all would be well.
    fn look(&mut self) {
        let choices = &mut self.choices;
        let images = oracle::images(&self.world, |most| choices.below(most + 1));
        self.in_doubt += oracle::check(&images, &self.claims).in_doubt.len();
    }

    /// A message arrives a second time, behind the others.
    fn duplicate(&mut self, c: usize, n: usize) {
        let link = self.world.links.get_mut(&(c, n)).unwrap();
        if let Some(message) = link
            .to_node
            .front()
            .filter(|message| !matches!(message, ToNode::Join { .. }))
            .cloned()
        {
            link.to_node.push_back(message);
            fired("W2");
        }
        if let Some(message) = link.to_coordinator.front().cloned() {
            link.to_coordinator.push_back(message);
            fired("W2");
        }
    }

    /// Everything comes back, and everybody learns how everything ended.
    fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 60, "does not come to rest");
            self.world.heal();
            self.world.settle();
            self.world.fire_all();
            self.world.settle();
            self.listen();
            let open: Vec<usize> = (0..self.requests.len())
                .filter(|&index| self.requests[index].sent && self.requests[index].told.is_none())
                .collect();
            let prepared = (0..NODES).any(|n| self.world.nodes[n].machine.as_ref().unwrap().load() > 0);
            if open.is_empty() && !prepared && round > 3 {
                return;
            }
            if round > 3 {
                for index in open {
                    self.submit(index, 0);
                }
            }
        }
    }

    fn check(&mut self) {
        let images = oracle::images(&self.world, |most| most);
        self.claims.settled = true;
        self.claims.complete = true;
        oracle::check(&images, &self.claims);
        for (n, process) in self.world.nodes.iter().enumerate() {
            let state = process.machine.as_ref().unwrap().state();
            assert!(!state.ledger().any_held(), "{} still holds accounts", node_id(n));
        }
        self.calls += 1;
        self.world.call(
            0,
            u64::MAX,
            Call {
                id: self.calls,
                ask: Ask::Audit,
            },
        );
        self.world.settle();
        let before = self.exact_audits;
        self.listen();
        assert_eq!(self.exact_audits, before + 1, "the last audit is exact");
    }
}

/// What one seed came to: transfers committed, audits exact while things went wrong, promises found in doubt.
fn run(seed: u64, events: usize) -> [usize; 3] {
    let mut run = Run::new(seed);
    let funded = run.requests.len();
    for _ in 0..events {
        run.event();
    }
    let audits = run.exact_audits;
    run.finish();
    run.check();
    let committed = |request: &&Request| matches!(request.told, Some(Outcome::Committed { .. }));
    let committed = run.requests[funded..].iter().filter(committed).count();
    [committed, audits, run.in_doubt]
}

fn run_and_explain(seed: u64, events: usize) -> [usize; 3] {
    std::panic::catch_unwind(|| run(seed, events))
        .unwrap_or_else(|_| panic!("seed {seed} with {events} events"))
}

#[test]
fn whatever_happens_the_accounts_hold_what_clients_were_told() {
    let seeds: u64 = std::env::var("SEEDS")
        .ok()
        .map_or(600, |seeds| seeds.parse().unwrap());
    let from: u64 = std::env::var("SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let mut sums = [0; 3];
    for seed in from..from + seeds {
        for (sum, more) in sums.iter_mut().zip(run_and_explain(seed, 300)) {
            *sum += more;
        }
    }
    let [committed, audits, in_doubt] = sums;
    println!(
        "{seeds} seeds, {committed} transfers committed, {audits} audits exact under way, {in_doubt} promises looked at in \
         doubt"
    );
    let seeds = usize::try_from(seeds).unwrap();
    assert!(
        committed > seeds * 3,
        "only {committed} transfers committed: the test does not test much"
    );
    assert!(
        in_doubt > seeds / 2,
        "only {in_doubt} promises were seen in doubt"
    );
}
