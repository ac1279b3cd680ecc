//! The proof that a sync is one: under strace, between sled's last write to its file and each acknowledgement, an fsync
//! of that file has returned 0.

use std::fs;
use std::process::Command;

use crate::crash::child_command;

#[test]
fn an_fsync_of_sleds_file_has_returned_before_every_acknowledgement() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("SKIPPED: strace is not installed, so nothing was proved about fsync");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "64", "-o"]).arg(&trace);
    strace.args([
        "-e",
        "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range",
    ]);
    let output = child_command(strace, &dir.path().join("store"), 40)
        .output()
        .unwrap();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(
        output.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&output.stderr)
    );

    let acknowledged = check(&text).unwrap();
    assert_eq!(acknowledged, 40);
    let without: String = text
        .lines()
        .filter(|line| !line.contains("fdatasync("))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        check(&without).is_err(),
        "the check would notice a sync that is left out"
    );
}

/// Counts the acknowledgements in a trace; fails at one that has an unsynced write before it.
fn check(trace: &str) -> Result<usize, String> {
    let (mut unsynced, mut syncing, mut acknowledged) = (false, Vec::new(), 0);
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let ours = line.contains(".sled/db>") || line.contains(".sled.trial/db>");
        let begins = line.contains("fsync(") || line.contains("fdatasync(");
        if ours && line.contains("pwrite64(") {
            unsynced = true;
            syncing.clear(); // An fsync that began before this write proves nothing about it.
        } else if begins && ours && line.ends_with("= 0") {
            unsynced = false;
        } else if begins && ours && line.contains("unfinished") {
            syncing.push(thread);
        } else if line.contains("sync resumed") && line.ends_with("= 0") && syncing.contains(&thread) {
            unsynced = false;
        } else if line.contains("write(1<") && line.contains("synced ") {
            if unsynced {
                return Err(format!("not synced before: {line}"));
            }
            acknowledged += 1;
        }
    }
    Ok(acknowledged)
}
