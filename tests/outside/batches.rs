//! Batches against real processes: thousands of transactions in one frame, each with an outcome of its own.

use client::{
    Answer, Ask, BATCH_MAX, Client, ClientConfig, Order, Outcome, Pipeline, Reason, RequestId,
    fresh_request_id,
};
use faults::fired;

use crate::world::{PATIENCE, STORES, World, node};

fn config(world: &World) -> ClientConfig {
    ClientConfig {
        timeout: PATIENCE,
        ..world.cluster.client_config()
    }
}

/// One whose nodes have the time that an unoptimised build needs for thousands of votes at once.
fn patient_world(store: &str) -> World {
    World::start_with(store, |config| config.prepare_timeout_ms = 25_000)
}

fn pipeline(world: &World) -> Pipeline {
    Pipeline::connect(&config(world)).unwrap()
}

fn first_send(order: Order) -> Ask {
    under(fresh_request_id(), false, order)
}

fn under(request: RequestId, repeated: bool, order: Order) -> Ask {
    Ask::Submit {
        request,
        repeated,
        order,
    }
}

fn deposit(place: &str) -> Ask {
    first_send(Order::deposit(place.parse().unwrap(), "10".parse().unwrap()))
}

fn transfer(from: &str, to: &str, amount: u64) -> Order {
    let amount = amount.to_string();
    Order::transfer(
        from.parse().unwrap(),
        to.parse().unwrap(),
        amount.parse().unwrap(),
    )
    .unwrap()
}

/// Sends a batch and returns its outcomes in the order of its asks.
fn submit(pipeline: &mut Pipeline, asks: &[Ask]) -> Vec<Outcome> {
    let numbers = pipeline.send_batch(asks).unwrap();
    let mut outcomes = vec![None; asks.len()];
    for _ in asks {
        let (call, outcome) = receive(pipeline);
        let place = &mut outcomes[usize::try_from(call - numbers.start).unwrap()];
        assert!(place.replace(outcome).is_none(), "call {call} is answered twice");
    }
    outcomes.into_iter().map(Option::unwrap).collect()
}

fn receive(pipeline: &mut Pipeline) -> (u64, Outcome) {
    match pipeline.receive(PATIENCE).unwrap() {
        Some((call, Answer::Outcome(outcome))) => (call, outcome),
        other => panic!("no outcome: {other:?}"),
    }
}

/// Accounts `a0`, `a1`, … on N1 and `b0`, `b1`, … on N2 with 10 each. Twice as many transactions in flight as a batch may have.
fn open_accounts(pipeline: &mut Pipeline, count: usize) {
    let (debtors, creditors): (Vec<Ask>, Vec<Ask>) = (0..count)
        .map(|n| (deposit(&format!("N1/a{n}")), deposit(&format!("N2/b{n}"))))
        .unzip();
    pipeline.send_batch(&debtors).unwrap();
    pipeline.send_batch(&creditors).unwrap();
    for _ in 0..2 * count {
        let (_, outcome) = receive(pipeline);
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
    }
}

/// What the accounts `b0`, `b1`, … hold.
fn balances(world: &World, count: usize) -> Vec<i64> {
    let mut client = Client::new(config(world)).unwrap();
    let mut balances = vec![0; count];
    for (account, balance) in client.all_accounts("N2".parse().unwrap()).unwrap() {
        if let Some(number) = account.as_str().strip_prefix('b') {
            balances[number.parse::<usize>().unwrap()] = balance;
        }
    }
    balances
}

#[test]
fn every_transaction_of_a_full_batch_has_its_own_outcome() {
    for (store, count) in [("json", BATCH_MAX), ("sled", 1_000)] {
        let world = patient_world(store);
        let mut pipeline = pipeline(&world);
        open_accounts(&mut pipeline, count);
        let batch: Vec<Ask> = (0..count)
            .map(|n| match n % 8 {
                0 => transfer(&format!("N1/a{n}"), &format!("N2/b{n}"), 11),
                1 => transfer(&format!("N1/a{n}"), &format!("N2/nobody{n}"), 10),
                _ => transfer(&format!("N1/a{n}"), &format!("N2/b{n}"), 10),
            })
            .map(first_send)
            .collect();
        for (n, outcome) in submit(&mut pipeline, &batch).iter().enumerate() {
            let reason = match outcome {
                Outcome::Aborted { refusal, .. } => Some(&refusal.reason),
                Outcome::Committed { .. } => None,
                Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => {
                    panic!("{n}: {outcome}")
                }
            };
            match n % 8 {
                0 => assert!(
                    matches!(reason, Some(Reason::InsufficientFunds(_))),
                    "{n}: {outcome}"
                ),
                1 => assert!(
                    matches!(reason, Some(Reason::UnknownAccount(_))),
                    "{n}: {outcome}"
                ),
                _ => assert_eq!(reason, None, "{n}"),
            }
        }
        let expected: Vec<i64> = (0..count).map(|n| if n % 8 < 2 { 10 } else { 20 }).collect();
        assert_eq!(balances(&world, count), expected);
        world.works_and_stops();
    }
}

#[test]
fn a_request_that_stands_in_a_batch_twice_happens_once() {
    for store in STORES {
        let world = patient_world(store);
        let mut pipeline = pipeline(&world);
        let (twice, other) = (fresh_request_id(), fresh_request_id());
        let batch = [
            under(twice, false, transfer("N1/A", "N2/B", 10)),
            under(twice, false, transfer("N1/A", "N2/B", 10)),
            under(twice, false, transfer("N1/A", "N2/B", 11)),
            under(other, false, transfer("N3/C", "N2/nobody", 10)),
            under(other, false, transfer("N3/C", "N2/nobody", 10)),
        ];
        fired("I8");
        fired("I9");
        let outcomes = submit(&mut pipeline, &batch);
        assert!(matches!(outcomes[0], Outcome::Committed { .. }), "{outcomes:?}");
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!(outcomes[2], Outcome::Reused);
        for outcome in &outcomes[3..] {
            assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome}");
        }
        world.run("balance N2/B").prints(&["1010"]);
        world.works_and_stops();
    }
}

/// It vanishes at once, and again after some outcomes: whoever asks again under the same ids moves the money once.
#[test]
fn a_batch_whose_client_disappears_happens_once_however_often_it_is_sent() {
    const COUNT: usize = 2_000;
    for store in STORES {
        let world = patient_world(store);
        open_accounts(&mut pipeline(&world), COUNT);
        let ids: Vec<RequestId> = (0..COUNT).map(|_| fresh_request_id()).collect();
        let batch = |repeated| -> Vec<Ask> {
            let ask = |(n, id)| {
                under(
                    id,
                    repeated,
                    transfer(&format!("N1/a{n}"), &format!("N2/b{n}"), 10),
                )
            };
            ids.iter().copied().enumerate().map(ask).collect()
        };
        for (lives, heard) in [0, 100].into_iter().enumerate() {
            let mut pipeline = pipeline(&world);
            pipeline.send_batch(batch(lives > 0)).unwrap();
            pipeline.flush().unwrap();
            for _ in 0..heard {
                receive(&mut pipeline);
            }
            fired("W8");
        }
        let mut open = batch(true);
        while !open.is_empty() {
            let outcomes = submit(&mut pipeline(&world), &open);
            let mut outcomes = outcomes.into_iter();
            open.retain(|_| match outcomes.next().unwrap() {
                Outcome::Committed { .. } => false,
                // Its first attempt has not ended yet.
                Outcome::Unknown { .. } => true,
                other @ (Outcome::Aborted { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                    panic!("{other}")
                }
            });
        }
        assert_eq!(balances(&world, COUNT), vec![20; COUNT]);
        world.works_and_stops();
    }
}

#[test]
fn a_slow_transaction_of_a_batch_holds_up_its_own_outcome_only() {
    const COUNT: usize = 100;
    let mut world = patient_world("json");
    let mut pipeline = pipeline(&world);
    open_accounts(&mut pipeline, COUNT);
    world.cluster.freeze(node("N3")).unwrap();
    let slow = first_send(transfer("N1/A", "N3/C", 10));
    let quick = (0..COUNT).map(|n| first_send(transfer(&format!("N1/a{n}"), &format!("N2/b{n}"), 10)));
    fired("X1");
    let numbers = pipeline.send_batch([slow].into_iter().chain(quick)).unwrap();
    for _ in 0..COUNT {
        let (call, outcome) = receive(&mut pipeline);
        assert_ne!(call, numbers.start);
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
    }
    world.cluster.thaw(node("N3")).unwrap();
    let (call, outcome) = receive(&mut pipeline);
    assert_eq!(call, numbers.start);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
    world.works_and_stops();
}
