//! One transfer as all three processes see it.

use crate::world::{STORES, World, seen, short, transfer};

/// Where these lines stand in `all`; each is there, in this order.
#[track_caller]
fn in_order(all: &[String], lines: &[&str]) {
    let mut from = 0;
    for line in lines {
        let found = all[from..].iter().position(|other| other == line);
        let found = found.unwrap_or_else(|| panic!("{line:?} does not come after {from} of {all:#?}"));
        from += found + 1;
    }
}

#[test]
fn a_transfer_is_seen_from_prepare_to_the_last_acknowledgement() {
    for store in STORES {
        let mut world = World::new(store);
        let mut everyone = world.everyone();
        for watch in &mut everyone {
            watch.follow(false).unwrap();
        }
        let txn = world.transfer();
        let [coordinator, n1, n2] = everyone.try_into().unwrap();
        let (mut coordinator, mut n1, mut n2) = (coordinator, n1, n2);

        let all = short(&seen(&mut coordinator, txn, |sighting| {
            sighting.what.kind() == "COMPLETE"
        }));
        assert!(
            all[0].starts_with("client → submit ") && all[0].ends_with(" N1/A:-10 N2/B:+10"),
            "{all:#?}"
        );
        assert!(all[1].starts_with("append START N1/A:-10 N2/B:+10"), "{all:#?}");
        for node in ["N1", "N2"] {
            let (prepare, vote) = (
                if node == "N1" { "A -10" } else { "B +10" },
                format!("{node} → vote yes"),
            );
            in_order(
                &all,
                &[
                    &format!("append PREPARE {node}"),
                    &format!("→ {node} prepare {prepare}"),
                    &vote,
                    "append COMMIT (forced)",
                    "sync",
                    &format!("→ {node} commit"),
                    &format!("{node} → ack"),
                    "append COMPLETE",
                ],
            );
        }
        in_order(
            &all,
            &["append COMMIT (forced)", "sync", "→ client outcome committed"],
        );

        for (watch, operation) in [(&mut n1, "A -10"), (&mut n2, "B +10")] {
            let mut all = short(&seen(watch, txn, |sighting| sighting.what.kind() == "ack"));
            // A node may sync more often than it must.
            all.dedup();
            let prepare = format!("coordinator → prepare {operation}");
            let promise = format!("append prepare_ok {operation} (forced)");
            assert_eq!(
                all,
                [
                    prepare.as_str(),
                    &promise,
                    "sync",
                    "→ coordinator vote yes",
                    "coordinator → commit",
                    "append commit",
                    "sync",
                    "→ coordinator ack",
                ],
                "{store}"
            );
        }
        // Whoever comes late still finds it.
        assert!(!world.coordinator().recall(txn).unwrap().is_empty());
    }
}

#[test]
fn numbers_of_sights_have_no_gaps_and_times_do_not_run_backwards() {
    let mut world = World::new("json");
    let first = world.transfer();
    let mut watch = world.coordinator();
    watch.follow(true).unwrap();
    let last = world.transfer();
    let mut sightings = Vec::new();
    for txn in [first, last] {
        sightings.extend(seen(&mut watch, txn, |sighting| {
            sighting.what.kind() == "COMPLETE"
        }));
    }
    assert!(
        sightings.is_sorted_by(|a, b| a.n < b.n && a.at_us <= b.at_us),
        "{sightings:#?}"
    );
}

#[test]
fn an_abort_tells_who_was_in_the_way() {
    let mut world = World::new("json");
    let submission = world.client.submit(None, transfer("5000")).unwrap();
    let client::Outcome::Aborted { txn: Some(txn), .. } = submission.outcome else {
        panic!("{}", submission.outcome);
    };
    let mut n1 = world.everyone().swap_remove(1);
    let all = short(&n1.recall(txn).unwrap());
    in_order(
        &all,
        &[
            "coordinator → prepare A -5000",
            "append prepare_failed insufficient_funds_on_A",
            "→ coordinator vote no insufficient_funds_on_A",
        ],
    );
}
