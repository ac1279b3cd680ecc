//! What does the store of a process hold, and what stands in its log? For the panel's viewers, and for its verdicts: whether
//! a promise or a decision was on disk when the process died.

use std::path::Path;

use client::{Target, TxnId};
use engine::{LogPlace, Owner};
use protocol::coordinator::{CoordinatorRecord, CoordinatorState, Phase};
use protocol::fold::{Fold, Table};
use protocol::message::OperatorWord;
use protocol::message::watch::{StateEntry, StatePage};
use protocol::participant::NodeState;
use web::control::{LogAsk, LogPage, OnDisk, Stored, TreeLine, WalLine};
use web::{Code, Problem};

/// Reads a store without changing it.
///
/// # Errors
/// If its process runs, there is none, or it is damaged.
pub(super) fn read(dir: &Path, owner: Target) -> Result<Box<dyn Stored>, Problem> {
    Ok(match owner {
        Target::Coordinator => {
            let found = engine::inspect::<CoordinatorState>(dir, Owner::Coordinator);
            let content = found.map_err(|error| unreadable(&error))?.content;
            Box::new(OfCoordinator {
                state: content.recover(),
                records: content.records.into_iter().map(|(_, record)| record).collect(),
            })
        }
        Target::Node(node) => {
            let found = engine::inspect::<NodeState>(dir, Owner::Node(node));
            let content = found.map_err(|error| unreadable(&error))?.content;
            Box::new(OfNode(content.recover()))
        }
    })
}

fn unreadable(error: &engine::Error) -> Problem {
    let code = match error {
        engine::Error::Locked { .. } => Code::NotNow,
        engine::Error::Mismatch(_) | engine::Error::Corrupt(_) | engine::Error::Io { .. } => {
            Code::ProcessFailed
        }
    };
    Problem::new(code, format!("{error}."))
}

struct OfNode(NodeState);

impl Stored for OfNode {
    fn about(&self, txn: TxnId) -> OnDisk {
        if self.0.prepared().contains_key(&txn) {
            return OnDisk::Promised;
        }
        match self.0.finished(&txn).map(|finished| finished.word()) {
            Some(OperatorWord::Commit) => OnDisk::Committed,
            Some(OperatorWord::Abort) => OnDisk::Aborted,
            None => OnDisk::Nothing,
        }
    }

    fn page(&self, after: Option<&str>) -> StatePage {
        page(&self.0, after)
    }

    fn trees(&self) -> Vec<TreeLine> {
        trees(&self.0)
    }
}

/// A coordinator forgets what has ended; a json log still tells.
struct OfCoordinator {
    state: CoordinatorState,
    records: Vec<CoordinatorRecord>,
}

impl Stored for OfCoordinator {
    fn about(&self, txn: TxnId) -> OnDisk {
        if let Some(open) = self.state.open().get(&txn) {
            return match open.phase {
                Phase::Started => OnDisk::Begun,
                Phase::Committed(_) => OnDisk::Committed,
            };
        }
        let ends = self.records.iter().rev().find_map(|record| match record {
            CoordinatorRecord::Complete { txn: ended } if *ended == txn => Some(OnDisk::Complete),
            CoordinatorRecord::Abort { txn: ended, .. } if *ended == txn => Some(OnDisk::Aborted),
            CoordinatorRecord::Complete { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Start { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Commit { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => None,
        });
        ends.unwrap_or(OnDisk::Nothing)
    }

    fn page(&self, after: Option<&str>) -> StatePage {
        page(&self.state, after)
    }

    fn trees(&self) -> Vec<TreeLine> {
        trees(&self.state)
    }
}

/// Entries of one page.
const PAGE_LEN: usize = 200;

/// A page of a state, as a watch shows it. A place that is none begins at the beginning.
fn page<S: Fold>(state: &S, after: Option<&str>) -> StatePage {
    let after = after.and_then(|after| serde_json::from_str::<S::Key>(after).ok());
    // One more than fits, to know whether there is one.
    let found = state.page(after.as_ref(), PAGE_LEN + 1);
    let shown = |entry: &S::Entry| {
        let key = S::key(entry);
        StateEntry {
            tree: S::table(&key).name().to_owned(),
            key: json(&key),
            value: json(entry),
        }
    };
    let entries: Vec<StateEntry> = found.iter().take(PAGE_LEN).map(shown).collect();
    let last = entries.last().filter(|_| found.len() > PAGE_LEN);
    StatePage {
        seq: state.seq(),
        next: last.map(|last| last.key.clone()),
        entries,
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("keys and entries are JSON")
}

fn trees<S: Fold>(state: &S) -> Vec<TreeLine> {
    let count = |table: Table| TreeLine {
        name: table.name().to_owned(),
        entries: state
            .entries()
            .map(|entry| u64::from(S::table(&S::key(&entry)) == table))
            .sum(),
    };
    Table::ALL.into_iter().map(count).collect()
}

/// A page of a json log.
///
/// # Errors
/// If there is none, or `before` is no place in it.
pub(super) fn log(dir: &Path, owner: Target, ask: &LogAsk) -> Result<LogPage, Problem> {
    let before = ask.before.as_deref().map(place).transpose()?;
    let ask = engine::LogAsk {
        before,
        naming: ask.naming.clone(),
        limit: ask.limit,
    };
    let page = match owner {
        Target::Coordinator => engine::peek::<CoordinatorState>(dir, Owner::Coordinator, &ask),
        Target::Node(node) => engine::peek::<NodeState>(dir, Owner::Node(node), &ask),
    };
    let page = page.map_err(|error| unreadable(&error))?;
    let line = |line: engine::LogLine| WalLine {
        at: at(line.place),
        seq: line.seq,
        crc: line.crc,
        crc_ok: line.crc_ok,
        action: line.action,
        txn: line.txn,
        text: line.text,
        raw: line.raw,
    };
    Ok(LogPage {
        lines: page.lines.into_iter().map(line).collect(),
        next: page.next.map(at),
    })
}

fn at(place: LogPlace) -> String {
    format!("{}:{}", place.segment, place.offset)
}

fn place(text: &str) -> Result<LogPlace, Problem> {
    let parsed = text.split_once(':').and_then(|(segment, offset)| {
        Some(LogPlace {
            segment: segment.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| {
        Problem::new(
            Code::BadQuery,
            format!("{text:?} is no place in a log: two numbers with a colon between."),
        )
    })
}
