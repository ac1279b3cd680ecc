//! What does something that happened look like to programs?

use protocol::message::watch::{Sight, Sighting};
use serde::Serialize;

/// Something that happened in one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number: in a receipt that of its process.
    pub n: u64,
    /// When, in microseconds since 1970, by the process's wall clock.
    pub at_us: u64,
    /// The process: `coordinator` or a node's name.
    pub process: String,
    /// The transaction.
    pub txn: String,
    /// `received`, `sent`, `held`, `recorded` or `synced`.
    pub what: &'static str,
    /// The other side of a message: `client`, `coordinator` or a node's name.
    pub peer: Option<String>,
    /// The kind of message or record: `prepare`, `COMMIT`.
    pub kind: String,
    /// The message or record, in the notation of logs.
    pub line: String,
    /// The record's number, or up to which one a sync made all durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// How long a sync took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// Whether somebody waits for the record's sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<bool>,
}

impl Event {
    /// Of what a process saw.
    pub fn of(process: &str, sighting: &Sighting) -> Event {
        let what = &sighting.what;
        let (seq, took_us, forced) = match what {
            Sight::Received { .. } | Sight::Sent { .. } | Sight::Held { .. } => (None, None, None),
            Sight::Recorded { seq, forced, .. } => (Some(*seq), None, Some(*forced)),
            Sight::Synced { through, took_us } => (Some(*through), Some(*took_us), None),
        };
        Event {
            n: sighting.n,
            at_us: sighting.at_us,
            process: process.to_owned(),
            txn: sighting.txn.to_string(),
            what: what.word(),
            peer: what.peer().map(|peer| peer.to_string()),
            kind: what.kind().to_owned(),
            line: what.line().to_owned(),
            seq,
            took_us,
            forced,
        }
    }

    /// The line without the names of the transaction and its request, which all lines of a receipt share.
    pub fn label(&self) -> String {
        let words = self.line.split(' ').enumerate();
        let names = |(at, word): &(usize, &str)| {
            let request = self.kind == "submit" && *at == 1;
            !request && *word != self.txn
        };
        let left: Vec<&str> = words.filter(names).map(|(_, word)| word).collect();
        left.join(" ")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An event of transaction `c-1-7`.
    pub(crate) fn event(process: &str, at_us: u64, what: &'static str, peer: &str, line: &str) -> Event {
        Event {
            n: at_us,
            at_us,
            process: process.to_owned(),
            txn: "c-1-7".to_owned(),
            what,
            peer: (!peer.is_empty()).then(|| peer.to_owned()),
            kind: line.split(' ').next().unwrap_or_default().to_owned(),
            line: line.to_owned(),
            seq: (what == "recorded").then_some(3),
            took_us: (what == "synced").then_some(250),
            forced: (what == "recorded")
                .then_some(line.starts_with("COMMIT") || line.starts_with("prepare_ok")),
        }
    }

    #[test]
    fn a_label_leaves_out_what_all_lines_share() {
        let label = |line| event("coordinator", 1, "sent", "N1", line).label();
        assert_eq!(label("prepare c-1-7 A -10"), "prepare A -10");
        assert_eq!(label("commit c-1-7"), "commit");
        assert_eq!(
            label("submit 9f00 (repeated) N1/A:-10 N2/B:+10"),
            "submit (repeated) N1/A:-10 N2/B:+10"
        );
        let other = "vote c-1-7 no lock_contention_on_B (held by c-1-6 for 3 s)";
        assert_eq!(
            label(other),
            "vote no lock_contention_on_B (held by c-1-6 for 3 s)"
        );
    }
}
