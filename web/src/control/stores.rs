//! What is in a store, and in its log? Decoded, of processes that run and of those that do not.
//!
//! A store is named by its process. No name is ever part of a path: it is looked up among the processes there are.

use std::time::Duration;

use axum::Json;
use client::Watch;
use cluster::{ProcessState, ProcessView};
use protocol::message::watch::StatePage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Control, Here, LogAsk, LogPage, Stored, TreeLine, bad, blocking};
use crate::extract::{Path, Query};
use crate::paths::Paths;
use crate::problem::{Code, Problem};

/// How long a process may take to show a page.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lines of one answer, if it is not said how many.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// Entries that are counted one by one.
const COUNTED_MAX: u64 = 200_000;

/// The paths.
pub(super) fn paths() -> Paths {
    Paths::default()
        .get("/stores/{owner}/state", state)
        .get("/stores/{owner}/log", log)
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Debug, Serialize)]
struct State {
    owner: String,
    store: String,
    /// Whether the process told this, or its files.
    live: bool,
    seq: u64,
    entries: Vec<Entry>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    tree: String,
    key: Value,
    value: Value,
}

async fn state(
    Here(control): Here,
    Path(owner): Path<String>,
    Query(query): Query<After>,
) -> Result<Json<State>, Problem> {
    blocking(move || {
        let view = control.keeper().find(&owner)?;
        let live = view.pid.is_some();
        let page = if live {
            control
                .watch(&view)?
                .state(query.after)
                .map_err(|error| lost(&view, &error))?
        } else {
            control.stored(&view)?.page(query.after.as_deref())
        };
        Ok(Json(State {
            owner,
            store: control.keeper().config().store,
            live,
            seq: page.seq,
            next: page.next.clone(),
            entries: shown(page),
        }))
    })
    .await
}

fn shown(page: StatePage) -> Vec<Entry> {
    let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    let entries = page.entries.into_iter();
    entries
        .map(|entry| Entry {
            tree: entry.tree,
            key: json(entry.key),
            value: json(entry.value),
        })
        .collect()
}

#[derive(Debug, Deserialize)]
struct Lines {
    txn: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

/// What there is to see of a log.
#[derive(Debug, Serialize)]
#[serde(tag = "store", rename_all = "snake_case")]
enum Log {
    Json {
        owner: String,
        #[serde(flatten)]
        page: LogPage,
    },
    /// It keeps no history that could be shown.
    Sled {
        owner: String,
        live: bool,
        trees: Vec<TreeLine>,
        last_sequence: u64,
        /// Whether there are more entries than were counted.
        more: bool,
    },
}

async fn log(
    Here(control): Here,
    Path(owner): Path<String>,
    Query(query): Query<Lines>,
) -> Result<Json<Log>, Problem> {
    blocking(move || {
        let view = control.keeper().find(&owner)?;
        let config = control.keeper().config();
        if config.store == "sled" {
            return control.sled(owner, &view).map(Json);
        }
        let naming = query.txn.filter(|txn| !txn.is_empty());
        if let Some(id) = &naming
            && id.parse::<client::Reference>().is_err()
        {
            return Err(bad(format!(
                "{id:?} is neither a transaction's id nor a request's."
            )));
        }
        let ask = LogAsk {
            before: query.before,
            naming,
            limit: query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
        };
        let page = control.program.log(&config.dir, view.target, &ask)?;
        Ok(Json(Log::Json { owner, page }))
    })
    .await
}

impl Control {
    /// A look into a process that runs.
    fn watch(&self, view: &ProcessView) -> Result<Watch, Problem> {
        if view.state == ProcessState::Frozen {
            return Err(Problem::new(
                Code::NotNow,
                format!("{} is frozen, so it tells nothing.", view.name),
            )
            .next("Thaw it, or stop it: what is on its disk can be read then."));
        }
        let address = self.keeper().address(view.target).unwrap_or_default();
        let cluster = self.keeper().config().cluster;
        Watch::connect(&address, &cluster, PATIENCE).map_err(|error| lost(view, &error))
    }

    /// What the store of a process holds that does not run. It does not come back while it is read, for it could not
    /// have its store.
    fn stored(&self, view: &ProcessView) -> Result<Box<dyn Stored>, Problem> {
        let _held = self.keeper().hold_dead(view.target)?;
        let dir = self.keeper().config().dir;
        self.program.stored(&dir, view.target)
    }

    fn sled(&self, owner: String, view: &ProcessView) -> Result<Log, Problem> {
        if view.pid.is_none() {
            let stored = self.stored(view)?;
            return Ok(Log::Sled {
                owner,
                live: false,
                trees: stored.trees(),
                last_sequence: stored.page(None).seq,
                more: false,
            });
        }
        let mut watch = self.watch(view)?;
        let mut trees: Vec<TreeLine> = Vec::new();
        let (mut after, mut counted) = (None, 0);
        let (last_sequence, more) = loop {
            let page = watch.state(after).map_err(|error| lost(view, &error))?;
            for entry in &page.entries {
                counted += 1;
                match trees.iter_mut().find(|tree| tree.name == entry.tree) {
                    Some(tree) => tree.entries += 1,
                    None => trees.push(TreeLine {
                        name: entry.tree.clone(),
                        entries: 1,
                    }),
                }
            }
            match page.next {
                Some(next) if counted < COUNTED_MAX => after = Some(next),
                next => break (page.seq, next.is_some()),
            }
        };
        Ok(Log::Sled {
            owner,
            live: true,
            trees,
            last_sequence,
            more,
        })
    }
}

fn lost(view: &ProcessView, error: &client::Error) -> Problem {
    match error {
        client::Error::Failed(why) => bad(format!("{}.", client::report::capitalised(why))),
        client::Error::Config(_) | client::Error::NoCoordinator(_) | client::Error::NoAnswer(_) => {
            Problem::new(
                Code::NotNow,
                format!("{} does not show its state: {error}.", view.name),
            )
            .next("It may just be starting or ending: ask again.")
        }
    }
}
