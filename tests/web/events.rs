//! Does whoever listens hear what happens, and whoever asks later what happened?

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use client::Target;
use cluster::story::CoordinatorPoint;
use serde_json::{Value, json};

use crate::http::Listener;
use crate::world::{World, hasty};

const TRANSFER: &str = r#"{"from":"N1/A","to":"N2/B","amount":10}"#;

fn transfer(world: &World) -> String {
    let paid = world.http.post("/v1/transactions", TRANSFER).is_ok();
    paid["txn"].as_str().unwrap().to_owned()
}

/// What is told of a transaction, up to its end everywhere. On a busy machine one process may be heard late.
fn story(listener: &mut Listener, txn: &str) -> Vec<Value> {
    let mut story: Vec<Value> = Vec::new();
    let mut ends = BTreeSet::from([("N1", "ack"), ("N2", "ack"), ("coordinator", "COMPLETE")]);
    while !ends.is_empty() {
        let event = listener.until("sight", |event| event["txn"] == txn);
        ends.retain(|(process, kind)| event["process"] != *process || event["kind"] != *kind);
        story.push(event);
    }
    story
}

/// Where in the story that is; a message to or from N2 is another one.
fn place(story: &[Value], process: &str, what: &str, kind: &str) -> usize {
    let is = |event: &Value| {
        event["process"] == process && event["what"] == what && event["kind"] == kind && event["peer"] != "N2"
    };
    let found = story.iter().position(is);
    found.unwrap_or_else(|| panic!("{process} {what} {kind} is missing: {story:#?}"))
}

#[test]
fn whoever_listens_hears_what_happens_in_order() {
    let world = World::new();
    let before = transfer(&world);
    let mut listener = world.http.listen("/v1/events");
    // Counters come once all are followed.
    listener.until("numbers", |numbers| numbers["sync_us"]["N2"].is_object());
    let txn = transfer(&world);
    let mut story = story(&mut listener, &txn);
    let numbers: Vec<u64> = story.iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    story.sort_by_key(|event| event["at_us"].as_u64());
    let order = [
        place(&story, "coordinator", "received", "submit"),
        place(&story, "coordinator", "recorded", "START"),
        place(&story, "coordinator", "sent", "prepare"),
        place(&story, "N1", "received", "prepare"),
        place(&story, "N1", "recorded", "prepare_ok"),
        place(&story, "N1", "sent", "vote"),
        place(&story, "coordinator", "received", "vote"),
        place(&story, "coordinator", "recorded", "COMMIT"),
        place(&story, "coordinator", "sent", "commit"),
        place(&story, "N1", "received", "commit"),
    ];
    assert!(order.is_sorted(), "{order:?}: {story:#?}");
    assert_eq!(story[order[2]]["peer"], "N1");
    let synced = story.iter().find(|event| event["what"] == "synced").unwrap();
    assert!(synced["took_us"].is_u64() && synced["seq"].is_u64(), "{synced}");
    let green = listener.until("audit", |badge| badge["state"] != "grey");
    assert_eq!(
        (&green["state"], &green["text"]),
        (&json!("green"), &json!("Money conserved: 2000 = 2000"))
    );

    // Only who wants it is told what happened before.
    let mut late = world.http.listen("/v1/events?replay=1");
    let replayed = self::story(&mut late, &before);
    place(&replayed, "N2", "received", "prepare");
    let mut other = world.http.listen("/v1/events?replay=0");
    let txn = transfer(&world);
    let first = other.until("sight", |_| true);
    assert_eq!(first["txn"], txn);
}

#[test]
fn a_process_that_was_killed_is_followed_again_and_nothing_is_told_twice() {
    let mut world = World::new();
    let mut listener = world.http.listen("/v1/events?replay=1");
    let mut seen = BTreeSet::new();
    let mut told = |event: &Value| {
        let same = format!("{} {} {}", event["process"], event["at_us"], event["line"]);
        assert!(seen.insert(same), "told twice: {event}");
    };
    let txn = transfer(&world);
    story(&mut listener, &txn).iter().for_each(&mut told);
    for target in [Target::Coordinator, Target::Node("N1".parse().unwrap())] {
        world.cluster.kill9(target);
        world.cluster.restart(target).unwrap();
        let txn = until_committed(&world);
        // What it saw before it was followed again is told then.
        let name = cluster::name(target);
        loop {
            let event = listener.until("sight", |_| true);
            told(&event);
            if event["txn"] == txn && event["process"] == name {
                break;
            }
        }
    }
}

/// Sends it until it commits: a node may not be back yet.
fn until_committed(world: &World) -> String {
    let began = Instant::now();
    loop {
        let answer = world.http.post("/v1/transactions", TRANSFER);
        if answer.status == 200 {
            return answer.json()["txn"].as_str().unwrap().to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answer:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_badge_is_grey_and_never_red_while_nobody_can_tell() {
    let mut world = World::with(|site| site.client = hasty(&site.client));
    let mut listener = world.http.listen("/v1/events");
    listener.until("audit", |badge| badge["state"] == "green");
    world.kill_coordinator();
    let grey = listener.until("audit", |badge| badge["state"] != "green");
    assert_eq!(grey["state"], "grey");
    let text = grey["text"].as_str().unwrap();
    assert!(
        text.starts_with("Money conserved: 2000 = 2000 when it was last seen"),
        "{text}"
    );
    world.restart_coordinator();
    let again = listener.until("audit", |badge| badge["state"] != "grey");
    assert_eq!(again["state"], "green");
}

#[test]
fn what_is_in_doubt_is_counted_and_its_receipt_says_so() {
    let mut world = World::with(|site| site.client = hasty(&site.client));
    // So that the server has seen where the nodes are.
    assert!(metric(&world, "twopence_up{process=\"N2\"}") > 0.0);
    let mut listener = world.http.listen("/v1/events");
    listener.until("numbers", |numbers| numbers["sync_us"]["N2"].is_object());
    let (point, _) = CoordinatorPoint::BeforeCommit.failpoint();
    let armed = world
        .cluster
        .client()
        .arm(Target::Coordinator, &format!("{point}=kill"));
    armed.unwrap();
    let sent = world.http.post_with_key("/v1/transactions", "doubt", TRANSFER);
    let problem = sent.is_problem(504, "outcome_unknown");
    assert_eq!(
        (&problem["money_moved"], &problem["outcome"]),
        (&json!("unknown"), &json!("unknown"))
    );
    let id = problem["request_id"].as_str().unwrap();
    assert!(problem["next"].as_str().unwrap().contains(id), "{problem}");

    let voted = listener.until("sight", |event| {
        event["process"] == "N1" && event["kind"] == "prepare_ok"
    });
    let txn = voted["txn"].as_str().unwrap();
    let began = Instant::now();
    while metric(&world, "twopence_oldest_in_doubt_seconds{process=\"N1\"}") == 0.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is in doubt");
    }
    assert_eq!(metric(&world, "twopence_up{process=\"coordinator\"}"), 0.0);
    let receipt = world.http.get(&format!("/v1/transactions/{txn}/receipt")).is_ok();
    assert_eq!(
        (&receipt["outcome"], &receipt["complete"]),
        (&json!("open"), &json!(false))
    );
    assert!(
        receipt["note"].as_str().unwrap().contains("coordinator"),
        "{receipt}"
    );

    world.restart_coordinator();
    let began = Instant::now();
    let outcome = loop {
        let again = world.http.post_with_key("/v1/transactions", "doubt", TRANSFER);
        let outcome = again.json()["outcome"].as_str().unwrap_or_default().to_owned();
        if ["committed", "aborted"].contains(&outcome.as_str()) {
            break outcome;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{again:?}");
    };
    // It ran once at most, and either answer is one that recovery may give.
    let moved = if outcome == "committed" { 10 } else { 0 };
    assert_eq!(world.balance("N2/B"), 1000 + moved);
}

#[test]
fn a_receipt_tells_all_that_happened_to_one_transaction() {
    let world = World::new();
    let paid = world
        .http
        .post_with_key("/v1/transactions", "order 7", TRANSFER)
        .is_ok();
    let (txn, request) = (
        paid["txn"].as_str().unwrap(),
        paid["request_id"].as_str().unwrap(),
    );
    let receipt = |id: &str| world.http.get(&format!("/v1/transactions/{id}/receipt")).is_ok();
    let began = Instant::now();
    // The last acknowledgement may still be on its way.
    while !receipt(txn)["events"]
        .as_array()
        .unwrap()
        .iter()
        .any(|event| event["kind"] == "COMPLETE")
    {
        assert!(began.elapsed() < Duration::from_secs(60), "it never completes");
    }
    let told = receipt(txn);
    assert_eq!(told["outcome"], "committed");
    assert_eq!(
        (&told["txn"], &told["request_id"]),
        (&json!(txn), &json!(request))
    );
    assert_eq!((&told["complete"], &told["note"]), (&json!(true), &Value::Null));
    let legs = json!([{"node":"N1","account":"A","delta":-10},{"node":"N2","account":"B","delta":10}]);
    assert_eq!(told["legs"], legs);
    // By now its COMPLETE may have been synced, too.
    let by_request = receipt(request)["events"].take();
    let events = told["events"].as_array().unwrap();
    assert!(
        by_request.as_array().unwrap().starts_with(events),
        "{by_request:#}"
    );

    let refused = world
        .http
        .post("/v1/transactions", &TRANSFER.replace("10", "5000"));
    let refused = refused.is_problem(422, "insufficient_funds");
    let told = receipt(refused["txn"].as_str().unwrap());
    assert_eq!(
        (&told["outcome"], &told["reason"]),
        (&json!("aborted"), &json!("insufficient_funds_on_A"))
    );
    let nothing = world.http.get("/v1/transactions/1-1-1/receipt");
    nothing.is_problem(404, "no_such_transaction");
}

#[test]
fn while_nobody_listens_nobody_watches_and_who_comes_back_is_told_everything_once() {
    let world = World::new();
    let address = world.cluster.address(Target::Node("N1".parse().unwrap()));
    let n1: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let before = connections_to(n1);
    let first = transfer(&world);
    let mut listener = world.http.listen("/v1/events?replay=1");
    let once = story(&mut listener, &first);
    assert!(connections_to(n1) > before);
    drop(listener);
    let began = Instant::now();
    while connections_to(n1) > before {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "somebody still watches"
        );
        thread::sleep(Duration::from_millis(20));
    }

    let meanwhile = transfer(&world);
    let mut listener = world.http.listen("/v1/events?replay=1");
    let mut again = Vec::new();
    // The end of what happened meanwhile is behind anything that might be told twice.
    loop {
        let event = listener.until("sight", |_| true);
        let last = event["txn"] == meanwhile && event["kind"] == "COMPLETE";
        again.push(event);
        if last {
            break;
        }
    }
    again.retain(|event| event["txn"] == first);
    // Its COMPLETE may have been synced after the first listener had gone.
    assert!(again.starts_with(&once), "{once:#?} became {again:#?}");
    let distinct: BTreeSet<String> = again
        .iter()
        .map(|event| format!("{} {} {}", event["process"], event["at_us"], event["line"]))
        .collect();
    assert_eq!(distinct.len(), again.len(), "told twice: {again:#?}");
}

/// Connections that a process has accepted on that port of 127.0.0.1.
fn connections_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!("0100007F:{port:04X}");
    let rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1] == local && row[3] == ESTABLISHED)
        .count()
}

#[test]
fn a_stopped_server_ends_its_streams() {
    let mut world = World::new();
    let mut listener = world.http.listen("/v1/events");
    listener.until("audit", |_| true);
    world.stop_server();
    while listener.next().is_some() {}
}

#[test]
fn metrics_count_what_every_process_does() {
    let world = World::new();
    transfer(&world);
    let page = world.http.get("/metrics");
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for (series, value) in [
        ("twopence_up{process=\"coordinator\"}", 1.0),
        ("twopence_up{process=\"N1\"}", 1.0),
        // Two deposits and a transfer.
        ("twopence_committed_total{process=\"coordinator\"}", 3.0),
        ("twopence_in_doubt_transactions{process=\"coordinator\"}", 0.0),
        ("twopence_decision_seconds_count{process=\"coordinator\"}", 3.0),
    ] {
        assert_eq!(metric(&world, series), value, "{series}");
    }
    world
        .http
        .post("/v1/transactions", &TRANSFER.replace("10", "5000"))
        .is_problem(422, "insufficient_funds");
    let aborted = "twopence_aborted_total{process=\"coordinator\",reason=\"insufficient_funds\"}";
    assert_eq!(metric(&world, aborted), 1.0);
}

/// The value of one series; 0 if it is not there.
fn metric(world: &World, series: &str) -> f64 {
    let page = world.http.get("/metrics");
    assert_eq!(page.status, 200, "{page:?}");
    let line = page.text.lines().find(|line| line.starts_with(series));
    line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}
