//! Clusters with nothing wrong, and directories that are not all of one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::Target;
use engine::StoreKind;

use crate::stopped::{Stopped, committed, impatient, node, transfer, verified, verify};

#[test]
fn a_cluster_that_was_stopped_cleanly_is_sound() {
    for kind in StoreKind::ALL {
        let run = verified(Stopped::cleanly(kind).path(), 0);
        assert_eq!(run.stderr, "");
        for text in [
            &format!("N1 ({kind}): "),
            "200 in accounts, 200 brought in: all balances add up to 0\n",
            "Sound: all the money is there, and nothing is in doubt.\n",
        ] {
            assert!(run.stdout.contains(text), "{text} is missing in\n{}", run.stdout);
        }
    }
}

#[test]
fn a_cluster_that_was_killed_under_load_is_sound() {
    for kind in StoreKind::ALL {
        let killed = Stopped::by(kind, |cluster, _| {
            let mut loader = impatient(cluster);
            let (stop, begun) = (AtomicBool::new(false), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let there_and_back = ["1", "2"].map(transfer);
                        for order in there_and_back {
                            // Without an answer in the end, which is the point.
                            let _ = loader.submit(None, order);
                        }
                        begun.store(true, Ordering::Relaxed);
                    }
                });
                while !begun.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                cluster.kill9_all();
                stop.store(true, Ordering::Relaxed);
            });
        });
        let run = verified(killed.path(), 0);
        assert!(
            run.stdout.contains("Sound: all the money is there"),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn what_a_dead_coordinator_left_in_doubt_is_listed_with_what_will_become_of_it() {
    for kind in StoreKind::ALL {
        let killed = Stopped::by(kind, |cluster, client| {
            client.arm(Target::Coordinator, "synced.COMMIT=kill").unwrap();
            let _ = impatient(cluster).submit(None, transfer("7"));
            cluster
                .wait_exit(Target::Coordinator, Duration::from_secs(60))
                .unwrap();
            cluster.kill9_all();
        });
        let run = verified(killed.path(), 0);
        for text in [
            "In doubt, with their accounts held:\n",
            " at N1: A -7, since record ",
            " at N2: B +7, since record ",
            ": its coordinator has COMMIT on disk\n",
            "Not finished by their coordinator:\n",
            "Sound: all the money is there. 2 promises are in doubt; they end when their coordinator and nodes run again.\n",
        ] {
            assert!(
                run.stdout.contains(text),
                "{kind}: {text} is missing in\n{}",
                run.stdout
            );
        }
    }
}

#[test]
fn programs_read_one_line_of_json() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    let run = verify(&[stopped.path().to_str().unwrap(), "--output", "json"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{run:?}");
    let line: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(line["outcome"], "sound");
    assert_eq!(line["report"]["sum"]["found"], 0);
    assert_eq!(line["report"]["committed"], 3);
    assert_eq!(line["report"]["stores"].as_array().unwrap().len(), 3);
}

#[test]
fn a_running_cluster_is_refused_with_what_to_do() {
    for kind in StoreKind::ALL {
        Stopped::by(kind, |cluster, client| {
            let dir = cluster.config().dir.clone();
            let run = verify(&[dir.to_str().unwrap()]);
            assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{run:?}");
            assert!(run.stderr.contains("Stop the cluster first"), "{run:?}");
            assert!(run.stderr.contains("no money moved"), "{run:?}");
            committed(client, transfer("1"));
        });
    }
}

#[test]
fn stores_from_several_directories_are_held_against_each_other() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    let apart = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for entry in std::fs::read_dir(stopped.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("node_N2") {
            std::fs::rename(&path, apart.path().join(name)).unwrap();
        }
    }
    let run = verified(stopped.path(), 6);
    assert!(
        run.stderr
            .contains("INCOMPLETE: nothing is wrong with what is there"),
        "{run:?}"
    );
    assert!(
        run.stdout
            .contains("V1 conservation: the store of N2 is not among those that were read"),
        "{run:?}"
    );
    let (one, two) = (stopped.path().to_str().unwrap(), apart.path().to_str().unwrap());
    assert_eq!(verify(&[one, two]).code, 0);
    let twice = verify(&[one, two, two]);
    assert_eq!(twice.code, 2, "{twice:?}");
    assert!(twice.stderr.contains("Node N2 is there twice"), "{twice:?}");
}

#[test]
fn what_is_no_data_directory_is_a_usage_error() {
    let empty = tempfile::tempdir().unwrap();
    for dir in [empty.path().to_str().unwrap(), "/nowhere/at/all"] {
        let run = verify(&[dir]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        let expected =
            format!("There is no store in {dir}. Nothing was checked or changed; no money moved.\n");
        assert_eq!(run.stderr, expected);
    }
    let run = verify(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    let other = Stopped::by(StoreKind::Json, |cluster, _| cluster.kill9(node("N1")));
    assert_eq!(verify(&[other.path().to_str().unwrap()]).code, 0);
}
