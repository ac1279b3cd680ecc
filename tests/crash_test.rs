//! `twopence crash-test` as a user runs it, briefly. That it can fail is for the unit tests of its judge, and for builds
//! with planted bugs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn crash_test() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    command
        .arg("crash-test")
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Some seconds of havoc. Returns the report.
fn survives(store: &str, locking: &str, seed: &str) -> Value {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let report = dir.path().join("report");
    let output = crash_test()
        .args(["--for", "5s", "--power-cut", "--store", store, "--seed", seed])
        .args(["--locking", locking])
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(said.contains("No invariant was violated."), "{said}");
    assert_eq!(
        fs::read_to_string(report.join("crash-test.txt")).unwrap().trim(),
        said.trim()
    );
    let json = fs::read(report.join("crash-test.json")).unwrap();
    let report: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["ending"], "held");
    assert_eq!(
        report["kept"],
        Value::Null,
        "what went well leaves nothing behind"
    );
    let count = |value: &Value| value.as_u64().unwrap();
    assert!(count(&report["answers"]["committed"]) > 0, "{said}");
    assert!(count(&report["audits"]["exact"]) > 0, "{said}");
    let kills = ["kill -9 of one process", "kill -9 of all processes at once"];
    let killed: u64 = kills
        .iter()
        .filter_map(|kind| report["faults"][kind].as_u64())
        .sum();
    assert!(killed > 0, "{said}");
    report
}

#[test]
fn a_json_cluster_survives_some_seconds_of_power_cuts() {
    let report = survives("json", "no-wait", "1");
    assert_eq!(report["settings"]["store"], "json");
    let verdict = report["verdict"].as_array().unwrap();
    let held = |line: &&Value| line["word"] == "holds" || line["word"]["holds_but"].is_string();
    assert_eq!(verdict.iter().filter(held).count(), 9, "all but V7 and V11");
}

#[test]
fn so_does_one_whose_debits_only_reserve() {
    let report = survives("json", "escrow", "1");
    assert_eq!(report["settings"]["locking"], serde_json::json!(["escrow"]));
}

#[test]
fn so_does_a_sled_cluster() {
    survives("sled", "wait", "1");
}

#[test]
fn ctrl_c_ends_it_with_a_verdict_on_what_was_done() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    let mut child = crash_test()
        .args([
            "--for",
            "1h",
            "--nodes",
            "2",
            "--clients",
            "2",
            "--seed",
            "7",
            "--data-dir",
        ])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line says that it is about to begin.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("--seed 7"), "{line}");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert!(
        said.contains("Interrupted") || said.contains("Unfinished"),
        "{said}"
    );
    assert!(matches!(output.status.code(), Some(0 | 6)), "{said}");
    assert!(
        data.join("crash-test.json").exists(),
        "what was asked to be kept is kept"
    );
    for owner in ["coordinator", "node_N1", "node_N2"] {
        let lock = fs::File::open(data.join(format!("{owner}.lock"))).unwrap();
        assert!(lock.try_lock().is_ok(), "{owner} still runs");
    }
}

#[test]
fn a_directory_that_holds_something_is_left_alone() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(dir.path().join("letter"), "dear").unwrap();
    let output = crash_test().arg("--data-dir").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("is not empty"), "{}", text(&output));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
