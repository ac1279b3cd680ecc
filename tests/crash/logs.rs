//! The nodes' own words, read from their files and not through the program: every transaction ended the same way
//! everywhere, and what is in the state files is what committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use client::{Outcome, TxnId};

use crate::bank::{Sent, expected};

/// How a transaction ended at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
}

/// Checks the data directory of a stopped json cluster.
pub(crate) fn check(dir: &Path, sent: &[Sent]) {
    let mut ends: BTreeMap<String, BTreeMap<String, End>> = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("node_") || !name.ends_with(".jsonl") {
            continue;
        }
        let node = name.split(['_', '.']).nth(1).unwrap().to_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let end = match record["action"].as_str() {
                Some("commit" | "commit_one_phase") => End::Committed,
                Some("abort" | "prepare_failed") => End::Aborted,
                Some(_) | None => continue,
            };
            let txn = record["txn"].as_str().unwrap().to_owned();
            let before = ends.entry(txn.clone()).or_default().insert(node.clone(), end);
            assert!(
                before.is_none_or(|before| before == end),
                "{txn} ended twice at {node}"
            );
        }
    }
    for (txn, nodes) in &ends {
        let first = *nodes.values().next().unwrap();
        assert!(
            nodes.values().all(|end| *end == first),
            "{txn} ended differently: {nodes:?}"
        );
    }
    for sent in sent {
        let Outcome::Committed { txn } = &sent.outcome else {
            continue;
        };
        let ended = ends.get(&TxnId::to_string(txn)).cloned().unwrap_or_default();
        assert!(
            ended.values().all(|end| *end == End::Committed),
            "{txn} was acknowledged: {ended:?}"
        );
    }
    let mut found = BTreeMap::new();
    for node in ["N1", "N2", "N3"] {
        let text = fs::read_to_string(dir.join(format!("node_{node}_state.json"))).unwrap();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (account, balance) in state.as_object().unwrap() {
            if account != "_meta" && account != "@world" {
                found.insert(
                    format!("{node}/{account}").parse().unwrap(),
                    balance.as_i64().unwrap(),
                );
            }
        }
    }
    assert_eq!(found, expected(sent), "the state files hold what committed");
}
