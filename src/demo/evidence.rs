//! What a demo leaves behind: the lines in its logs, and what an independent look at its stores says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use verify::{Claims, Images, check};

/// Words of a process that are worth keeping: what it found when it started, and what a failpoint did.
const TELLING: [&str; 4] = ["Found ", "failpoint", "in doubt", "recovered"];

/// What can be held against a demo's words.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Each process's telling words in its last life.
    pub(super) words: Vec<(String, Vec<String>)>,
    /// The lines of each log file that are about the demo's transactions; none for sled, whose files nobody can read.
    pub(super) logs: Vec<(String, Vec<String>)>,
    /// What `twopence verify` says of the stopped stores.
    pub(super) verified: String,
}

impl Evidence {
    /// Looks at `dir`, whose processes have ended. `words` are theirs.
    pub(super) fn collect(dir: &Path, words: Vec<(String, Vec<String>)>) -> Evidence {
        let telling = |line: &String| TELLING.iter().any(|word| line.contains(word));
        let words = words
            .into_iter()
            .map(|(name, lines)| (name, lines.into_iter().filter(telling).collect()))
            .filter(|(_, lines): &(String, Vec<String>)| !lines.is_empty())
            .collect();
        Evidence {
            words,
            logs: logs(dir),
            verified: verified(dir),
        }
    }
}

fn verified(dir: &Path) -> String {
    match Images::read(&[dir.to_owned()]) {
        Ok(images) => {
            let refused = images
                .refused
                .iter()
                .map(|refused| format!("{}\n", refused.error));
            let refused: String = refused.collect();
            format!("{refused}{}", check(&images, &Claims::default()))
                .trim_end()
                .to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Every line about a transaction, but for those about deposits: they only set the stage.
fn logs(dir: &Path) -> Vec<(String, Vec<String>)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("log.jsonl"))
        .collect();
    names.sort();
    let texts: Vec<(String, String)> = names
        .into_iter()
        .map(|name| {
            let text = fs::read(dir.join(&name)).unwrap_or_default();
            (name, String::from_utf8_lossy(&text).into_owned())
        })
        .collect();
    let deposits: BTreeSet<String> = texts
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter(|line| line.contains("@world"))
        .filter_map(transaction)
        .collect();
    let wanted = |line: &&str| transaction(line).is_some_and(|txn| !deposits.contains(&txn));
    texts
        .into_iter()
        .map(|(name, text)| (name, text.lines().filter(wanted).map(str::to_owned).collect()))
        .collect()
}

/// Which transaction a line of a log is about.
fn transaction(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(line.get("txn")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_transactions_of_the_story_are_evidence() {
        let dir = tempfile::tempdir().unwrap();
        let log = concat!(
            r#"{"crc":"1","seq":2,"action":"commit_one_phase","txn":"c-1-1","operations":[{"account":"@world"}]}"#,
            "\n",
            r#"{"crc":"2","synced":2}"#,
            "\n",
            r#"{"crc":"3","seq":3,"action":"prepare_ok","txn":"c-1-2"}"#,
            "\n\n\n",
        );
        fs::write(dir.path().join("node_N1_log.jsonl"), log).unwrap();
        fs::write(
            dir.path().join("coordinator_tx_log.jsonl"),
            r#"{"crc":"1","seq":2,"action":"START","txn":"c-1-1"}"#,
        )
        .unwrap();
        fs::write(dir.path().join("node_N1_state.json"), "{}").unwrap();
        let logs = logs(dir.path());
        let told: Vec<(&str, usize)> = logs
            .iter()
            .map(|(name, lines)| (name.as_str(), lines.len()))
            .collect();
        assert_eq!(told, [("coordinator_tx_log.jsonl", 0), ("node_N1_log.jsonl", 1)]);
        assert!(logs[1].1[0].contains("prepare_ok"));
    }
}
