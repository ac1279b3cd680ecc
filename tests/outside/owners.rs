//! Who may open a store: one process, of the right name, kind and cluster. Everybody else is turned away before any
//! file is touched.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use client::Target;
use faults::fired;

use crate::world::{
    Run, STORES, World, files, free_port, node, node_args, put_back, run, temp_dir, wait, wipe,
};

/// Money that has not moved, files that were not touched, and what to do next.
#[track_caller]
fn turned_away(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.stdout, "", "{run:#?}");
    run.says(code, words);
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
}

#[test]
fn a_second_process_on_a_store_is_turned_away_even_while_the_first_is_frozen() {
    for store in STORES {
        let mut world = World::start(store);
        let before = world.snapshot();
        for (target, prefix) in [(node("N1"), "node_N1"), (Target::Coordinator, "coordinator")] {
            let second = match target {
                Target::Node(_) => world.node_args("N1", free_port()),
                Target::Coordinator => world.coordinator_args(free_port(), "N1 N2 N3"),
            };
            let lock = format!("{prefix}.lock");
            turned_away(&run(&second), 5, &[&lock, "another process"]);
            fired("P1");
            // While its owner is frozen, nobody but the second process could touch a file.
            world.cluster.freeze(target).unwrap();
            let files_before = files(world.path(), prefix);
            turned_away(&run(&second), 5, &[&lock, "another process"]);
            fired("P1");
            assert!(
                files(world.path(), prefix) == files_before,
                "{store}: a file of {prefix} was touched"
            );
            world.cluster.thaw(target).unwrap();
        }
        world.unharmed(&before);
        world.works_and_stops();
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for store in STORES {
        let dir = temp_dir();
        let second = run(&node_args(dir.path(), "N1", port, store));
        turned_away(&second, 5, &[&port.to_string(), "already in use"]);
    }
}

#[test]
fn a_store_opened_as_something_else_is_left_alone() {
    for (store, other) in [("json", "sled"), ("sled", "json")] {
        let mut world = World::start(store);
        let before = world.snapshot();
        world.cluster.stop_all();
        let files_before = files(world.path(), "node_");
        let attempt = |name: &str, kind: &str, more: &str, words: &[&str]| {
            let mut args = node_args(world.path(), name, free_port(), kind);
            args.extend(more.split_whitespace().map(str::to_owned));
            turned_away(&run(&args), 5, words);
        };
        attempt(
            "N1",
            other,
            "",
            &[
                &format!("holds a {store} store"),
                &format!("--store {store}"),
                "Nothing was changed",
            ],
        );
        fired("P2");
        attempt(
            "N1",
            store,
            "--cluster other",
            &[
                "belongs to cluster local",
                "--cluster local",
                "Nothing was changed",
            ],
        );
        fired("P3");
        // The files of N1 under another name: a copy that forgot to say so.
        for (path, content) in files(world.path(), "node_N1") {
            let renamed = path.to_str().unwrap().replace("node_N1", "node_N4");
            fs::create_dir_all(std::path::Path::new(&renamed).parent().unwrap()).unwrap();
            fs::write(renamed, content).unwrap();
        }
        let copied = files(world.path(), "node_N4");
        attempt(
            "N4",
            store,
            "",
            &["belongs to node N1, not to node N4", "Nothing was changed"],
        );
        fired("P3");
        assert!(
            files(world.path(), "node_N4") == copied,
            "{store}: the copy was touched"
        );
        wipe(world.path(), "node_N4");
        assert!(
            files(world.path(), "node_") == files_before,
            "{store}: a file was touched"
        );

        let files_before = files(world.path(), "coordinator");
        let mut args = world.coordinator_args(free_port(), "N1 N2 N3");
        args.extend(["--cluster", "other"].map(str::to_owned));
        turned_away(
            &run(&args),
            5,
            &["belongs to cluster local", "Nothing was changed"],
        );
        fired("P3");
        assert!(
            files(world.path(), "coordinator") == files_before,
            "{store}: a file was touched"
        );

        world.cluster.start_all().unwrap();
        assert_eq!(world.snapshot().accounts, before.accounts);
        world.works_and_stops();
    }
}

#[test]
fn a_store_without_its_identity_is_refused() {
    let mut world = World::start("json");
    world.cluster.stop(node("N1")).unwrap();
    let whole = files(world.path(), "node_N1");
    fs::remove_file(world.path().join("node_N1_manifest.json")).unwrap();
    let refused = run(&world.node_args("N1", free_port()));
    turned_away(
        &refused,
        9,
        &["node_N1_manifest.json", "is missing", "Nothing was changed"],
    );
    put_back(world.path(), "node_N1", &whole);
    world.cluster.start_all().unwrap();
    world.works_and_stops();
}

#[test]
fn a_coordinator_refuses_to_forget_a_node_that_it_owes_a_decision() {
    for store in STORES {
        let mut world = World::start(store);
        world.leaves_untold("transfer N1/A N2/B 10 --timeout-ms 1000 --request-id 77");
        wait("the coordinator's end", || {
            world
                .cluster
                .ended()
                .iter()
                .any(|(who, _)| *who == Target::Coordinator)
                .then_some(())
        });
        let port = free_port();
        let forgetful = run(&world.coordinator_args(port, "N1 N3"));
        turned_away(&forgetful, 2, &["N2", "--nodes"]);
        world.cluster.restart(Target::Coordinator).unwrap();
        world
            .run("transfer N1/A N2/B 10 --request-id 77")
            .prints(&["success=true"]);
        world.whole();
        world.run("balance N1/A").prints(&["990"]);
        world.run("balance N2/B").prints(&["1010"]);
        world.works_and_stops();
    }
}
