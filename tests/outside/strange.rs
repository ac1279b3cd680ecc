//! Disks that do worse than forget: they lie about syncs, or do half of what they are asked and are interrupted at that.
//! And a wall clock that jumps.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Order, Target};
use faults::fired;

use crate::world::{BINARY, Extra, PATIENCE, STORES, World, node, shown_as};

/// A process under the library that plays power cuts, in the place of the cluster's own.
fn strange(world: &mut World, target: Target, variable: &str, value: &str, more: &[&str]) -> Extra {
    let library = Path::new(BINARY).with_file_name("deps").join("libpowercut.so");
    assert!(library.exists(), "{} is built with this test", library.display());
    let address = world.cluster.address(target);
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    world.cluster.stop(target).unwrap();
    let mut command = Command::new(BINARY);
    match target {
        Target::Node(node) => command.args(world.node_args(node.as_str(), port)),
        Target::Coordinator => command.args(world.coordinator_args(port, "N1 N2 N3")),
    };
    command
        .args(more)
        .env("LD_PRELOAD", library)
        .env("TWOPENCE_POWER_CUT_DIR", world.path().canonicalize().unwrap())
        // Nothing becomes durable early.
        .env("TWOPENCE_POWER_CUT_SEED", "3")
        .env(variable, value);
    let strange = Extra::start(command);
    shown_as(world, "N2", "up");
    strange
}

fn move_money(world: &World, times: usize) {
    let mut client = world.cluster.client();
    for _ in 0..times {
        let order = Order::transfer(
            "N1/A".parse().unwrap(),
            "N2/B".parse().unwrap(),
            "1".parse().unwrap(),
        );
        let outcome = client.submit(None, order.unwrap()).unwrap().outcome;
        assert!(matches!(outcome, client::Outcome::Committed { .. }), "{outcome}");
    }
}

#[test]
fn short_writes_and_interrupted_calls_change_nothing() {
    for store in STORES {
        let mut world = World::start(store);
        let strange = strange(
            &mut world,
            node("N2"),
            "TWOPENCE_POWER_CUT_HALVES",
            "1",
            &["--segment-bytes", "4096"],
        );
        move_money(&world, 50);
        fired("D14");
        world.run("balance N2/B").prints(&["1050"]);
        drop(strange);
        world.cluster.launch(node("N2"), &[]).unwrap();
        shown_as(&world, "N2", "up");
        world.run("balance N2/B").prints(&["1050"]);
        world.works_and_stops();
    }
}

#[test]
fn a_node_whose_disk_lied_is_found_out_by_its_coordinator() {
    for store in STORES {
        let mut world = World::start(store);
        // The log, that is: a lying checkpoint would be found out by its own checksum.
        let strange = strange(&mut world, node("N2"), "TWOPENCE_POWER_CUT_LIES_AFTER", "40", &[]);
        move_money(&world, 100);
        drop(strange);
        fired("D15");
        world.cluster.launch(node("N2"), &[]).unwrap();
        shown_as(&world, "N2", "quarantined");
        world
            .run("transfer N1/A N2/B 1")
            .says(5, &["quarantined", "No money moved", "adopt N2"]);
        world.run("balance N2/B").says(5, &["adopt N2"]);
    }
}

#[test]
fn a_wall_clock_that_jumps_is_nobodys_concern() {
    let mut world = World::start("json");
    let variable = "TWOPENCE_POWER_CUT_CLOCK";
    let n2 = strange(&mut world, node("N2"), variable, "1", &[]);
    let more = ["--prepare-timeout-ms", "1000"];
    let coordinator = strange(&mut world, Target::Coordinator, variable, "1", &more);
    fired("P13");
    move_money(&world, 50);
    // Time limits are met all the same, and neither early nor late by hours.
    world.cluster.freeze(node("N3")).unwrap();
    let began = Instant::now();
    let late = world.run("transfer N3/C N2/B 1");
    late.says(5, &["No money moved"]);
    assert_eq!(late.field("reason"), "no_vote_in_time_from_N3");
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900) && took < PATIENCE, "{took:?}");
    world.cluster.thaw(node("N3")).unwrap();
    world.run("balance N2/B").prints(&["1050"]);
    world.run("audit").prints(&["Money conserved"]);
    drop((n2, coordinator));
    world.cluster.start_all().unwrap();
    world.run("balance N2/B").prints(&["1050"]);
    world.works_and_stops();
}
