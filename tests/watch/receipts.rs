//! `tx show --diagram`: what the binary prints of a transaction, while processes have it and when they do not any more.

use std::process::Command;

use client::Target;
use serde_json::Value;

use crate::world::{STORES, World, n1, transfer};

/// What the binary prints for `line`.
fn run(world: &World, line: &str) -> String {
    let coordinator = &world.cluster.client_config().coordinators[0];
    let output = Command::new(env!("CARGO_BIN_EXE_twopence"))
        .args(line.split(' '))
        .args(["--coord", coordinator])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn receipt(world: &World, id: &str) -> Value {
    serde_json::from_str(&run(world, &format!("tx show {id} --diagram --output json"))).unwrap()
}

/// The receipt once the transaction has ended everywhere.
fn ended(world: &World, id: &str) -> Value {
    loop {
        let receipt = receipt(world, id);
        let events = receipt["events"].as_array().unwrap();
        if events
            .iter()
            .any(|event| event["kind"] == "COMPLETE" || event["kind"] == "ABORT")
        {
            return receipt;
        }
    }
}

#[test]
fn a_receipt_tells_legs_messages_records_syncs_and_the_end() {
    for store in STORES {
        let mut world = World::new(store);
        let id = world.transfer().to_string();
        let receipt = ended(&world, &id);
        assert_eq!(
            (&receipt["outcome"], &receipt["complete"], &receipt["note"]),
            (&"committed".into(), &true.into(), &Value::Null)
        );
        let legs = &receipt["legs"];
        assert_eq!(
            (&legs[0]["account"], &legs[1]["delta"]),
            (&"A".into(), &10.into())
        );
        let kinds = |process: &str| -> Vec<&str> {
            let events = receipt["events"].as_array().unwrap().iter();
            let own = events.filter(|event| event["process"] == process);
            own.map(|event| event["kind"].as_str().unwrap())
                .filter(|kind| !kind.is_empty())
                .collect()
        };
        for node in ["N1", "N2"] {
            assert_eq!(
                kinds(node),
                ["prepare", "prepare_ok", "vote", "commit", "commit", "ack"],
                "{store}"
            );
        }
        let syncs = receipt["events"].as_array().unwrap().iter();
        assert!(
            syncs
                .filter(|event| event["what"] == "synced")
                .all(|event| event["took_us"].is_u64())
        );

        let drawn = run(&world, &format!("tx show {id} --diagram"));
        for part in [
            "legs: N1/A -10, N2/B +10",
            "outcome: committed",
            "client ",
            "submit N1/A:-10 N2/B:+10",
            "prepare A -10",
            "prepare_ok B +10 [holds]",
            "COMMIT [decided]",
            "▒sync▒",
            "ack",
        ] {
            assert!(drawn.contains(part), "no {part:?} in\n{drawn}");
        }
        let mermaid = run(&world, &format!("tx show {id} --diagram=mermaid"));
        assert!(
            mermaid.starts_with("sequenceDiagram\n") && mermaid.contains("coordinator->>N2: commit"),
            "{mermaid}"
        );
    }
}

#[test]
fn an_abort_says_why_also_under_the_requests_id() {
    let mut world = World::new("json");
    let submission = world.client.submit(None, transfer("5000")).unwrap();
    let receipt = ended(&world, &submission.request.to_string());
    assert_eq!(receipt["outcome"], "aborted");
    assert_eq!(receipt["reason"], "insufficient_funds_on_A");
    assert_eq!(receipt["request_id"], submission.request.to_string());
}

#[test]
fn when_processes_have_forgotten_the_receipt_says_so_and_shows_what_is_durable() {
    let mut world = World::new("json");
    let id = world.transfer().to_string();
    ended(&world, &id);
    world.restart(n1());
    let partly = receipt(&world, &id);
    assert_eq!(
        (&partly["outcome"], &partly["complete"]),
        (&"committed".into(), &false.into())
    );
    assert!(
        partly["note"].as_str().unwrap().starts_with("N1 no longer has"),
        "{partly}"
    );
    world.restart(Target::Coordinator);
    world
        .cluster
        .restart(Target::Node("N2".parse().unwrap()))
        .unwrap();
    let forgotten = receipt(&world, &id);
    assert_eq!(
        (&forgotten["outcome"], &forgotten["complete"]),
        (&"committed".into(), &false.into())
    );
    assert_eq!(forgotten["events"], Value::Array(Vec::new()));
    let text = run(&world, &format!("tx show {id} --diagram"));
    assert!(
        text.contains("N1    committed") && text.contains("note: No process that answered"),
        "{text}"
    );
}
