//! Stores that vanish or go back in time: whoever lost what it had promised is kept out until an operator says so, and
//! nobody guesses an outcome.

use client::Target;
use faults::fired;

use crate::world::{STORES, World, files, node, put_back, shown_as, wait, wipe};

/// Waits until the coordinator has died at its failpoint.
#[track_caller]
fn dead(world: &mut World, who: Target) {
    wait("an end at the failpoint", || {
        let ended = world.cluster.ended();
        ended.iter().any(|(target, _)| *target == who).then_some(())
    });
}

#[test]
fn a_node_that_lost_its_disk_while_it_owed_a_commit_is_quarantined() {
    for store in STORES {
        let mut world = World::start(store);
        world
            .cluster
            .client()
            .arm(node("N1"), "received.commit=kill")
            .unwrap();
        world.run("transfer N1/A N2/B 10").prints(&["success=true"]);
        dead(&mut world, node("N1"));
        wipe(world.path(), "node_N1");
        fired("P5");
        world.cluster.launch(node("N1"), &[]).unwrap();
        shown_as(&world, "N1", "quarantined");
        let refused = world.run("transfer N1/A N2/B 1");
        refused.says(5, &["quarantined", "No money moved", "adopt N1"]);
        assert_eq!(refused.field("reason"), "quarantined_N1");
        world.run("audit").says(6, &["N1"]);
        // The others go on.
        world.run("transfer N2/B N3/C 5").prints(&["success=true"]);
        world.run("transfer N3/C N2/B 5").prints(&["success=true"]);
        world.run("adopt N1").prints(&["N1"]);
        shown_as(&world, "N1", "up");
        world.run("deposit N1/new 7").prints(&["success=true"]);
        // What the disk held is gone, and the audit says so: 10 came from an account that is no more.
        world.run("audit").says(8, &[]);
        assert!(world.cluster.ended().is_empty());
        assert!(world.cluster.stop_all().is_empty());
    }
}

#[test]
fn a_node_put_back_from_an_old_backup_is_quarantined_until_adopted() {
    for store in STORES {
        let mut world = World::start(store);
        world.cluster.stop(node("N1")).unwrap();
        let backup = files(world.path(), "node_N1");
        world.cluster.start_all().unwrap();
        world.run("deposit N1/late 100").prints(&[]);
        world.cluster.kill9(node("N1"));
        put_back(world.path(), "node_N1", &backup);
        fired("P6");
        world.cluster.launch(node("N1"), &[]).unwrap();
        shown_as(&world, "N1", "quarantined");
        world
            .run("status")
            .prints(&["quarantined", "old backup", "adopt N1"]);
        world
            .run("transfer N1/A N2/B 1")
            .says(5, &["quarantined", "No money moved", "adopt N1"]);
        // It is not talked out of it by being started again.
        world.cluster.kill9(node("N1"));
        world.cluster.launch(node("N1"), &[]).unwrap();
        shown_as(&world, "N1", "quarantined");
        world.run("adopt N1").prints(&["N1"]);
        shown_as(&world, "N1", "up");
        world.run("balance N1/late").says(5, &["no account N1/late"]);
        world.works_and_stops();
    }
}

#[test]
fn when_the_coordinators_log_is_lost_nodes_stay_in_doubt_until_an_operator_decides() {
    for store in STORES {
        for (word, other, balances) in [
            ("commit", "abort", ["990", "1010"]),
            ("abort", "commit", ["1000", "1000"]),
        ] {
            let mut world = World::start(store);
            world
                .cluster
                .client()
                .arm(Target::Coordinator, "synced.COMMIT=kill")
                .unwrap();
            world
                .run("transfer N1/A N2/B 10 --timeout-ms 500 --request-id 77")
                .says(6, &["unknown", "--request-id"]);
            dead(&mut world, Target::Coordinator);
            wipe(world.path(), "coordinator");
            fired("P7");
            world.cluster.restart(Target::Coordinator).unwrap();

            let list = world.run("tx list --in-doubt");
            fired("O1");
            list.prints(&["N1", "N2", "A -10", "B +10"])
                .says(0, &["tx resolve"]);
            let txn = list
                .stdout
                .lines()
                .nth(1)
                .and_then(|line| line.split_whitespace().next());
            let txn = txn.unwrap_or_else(|| panic!("{list:#?}")).to_owned();
            for (place, bounds) in [("N1/A", ["990", "1000"]), ("N2/B", ["1000", "1010"])] {
                let read = world.run(&format!("balance {place} --timeout-ms 300"));
                read.says(6, &[&txn, bounds[0], bounds[1]]);
            }
            world.run("balance N3/C").prints(&["1000"]);
            world.run("audit").says(6, &[]);
            // A restart, a retry and time change nothing: nobody presumes anything about another log's ids.
            world.cluster.restart(node("N2")).unwrap();
            world.run("tx list --in-doubt").prints(&[&txn]);
            world
                .run("transfer N1/A N2/B 10 --timeout-ms 500 --request-id 77")
                .says(6, &["unknown"]);
            let busy = world.run("transfer N1/A N3/C 1");
            assert_eq!(busy.code, 4, "{busy:#?}");

            let resolve = |world: &World, word: &str| {
                world.run(&format!("tx resolve {txn} {word} --reason disk-lost-4711"))
            };
            resolve(&world, word).prints(&[&txn]);
            fired("O2");
            world.whole();
            resolve(&world, word).prints(&[&txn]);
            fired("O4");
            resolve(&world, other).says(5, &[&txn]);
            for (place, balance) in ["N1/A", "N2/B"].into_iter().zip(balances) {
                let read = world.run(&format!("balance {place}"));
                assert_eq!(read.stdout.trim(), balance, "{read:#?}");
            }
            world.run(&format!("tx show {txn}")).prints(&["disk-lost-4711"]);
            let again = world.run("transfer N1/A N2/B 10 --request-id 77");
            assert_eq!(again.code, if word == "commit" { 0 } else { 5 }, "{again:#?}");
            world.works_and_stops();
        }
    }
}

#[test]
fn a_coordinator_put_back_from_an_old_backup_does_not_presume_abort() {
    for store in STORES {
        let mut world = World::start(store);
        world.cluster.stop(Target::Coordinator).unwrap();
        let backup = files(world.path(), "coordinator");
        world.cluster.start_all().unwrap();
        for _ in 0..20 {
            world.run("transfer N1/A N2/B 1").prints(&[]);
        }
        world.leaves_untold("transfer N1/A N2/B 10 --timeout-ms 500 --request-id 77");
        dead(&mut world, Target::Coordinator);
        let newest = files(world.path(), "coordinator");
        put_back(world.path(), "coordinator", &backup);
        fired("P10");
        // Its first life repeats an epoch that the nodes have seen: refused, and it stops.
        world.cluster.launch(Target::Coordinator, &[]).unwrap();
        dead(&mut world, Target::Coordinator);
        let said = world.cluster.log_lines(Target::Coordinator).join("\n");
        assert!(said.contains("epoch"), "{said}");
        // The next one has a fresh epoch and still a log that went back.
        world.cluster.launch(Target::Coordinator, &[]).unwrap();
        shown_as(&world, "N1", "quarantined");
        shown_as(&world, "N2", "quarantined");
        world
            .run("transfer N1/A N2/B 1")
            .says(5, &["quarantined", "No money moved"]);
        // It waits on both sides, however often the copy starts: nothing is presumed about it.
        for _ in 0..2 {
            world
                .run("tx list --in-doubt")
                .prints(&["N1 (A -10)", "N2 (B +10)"]);
            world.run("balance N1/A --timeout-ms 300").says(5, &["adopt N1"]);
            world.cluster.kill9(Target::Coordinator);
            world.cluster.launch(Target::Coordinator, &[]).unwrap();
            shown_as(&world, "N1", "quarantined");
            shown_as(&world, "N2", "quarantined");
        }
        // The true log is brought back. Nodes have seen higher epochs by now, and each start takes the next one.
        world.cluster.kill9(Target::Coordinator);
        put_back(world.path(), "coordinator", &newest);
        wait("an epoch above those of the copy", || {
            world.cluster.kill9(Target::Coordinator);
            world.cluster.launch(Target::Coordinator, &[]).unwrap();
            wait("accepted or out", || {
                let ended = world.cluster.ended();
                let out = ended.iter().any(|(who, _)| *who == Target::Coordinator);
                let quarantined = world
                    .run("status --timeout-ms 300")
                    .stdout
                    .matches("quarantined")
                    .count()
                    >= 2;
                (out || quarantined).then_some(quarantined)
            })
            .then_some(())
        });
        // Only an operator knows that this is the true one.
        for name in ["N1", "N2", "N3"] {
            world.run(&format!("adopt {name}"));
            shown_as(&world, name, "up");
        }
        world
            .run("transfer N1/A N2/B 10 --request-id 77")
            .prints(&["success=true"]);
        world.whole();
        world.run("balance N1/A").prints(&["970"]);
        world.run("balance N2/B").prints(&["1030"]);
        world.works_and_stops();
    }
}
