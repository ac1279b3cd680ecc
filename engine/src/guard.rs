//! What every backend has around it: the lock, the failpoints named after records, and poison.
//!
//! After the first failed append or sync nothing may be believed any more, so every later call fails too (R24).

use std::io;

use protocol::fold::{Fold, Seq};
use protocol::planted;

use crate::failpoint;
use crate::lock::Lock;
use crate::{Engine, Error, Stats};

/// A backend with its lock.
pub(crate) struct Guard<S: Fold> {
    engine: Box<dyn Engine<S>>,
    /// What failed first.
    poison: Option<String>,
    /// Action words of the records that the next sync covers; filled only while a failpoint is armed.
    unsynced: Vec<String>,
    /// Dropped last; stores on a simulated disk have none.
    _lock: Option<Lock>,
}

impl<S: Fold> Guard<S> {
    pub(crate) fn new(engine: Box<dyn Engine<S>>, lock: Option<Lock>) -> Guard<S> {
        Guard {
            engine,
            poison: None,
            unsynced: Vec::new(),
            _lock: lock,
        }
    }

    fn healthy(&self) -> Result<(), Error> {
        match &self.poison {
            None => Ok(()),
            Some(first) => Err(Error::io(
                "the store failed earlier and takes nothing more; restart the process",
                io::Error::other(first.clone()),
            )),
        }
    }

    fn watch<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && !planted!(FailureForgotten)
        {
            self.poison = Some(error.to_string());
        }
        result
    }

    fn hit(&self, prefix: &str, action: &str) -> Result<(), Error> {
        match failpoint::hit_with(|| format!("{prefix}.{action}")) {
            Some(fault) => Err(Error::io(
                format!("failpoint {prefix}.{action}"),
                fault.into_error(),
            )),
            None => Ok(()),
        }
    }

    fn append_with_failpoints(
        &mut self,
        records: &[(Seq, S::Record)],
        touched: &[S::Key],
        state: &S,
    ) -> Result<(), Error> {
        let actions: Vec<String> = records.iter().map(|(_, record)| action(record)).collect();
        for action in &actions {
            self.hit("append", action)?;
        }
        self.engine.append(records, touched, state)?;
        for action in &actions {
            self.hit("appended", action)?;
        }
        self.unsynced.extend(actions);
        Ok(())
    }

    fn sync_with_failpoints(&mut self) -> Result<(), Error> {
        failpoint::check("sync").map_err(|error| Error::io("failpoint sync", error))?;
        self.engine.sync()?;
        for action in std::mem::take(&mut self.unsynced) {
            self.hit("synced", &action)?;
        }
        Ok(())
    }
}

/// The record's action word as its JSON says it.
pub(crate) fn action<R: serde::Serialize>(record: &R) -> String {
    let value = serde_json::to_value(record).expect("records are JSON objects");
    value
        .get("action")
        .and_then(|action| action.as_str())
        .unwrap_or("record")
        .to_owned()
}

impl<S: Fold> Engine<S> for Guard<S> {
    fn append(&mut self, records: &[(Seq, S::Record)], touched: &[S::Key], state: &S) -> Result<(), Error> {
        self.healthy()?;
        let result = if failpoint::armed() {
            self.append_with_failpoints(records, touched, state)
        } else {
            self.engine.append(records, touched, state)
        };
        self.watch(result)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.healthy()?;
        let result = if failpoint::armed() {
            self.sync_with_failpoints()
        } else {
            self.unsynced.clear();
            self.engine.sync()
        };
        self.watch(result)
    }

    fn synced(&self) -> Seq {
        self.engine.synced()
    }

    fn tend(&mut self, state: &mut S) -> Result<Option<u64>, Error> {
        self.healthy()?;
        let result = self.engine.tend(state);
        self.watch(result)
    }

    fn has_room(&mut self, open: usize) -> bool {
        self.poison.is_none() && self.engine.has_room(open)
    }

    fn stats(&self) -> Stats {
        self.engine.stats()
    }

    fn close(self: Box<Self>, state: &S) -> Result<(), Error> {
        self.healthy()?;
        self.engine.close(state)
    }
}
