//! `--locking`: what each policy does about an account that everybody wants, and what a restart with another one keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Answer, Ask, Client, ClientConfig, Order, Outcome, Pipeline, Target, fresh_request_id};
use protocol::id::{Birth, RequestId};

use crate::second::Second;
use crate::world::{STORES, World, node, wait};

/// Transfers that are under way at a time.
const IN_FLIGHT: usize = 256;

fn transfer(from: &str, to: &str) -> Order {
    Order::transfer(from.parse().unwrap(), to.parse().unwrap(), "1".parse().unwrap()).unwrap()
}

/// Sends `orders`, many at a time, and counts how they ended.
fn run_all(config: &ClientConfig, orders: impl Iterator<Item = Order>) -> BTreeMap<String, usize> {
    let mut pipeline = Pipeline::connect(config).unwrap();
    let mut ended: BTreeMap<String, usize> = BTreeMap::new();
    let mut orders = orders.peekable();
    while orders.peek().is_some() || pipeline.in_flight() > 0 {
        while pipeline.in_flight() < IN_FLIGHT
            && let Some(order) = orders.next()
        {
            let ask = Ask::Submit {
                request: fresh_request_id(),
                repeated: false,
                order,
            };
            pipeline.send(ask).unwrap();
        }
        let Some((_, answer)) = pipeline.receive(Duration::from_secs(30)).unwrap() else {
            panic!("no answer, {ended:?} so far");
        };
        let Answer::Outcome(outcome) = answer else {
            panic!("{answer}");
        };
        let word = match outcome {
            Outcome::Committed { .. } => "committed".to_owned(),
            Outcome::Aborted { refusal, .. } => refusal.reason.to_string(),
            Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => panic!("{outcome}"),
        };
        *ended.entry(word).or_default() += 1;
    }
    ended
}

/// Money between the hot account N1/A and N2/B or N3/C, back and forth.
fn back_and_forth(count: usize) -> impl Iterator<Item = Order> {
    let turns = [
        ("N1/A", "N2/B"),
        ("N2/B", "N1/A"),
        ("N1/A", "N3/C"),
        ("N3/C", "N1/A"),
    ];
    turns
        .into_iter()
        .cycle()
        .take(count)
        .map(|(from, to)| transfer(from, to))
}

#[test]
fn under_escrow_a_hot_account_pays_and_receives_without_a_conflict_and_is_audited_meanwhile() {
    for store in STORES {
        let world = World::start_with(store, |config| config.locking = "escrow".to_owned());
        world.run("status").prints(&["escrow"]);
        let config = world.cluster.client_config();
        let ended = std::thread::scope(|scope| {
            let load = scope.spawn(|| run_all(&config, back_and_forth(2_000)));
            while !load.is_finished() {
                world.run("audit").prints(&["Money conserved"]);
                world.run("balance N1/A").prints(&[]);
            }
            load.join().unwrap()
        });
        assert_eq!(
            ended,
            BTreeMap::from([("committed".to_owned(), 2_000)]),
            "{store}"
        );
        for place in ["N1/A", "N2/B", "N3/C"] {
            world.run(&format!("balance {place}")).prints(&["1000"]);
        }
        world.works_and_stops();
    }
}

#[test]
fn under_escrow_money_that_is_promised_away_cannot_be_spent_twice() {
    let mut world = World::start_with("json", |config| config.locking = "escrow".to_owned());
    let second = Second::new(&world);
    second.is_up();
    // From here on N1 has promised 700 of A.
    world.leaves_untold("transfer N1/A N2/B 700 --timeout-ms 500");
    second
        .run("transfer N1/A N2/B 301")
        .says(3, &["N1/A holds less than"]);
    second.run("transfer N1/A N2/B 300").prints(&["success=true"]);
    second.run("transfer N2/B N1/A 5").prints(&["success=true"]);
    second.leaves();
    world.cluster.restart(Target::Coordinator).unwrap();
    world.whole();
    world.run("balance N1/A").prints(&["5"]);
    world.run("balance N2/B").prints(&["1995"]);
    world.works_and_stops();
}

/// A request id born at that time, in milliseconds since 1970.
fn born(ms: u64) -> RequestId {
    RequestId::born(Birth(ms), u128::from(ms))
}

#[test]
fn under_wait_the_younger_one_dies_and_the_older_one_waits_for_the_holder() {
    for store in STORES {
        let mut world = World::start_with(store, |config| config.locking = "wait".to_owned());
        world.run("status").prints(&["wait"]);
        let second = Second::new(&world);
        second.is_up();
        let mut client = world.cluster.client();
        client.arm(Target::Coordinator, "synced.COMMIT=stop").unwrap();
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| client.submit(Some(born(2_000)), transfer("N1/A", "N2/B")));
            let txn = wait("a transfer that is prepared everywhere", || {
                let list = second.run("tx list").stdout;
                let mut lines = list.lines();
                let both = lines.find(|line| line.contains("N1 (A -1)") && line.contains("N2 (B +1)"))?;
                both.split_whitespace().next().map(str::to_owned)
            });
            second
                .run(&format!("transfer N1/A N2/B 10 --request-id {}", born(3_000)))
                .says(4, &[&txn, " holds N", "--retry-of"]);
            let older = scope.spawn(|| {
                let mut line = format!("transfer N1/A N2/B 10 --request-id {}", born(1_000));
                // On a machine that is slow enough the time for votes ends, and then it is tried again.
                wait("the older one", || {
                    let run = second.run(&line);
                    line = format!("transfer N1/A N2/B 10 --retry-of {}", run.field("request_id"));
                    (run.code == 0).then_some(())
                });
            });
            let waits = world.cluster.wait_line(node("N1"), &format!("waits for {txn}"));
            waits.unwrap_or_else(|error| panic!("{error}"));
            world.cluster.thaw(Target::Coordinator).unwrap();
            older.join().unwrap();
            let held = holder.join().unwrap().unwrap().outcome;
            assert!(matches!(held, Outcome::Committed { .. }), "{held}");
        });
        second.leaves();
        world.run("balance N1/A").prints(&["989"]);
        world.works_and_stops();
    }
}

#[test]
fn under_wait_everybody_wins_by_age_however_many_want_the_same_accounts() {
    for store in STORES {
        let world = World::start_with(store, |config| config.locking = "wait".to_owned());
        let config = world.cluster.client_config();
        // From one end and from the other: without an order they would wait for each other.
        let ways = [
            ("N1/A", "N2/B"),
            ("N2/B", "N1/A"),
            ("N2/B", "N3/C"),
            ("N3/C", "N1/A"),
        ];
        std::thread::scope(|scope| {
            for client in 0..8 {
                let mut ways = ways.into_iter().cycle().skip(client);
                let mut client = Client::new(config.clone()).unwrap();
                scope.spawn(move || {
                    for (from, to) in ways.by_ref().take(10) {
                        let order = transfer(from, to);
                        let mut submission = client.submit(None, order.clone()).unwrap();
                        while let Outcome::Aborted { refusal, .. } = &submission.outcome {
                            assert!(refusal.reason.retryable(), "{refusal}");
                            submission = client.retry(submission.request, order.clone()).unwrap();
                        }
                        let outcome = submission.outcome;
                        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
                    }
                });
            }
        });
        world.works_and_stops();
    }
}

#[test]
fn what_is_prepared_keeps_its_kind_of_hold_over_a_restart_with_another_policy() {
    for store in STORES {
        for (before, after) in [("escrow", "no-wait"), ("escrow", "wait"), ("no-wait", "escrow")] {
            let mut world = World::start_with(store, |config| config.locking = before.to_owned());
            let second = Second::new(&world);
            second.is_up();
            world.leaves_untold("transfer N1/A N2/B 700 --timeout-ms 500");
            world.cluster.set_locking(after);
            world.cluster.kill9(node("N1"));
            world.cluster.launch(node("N1"), &[]).unwrap();
            second.is_up();
            // An exclusive hold keeps everybody out, and an escrow hold keeps an exclusive one out.
            second.run("transfer N3/C N1/A 5").says(4, &["N1/A"]);
            // It went on only where nobody had restarted.
            let elsewhere = second.run("transfer N3/C N2/B 5");
            assert_eq!(
                elsewhere.code,
                if before == "escrow" { 0 } else { 4 },
                "{elsewhere:?}"
            );
            second.leaves();
            world.cluster.restart(Target::Coordinator).unwrap();
            world.whole();
            world.run("balance N1/A").prints(&["300"]);
            world.works_and_stops();
        }
    }
}
