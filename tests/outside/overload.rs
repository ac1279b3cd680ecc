//! More than there is room or time for: a slow node, one account that everybody wants, everybody at once after an outage,
//! and tables that must not grow for ever.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientConfig, Order, Outcome, Target};
use faults::{Vehicle, fired};
use protocol::message::LinkState;

use crate::world::{PATIENCE, World, files, node, wait};

fn client(world: &World) -> Client {
    let config = ClientConfig {
        timeout: PATIENCE,
        ..world.cluster.client_config()
    };
    Client::new(config).unwrap()
}

fn transfer(client: &mut Client, from: &str, to: &str) -> Outcome {
    let order = Order::transfer(from.parse().unwrap(), to.parse().unwrap(), "1".parse().unwrap());
    client.submit(None, order.unwrap()).unwrap().outcome
}

#[track_caller]
fn commits(client: &mut Client, from: &str, to: &str) {
    let outcome = transfer(client, from, to);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
}

#[test]
fn a_node_that_does_not_answer_holds_up_its_own_transfers_only() {
    let mut world = World::start_with("json", |config| config.prepare_timeout_ms = 25_000);
    world.run("deposit N1/other 1000").prints(&[]);
    world.cluster.freeze(node("N3")).unwrap();
    let here = Vehicle::here();
    thread::scope(|scope| {
        let world = &mut world;
        let mut slow = client(world);
        let waiting = scope.spawn(move || {
            here.fired("X1", 1);
            transfer(&mut slow, "N1/other", "N3/C")
        });
        wait("the slow one is under way", || {
            let open = world.run("tx list").stdout;
            open.contains("N1 (other -1)").then_some(())
        });
        let mut quick = client(world);
        for _ in 0..100 {
            commits(&mut quick, "N1/A", "N2/B");
        }
        assert!(!waiting.is_finished(), "nobody has waited for N3");
        world.cluster.thaw(node("N3")).unwrap();
        let outcome = waiting.join().unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
    });
    world.works_and_stops();
}

/// Without a queue for it: whoever comes second is told to come again, and everybody gets there.
#[test]
fn everybody_gets_a_turn_at_an_account_that_everybody_wants() {
    const CLIENTS: usize = 20;
    const TURNS: usize = 5;
    let world = World::start("sled");
    let conflicts = AtomicUsize::new(0);
    let here = Vehicle::here();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (world, conflicts, here) = (&world, &conflicts, here.clone());
            scope.spawn(move || {
                let mut client = client(world);
                let mut turns = 0;
                let began = Instant::now();
                while turns < TURNS {
                    assert!(
                        began.elapsed() < PATIENCE,
                        "client {number} is left with {turns} turns"
                    );
                    match transfer(&mut client, "N1/A", "N2/B") {
                        Outcome::Committed { .. } => turns += 1,
                        Outcome::Aborted { refusal, .. } => {
                            assert!(refusal.reason.retryable(), "{refusal}");
                            conflicts.fetch_add(1, Ordering::Relaxed);
                            here.fired("X5", 1);
                            // Not all at once again.
                            thread::sleep(Duration::from_millis(1 + u64::try_from(number).unwrap()));
                        }
                        other @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                            panic!("{other}")
                        }
                    }
                }
            });
        }
    });
    assert!(conflicts.into_inner() > 0, "nobody met anybody");
    world
        .run("balance N2/B")
        .prints(&[&(1000 + CLIENTS * TURNS).to_string()]);
    world.works_and_stops();
}

#[test]
fn after_an_outage_everybody_who_tried_again_gets_an_answer() {
    const CLIENTS: usize = 40;
    let mut world = World::start("json");
    for number in 0..CLIENTS {
        world.run(&format!("deposit N1/x{number} 1")).prints(&[]);
    }
    // Everybody has been in touch before.
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| client(&world)).collect();
    for client in &mut clients {
        client.status().unwrap();
    }
    world.cluster.freeze(Target::Coordinator).unwrap();
    let here = Vehicle::here();
    thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            let here = here.clone();
            scope.spawn(move || {
                here.fired("X6", 1);
                let to = ["N2/B", "N3/C"][number % 2];
                loop {
                    match transfer(&mut client, &format!("N1/x{number}"), to) {
                        Outcome::Committed { .. } => break,
                        Outcome::Aborted { refusal, .. } => {
                            assert!(refusal.reason.retryable(), "{refusal}")
                        }
                        other @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                            panic!("{other}")
                        }
                    }
                }
            });
        }
        // All of them have sent what they want and none will be told.
        thread::sleep(Duration::from_millis(300));
        world.cluster.kill9(Target::Coordinator);
        thread::sleep(Duration::from_millis(500));
        world.cluster.restart(Target::Coordinator).unwrap();
    });
    world.run("balance N2/B").prints(&["1020"]);
    world.run("balance N3/C").prints(&["1020"]);
    world.works_and_stops();
}

/// What N1 remembers after 2,000 transfers is what it remembers after any number of them.
#[test]
fn tables_and_logs_do_not_grow_with_what_is_over() {
    const WINDOW: u64 = 100;
    // Two checkpoints of that window, and the log of twice four segments, with some more while one is made.
    const KEPT_MAX: usize = 160_000;
    // Sixteen segments and a checkpoint.
    const PUT_BY_MAX: usize = 17;
    const PUT_BY_LEN_MAX: usize = 250_000;
    let world = World::start_with("json", |config| {
        let short = ["--segment-bytes", "8192"].map(str::to_owned);
        config.coordinator_args = short.to_vec();
        config.node_args = short.to_vec();
        let window = ["--request-window".to_owned(), WINDOW.to_string()];
        config.node_args.extend(window);
    });
    let mut client = client(&world);
    for _ in 0..1000 {
        commits(&mut client, "N1/A", "N2/B");
        commits(&mut client, "N2/B", "N1/A");
    }
    fired("X7");
    let status = client.status().unwrap();
    let Some(LinkState::Up(_, n1)) = status.nodes.first() else {
        panic!("{status:?}")
    };
    assert!(n1.sequence > 4000 && n1.requests <= WINDOW + 1, "{n1:?}");
    let mut kept = 0;
    wait("checkpoints take the place of logs", || {
        // What a checkpoint was outrun by goes with the next one, which is due when life goes on.
        for _ in 0..10 {
            commits(&mut client, "N1/A", "N2/B");
            commits(&mut client, "N2/B", "N1/A");
        }
        // What is put by to be written over tells nothing any more, and there is never more of it than so many files.
        let is_put_by = |path: &Path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(".old"))
        };
        let (put_by, needed): (Vec<_>, Vec<_>) = files(world.path(), "node_N1")
            .into_iter()
            .partition(|(path, _)| is_put_by(path));
        assert!(put_by.len() <= PUT_BY_MAX, "{} files", put_by.len());
        // What is only written ahead of a log's end is no record.
        let trimmed = |(_, content): (_, Vec<u8>)| content.trim_ascii_end().len();
        let put_by: usize = put_by.into_iter().map(trimmed).sum();
        assert!(put_by < PUT_BY_LEN_MAX, "{put_by} bytes are put by");
        kept = needed.into_iter().map(trimmed).sum();
        (kept < KEPT_MAX).then_some(())
    });
    // About 100 bytes for each record that there ever was.
    assert!(
        n1.sequence * 100 > u64::try_from(kept).unwrap(),
        "{kept} bytes are left of {n1:?}"
    );
    world.works_and_stops();
}
