//! Which files in a data directory are a cluster's, and may they be deleted?
//!
//! Only names that our own processes give are touched. Every owner's lock is taken first and kept until the end, so
//! that no process can be using the files or start to; lock files stay, for a deleted one would let two owners in.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use engine::Owner;
use protocol::id::NodeId;

use super::Failure;
use super::memory;

/// Deletes the cluster's files in `dir`. Returns how many files and folders that were.
///
/// # Errors
/// If a process uses them, or if they cannot be deleted.
pub(crate) fn clear(dir: &Path) -> Result<usize, Failure> {
    let entries = ours(dir)?;
    let owners: BTreeSet<String> = entries.iter().filter_map(|(owner, _)| owner.clone()).collect();
    let locks: Result<Vec<File>, Failure> = owners.iter().map(|prefix| lock(dir, prefix)).collect();
    let _held_until_the_end = locks?;
    let mut removed = 0;
    for (_, name) in entries.iter().filter(|(_, name)| !name.ends_with(".lock")) {
        let path = dir.join(name);
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|data| data.is_dir());
        let result = if is_dir {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        result.map_err(|error| Failure::start(format!("cannot delete {}: {error}", path.display())))?;
        removed += 1;
    }
    Ok(removed)
}

/// Whether nobody has ever kept anything here.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn is_empty(dir: &Path) -> Result<bool, Failure> {
    Ok(ours(dir)?.iter().all(|(_, name)| name.ends_with(".lock")))
}

/// Takes `<prefix>.lock`, making it if need be.
///
/// # Errors
/// If another process holds it.
pub(crate) fn lock(dir: &Path, prefix: &str) -> Result<File, Failure> {
    let path = dir.join(format!("{prefix}.lock"));
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = open.map_err(|error| Failure::start(format!("cannot open {}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::start(format!(
            "{} is held: a process of this cluster is running on {}. Nothing was changed. Stop it first (Ctrl-C in its \
             terminal), or use another --data-dir",
            path.display(),
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(Failure::start(format!("cannot lock {}: {error}", path.display())))
        }
    }
}

/// The cluster's files: whose (`node_N1`, `coordinator`; `None` for our own) and their names.
fn ours(dir: &Path) -> Result<Vec<(Option<String>, String)>, Failure> {
    let unreadable = |error: io::Error| Failure::start(format!("cannot read {}: {error}", dir.display()));
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if memory::FILES.contains(&name.strip_suffix(".tmp").unwrap_or(name)) {
            found.push((None, name.to_owned()));
        } else if let Some(owner) = owner_of(name) {
            found.push((Some(owner.prefix()), name.to_owned()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whose file that is, if it is one that a node or a coordinator makes.
fn owner_of(name: &str) -> Option<Owner> {
    let owner = match name.strip_prefix("node_") {
        Some(rest) => {
            let id = rest.split(['_', '.']).next()?;
            Owner::Node(id.parse::<NodeId>().ok()?)
        }
        None => Owner::Coordinator,
    };
    let of_owner = name.strip_prefix(&owner.prefix())?;
    let whole = of_owner.strip_suffix(".tmp").unwrap_or(of_owner);
    let plain = [
        "_manifest.json",
        "_state.json",
        "_state.prev.json",
        ".lock",
        ".synced",
        ".sled",
    ];
    let others = [".sled.trial", ".sled.retired", "_state.old.tmp"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Segments to be, and those that are kept to be used again.
    let is_spare = || {
        let middle = name.strip_prefix(&owner.log_stem())?.strip_suffix(".tmp")?;
        (middle == ".spare" || middle.strip_prefix(".old").is_some_and(is_number)).then_some(())
    };
    let is_log = || {
        let middle = name
            .strip_suffix(".tmp")
            .unwrap_or(name)
            .strip_prefix(&owner.log_stem())?;
        let middle = middle.strip_suffix(".jsonl")?;
        let number = middle.strip_prefix('.').unwrap_or("0");
        (middle == ".next" || is_number(number)).then_some(())
    };
    let is_other = || is_log().or_else(is_spare).is_some();
    (plain.contains(&whole) || others.contains(&of_owner) || is_other()).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_our_processes_give_are_ours() {
        for name in [
            "node_N1.lock",
            "node_N1_manifest.json",
            "node_N1_state.json",
            "node_N1_state.json.tmp",
            "node_N1_state.old.tmp",
            "node_N-10_state.prev.json",
            "node_N1_log.jsonl",
            "node_N1_log.jsonl.tmp",
            "node_N1_log.next.jsonl",
            "node_N1_log.spare.tmp",
            "node_N1_log.old11.tmp",
            "node_N1_log.123.jsonl",
            "node_N1.sled",
            "node_N1.sled.trial",
            "node_N1.synced",
            "coordinator.lock",
            "coordinator_manifest.json",
            "coordinator_tx_log.jsonl",
            "coordinator_tx_log.7.jsonl",
        ] {
            assert!(owner_of(name).is_some(), "{name}");
        }
        for name in [
            "README.md",
            "node_N1",
            "node_N1_notes.txt",
            "node_N1_log.jsonl.gz",
            "node_N1_log.old.jsonl",
            "node_N1_log.old.tmp",
            "node_N1_log..jsonl",
            "node_N1_state.json.bak",
            "node__state.json",
            "node_N1_tx_log.jsonl",
            "coordinator",
            "coordinator_log.jsonl",
            "coordinators_manifest.json",
            "my_node_N1.lock",
        ] {
            assert!(owner_of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn clearing_spares_locks_and_strangers_and_refuses_while_anything_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert!(is_empty(dir.path()).unwrap() && is_empty(&path("missing")).unwrap());
        for name in [
            "README.md",
            "node_N1_state.json",
            "node_N2_log.jsonl",
            "coordinator_tx_log.jsonl",
            "up.json",
        ] {
            fs::write(path(name), "x").unwrap();
        }
        fs::create_dir_all(path("node_N3.sled/blobs")).unwrap();
        assert!(!is_empty(dir.path()).unwrap());

        let held = lock(dir.path(), "node_N2").unwrap();
        let refused = clear(dir.path()).unwrap_err();
        assert!(refused.text.contains("node_N2.lock is held"), "{}", refused.text);
        assert!(
            path("node_N1_state.json").exists() && path("up.json").exists(),
            "nothing was changed"
        );

        drop(held);
        assert_eq!(clear(dir.path()).unwrap(), 5);
        let mut left: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "README.md",
                "coordinator.lock",
                "node_N1.lock",
                "node_N2.lock",
                "node_N3.lock"
            ]
        );
        assert!(is_empty(dir.path()).unwrap(), "locks hold nothing");
    }
}
