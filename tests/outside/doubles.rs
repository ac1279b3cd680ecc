//! A coordinator that is there twice, and nodes that answer at each other's addresses: whoever is not the right one is
//! turned away, and stops.

use client::Target;
use faults::fired;

use crate::second::Second;
use crate::world::{PATIENCE, STORES, World, wait};

#[test]
fn a_coordinator_that_slept_through_its_replacement_stops_when_it_wakes_up() {
    for store in STORES {
        let mut world = World::start(store);
        world.run("transfer N1/A N2/B 10").prints(&[]);
        world.whole();
        world.cluster.freeze(Target::Coordinator).unwrap();
        let double = Second::copied(&world);
        double.is_up();
        double.run("transfer N1/A N2/B 10").prints(&["success=true"]);
        world.cluster.thaw(Target::Coordinator).unwrap();
        fired("P8");
        let exit = world.cluster.wait_exit(Target::Coordinator, PATIENCE).unwrap();
        assert_eq!(exit.status.code(), Some(5), "{exit}");
        assert!(exit.to_string().contains("epoch 1 is over"), "{exit}");
        double.run("transfer N1/A N2/B 10").prints(&["success=true"]);
        double.run("audit").prints(&["Money conserved"]);
        double.run("balance N2/B").prints(&["1030"]);
    }
}

#[test]
fn two_coordinators_of_one_epoch_are_not_both_heard() {
    for store in STORES {
        let mut world = World::start(store);
        world.run("transfer N1/A N2/B 10").prints(&[]);
        world.whole();
        world.cluster.stop(Target::Coordinator).unwrap();
        let mut double = Second::copied(&world);
        double.is_up();
        world.cluster.launch(Target::Coordinator, &[]).unwrap();
        fired("P9");
        let exit = world.cluster.wait_exit(Target::Coordinator, PATIENCE).unwrap();
        assert_eq!(exit.status.code(), Some(5), "{exit}");
        let why = "two processes run as the same coordinator in epoch 2";
        assert!(exit.to_string().contains(why), "{exit}");
        // The one that was there first goes on.
        assert!(double.process.ended().is_none());
        double.run("audit").prints(&["Money conserved"]);
        double.run("transfer N1/A N2/B 10").prints(&["success=true"]);
    }
}

#[test]
fn nodes_that_have_changed_places_are_not_taken_for_each_other() {
    let mut world = World::start("json");
    let before = world.snapshot();
    let confused = Second::among(&world, ["N2", "N1", "N3"]);
    wait("only N3 is where it should be", || {
        let status = confused.run("status --timeout-ms 500");
        let mut lines = status.stdout.lines();
        lines
            .any(|line| line.starts_with("N3") && line.contains(" up "))
            .then_some(())
    });
    fired("W11");
    for line in [
        "transfer N1/A N2/B 10",
        "transfer N3/C N1/A 10",
        "deposit N2/B 10",
    ] {
        confused.run(line).says(5, &["No money moved."]);
    }
    let status = confused.run("status");
    for name in ["N1", "N2"] {
        let mut lines = status.stdout.lines();
        assert!(
            lines.any(|line| line.starts_with(name) && line.contains("down")),
            "{status:#?}"
        );
    }
    drop(confused);
    world.unharmed(&before);
    world.works_and_stops();
}
