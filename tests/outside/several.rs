//! Two coordinators at once on the same nodes: both decide, a request id means one thing through either, and the audit
//! is exact while both are at work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use client::{AuditVerdict, Client, ClientConfig, Order, Outcome};
use faults::fired;

use crate::second::Second;
use crate::world::{PATIENCE, STORES, World, wait};

/// How often the audit looks while both coordinators are busy.
const AUDITS: usize = 10;

#[test]
fn two_coordinators_share_nodes_request_ids_and_audits() {
    for store in STORES {
        let mut world = World::start(store);
        let mut second = Second::new(&world);
        second.is_up();
        let via_second = |line: &str| second.run(line);

        let first = world.run("transfer N1/A N2/B 10 --request-id 77");
        first.prints(&["success=true"]);
        let again = via_second("transfer N1/A N2/B 10 --request-id 77");
        fired("I8");
        assert_eq!(again.stdout, first.stdout, "one execution, one answer");
        via_second("transfer N1/A N2/B 11 --request-id 77").says(10, &["no money moved"]);
        fired("I9");
        via_second("transfer N2/B N1/A 10").prints(&["success=true"]);

        let committed = [AtomicU64::new(0), AtomicU64::new(0)];
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let _ended = StopOnDrop(&stop);
            for (committed, coordinator) in committed.iter().zip([world.coord(), second.address.clone()]) {
                let stop = &stop;
                scope.spawn(move || work(&coordinator, stop, committed));
            }
            for coordinator in [world.coord(), second.address.clone()] {
                let mut client = client(&coordinator);
                let mut exact = 0;
                for _ in 0..AUDITS {
                    match client.audit().unwrap().verdict {
                        AuditVerdict::Exact => exact += 1,
                        AuditVerdict::Incomplete(_) => {}
                        AuditVerdict::Violated => panic!("{store}: a false alarm"),
                    }
                }
                assert!(exact > 0, "{store}: no audit came to its end");
            }
            wait("transfers through both", || {
                let enough = committed
                    .iter()
                    .all(|committed| committed.load(Ordering::Relaxed) >= 20);
                enough.then_some(())
            });
        });
        via_second("audit").prints(&["Money conserved"]);
        assert!(
            second.process.ended().is_none(),
            "the second coordinator still runs"
        );
        world.whole();
        second.leaves();
        world.works_and_stops();
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn client(coordinator: &str) -> Client {
    let config = ClientConfig {
        timeout: PATIENCE,
        ..ClientConfig::at([coordinator])
    };
    Client::new(config).unwrap()
}

/// Moves money round and round through one coordinator.
fn work(coordinator: &str, stop: &AtomicBool, committed: &AtomicU64) {
    let mut client = client(coordinator);
    let round = ["N1/A", "N2/B", "N3/C", "N1/A"];
    while !stop.load(Ordering::Relaxed) {
        for pair in round.windows(2) {
            let order = Order::transfer(
                pair[0].parse().unwrap(),
                pair[1].parse().unwrap(),
                "1".parse().unwrap(),
            );
            match client.submit(None, order.unwrap()).unwrap().outcome {
                Outcome::Committed { .. } => {
                    committed.fetch_add(1, Ordering::Relaxed);
                }
                Outcome::Aborted { refusal, .. } => assert!(refusal.reason.retryable(), "{refusal}"),
                other @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                    panic!("{other}")
                }
            }
            // Light load: the audit must find a moment.
            thread::sleep(Duration::from_millis(2));
        }
    }
}
