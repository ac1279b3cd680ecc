//! `twopence bench` as a user runs it, briefly: real processes, and figures that fit together.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn bench(args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twopence"))
        .arg("bench")
        .args(args.split_whitespace())
        .args(["--dir", env!("CARGO_TARGET_TMPDIR")])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Measures for a second. Returns what was written as JSON, one value for each measurement.
fn measured(args: &str) -> Vec<Value> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let json = dir.path().join("results.json");
    let output = bench(&format!("--for 1s --warmup 1s {args} --json {}", json.display()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Audit      exact"), "{said}");
    let results: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let measurements = results["measurements"].as_array().unwrap().clone();
    for measured in &measurements {
        assert_eq!(measured["audit"]["verdict"], "exact", "{measured}");
        let committed = number(&measured["outcomes"]["committed"]);
        assert!(committed > 0.0, "{measured}");
        let per_second = number(&measured["per_second"]);
        assert!((per_second / committed * number(&measured["seconds"]) - 1.0).abs() < 1e-9);
        let latency = &measured["latency"];
        assert!(number(&latency["p50_ms"]) > 0.0, "{measured}");
        assert!(
            number(&latency["p50_ms"]) <= number(&latency["p99_ms"]),
            "{measured}"
        );
        let bars = measured["bars"].as_array().unwrap();
        let drawn: f64 = bars.iter().map(|bar| number(&bar["count"])).sum();
        assert_eq!(drawn, number(&latency["count"]), "every commit is drawn");
        assert!(number(&measured["calibration"]["p50_ms"]) > 0.0, "{measured}");
    }
    measurements
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The part of `measured` about one process.
fn process<'a>(measured: &'a Value, name: &str) -> &'a Value {
    let mut all = measured["processes"].as_array().unwrap().iter();
    all.find(|process| process["name"] == name).unwrap()
}

#[test]
fn each_store_is_measured_in_turn_with_what_it_costs() {
    let measurements = measured("--store json,sled --clients 8 --accounts 999");
    let stores: Vec<&Value> = measurements
        .iter()
        .map(|measured| &measured["setting"]["store"])
        .collect();
    assert_eq!(stores, ["json", "sled"]);
    for measured in &measurements {
        assert_eq!(
            number(&measured["latency"]["count"]),
            number(&measured["outcomes"]["committed"])
        );
        for name in ["coordinator", "N1", "N2", "N3"] {
            let store = &process(measured, name)["store"];
            assert!(number(&store["syncs"]) > 0.0, "{measured}");
            assert!(number(&store["records_per_sync"]) >= 1.0, "{measured}");
        }
        assert_eq!(process(measured, "bench")["store"], Value::Null);
        if cfg!(target_os = "linux") {
            assert!(
                number(&process(measured, "N1")["usage"]["memory_peak_mib"]) > 1.0,
                "{measured}"
            );
        }
    }
}

#[test]
fn a_fixed_rate_sends_no_more_than_was_asked_for() {
    let measurements = measured("--rate 200 --clients 4 --in-flight 4 --accounts 999 --legs 3");
    let committed = number(&measurements[0]["outcomes"]["committed"]);
    // A machine that was busy in the warm-up still has some of its requests to answer.
    assert!(committed <= 420.0, "{committed} commits in a second");
    assert_eq!(number(&measurements[0]["setting"]["rate"]), 200.0);
}

#[test]
fn a_hot_account_makes_transfers_abort_and_the_reasons_are_counted() {
    let measurements = measured("--dist hot:1 --clients 4 --in-flight 8 --accounts 999");
    let aborted = &measurements[0]["outcomes"]["aborted"];
    assert!(number(&aborted["lock_contention"]) > 0.0, "{aborted}");
}

#[test]
fn a_suite_restarts_nodes_starts_more_of_everything_and_draws_a_page() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (json, page) = (dir.path().join("results.json"), dir.path().join("page.html"));
    let files = format!("--json {} --report {}", json.display(), page.display());
    let output = bench(&format!(
        "--suite scale --accounts 1000 --for 1s --warmup 1s {files}"
    ));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let results: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let swept = |sweep: &str, what: &str| -> Vec<u64> {
        let all = results["measurements"].as_array().unwrap().iter();
        all.filter(|measured| measured["sweep"] == sweep)
            .map(|measured| measured["setting"][what].as_u64().unwrap())
            .collect()
    };
    assert_eq!(swept("accounts", "accounts"), [1000]);
    assert_eq!(swept("nodes", "nodes"), [3, 6, 12]);
    assert_eq!(swept("coordinators", "coordinators"), [1, 2, 4]);
    let restart = &results["recoveries"][0];
    assert!(
        number(&restart["takes_part_s"]) >= number(&restart["listens_s"]),
        "{restart}"
    );
    assert_eq!(restart["audit"]["verdict"], "exact", "{restart}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("<svg") && page.contains("Throughput against nodes"),
        "{page}"
    );
    for outside in ["http:", "https:", "<script", "src=", "NaN"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    for args in [
        "--dist zipf:-1",
        "--rate 0",
        "--store postgres",
        "--legs 1",
        "--clients 0",
        "--coord 127.0.0.1:1 --nodes 5",
    ] {
        let output = bench(args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", text(&output));
    }
}

#[test]
fn what_it_costs_to_be_watched_is_measured_in_pairs() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let json = dir.path().join("results.json");
    let output = bench(&format!(
        "--watched-pairs 2 --for 1s --warmup 1s --clients 2 --accounts 99 --json {}",
        json.display()
    ));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Medians: throughput "), "{said}");
    let results: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let watched = &results["watched"][0];
    let pairs = watched["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 2);
    for pair in pairs {
        for run in ["plain", "watched"] {
            let run = &pair[run];
            assert_eq!(run["audit"]["verdict"], "exact", "{watched}");
            assert!(
                number(&run["per_second"]) > 0.0 && number(&run["server_cpu_us_per_txn"]) > 0.0,
                "{watched}"
            );
        }
    }
    assert!(
        number(&watched["sights"]) > 0.0 && number(&watched["throughput_ratio"]) > 0.0,
        "{watched}"
    );
}
