//! The panel's scenarios on a live cluster: whatever dies, the verdict says why it came out as it did, everything runs
//! again, and all the money is there.

use serde_json::{Value, json};

use crate::http::{Got, get, post};
use crate::running::{Up, twopence};
use crate::temp;

/// A cluster of three that scenarios are played on.
struct Played(Up, tempfile::TempDir);

impl Played {
    fn start(more: &[&str]) -> Played {
        let dir = temp();
        let up = Up::start(dir.path(), &[&["--nodes", "3"], more].concat());
        Played(up, dir)
    }

    fn send(&self, scenario: &Value) -> Got {
        post(&self.0.http(), "/v1/control/scenarios", scenario)
    }

    /// Plays one that must come out well. Returns its verdict and its transactions.
    #[track_caller]
    fn play(&self, scenario: &Value) -> (Value, Value) {
        let before = self.balances();
        let told = self.send(scenario).ok();
        let verdict = &told["verdict"];
        assert_eq!(verdict["ok"], true, "{scenario}: {told:#}");
        assert_eq!(verdict["conserved"], "3000 = 3000", "{told:#}");
        let cluster = get(&self.0.http(), "/v1/control/cluster").ok();
        let nodes = cluster["nodes"].as_array().unwrap();
        for process in nodes.iter().chain([&cluster["coordinator"]]) {
            assert_eq!(process["state"], "running", "{scenario}: {process}");
        }
        // What the clients' outcomes add up to is what the accounts show.
        let after = self.balances();
        assert_eq!(after.iter().sum::<i64>(), 3000, "{before:?} {after:?} {told:#}");
        (verdict.clone(), told["transactions"].clone())
    }

    fn balances(&self) -> [i64; 3] {
        ["N1/A", "N2/B", "N3/C"].map(|place| self.0.balance(place))
    }

    fn end(mut self) {
        let audit = twopence(&["audit", "--coord", &self.0.coordinator]);
        assert!(audit.status.success(), "{}{}", audit.stdout, audit.stderr);
        assert_eq!(self.0.stop().0, Some(0));
        let verified = twopence(&["verify", self.1.path().to_str().unwrap()]);
        assert!(
            verified.status.success(),
            "{}{}",
            verified.stdout,
            verified.stderr
        );
    }
}

fn text(verdict: &Value) -> &str {
    verdict["text"].as_str().unwrap()
}

fn crash_the_coordinator_at_every_point(played: &Played) {
    for (at, delay_ms, commits) in [
        ("prepare", 0, false),
        ("PREPARE", 30, false),
        ("before_commit", 0, false),
        ("BEFORE_COMMIT", 30, false),
        ("after_commit", 0, true),
        ("AFTER_COMMIT", 30, true),
    ] {
        let [a, b, c] = played.balances();
        let (verdict, transactions) =
            played.play(&json!({"name": "crash_coordinator", "at": at, "delay_ms": delay_ms}));
        let told = text(&verdict);
        if commits {
            assert!(
                told.starts_with("COMMIT was on disk ")
                    && told.contains(" before the crash, so recovery committed it"),
                "{told}"
            );
            if delay_ms > 0 {
                let ms: u64 = told.split(' ').nth(4).unwrap().parse().unwrap();
                assert!(ms >= delay_ms, "{told}");
            }
        } else {
            assert!(told.contains("no money moved"), "{told}");
        }
        let moved = if commits { 50 } else { 0 };
        assert_eq!(played.balances(), [a - moved, b + moved, c], "{verdict:#}");
        let outcome = if commits { "committed" } else { "aborted" };
        assert_eq!(transactions[0]["outcome"], outcome, "{transactions:#}");
        let facts = verdict["facts"].to_string();
        assert!(facts.contains("The client was told nothing"), "{facts}");
    }
    // Wherever it is then.
    for delay_ms in [0, 1, 20] {
        played.play(&json!({"name": "crash_coordinator", "at": "none", "delay_ms": delay_ms}));
    }
}

fn crash_a_node_at_every_point(played: &Played) {
    for (at, delay_ms, commits) in [
        ("received.prepare", 0, false),
        ("sending.vote", 0, false),
        ("sent.vote", 0, true),
        ("sent.vote", 30, true),
        ("append.commit", 0, true),
        ("sending.ack", 0, true),
    ] {
        let [a, b, c] = played.balances();
        let (verdict, _) = played
            .play(&json!({"name": "crash_node", "node": "N2", "at": at, "delay_ms": delay_ms, "amount": 7}));
        let moved = if commits { 7 } else { 0 };
        assert_eq!(played.balances(), [a - moved, b + moved, c], "{verdict:#}");
        assert!(text(&verdict).contains("N2"), "{verdict:#}");
    }
    played.play(&json!({"name": "crash_node", "node": "N2", "delay_ms": 3}));
    let (verdict, _) = played.play(&json!({"name": "crash_node", "node": "N3"}));
    assert!(text(&verdict).starts_with("N3 takes no part"), "{verdict:#}");
    // To which it never comes: it is killed all the same.
    let (verdict, _) = played.play(&json!({"name": "crash_node", "node": "N1", "at": "received.abort"}));
    assert!(
        text(&verdict).starts_with("The transfer never came to received.abort"),
        "{verdict:#}"
    );
}

#[test]
fn a_coordinator_that_dies_at_any_point_finishes_what_it_had_decided() {
    let played = Played::start(&[]);
    crash_the_coordinator_at_every_point(&played);
    played.end();
}

#[test]
fn a_sled_coordinator_that_dies_at_any_point_finishes_what_it_had_decided() {
    let played = Played::start(&["--store", "sled"]);
    crash_the_coordinator_at_every_point(&played);
    played.end();
}

#[test]
fn a_node_that_dies_at_any_point_keeps_what_it_had_promised() {
    let played = Played::start(&[]);
    crash_a_node_at_every_point(&played);
    played.end();
}

#[test]
fn a_sled_node_that_dies_at_any_point_keeps_what_it_had_promised() {
    let played = Played::start(&["--store", "sled"]);
    crash_a_node_at_every_point(&played);
    played.end();
}

#[test]
fn a_step_of_the_diagram_is_where_a_process_can_be_made_to_die() {
    let played = Played::start(&[]);
    let legs = json!([
        {"node": "N1", "account": "A", "delta": -30},
        {"node": "N2", "account": "B", "delta": 10},
        {"node": "N3", "account": "C", "delta": 20},
    ]);
    for (process, what, kind, peer, commits) in [
        ("coordinator", "sent", "prepare", Some("N2"), false),
        ("coordinator", "synced", "COMMIT", None, true),
        ("coordinator", "sent", "commit", Some("N3"), true),
        ("N3", "recorded", "prepare_ok", None, false),
        ("N3", "received", "commit", Some("coordinator"), true),
    ] {
        let [a, b, c] = played.balances();
        let (verdict, _) = played.play(&json!({
            "name": "die_here", "process": process, "what": what, "kind": kind, "peer": peer, "legs": legs,
        }));
        let expected = if commits {
            [a - 30, b + 10, c + 20]
        } else {
            [a, b, c]
        };
        assert_eq!(played.balances(), expected, "{verdict:#}");
    }
    // What one node does alone, it decides alone; a deposit brings money in.
    let deposit = json!([
        {"node": "N1", "account": "@world", "delta": -5},
        {"node": "N1", "account": "A", "delta": 5},
    ]);
    for (process, what, kind, commits) in [
        ("coordinator", "sent", "execute", true),
        ("N1", "synced", "commit_one_phase", true),
        ("N1", "received", "execute", false),
    ] {
        let before = played.0.balance("N1/A");
        let told = played
            .send(
                &json!({"name": "die_here", "process": process, "what": what, "kind": kind, "legs": deposit}),
            )
            .ok();
        assert_eq!(told["verdict"]["ok"], true, "{told:#}");
        let came = if told["transactions"][0]["outcome"] == "committed" {
            5
        } else {
            0
        };
        assert_eq!(played.0.balance("N1/A"), before + came, "{told:#}");
        assert!(!commits || came == 5, "{told:#}");
    }
    let client = json!({"name": "die_here", "process": "client", "what": "sent", "kind": "submit"});
    played.send(&client).problem(400, "bad_request");
    played.end();
}

#[test]
fn three_transfers_at_once_all_commit_and_a_repeated_one_does_so_each_time() {
    let played = Played::start(&[]);
    played.play(&json!({"name": "concurrent"}));
    assert_eq!(played.balances(), [1020, 1000, 980]);
    let (verdict, transactions) = played.play(&json!({"name": "repeat", "times": 5, "amount": 4}));
    assert!(text(&verdict).starts_with("5 of 5 committed"), "{verdict:#}");
    assert_eq!(transactions.as_array().unwrap().len(), 5);
    assert_eq!(played.balances(), [1000, 1020, 980]);
    played.end();
}

#[test]
fn of_two_transfers_that_want_one_account_the_second_aborts_or_waits_as_the_policy_says() {
    for (locking, both) in [("no-wait", false), ("wait", true), ("escrow", true)] {
        let played = Played::start(&["--locking", locking]);
        for _ in 0..3 {
            let [a, b, c] = played.balances();
            let (verdict, transactions) = played.play(&json!({"name": "conflict"}));
            let [first, second] = [&transactions[0], &transactions[1]];
            assert_eq!(first["outcome"], "committed", "{transactions:#}");
            if both {
                assert_eq!(second["outcome"], "committed", "{transactions:#}");
                assert_eq!(played.balances(), [a - 100, b - 50, c + 150]);
                assert!(text(&verdict).contains("both committed"), "{verdict:#}");
            } else {
                assert_eq!(second["reason"], "lock_contention_on_B", "{transactions:#}");
                assert_eq!(second["holder"], first["txn"], "{transactions:#}");
                assert_eq!(played.balances(), [a - 100, b + 100, c]);
            }
        }
        played.end();
    }
}

#[test]
fn what_cannot_be_played_is_refused_with_the_reason() {
    let played = Played::start(&[]);
    for (scenario, status, code) in [
        (json!({"name": "juggle"}), 400, "bad_json"),
        (json!({"name": "conflict", "more": 1}), 400, "bad_json"),
        (
            json!({"name": "crash_coordinator", "at": "later"}),
            400,
            "bad_request",
        ),
        (
            json!({"name": "crash_coordinator", "from": "N1/A", "to": "N1/B"}),
            400,
            "bad_request",
        ),
        (
            json!({"name": "crash_coordinator", "delay_ms": 10_001}),
            400,
            "bad_request",
        ),
        (
            json!({"name": "crash_coordinator", "amount": -1}),
            400,
            "bad_request",
        ),
        (json!({"name": "crash_node", "node": "N9"}), 404, "not_found"),
        (
            json!({"name": "crash_node", "node": "coordinator"}),
            400,
            "bad_request",
        ),
        (
            json!({"name": "crash_node", "node": "N1", "at": "append.COMMIT"}),
            400,
            "bad_request",
        ),
        (json!({"name": "repeat", "times": 0}), 400, "bad_request"),
    ] {
        played.send(&scenario).problem(status, code);
    }
    let failpoints = get(&played.0.http(), "/v1/control/failpoints").ok();
    let points = failpoints["failpoints"].as_array().unwrap();
    let vote = points.iter().find(|point| point["name"] == "sent.vote").unwrap();
    assert_eq!(vote["what"], "a node dies with its vote sent");
    assert!(points.iter().all(|point| point["what"] != ""), "{failpoints:#}");

    played.0.client(&["transfer", "N2/B", "N3/C", "990"]);
    let detail = played.send(&json!({"name": "conflict"})).problem(409, "not_now");
    assert_eq!(
        detail,
        "This scenario needs N2/B, and it has 10 and has to pay 150."
    );
    let frozen = post(&played.0.http(), "/v1/control/processes/N3/freeze", &json!({}));
    frozen.ok();
    let detail = played
        .send(&json!({"name": "concurrent"}))
        .problem(409, "not_now");
    assert_eq!(detail, "A scenario needs every process, and N3 is frozen.");
    post(&played.0.http(), "/v1/control/processes/N3/thaw", &json!({})).ok();
    played.end();
}

#[test]
fn one_scenario_is_played_at_a_time() {
    let played = Played::start(&[]);
    let long = json!({"name": "crash_coordinator", "at": "prepare", "delay_ms": 3000});
    std::thread::scope(|scope| {
        let first = scope.spawn(|| played.send(&long));
        crate::running::eventually("it stands still", || {
            get(&played.0.http(), "/v1/control/cluster").ok()["coordinator"]["state"] == "frozen"
        });
        let second = played.send(&json!({"name": "concurrent"})).problem(409, "busy");
        assert!(second.starts_with("a scenario is under way"), "{second}");
        assert_eq!(first.join().unwrap().ok()["verdict"]["ok"], true);
    });
    played.play(&json!({"name": "concurrent"}));
    played.end();
}
