//! Results: one JSON line for each line whose outcome is known, and what an earlier run has left of them.
//!
//! A results file is only ever appended to. Its last line may be torn by a kill; it is cut off, and its transaction is
//! asked about again. When the batch got a fresh name, the first line holds it and is on disk before anything is sent:
//! without it nobody could tell which ids were used. While a run writes to the file, it is locked.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use client::{Order, Outcome, Reason, RequestId};
use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// One line of results.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: u64,
    request_id: RequestId,
    /// The legs, so that nobody has to look them up.
    order: String,
    /// `committed`, `aborted`, `reused` or `rejected`.
    outcome: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    txn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether a new request may succeed without anyone changing anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Committed,
    Aborted,
    Reused,
    Rejected,
}

/// The first line of a file whose batch was not named by its user.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    batch_id: String,
}

/// A line that an earlier run has done.
#[derive(Clone, Debug)]
struct Done {
    order: Box<str>,
    tally: Tally,
}

/// Where results go, and those that are there.
#[derive(Debug)]
pub(crate) struct Results {
    sink: Sink,
    /// The name that an earlier run gave its batch.
    batch_id: Option<String>,
    done: HashMap<RequestId, Done>,
    /// Reused: lines that are about to be written.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    File(File),
}

impl Results {
    /// Results on stdout: nothing is there before.
    pub(crate) fn on_stdout() -> Results {
        Results::to(Sink::Stdout)
    }

    fn to(sink: Sink) -> Results {
        Results {
            sink,
            batch_id: None,
            done: HashMap::new(),
            buffer: Vec::new(),
        }
    }

    /// Results in a file, which is made if it isn't there.
    ///
    /// # Errors
    /// Says why the file cannot be used; nothing was changed then.
    pub(crate) fn in_file(path: &Path) -> Result<Results, String> {
        let name = path.display();
        let failed = |error: io::Error| format!("cannot use {name} for results: {error}");
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(format!("another run writes to {name}")),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut results = Results::to(Sink::Stdout);
        let whole = results.load(&file).map_err(|why| format!("{name}{why}"))?;
        file.set_len(whole).map_err(failed)?;
        results.sink = Sink::File(file);
        Ok(results)
    }

    /// Reads what is there. Returns how long the whole lines are.
    fn load(&mut self, file: &File) -> Result<u64, String> {
        let mut reader = BufReader::new(file);
        reader
            .seek(SeekFrom::Start(0))
            .map_err(|error| format!(": {error}"))?;
        let (mut text, mut whole, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            text.clear();
            let len = reader
                .read_until(b'\n', &mut text)
                .map_err(|error| format!(": {error}"))?;
            if text.last() != Some(&b'\n') {
                return Ok(whole); // The end, or a line that a kill has torn.
            }
            number += 1;
            self.remember(&text, number)
                .map_err(|why| format!(":{number}: not a line of results ({why}); name another file"))?;
            whole += u64::try_from(len).expect("memory fits in 64 bits");
        }
    }

    fn remember(&mut self, text: &[u8], number: u64) -> Result<(), String> {
        if number == 1
            && let Ok(Header { batch_id }) = serde_json::from_slice(text)
        {
            self.batch_id = Some(batch_id);
            return Ok(());
        }
        let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let tally = match line.outcome {
            Word::Committed => Tally::Committed,
            Word::Reused => Tally::Reused,
            Word::Rejected => Tally::Rejected,
            Word::Aborted => {
                let reason = line.reason.ok_or("it has no reason")?;
                Tally::Aborted(reason.parse::<Reason>()?.class())
            }
        };
        let order = line.order.into_boxed_str();
        self.done.insert(line.request_id, Done { order, tally });
        Ok(())
    }

    /// The name of the batch: the given one, or that of the run before, or a fresh one that is kept from now on.
    ///
    /// # Errors
    /// If it cannot be kept, or another one is.
    pub(crate) fn name_batch(
        &mut self,
        given: Option<&str>,
        fresh: impl FnOnce() -> String,
    ) -> Result<String, String> {
        match (given, &self.batch_id) {
            (Some(given), Some(kept)) if given != kept => Err(format!(
                "these results belong to batch {kept}: leave out --batch-id, or name another file"
            )),
            (Some(given), _) => Ok(given.to_owned()),
            (None, Some(kept)) => Ok(kept.clone()),
            (None, None) if self.done.is_empty() => {
                let batch_id = fresh();
                if let Sink::File(file) = &mut self.sink {
                    let header = Header {
                        batch_id: batch_id.clone(),
                    };
                    let text = serde_json::to_string(&header).expect("a name becomes JSON") + "\n";
                    file.write_all(text.as_bytes())
                        .and_then(|()| file.sync_all())
                        .map_err(|error| format!("cannot write results: {error}"))?;
                }
                self.batch_id = Some(batch_id.clone());
                Ok(batch_id)
            }
            (None, None) => Err(
                "its results are there, but not the name of its batch: give the same --batch-id as then"
                    .to_owned(),
            ),
        }
    }

    /// How an earlier run has ended this line, if one has.
    ///
    /// # Errors
    /// If it was another line then.
    pub(crate) fn done(&self, request: RequestId, order: &Order) -> Result<Option<Tally>, String> {
        match self.done.get(&request) {
            None => Ok(None),
            Some(done) if *done.order == *order.to_string() => Ok(Some(done.tally)),
            Some(done) => Err(format!(
                "the results say that it was {} in an earlier run; put the input back as it was, or choose another \
                 --batch-id and another --results",
                done.order
            )),
        }
    }

    /// How many lines earlier runs have ended.
    pub(crate) fn done_len(&self) -> usize {
        self.done.len()
    }

    /// Adds a result. [`Results::flush`] writes it.
    ///
    /// # Panics
    /// If the outcome is unknown: such a line has no result yet.
    pub(crate) fn add(&mut self, line: u64, request: RequestId, order: String, outcome: &Outcome) {
        let (word, txn, refusal) = match outcome {
            Outcome::Committed { txn } => (Word::Committed, Some(*txn), None),
            Outcome::Aborted { txn, refusal } => (Word::Aborted, *txn, Some(refusal)),
            Outcome::Reused => (Word::Reused, None, None),
            Outcome::Rejected { .. } => (Word::Rejected, None, None),
            Outcome::Unknown { .. } => unreachable!("a line without an outcome has no result"),
        };
        let reason = match outcome {
            Outcome::Rejected { why } => Some(why.clone()),
            Outcome::Committed { .. }
            | Outcome::Aborted { .. }
            | Outcome::Reused
            | Outcome::Unknown { .. } => refusal.map(|refusal| refusal.reason.to_string()),
        };
        let line = Line {
            line,
            request_id: request,
            order,
            outcome: word,
            txn: txn.map(|txn| txn.to_string()),
            reason,
            retryable: refusal.map(|refusal| refusal.reason.retryable()),
        };
        serde_json::to_writer(&mut self.buffer, &line).expect("our own types become JSON");
        self.buffer.push(b'\n');
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// Says why it cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = match &mut self.sink {
            Sink::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&self.buffer).and_then(|()| stdout.flush())
            }
            Sink::File(file) => file.write_all(&self.buffer),
        };
        self.buffer.clear();
        written.map_err(|error| format!("cannot write results: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "N1/A:-10 N2/B:+10";

    fn order(amount: &str) -> Order {
        let (from, to) = ("N1/A".parse().unwrap(), "N2/B".parse().unwrap());
        Order::transfer(from, to, amount.parse().unwrap()).unwrap()
    }

    fn committed() -> Outcome {
        Outcome::Committed {
            txn: "9f3c-1-7".parse().unwrap(),
        }
    }

    fn aborted() -> Outcome {
        Outcome::Aborted {
            txn: None,
            refusal: "insufficient_funds_on_A".parse::<Reason>().unwrap().into(),
        }
    }

    #[test]
    fn what_was_written_is_skipped_and_what_was_torn_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let mut results = Results::in_file(&path).unwrap();
        assert_eq!(
            results.name_batch(Some("may"), || unreachable!()),
            Ok("may".to_owned())
        );
        results.add(1, RequestId(1), ORDER.to_owned(), &committed());
        results.add(2, RequestId(2), ORDER.to_owned(), &aborted());
        results.flush().unwrap();
        drop(results);
        let whole = std::fs::read(&path).unwrap();
        let first_len = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for torn in 0..=whole.len() {
            std::fs::write(&path, &whole[..torn]).unwrap();
            let results = Results::in_file(&path).unwrap();
            let found = [1, 2].map(|id| results.done(RequestId(id), &order("10")).unwrap());
            let expected = [
                (torn >= first_len).then_some(Tally::Committed),
                (torn == whole.len()).then_some(Tally::Aborted(client::ReasonClass::Funds)),
            ];
            assert_eq!(found, expected, "{torn} bytes");
            let kept = std::fs::read(&path).unwrap().len();
            assert!([0, first_len, whole.len()].contains(&kept), "{torn} bytes");
        }
    }

    #[test]
    fn a_fresh_name_is_kept_and_another_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        for _ in 0..2 {
            let mut results = Results::in_file(&path).unwrap();
            assert_eq!(
                results.name_batch(None, || "fresh".to_owned()),
                Ok("fresh".to_owned())
            );
            assert!(results.name_batch(Some("other"), || unreachable!()).is_err());
        }
        let mut results = Results::in_file(&path).unwrap();
        assert_eq!(
            results.name_batch(Some("fresh"), || unreachable!()),
            Ok("fresh".to_owned())
        );
    }

    #[test]
    fn a_line_that_has_changed_and_a_file_of_something_else_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let mut results = Results::in_file(&path).unwrap();
        results.add(1, RequestId(1), ORDER.to_owned(), &committed());
        results.flush().unwrap();
        assert!(Results::in_file(&path).unwrap_err().contains("another run"));
        drop(results);
        let mut results = Results::in_file(&path).unwrap();
        let changed = results.done(RequestId(1), &order("11")).unwrap_err();
        assert!(changed.contains(ORDER), "{changed}");
        assert!(
            results.name_batch(None, || unreachable!()).is_err(),
            "its name is lost"
        );
        drop(results);
        std::fs::write(&path, "{\"line\": 1}\n").unwrap();
        let other = Results::in_file(&path).unwrap_err();
        assert!(
            other.contains("results.jsonl:1: not a line of results"),
            "{other}"
        );
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"{\"line\": 1}\n",
            "it is left alone"
        );
    }
}
