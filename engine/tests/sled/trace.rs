//! The proof that a sync is one: under strace, between sled's last write to its file and each acknowledgement, an fsync
//! of that file has returned 0. And that a start makes durable what it reads, whatever the disk holds of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::crash::child_command;

#[test]
fn an_fsync_of_sleds_file_has_returned_before_every_acknowledgement() {
    if strace_is_missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let text = traced(&dir.path().join("store"), 40);
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

/// Says so, too.
fn strace_is_missing() -> bool {
    let is_missing = Command::new("strace").arg("-V").output().is_err();
    if is_missing {
        println!("SKIPPED: strace is not installed, so nothing was proved about fsync");
    }
    is_missing
}

/// What strace has to say of a child that takes this many steps.
fn traced(store: &Path, steps: u64) -> String {
    let trace = store.with_extension("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "64", "-o"]).arg(&trace);
    strace.args([
        "-e",
        "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,renameat2",
    ]);
    let output = child_command(strace, store, steps).output().unwrap();
    let text = fs::read_to_string(&trace).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{text}");
    text
}

/// R23: the original is opened once its copy is durable in its place, and is written over in full before it is synced.
#[test]
fn a_start_has_a_durable_copy_in_place_and_syncs_all_of_what_it_opens() {
    if strace_is_missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    traced(&store, 40);
    let database = fs::metadata(store.join("node_N1.sled/db")).unwrap();
    let text = traced(&store, 1);
    let (before, after) = text
        .split_once("RENAME_EXCHANGE) = 0\n")
        .expect("the copy and the original change places");
    assert!(is_written_and_synced(before, database.len()), "{before}");
    assert!(is_written_and_synced(after, database.len()), "{after}");
    let (in_between, _) = after.split_once("pwrite64(").unwrap();
    for folder in ["node_N1.sled>) = 0", "node_N1.sled.trial>) = 0"] {
        let is_synced = |line: &str| line.contains("fsync(") && line.ends_with(folder);
        assert!(in_between.lines().any(is_synced), "{folder}: {in_between}");
    }
    let now = fs::metadata(store.join("node_N1.sled/db")).unwrap();
    assert_eq!(now.ino(), database.ino(), "the original is the store again");
}

/// Whether the first `len` bytes that are written of sled's file are all of it, in order, and an fsync begins later.
fn is_written_and_synced(trace: &str, len: u64) -> bool {
    let mut written = 0;
    let mut lines = trace.lines().filter(|line| line.contains(".sled.trial/db>"));
    while written < len {
        let call = lines.next().and_then(|line| line.rsplit_once(") = "));
        let Some((call, result)) = call.filter(|(call, _)| call.contains("pwrite64(")) else {
            return false;
        };
        if !call.ends_with(&format!(", {written}")) {
            return false;
        }
        written += result.parse::<u64>().unwrap_or_default();
    }
    lines.any(|line| line.contains(" fsync("))
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
