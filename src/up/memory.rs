//! What does `up` remember of a data directory between starts?
//!
//! `up.json` holds what the cluster is made of, and the seed from which the request ids of the opening deposits come.
//! It is on disk before the first deposit is sent. Until `up_seeded` exists, every start sends the deposits again
//! under the same ids: however often `up` is killed on the way, each account is opened with its money once.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use engine::StoreKind;
use protocol::id::RequestId;
use serde::{Deserialize, Serialize};

use super::{Failure, fresh};

const MEMORY: &str = "up.json";
const SEEDED: &str = "up_seeded";

/// Every file of ours in a data directory, but for the lock.
pub(crate) const FILES: [&str; 2] = [MEMORY, SEEDED];

const FORMAT: u32 = 1;

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    format: u32,
    /// How many nodes.
    nodes: u16,
    /// Their durability backend.
    store: String,
    /// Whether accounts are opened on the first start.
    opens: bool,
    /// Where the request ids of the opening deposits begin.
    seed: RequestId,
}

impl Memory {
    /// Reads what an earlier start left in `dir`, or decides and notes durably what the cluster is made of. Accounts
    /// are opened only where nobody has kept anything before.
    ///
    /// # Errors
    /// If the cluster was made of something else than is asked for now, or a file cannot be read or written.
    pub(crate) fn recall(dir: &Path, nodes: u16, store: StoreKind, empty: bool) -> Result<Memory, Failure> {
        let path = dir.join(MEMORY);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let opens = !empty && fresh::is_empty(dir)?;
                let seed = client::fresh_request_id();
                let memory = Memory {
                    format: FORMAT,
                    nodes,
                    store: store.to_string(),
                    opens,
                    seed,
                };
                memory.write(dir).map_err(|error| unwritable(&path, &error))?;
                return Ok(memory);
            }
            Err(error) => return Err(Failure::start(format!("cannot read {}: {error}", path.display()))),
        };
        let memory: Memory = serde_json::from_slice(&text).map_err(|error| {
            Failure::start(format!(
                "{} is not what `up` wrote ({error}). It only remembers --nodes and --store: with no account opened \
                 halfway it can be deleted; the balances are in other files",
                path.display()
            ))
        })?;
        memory.check(nodes, store, dir)?;
        Ok(memory)
    }

    fn check(&self, nodes: u16, store: StoreKind, dir: &Path) -> Result<(), Failure> {
        let asked = (FORMAT, nodes, store.to_string());
        if asked == (self.format, self.nodes, self.store.clone()) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "the cluster in {} was made with --nodes {} --store {}, and now --nodes {nodes} --store {store} is asked \
             for. Nothing was changed. Ask for the same as before, use another --data-dir, or start over with --fresh \
             (that deletes its accounts)",
            dir.display(),
            self.nodes,
            self.store
        )))
    }

    /// Whether the opening deposits still have to be made, or may have been made only in part.
    pub(crate) fn must_open(&self, dir: &Path) -> bool {
        self.opens && !dir.join(SEEDED).exists()
    }

    /// The request id of the n-th opening deposit.
    pub(crate) fn request(&self, number: u16) -> RequestId {
        RequestId(self.seed.0.wrapping_add(number.into()))
    }

    /// Notes durably that all opening deposits have been made.
    ///
    /// # Errors
    /// If that cannot be written; the next start makes them again, which changes nothing.
    pub(crate) fn note_opened(&self, dir: &Path) -> Result<(), Failure> {
        let text = "The opening deposits of `twopence up` have been made.\n";
        replace(dir, SEEDED, text.as_bytes()).map_err(|error| unwritable(&dir.join(SEEDED), &error))
    }

    fn write(&self, dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        replace(dir, MEMORY, &text)
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::start(format!("cannot write {}: {error}", path.display()))
}

/// Puts a whole file in place: after a crash the name holds what it held before or all of `text`.
fn replace(dir: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&aside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_remembers_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let first = Memory::recall(dir, 3, StoreKind::Json, false).unwrap();
        assert!(first.must_open(dir));
        assert_ne!(first.request(0), first.request(1));
        let second = Memory::recall(dir, 3, StoreKind::Json, true).unwrap();
        assert_eq!(
            second, first,
            "the seed stays, and so does the promise to open accounts"
        );
        second.note_opened(dir).unwrap();
        assert!(
            !Memory::recall(dir, 3, StoreKind::Json, false)
                .unwrap()
                .must_open(dir)
        );
    }

    #[test]
    fn another_shape_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        Memory::recall(dir.path(), 3, StoreKind::Json, false).unwrap();
        for (nodes, store) in [(4, StoreKind::Json), (3, StoreKind::Sled)] {
            let refused = Memory::recall(dir.path(), nodes, store, false).unwrap_err();
            assert_eq!(refused.exit, crate::exit::Exit::Usage);
            assert!(
                refused.text.contains("made with --nodes 3 --store json"),
                "{}",
                refused.text
            );
        }
        fs::write(dir.path().join(MEMORY), "{}").unwrap();
        assert!(Memory::recall(dir.path(), 3, StoreKind::Json, false).is_err());
    }

    #[test]
    fn nothing_is_opened_where_something_is_kept_or_nothing_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::recall(dir.path(), 3, StoreKind::Json, true).unwrap();
        assert!(!memory.must_open(dir.path()));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("node_N1_state.json"), "{\"A\": 5}").unwrap();
        let memory = Memory::recall(dir.path(), 3, StoreKind::Json, false).unwrap();
        assert!(
            !memory.must_open(dir.path()),
            "a map written by hand is somebody's money"
        );
    }
}
