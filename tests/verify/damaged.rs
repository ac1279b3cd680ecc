//! Damage that checksums find: the store is named, in the engine's own words, and the others are checked all the same.

use std::fs;
use std::path::Path;

use engine::StoreKind;

use crate::stopped::{Stopped, verified, verify};

/// Flips a bit in the middle of the first occurrence of `text`.
fn flip(path: &Path, text: &str) {
    let mut bytes = fs::read(path).unwrap();
    let found = bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes());
    bytes[found.unwrap() + text.len() / 2] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_the_log_is_corruption() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    flip(&stopped.path().join("node_N1_log.jsonl"), "commit_one_phase");
    let run = verified(stopped.path(), 9);
    assert!(run.stderr.contains("node_N1_log.jsonl: line "), "{run:?}");
    assert!(
        run.stderr
            .contains("CORRUPT: a store is not what was written. What the other stores hold goes together."),
        "{run:?}"
    );
    assert!(run.stdout.contains("N2 (json): "), "{run:?}");
    let json = verify(&[stopped.path().to_str().unwrap(), "--output", "json"]);
    let line: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (line["outcome"].as_str(), line["refused"][0]["store"].as_str()),
        (Some("corrupt"), Some("node N1"))
    );
}

#[test]
fn a_flipped_bit_in_any_file_is_corruption() {
    for name in [
        "node_N2_state.json",
        "node_N2_state.prev.json",
        "node_N2_manifest.json",
        "coordinator_state.json",
        "coordinator_tx_log.jsonl",
    ] {
        let stopped = Stopped::cleanly(StoreKind::Json);
        flip(&stopped.path().join(name), "format");
        let run = verified(stopped.path(), 9);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains(name), "{name}: {run:?}");
    }
    let stopped = Stopped::cleanly(StoreKind::Sled);
    flip(&stopped.path().join("node_N2.sled/conf"), "segment_size");
    let run = verified(stopped.path(), 9);
    assert!(run.stderr.contains("node_N2.sled"), "{run:?}");
}

#[test]
fn files_under_another_nodes_name_are_refused() {
    let stopped = Stopped::cleanly(StoreKind::Json);
    let dir = stopped.path();
    fs::copy(
        dir.join("node_N1_manifest.json"),
        dir.join("node_N2_manifest.json"),
    )
    .unwrap();
    let run = verified(dir, 5);
    assert!(
        run.stderr.contains("it belongs to node N1, not to node N2"),
        "{run:?}"
    );
}
