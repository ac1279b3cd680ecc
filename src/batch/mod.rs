//! `transfer --stdin` and `submit-batch`: many lines in, one result for each, and nothing twice however often the command
//! is started again.
//!
//! A line's request id is its own, or made of the batch's name and the line's number; both are the same in every run. A
//! line that has a result is skipped; one that has none may have been sent or not, and is sent under its id again.
//! Whether it happened then is known at its home for as long as the request window reaches, and that is why a run keeps
//! fewer lines on their way than fit in that window: what an earlier run left without a result is among the last that
//! its homes have seen.

mod flight;
mod input;
mod order;
mod progress;
mod reader;
mod report;
mod results;
mod tally;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use client::{Order, RequestId, fresh_request_id};

use self::flight::{Flight, Landed};
use self::input::Parser;
use self::order::Turns;
use self::progress::{Progress, grouped};
use self::reader::{Read, Source};
use self::results::Results;
use self::tally::{Tallies, Tally};
use crate::cli::{BulkArgs, ConnectArgs, LineFormat, SubmitBatchArgs, TransferArgs};
use crate::exit::Exit;
use crate::logging;
use crate::output::explain;

/// How long outcomes are waited for before the input is looked at again.
const GLANCE: Duration = Duration::from_millis(20);

/// Lines admitted for each one that may be on its way: so many are looked through for one that waits for nobody.
const ADMITTED: usize = 4;

/// Results that may follow a line without an outcome before the reading ends: half a request window. Beyond one, its
/// home may have forgotten whether it happened, and asking again would not be safe.
const BEHIND_UNKNOWN_MAX: u64 = 500_000;

/// Runs `twopence transfer --stdin`.
pub(crate) fn transfer(args: &TransferArgs) -> Exit {
    let source = Ok(Source::stdin());
    run(
        source,
        LineFormat::Csv,
        &args.bulk,
        args.in_flight.get(),
        &args.connect,
    )
}

/// Runs `twopence submit-batch`.
pub(crate) fn submit(args: &SubmitBatchArgs) -> Exit {
    let source = Source::open(&args.file);
    run(
        source,
        LineFormat::Legs,
        &args.bulk,
        args.in_flight.get(),
        &args.connect,
    )
}

fn run(
    source: Result<Source, String>,
    otherwise: LineFormat,
    bulk: &BulkArgs,
    in_flight: usize,
    connect: &ConnectArgs,
) -> Exit {
    logging::start(connect.log_level);
    let opened = source.and_then(|source| Ok((source, open_results(bulk)?)));
    let (source, (results, batch_id)) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            explain(&format!("error: {why}\n\nNothing was sent; no money moved."));
            return Exit::Usage;
        }
    };
    let batch = Batch {
        progress: Progress::new(bulk.progress, source.len),
        lines: source.read(Parser::new(bulk.format, otherwise)),
        input_is_over: false,
        skips_bad_lines: bulk.skip_bad_lines,
        batch_id,
        results,
        turns: Turns::new(bulk.unordered),
        flight: Flight::new(connect.client_config()),
        in_flight,
        open: BTreeMap::new(),
        named: HashSet::new(),
        read: 0,
        tallies: Tallies::default(),
        unknown: Vec::new(),
        ended_before_unknown: 0,
        stopped: None,
    };
    batch.run()
}

/// The results and the batch's name. Says so where another run would not know the name.
fn open_results(bulk: &BulkArgs) -> Result<(Results, String), String> {
    let mut results = match &bulk.results {
        Some(path) => Results::in_file(path)?,
        None => Results::on_stdout(),
    };
    let fresh = || fresh_request_id().to_string();
    let batch_id = results.name_batch(bulk.batch_id.as_deref(), fresh)?;
    match &bulk.results {
        None if bulk.batch_id.is_none() => explain(&format!(
            "This is batch {batch_id}. Should it be interrupted, run it again with --batch-id {batch_id}: without that, \
             lines that have no request_id would move their money once more."
        )),
        Some(path) if results.done_len() > 0 => explain(&format!(
            "Going on where {} ends: {} lines have their result.",
            Path::new(path).display(),
            grouped(u64::try_from(results.done_len()).unwrap_or(u64::MAX))
        )),
        Some(_) | None => {}
    }
    Ok((results, batch_id))
}

/// A line that has no outcome yet.
#[derive(Debug)]
struct Open {
    request: RequestId,
    order: Order,
}

/// Why a batch ended before its input.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// This line makes no sense.
    BadLine(u64),
    /// The input cannot be read.
    Input(String),
    /// Nobody can be asked.
    NoCoordinator(String),
    /// Results cannot be written.
    Results(String),
    /// Too many lines have gone by since one was left without an outcome.
    Unknown,
}

/// A batch at work.
struct Batch {
    lines: Receiver<Result<Read, String>>,
    input_is_over: bool,
    skips_bad_lines: bool,
    batch_id: String,
    results: Results,
    turns: Turns,
    flight: Flight,
    in_flight: usize,
    open: BTreeMap<u64, Open>,
    /// Request ids that lines have named.
    named: HashSet<RequestId>,
    /// Bytes of the input that have been looked at.
    read: u64,
    tallies: Tallies,
    /// Lines whose time was over before they had an outcome.
    unknown: Vec<u64>,
    /// How many lines had a result when the first of them was given up.
    ended_before_unknown: u64,
    stopped: Option<Stopped>,
    progress: Progress,
}

impl Batch {
    fn run(mut self) -> Exit {
        while self.stopped.is_none() || !self.open.is_empty() {
            self.take_lines();
            while self.flight.len() < self.in_flight {
                let Some(line) = self.turns.next() else { break };
                let open = &self.open[&line];
                self.flight.add(line, open.request, open.order.clone());
            }
            if self.open.is_empty() {
                if self.input_is_over {
                    break;
                }
                continue;
            }
            if let Err(stopped) = self.hear() {
                self.stopped = Some(stopped);
                break;
            }
            if self.unknown.is_empty() {
                self.ended_before_unknown = self.tallies.ended();
            } else if !self.input_is_over
                && self.tallies.ended() > self.ended_before_unknown + BEHIND_UNKNOWN_MAX
            {
                self.stop_reading(Stopped::Unknown);
            }
            self.progress.tick(&self.tallies, self.read);
        }
        self.report()
    }

    /// Admits lines while there is room; waits for one if there is nothing else to do.
    fn take_lines(&mut self) {
        while !self.input_is_over && self.open.len() < self.in_flight.saturating_mul(ADMITTED) {
            let read = if self.open.is_empty() {
                self.progress.tick(&self.tallies, self.read);
                self.lines.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.lines.try_recv()
            };
            match read {
                Ok(Ok(read)) => self.admit(read),
                Ok(Err(why)) => self.stop_reading(Stopped::Input(why)),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.input_is_over = true,
            }
        }
    }

    fn stop_reading(&mut self, stopped: Stopped) {
        self.input_is_over = true;
        self.stopped = Some(stopped);
    }

    fn admit(&mut self, read: Read) {
        self.read = read.end;
        let line = read.number;
        let admitted = read.asked.and_then(|asked| {
            let request = match asked.request {
                None => RequestId::of_line(&self.batch_id, line),
                Some(request) if self.named.insert(request) => request,
                Some(request) => {
                    return Err(format!("request_id {request} stands in an earlier line already"));
                }
            };
            let done = self.results.done(request, &asked.order)?;
            Ok((request, asked.order, done))
        });
        match admitted {
            Ok((_, _, Some(tally))) => self.tallies.add(tally),
            Ok((request, order, None)) => {
                self.turns.admit(line, &order);
                self.open.insert(line, Open { request, order });
            }
            Err(why) => self.refuse(line, &why),
        }
    }

    /// A line that makes no sense.
    fn refuse(&mut self, line: u64, why: &str) {
        self.tallies.bad += 1;
        self.progress.clear();
        explain(&format!("error: line {line}: {why}. It was not sent."));
        if !self.skips_bad_lines {
            self.stop_reading(Stopped::BadLine(line));
        }
    }

    /// Waits for outcomes and writes their results.
    fn hear(&mut self) -> Result<(), Stopped> {
        let Batch {
            flight,
            open,
            turns,
            results,
            tallies,
            unknown,
            ..
        } = self;
        let land = |line, landed| {
            let ended: Open = open.remove(&line).expect("it was open");
            turns.ended(line, &ended.order);
            match landed {
                Landed::Known(outcome) => {
                    tallies.add(Tally::of(&outcome).expect("it is known"));
                    results.add(line, ended.request, ended.order.to_string(), &outcome);
                }
                Landed::Unknown(why) => {
                    log::warn!("line {line}: {why}");
                    unknown.push(line);
                    tallies.unknown += 1;
                }
            }
        };
        let heard = flight.wait(GLANCE, land);
        self.results.flush().map_err(Stopped::Results)?;
        heard.map_err(Stopped::NoCoordinator)
    }

    fn report(mut self) -> Exit {
        self.progress.clear();
        let mut unknown: Vec<u64> = self.flight.sent_lines().chain(self.unknown).collect();
        unknown.sort_unstable();
        let mut tallies = self.tallies;
        tallies.unknown = u64::try_from(unknown.len()).unwrap_or(u64::MAX);
        let exit = match &self.stopped {
            Some(Stopped::NoCoordinator(_)) if unknown.is_empty() => Exit::NoCoordinator,
            Some(Stopped::Input(_) | Stopped::Results(_)) if unknown.is_empty() => Exit::Other,
            Some(_) | None => tallies.exit(),
        };
        if exit != Exit::Ok || self.progress.is_shown() {
            explain(&report::text(&tallies, &unknown, self.stopped.as_ref()));
        }
        exit
    }
}
