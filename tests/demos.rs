//! Every demo passes on a cluster of its own, on both stores, and leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

fn all(store: &str) {
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    let output = command
        .args(["demo", "all", "--store", store, "--report", "evidence.md"])
        .current_dir(&folder)
        .env("TMPDIR", temp.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("PASS "))
        .collect();
    assert_eq!(
        passed,
        [
            "concurrent",
            "conflict",
            "node-crash --at before-vote",
            "node-crash --at after-vote",
            "node-crash --at before-apply",
            "node-crash --at after-apply",
            "restart",
            "coordinator-crash --at prepare",
            "coordinator-crash --at before-commit",
            "coordinator-crash --at after-commit",
        ],
        "{told}"
    );
    assert!(told.contains("Now: N1/A 1020, N2/B 1000, N3/C 980."), "{told}");
    assert!(
        told.contains("Transfer 2: aborted, lock_contention_on_B; no money moved."),
        "{told}"
    );
    assert!(
        told.contains("Found 1 incomplete transactions from previous run: 1 to commit, 0 to abort"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_dir(temp.path()).unwrap().count(),
        0,
        "a demo left its folder behind"
    );
    let report = std::fs::read_to_string(folder.path().join("evidence.md")).unwrap();
    assert!(report.contains("10 of 10 demos passed"), "{report}");
    for name in &passed {
        let section = report
            .split("\n## ")
            .find(|section| section.starts_with(&format!("`twopence demo {name}`")));
        let section = section.unwrap_or_else(|| panic!("no section about {name}: {report}"));
        assert!(section.contains(&format!("PASS {name}")), "{section}");
        assert!(
            section.contains("3000 in accounts, 3000 brought in"),
            "{name} was not verified: {section}"
        );
    }
    let in_the_log = r#""action":"prepare_failed""#;
    assert_eq!(report.contains(in_the_log), store == "json", "{report}");
}

#[test]
fn every_demo_passes_on_json() {
    all("json");
}

#[test]
fn every_demo_passes_on_sled() {
    all("sled");
}

#[test]
fn without_a_cluster_a_demo_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    let output = command
        .args(["demo", "concurrent", "--coord", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("FAIL concurrent: no coordinator can be reached"),
        "{told}"
    );
}
