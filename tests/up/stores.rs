//! What the panel shows of stores and their logs is what is in the files, whether or not their process runs.

use std::fs;

use serde_json::{Value, json};

use crate::http::{get, post};
use crate::running::{Up, eventually};
use crate::temp;

fn read(up: &Up, path: &str) -> Value {
    get(&up.http(), &format!("/v1/control/stores/{path}")).ok()
}

fn act(up: &Up, name: &str, action: &str) {
    post(
        &up.http(),
        &format!("/v1/control/processes/{name}/{action}"),
        &json!({}),
    )
    .ok();
}

/// Every entry of a store, page by page.
fn entries(up: &Up, owner: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = read(up, &format!("{owner}/state{after}"));
        all.extend(page["entries"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("?after={}", encoded(next)),
            None => return all,
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn the_log_is_shown_as_it_is_on_disk_and_filtered_by_transaction() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let told = up.client(&["transfer", "N1/A", "N2/B", "10", "--output", "json"]);
    let txn = serde_json::from_str::<Value>(&told).unwrap()["txn"]
        .as_str()
        .unwrap()
        .to_owned();
    for n in 1..=20 {
        up.client(&["deposit", "N2/B", &n.to_string()]);
    }
    let of_txn = |owner: &str| {
        let log = read(&up, &format!("{owner}/log?txn={txn}"));
        let lines = log["lines"].as_array().unwrap().clone();
        assert!(
            lines
                .iter()
                .all(|line| line["txn"] == txn.as_str() && line["crc_ok"] == true),
            "{log:#}"
        );
        let action = |line: &Value| line["action"].as_str().unwrap().to_owned();
        lines.iter().rev().map(action).collect::<Vec<String>>()
    };
    eventually("all is written", || {
        of_txn("coordinator")
            .last()
            .is_some_and(|last| last == "COMPLETE")
    });
    assert_eq!(
        of_txn("coordinator"),
        ["START", "PREPARE", "PREPARE", "COMMIT", "COMPLETE"]
    );
    assert_eq!(of_txn("N1"), ["prepare_ok", "commit"]);

    // All of it, a few lines at a time, while the process runs; then what the file says once nobody writes.
    let paged = || {
        let mut raw = Vec::new();
        let mut before = String::new();
        loop {
            let page = read(&up, &format!("N2/log?limit=7{before}"));
            let lines = page["lines"].as_array().unwrap();
            raw.extend(lines.iter().map(|line| line["raw"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        raw.reverse();
        raw
    };
    assert!(paged().len() > 20);
    act(&up, "N2", "stop");
    let file = fs::read_to_string(dir.path().join("node_N2_log.jsonl")).unwrap();
    let written: Vec<&str> = file.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(paged(), written);
    up.stop();
}

#[test]
fn a_store_of_either_kind_is_shown_decoded_while_its_process_runs_and_when_it_does_not() {
    for store in ["json", "sled"] {
        let dir = temp();
        let mut up = Up::start(dir.path(), &["--store", store]);
        up.client(&["transfer", "N1/A", "N2/B", "10"]);
        let account =
            json!({"tree": "accounts", "key": {"Account": "A"}, "value": {"account": ["A", 990, 2]}});
        eventually("it is applied", || entries(&up, "N1").contains(&account));
        // What a process tells of itself, once nobody tells it anything new, is what its files say once it is gone.
        act(&up, "coordinator", "stop");
        assert_eq!(read(&up, "N2/state")["live"], true);
        let live = entries(&up, "N2");
        let counted = |owner: &str| read(&up, &format!("{owner}/log"))["trees"].clone();
        let live_trees = counted("N2");
        act(&up, "all", "stop");
        assert_eq!(entries(&up, "N2"), live);
        if store == "sled" {
            for tree in live_trees.as_array().unwrap() {
                assert!(counted("N2").as_array().unwrap().contains(tree), "{live_trees:#}");
            }
        }
        let page = read(&up, "N1/state");
        assert_eq!((&page["live"], &page["store"]), (&json!(false), &json!(store)));
        let found = entries(&up, "N1");
        let account =
            json!({"tree": "accounts", "key": {"Account": "A"}, "value": {"account": ["A", 990, 2]}});
        assert!(found.contains(&account), "{found:#?}");
        assert!(!entries(&up, "coordinator").is_empty());
        if store == "sled" {
            let log = read(&up, "N1/log");
            assert_eq!(log["store"], "sled");
            assert_eq!(log["last_sequence"], page["seq"]);
            let counted: u64 = log["trees"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tree| tree["entries"].as_u64().unwrap())
                .sum();
            assert_eq!(counted, u64::try_from(found.len()).unwrap(), "{log:#}");
        }
        act(&up, "all", "start");
        assert_eq!(up.balance("N1/A"), 990);
        up.stop();
    }
}

#[test]
fn stores_are_named_by_their_processes_and_nothing_else() {
    let dir = temp();
    fs::write(dir.path().join("secret_state.json"), "{}").unwrap();
    let mut up = Up::start(dir.path(), &[]);
    for owner in [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fsecret",
        "secret",
        "N1%00",
        "N1%2f..%2fN2",
        "node_N1",
        "N9",
    ] {
        for what in ["state", "log"] {
            let path = format!("/v1/control/stores/{owner}/{what}");
            get(&up.http(), &path).problem(404, "not_found");
        }
    }
    for query in ["before=x", "before=1:-1", "limit=x"] {
        let path = format!("/v1/control/stores/N1/log?{query}");
        get(&up.http(), &path).problem(400, "bad_query");
    }
    get(&up.http(), "/v1/control/stores/N1/log?txn=..%2fx").problem(400, "bad_request");
    up.stop();
}
