//! What a node has promised and what it has said, over checkpoints, damage and deaths.

use std::fs;

use client::{Client, ClientConfig, Order, Outcome, Target};
use faults::fired;

use crate::second::Second;
use crate::world::{STORES, World, node, shown_as, wait};

/// Waits until a process has died at its failpoint.
#[track_caller]
fn dead(world: &mut World, who: Target) {
    wait("an end at the failpoint", || {
        let ended = world.cluster.ended();
        ended.iter().any(|(target, _)| *target == who).then_some(())
    });
}

/// The newest line of N1's log with this action.
fn newest(world: &World, action: &str) -> serde_json::Value {
    let log = fs::read_to_string(world.path().join("node_N1_log.jsonl")).unwrap();
    let line = log
        .lines()
        .rfind(|line| line.contains(&format!("\"action\":\"{action}\"")));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no {action}: {log}"))).unwrap()
}

#[test]
fn a_checkpoint_carries_what_is_prepared() {
    let mut world = World::start_with("json", |config| {
        config.node_args = ["--segment-bytes", "4096"].map(str::to_owned).to_vec();
    });
    let second = Second::new(&world);
    second.is_up();
    world.leaves_untold("transfer N1/A N2/B 10 --timeout-ms 500 --request-id 77");
    dead(&mut world, Target::Coordinator);
    let txn = newest(&world, "prepare_ok")["txn"].as_str().unwrap().to_owned();
    // Others go on until checkpoints hold it, the one before the newest too: the log no longer reaches back that far.
    let mut client = Client::new(ClientConfig::at([second.address.clone()])).unwrap();
    wait("two checkpoints with it", || {
        let order = Order::deposit("N1/new".parse().unwrap(), "1".parse().unwrap());
        let outcome = client.submit(None, order).unwrap().outcome;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome}");
        let holds_it = |name: &str| {
            let text = fs::read_to_string(world.path().join(name));
            text.is_ok_and(|text| text.contains(&txn))
        };
        (holds_it("node_N1_state.json") && holds_it("node_N1_state.prev.json")).then_some(())
    });
    fired("K-e");
    world.cluster.kill9(node("N1"));
    world.cluster.launch(node("N1"), &[]).unwrap();
    second.is_up();
    second
        .run("tx list --in-doubt")
        .prints(&[&txn, "N1 (A -10)", "N2 (B +10)"]);
    second
        .run("balance N1/A --timeout-ms 300")
        .says(6, &["990", "1000"]);
    second.leaves();
    world.cluster.restart(Target::Coordinator).unwrap();
    world.whole();
    world.run("balance N1/A").prints(&["990"]);
    world.run("balance N2/B").prints(&["1010"]);
    world.works_and_stops();
}

/// As a power cut: what it said was on disk, although others were told long before.
#[test]
fn a_node_that_dies_after_saying_something_again_says_the_same_ever_after() {
    for store in STORES {
        let mut world = World::start(store);
        world.cluster.set_power_cut(Some(3));
        world.cluster.restart(node("N1")).unwrap();
        let first = world.run("transfer N1/A N2/B 10 --request-id 77");
        first.prints(&["success=true"]);
        // To be armed is answered, too.
        for point in ["sent.vote=kill", "sent.answer=kill@2"] {
            world.cluster.client().arm(node("N1"), point).unwrap();
            if point.contains("vote") {
                let again = world.run("transfer N1/A N2/B 10 --request-id 77");
                assert_eq!(again.stdout, first.stdout);
            } else {
                world.run("balance N1/A").prints(&["990"]);
            }
            dead(&mut world, node("N1"));
            fired("N15");
            world.cluster.launch(node("N1"), &[]).unwrap();
            shown_as(&world, "N1", "up");
            let again = world.run("transfer N1/A N2/B 10 --request-id 77");
            assert_eq!(again.stdout, first.stdout);
            world.run("balance N1/A").prints(&["990"]);
        }
        world.whole();
        world.works_and_stops();
    }
}

/// By itself the node cannot tell it from a record that was never promised; the coordinator can.
#[test]
fn a_damaged_last_promise_is_refused_by_the_node_or_found_out_by_its_coordinator() {
    let mut world = World::start("json");
    world.run("transfer N1/A N2/B 10").prints(&[]);
    world.whole();
    world.cluster.kill9(node("N1"));
    let path = world.path().join("node_N1_log.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    let commit = newest(&world, "commit")["crc"].as_str().unwrap().to_owned();
    let damaged = log.replacen(&commit, "00000000", 1);
    assert_ne!(damaged, log);
    fs::write(&path, damaged).unwrap();
    fired("D4");
    world.cluster.launch(node("N1"), &[]).unwrap();
    wait("refused or found out", || {
        let refused = world
            .cluster
            .ended()
            .iter()
            .any(|(_, exit)| exit.status.code() == Some(9));
        let status = world.run("status --timeout-ms 300");
        let mut lines = status.stdout.lines();
        let found_out = lines.any(|line| line.starts_with("N1") && line.contains("quarantined"));
        (refused || found_out).then_some(())
    });
    world.run("transfer N1/A N2/B 1").says(5, &["No money moved"]);
}
