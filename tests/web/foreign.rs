//! What can a page from elsewhere do, in a browser on the same machine? Nothing.

use crate::world::World;

const TRANSFER: &str = r#"{"from":"N1/A","to":"N2/B","amount":10}"#;
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn foreign_pages_move_no_money_and_read_no_balance() {
    let world = World::new();
    let pay = |headers: &[(&str, &str)], body| world.http.send("POST", "/v1/transactions", headers, body);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = pay(&[JSON, ("Origin", origin)], TRANSFER);
        refused.is_problem(403, "foreign_origin");
        assert_eq!(refused.header("access-control-allow-origin"), None);
        let read = world
            .http
            .send("GET", "/v1/accounts/N1/A", &[("Origin", origin)], "");
        read.is_problem(403, "foreign_origin");
        let asks_first = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type"),
        ];
        let asked = world.http.send("OPTIONS", "/v1/transactions", &asks_first, "");
        asked.is_problem(403, "foreign_origin");
        assert_eq!(asked.header("access-control-allow-origin"), None);
    }
    // A name of theirs that was made to point here.
    let port = world.http.0.port();
    let host = format!("evil.example:{port}");
    let origin = format!("http://{host}");
    let rebound = [JSON, ("Host", &host), ("Origin", &origin)];
    pay(&rebound, TRANSFER).is_problem(403, "foreign_host");
    let read = world
        .http
        .send("GET", "/v1/accounts/N1/A", &[("Host", &host)], "");
    read.is_problem(403, "foreign_host");
    // Forms need nobody's leave.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    pay(&form, "from=N1/A&to=N2/B&amount=10").is_problem(415, "not_json");
    pay(&[("Content-Type", "text/plain")], TRANSFER).is_problem(415, "not_json");
    pay(&[], TRANSFER).is_problem(415, "not_json");
    let picture = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")];
    let loaded = world.http.send("GET", "/v1/audit", &picture, "");
    loaded.is_problem(403, "foreign_origin");

    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (1000, 1000));
    // The same, as our own page and as a program would send it.
    let own = format!("http://{}", world.http.0);
    pay(
        &[JSON, ("Origin", &own), ("Sec-Fetch-Site", "same-origin")],
        TRANSFER,
    )
    .is_ok();
    pay(&[JSON], TRANSFER).is_ok();
    assert_eq!((world.balance("N1/A"), world.balance("N2/B")), (980, 1020));
}

#[test]
fn a_name_that_was_allowed_is_answered_to() {
    let world = World::with(|site| site.allow_hosts = vec!["bank.example".to_owned()]);
    let asked = [("Host", "bank.example"), ("Origin", "https://bank.example")];
    world.http.send("GET", "/v1/status", &asked, "").is_ok();
    let other = world
        .http
        .send("GET", "/v1/status", &[("Host", "bank.example.org")], "");
    other.is_problem(403, "foreign_host");
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::new();
    for path in ["/", "/main.js", "/v1/status", "/v1/nothing", "/healthz"] {
        let answer = world.http.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let cached = answer.header("cache-control");
        assert_eq!(
            cached,
            Some(if path.starts_with("/v1") || path == "/healthz" {
                "no-store"
            } else {
                "no-cache"
            })
        );
    }
}
