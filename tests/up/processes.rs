//! The processes as the panel shows them and orders them about.

use serde_json::{Value, json};

use crate::http::{get, post};
use crate::running::{Up, eventually};
use crate::temp;

fn state(up: &Up, name: &str) -> Value {
    let cluster = get(&up.http(), "/v1/control/cluster").ok();
    if name == "coordinator" {
        return cluster["coordinator"].clone();
    }
    let nodes = cluster["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).unwrap().clone()
}

fn act(up: &Up, name: &str, action: &str) -> crate::http::Got {
    post(
        &up.http(),
        &format!("/v1/control/processes/{name}/{action}"),
        &json!({}),
    )
}

#[test]
fn the_panel_tells_and_changes_how_each_process_is() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let cluster = get(&up.http(), "/v1/control/cluster").ok();
    assert_eq!(cluster["store"], "json");
    assert_eq!(cluster["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(cluster["data_dir"], dir.path().to_str().unwrap());
    assert_eq!(
        state(&up, "N2")["pid"],
        up.pid("N2").unwrap(),
        "it is the process that runs"
    );

    act(&up, "N2", "freeze").ok();
    assert_eq!(state(&up, "N2")["state"], "frozen");
    let detail = act(&up, "N2", "freeze").problem(409, "not_now");
    assert_eq!(detail, "N2 is frozen already.");
    act(&up, "N2", "thaw").ok();
    act(&up, "coordinator", "restart").ok();
    assert_eq!(
        act(&up, "N1", "start").problem(409, "not_now"),
        "N1 runs already: it is running."
    );

    act(&up, "N1", "stop").ok();
    assert_eq!(state(&up, "N1")["state"], "stopped");
    act(&up, "N1", "kill").problem(409, "not_now");
    assert_eq!(act(&up, "N1", "start").ok()["processes"][0]["state"], "running");

    act(&up, "all", "stop").ok();
    assert!(up.pid("N1").is_none() && up.pid("coordinator").is_none());
    act(&up, "all", "start").ok();
    assert_eq!((up.balance("N1/A"), up.balance("N2/B")), (1000, 1000));

    // Also what stands still goes when everything goes.
    act(&up, "N2", "freeze").ok();
    let (code, said) = up.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("Stopped cleanly."), "{said}");
    assert!(up.pid("N2").is_none());
}

#[test]
fn a_kill_from_outside_shows_and_ends_as_the_panel_says() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let switch = |on: bool| {
        post(&up.http(), "/v1/control/auto_restart", &json!({ "on": on })).ok();
    };
    switch(false);
    up.kill_child("N1");
    eventually("the end shows", || state(&up, "N1")["state"] == "ended");
    assert_eq!(state(&up, "N1")["why"], "was killed (SIGKILL)");
    assert_eq!(state(&up, "N1")["pid"], Value::Null);
    up.wait_for("N1 was killed (SIGKILL). It stays down until somebody starts it");
    switch(true);
    eventually("it comes back", || state(&up, "N1")["state"] == "running");
    up.wait_for("N1 is back.");
    up.stop();
}

#[test]
fn a_new_cluster_takes_the_place_of_the_old_one_if_that_may_be_erased() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    let renew = |shape: &Value| post(&up.http(), "/v1/control/cluster", shape);
    renew(&json!({"nodes": 3})).problem(409, "would_erase");
    renew(&json!({"nodes": 65, "erase": true})).problem(400, "bad_request");
    renew(&json!({"store": "paper", "erase": true})).problem(400, "bad_request");
    renew(&json!({"nodess": 3, "erase": true})).problem(400, "bad_json");
    let http: u16 = up
        .http()
        .trim_end_matches('/')
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let detail = renew(&json!({"coord_port": http, "erase": true})).problem(400, "bad_request");
    assert!(detail.contains("already in use"), "{detail}");
    assert_eq!(up.balance("N1/A"), 990, "what was refused has changed nothing");

    let renewed = renew(&json!({"nodes": 3, "store": "sled", "locking": "escrow", "erase": true})).ok();
    assert_eq!(renewed["opened"], json!(["N1/A", "N2/B", "N3/C"]));
    assert_eq!(
        (&renewed["store"], &renewed["locking"]),
        (&json!("sled"), &json!("escrow"))
    );
    assert_eq!((up.balance("N1/A"), up.balance("N3/C")), (1000, 1000));
    up.client(&["audit"]);

    // On other ports, and one node less than before. Another test may take a port first: then it is tried again.
    let (ports, renewed) = loop {
        let ports = Up::ports().flags();
        let shape = json!({
            "nodes": 1,
            "coord_port": ports[1].parse::<u16>().unwrap(),
            "base_port": ports[3].parse::<u16>().unwrap(),
            "erase": true,
        });
        let got = renew(&shape);
        if !got.text.contains("already in use") {
            break (ports, got.ok());
        }
    };
    assert_eq!(renewed["store"], "sled", "what is not said stays");
    assert_eq!(renewed["coordinator"]["port"].to_string(), ports[1], "{renewed}");
    assert_eq!(state(&up, "coordinator")["state"], "running");
    act(&up, "N2", "start").problem(404, "not_found");
    up.stop();
}

#[test]
fn names_of_processes_are_names_and_never_paths() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    for name in ["..%2f..%2fetc%2fpasswd", "N9", "%2e%2e", "coordinator.lock", "n1"] {
        act(&up, name, "kill").problem(404, "not_found");
    }
    act(&up, "N1", "eat").problem(404, "not_found");
    act(&up, "all", "kill").problem(400, "bad_request");
    up.stop();
}

#[test]
fn what_the_processes_log_is_read_in_one_place() {
    let dir = temp();
    let mut up = Up::start(dir.path(), &[]);
    let serves = |line: &Value| line["line"].as_str().unwrap().contains("serves on");
    let read = |query: &str| get(&up.http(), &format!("/v1/control/logs{query}")).ok();
    let all = read("?contains=serves%20on");
    let lines = all["lines"].as_array().unwrap();
    assert!(lines.len() == 3 && lines.iter().all(serves), "{all}");
    let last = all["last"].as_u64().unwrap();

    up.client(&["transfer", "N1/A", "N2/B", "10"]);
    let committed = |process: &str| {
        read(&format!("?after={last}&process={process}&contains=append"))["lines"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["line"].as_str().unwrap().to_lowercase().contains("commit"))
    };
    eventually("the coordinator's COMMIT", || committed("coordinator"));
    eventually("the node's commit", || committed("N2"));
    let text = get(&up.http(), "/v1/control/logs/download").text;
    assert!(text.contains("N1          | "), "{text}");
    get(&up.http(), "/v1/control/logs?after=x").problem(400, "bad_query");
    up.stop();
}
