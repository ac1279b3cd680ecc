//! Does money move as asked, at most once, and does every answer say so?

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Http;
use crate::world::{World, hasty};

const TRANSFER: &str = r#"{"from":"N1/A","to":"N2/B","amount":10}"#;

fn balance(http: Http, place: &str) -> Value {
    http.get(&format!("/v1/accounts/{place}")).is_ok()["balance"].take()
}

#[test]
fn the_same_key_twice_moves_money_once_and_another_body_is_refused() {
    let world = World::new();
    let pay = |key, body| world.http.post_with_key("/v1/transactions", key, body);
    let first = pay("order 7", TRANSFER).is_ok();
    assert_eq!(
        (&first["outcome"], &first["success"]),
        (&json!("committed"), &json!(true))
    );
    assert_eq!(pay("order 7", TRANSFER).is_ok(), first);
    // The same as legs, which is how it is remembered.
    let legs = r#"{"legs":[{"node":"N2","account":"B","delta":10},{"node":"N1","account":"A","delta":-10}]}"#;
    assert_eq!(pay("\"order 7\"", legs).is_ok(), first);
    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (990, 1010));

    let other = TRANSFER.replace("10", "11");
    let reused = pay("order 7", &other).is_problem(422, "idempotency_key_reused");
    assert_eq!(
        (&reused["money_moved"], &reused["outcome"]),
        (&json!("no"), &json!("reused"))
    );
    assert_eq!(world.balance("N1/A"), 990);
    // Its id is good on the command line and in paths.
    let id = first["request_id"].as_str().unwrap();
    let shown = world.http.get(&format!("/v1/transactions/{id}")).is_ok();
    assert_eq!(shown["txn"], first["txn"]);
    // Deposits have keys too.
    let deposit = || {
        world
            .http
            .post_with_key("/v1/deposits", "pay day", r#"{"account":"N1/A","amount":5}"#)
    };
    assert_eq!(deposit().is_ok(), deposit().is_ok());
    assert_eq!(world.balance("N1/A"), 995);
}

#[test]
fn aborts_say_why_that_no_money_moved_and_what_to_do() {
    let world = World::new();
    let pay = |body: &str| world.http.post("/v1/transactions", body);
    for (body, status, code, next) in [
        (
            r#"{"from":"N1/A","to":"N2/B","amount":1001}"#,
            422,
            "insufficient_funds",
            "GET /v1/accounts/N1/A",
        ),
        (
            r#"{"from":"N1/A","to":"N2/Z","amount":1}"#,
            422,
            "unknown_account",
            "POST /v1/deposits for N2/Z",
        ),
        (
            r#"{"from":"N1/A","to":"N9/B","amount":1}"#,
            422,
            "unknown_node",
            "GET /v1/status",
        ),
    ] {
        let problem = pay(body).is_problem(status, code);
        assert_eq!(
            (&problem["outcome"], &problem["money_moved"]),
            (&json!("aborted"), &json!("no"))
        );
        assert_eq!(problem["retryable"], json!(false));
        let (detail, advice) = (
            problem["detail"].as_str().unwrap(),
            problem["next"].as_str().unwrap(),
        );
        assert!(
            detail.starts_with("Aborted: ") && detail.ends_with("No money moved."),
            "{detail}"
        );
        assert!(advice.contains(next), "{advice}");
    }
    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (1000, 1000));
}

#[test]
fn nonsense_is_refused_before_anything_is_sent() {
    let world = World::new();
    let pay = |body: &str| world.http.post("/v1/transactions", body);
    let many = |count: usize| {
        let legs = vec![r#"{"node":"N1","account":"A","delta":1}"#; count].join(",");
        format!(r#"{{"legs":[{legs}]}}"#)
    };
    for (body, status, code) in [
        ("", 400, "bad_json"),
        ("{", 400, "bad_json"),
        ("[]", 400, "bad_json"),
        (r#"{"from":"N1/A","to":"N2/B","amount":"10"}"#, 400, "bad_json"),
        (r#"{"from":"N1/A","to":"N2/B","amount":1.5}"#, 400, "bad_json"),
        (r#"{"from":"N1/A","to":"N2/B","amount":1,"x":1}"#, 400, "bad_json"),
        (
            r#"{"from":"N1/A","to":"N2/B","amount":1,"amount":2}"#,
            400,
            "bad_json",
        ),
        (
            r#"{"from":"N1/A","to":"N2/B","amount":99999999999999999999}"#,
            400,
            "bad_json",
        ),
        (r#"{"from":"N1/@world","to":"N2/B","amount":1}"#, 400, "bad_name"),
        (r#"{"from":"N1/A","to":"N1/A","amount":1}"#, 422, "bad_order"),
        (r#"{"from":"N1/A","to":"N2/B","amount":0}"#, 422, "bad_order"),
        (&many(1), 422, "bad_order"),
        (&many(257), 422, "bad_order"),
        (&many(5000), 413, "too_large"),
    ] {
        let problem = pay(body).is_problem(status, code);
        assert_eq!(problem["money_moved"], "no");
    }
    let (keys, long) = (world.http, "k".repeat(256));
    keys.post_with_key("/v1/transactions", &long, TRANSFER)
        .is_problem(400, "bad_idempotency_key");
    for (path, status, code) in [
        ("/v1/accounts/N_1/A", 400, "bad_name"),
        ("/v1/accounts/N1/%2e%2e", 400, "bad_name"),
        ("/v1/accounts/N1/%FF", 400, "bad_name"),
        ("/v1/accounts/N9/A", 404, "no_such_node"),
        ("/v1/accounts/N1/Z", 404, "no_such_account"),
        ("/v1/nodes/N9/accounts", 404, "no_such_node"),
        ("/v1/nodes/N1/accounts?limit=0", 400, "bad_query"),
        ("/v1/nodes/N1/accounts?limit=x", 400, "bad_query"),
        ("/v1/nodes/N1/accounts?after=@world", 400, "bad_name"),
        ("/v1/transactions?in_doubt=7", 400, "bad_query"),
        ("/v1/transactions/xyz", 400, "bad_name"),
        ("/v1/transactions/1-1-1", 404, "no_such_transaction"),
        ("/v1", 404, "not_found"),
        ("/../Cargo.toml", 404, "not_found"),
        ("/v1/control/cluster", 404, "not_found"),
    ] {
        world.http.get(path).is_problem(status, code);
    }
    let refused = world.http.post("/v1/status", "{}");
    refused.is_problem(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (1000, 1000));
}

#[test]
fn questions_tell_what_the_command_line_tells() {
    let world = World::new();
    for account in ["B", "C", "D"] {
        let body = format!(r#"{{"account":"N1/{account}","amount":7}}"#);
        world.http.post("/v1/deposits", &body).is_ok();
    }
    let accounts = |query: &str| {
        let page = world.http.get(&format!("/v1/nodes/N1/accounts{query}")).is_ok();
        let names: Vec<String> = page["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["account"].as_str().unwrap().to_owned())
            .collect();
        (names.concat(), page["more"].as_bool().unwrap())
    };
    assert_eq!(accounts(""), ("ABCD".to_owned(), false));
    assert_eq!(accounts("?limit=2"), ("AB".to_owned(), true));
    assert_eq!(accounts("?limit=2&after=B"), ("CD".to_owned(), false));
    assert_eq!(balance(world.http, "N1/D"), 7);
    let audit = world.http.get("/v1/audit").is_ok();
    assert_eq!(
        (&audit["outcome"], &audit["in_accounts"]),
        (&json!("exact"), &json!(2021))
    );
    let said = audit["message"].as_str().unwrap();
    assert!(said.starts_with("Money conserved: 2021 = 2021"), "{said}");
    let status = world.http.get("/v1/status").is_ok();
    let nodes = status["coordinators"][0]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    assert!(nodes.iter().all(|node| node["state"] == "up"), "{status}");
    assert_eq!(
        world.http.get("/v1/transactions").is_ok(),
        json!({"transactions": []})
    );
    let nothing = world.http.post(
        "/v1/transactions/1-1-1/resolve",
        r#"{"outcome":"abort","reason":"test"}"#,
    );
    nothing.is_problem(409, "not_resolved");
}

#[test]
fn many_requests_at_once_are_all_answered_and_all_the_money_is_there() {
    let world = World::new();
    for from in 0..64 {
        let body = format!(r#"{{"account":"N1/F{from}","amount":10}}"#);
        world.http.post("/v1/deposits", &body).is_ok();
    }
    let http = world.http;
    let pay = |from: usize| {
        let body = format!(r#"{{"from":"N1/F{from}","to":"N2/B","amount":1}}"#);
        move || {
            for attempt in 0.. {
                let key = format!("{from} {attempt}");
                let answer = http.post_with_key("/v1/transactions", &key, &body);
                match answer.status {
                    200 => return,
                    // All pay the same account, and whoever holds it makes the others abort.
                    409 => assert_eq!(answer.json()["retryable"], true, "{answer:?}"),
                    _ => panic!("{answer:?}"),
                }
            }
        }
    };
    let threads: Vec<_> = (0..64).map(|from| thread::spawn(pay(from))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(world.balance("N2/B"), 1064);
    assert_eq!(world.http.get("/v1/audit").is_ok()["outcome"], "exact");
}

#[test]
fn without_a_coordinator_nothing_is_sent_and_its_return_is_noticed() {
    let mut world = World::with(|site| site.client = hasty(&site.client));
    until_committed(world.http, "before");
    world.kill_coordinator();
    let sent = world.http.post("/v1/transactions", TRANSFER);
    let problem = sent.is_problem(503, "no_coordinator");
    assert_eq!(
        (&problem["money_moved"], &problem["outcome"]),
        (&json!("no"), &json!("not_sent"))
    );
    assert_eq!(sent.header("retry-after"), Some("1"));
    // With a key it may have been sent before.
    let sent = world.http.post_with_key("/v1/transactions", "k", TRANSFER);
    let problem = sent.is_problem(503, "no_coordinator");
    assert_eq!(problem["money_moved"], "unknown");
    assert!(
        problem["next"]
            .as_str()
            .unwrap()
            .contains("with the same Idempotency-Key")
    );
    world.http.get("/v1/audit").is_problem(503, "no_coordinator");
    world.http.get("/healthz");
    world.restart_coordinator();
    until_committed(world.http, "k");
    assert_eq!(world.balance("N1/A"), 980);
}

/// Sends the same again and again, as a program would whose clients give up soon.
fn until_committed(http: Http, key: &str) {
    let began = Instant::now();
    while http.post_with_key("/v1/transactions", key, TRANSFER).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "it was not noticed");
    }
}

#[test]
fn answers_come_fast() {
    let world = World::new();
    for path in ["/", "/v1/accounts/N1/A", "/v1/status"] {
        let fastest = (0..30).map(|_| {
            let began = Instant::now();
            assert_eq!(world.http.get(path).status, 200);
            began.elapsed()
        });
        let fastest = fastest.min().unwrap();
        assert!(fastest <= Duration::from_millis(20), "{path}: {fastest:?}");
    }
}

#[test]
fn a_server_that_is_stopped_lets_go_of_its_port() {
    let mut world = World::new();
    world.stop_server();
    assert!(std::net::TcpStream::connect(world.http.0).is_err());
    drop(web::Bound::to(world.http.0).unwrap());
}
