//! A process dies in the middle of a transfer, is started again, and both sides have to agree in the end.

use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{
    Answer, Ask, Order, Outcome, Pipeline, Place, RequestId, Submission, Target, TxnId, fresh_request_id,
};
use cluster::story::Found;
use cluster::{Held, Keeper, OrderError, ProcessState};
use protocol::message::TxnState;

use super::stage::{Stage, line};
use super::verdict::{Death, Heard};
use super::{Told, TransactionLine};
use crate::control::{LogFilter, LogLine};
use crate::problem::Problem;

/// How long a process may take to come to the point where it dies.
const DEATH_MAX: Duration = Duration::from_secs(30);

/// How long after the client has its answer a process may still come to that point.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How long the client waits for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(2);

/// Who dies when, and during what.
pub(super) struct Crash {
    pub(super) target: Target,
    pub(super) trigger: Trigger,
    pub(super) order: Order,
    pub(super) cli: String,
}

/// What kills it.
pub(super) enum Trigger {
    /// So long after the transfer was sent, wherever the process is then.
    After(Duration),
    /// A failpoint, at one of its hits.
    At {
        name: String,
        hit: u32,
        /// How long it stands still there before it dies.
        stays: Duration,
    },
}

impl Trigger {
    pub(super) fn at(name: &str, hit: u32, stays: Duration) -> Trigger {
        Trigger::At {
            name: name.to_owned(),
            hit,
            stays,
        }
    }

    /// As a failpoint is armed, if it is one.
    fn armed(&self) -> Option<String> {
        match self {
            Trigger::After(_) => None,
            Trigger::At { name, hit, stays } => {
                let action = if stays.is_zero() { "kill" } else { "stop" };
                Some(format!("{name}={action}@{hit}"))
            }
        }
    }
}

/// Plays it.
pub(super) fn play(stage: &Stage<'_>, crash: &Crash) -> Result<Told, Problem> {
    let Crash { target, order, .. } = crash;
    let target = *target;
    let places: Vec<Place> = order.legs().iter().map(|leg| leg.place.clone()).collect();
    let before = stage.money(&places)?;
    let book = stage.control.logs();
    let begun = book.last();
    let doomed = Doomed::take(stage.keeper(), target)?;
    if let Some(failpoint) = crash.trigger.armed() {
        stage.control.arm_to_die(target, &failpoint)?;
    }
    let request = fresh_request_id();
    let mut client = submit_once(stage, request, order);
    let reached = doomed.die(&crash.trigger, &mut client)?;
    let died_us = now_us();
    let dir = stage.keeper().config().dir;
    let stored = stage.control.program.stored(&dir, target);
    let down = book.last();
    stage.bring_back(target)?;
    drop(doomed);
    let heard = client.wait();

    let report = stage.settled(request)?;
    let told_txn = match &heard {
        Heard::Answer(Outcome::Committed { txn }) => Some(*txn),
        Heard::Answer(_) | Heard::Nothing(_) => None,
    };
    let txn = report.txn.or(told_txn);
    let others_before = begun_by_others(stage, begun, txn);
    let ended = book.last();
    // A request that nobody has ever heard of would run now, and so would one that was refused before it began.
    let (again, tries) = match (txn, &heard) {
        (None, Heard::Nothing(_) | Heard::Answer(Outcome::Aborted { txn: None, .. })) => (None, 0),
        (_, _) => {
            let (submission, tries) = stage.ask_again(request, order)?;
            (Some(submission), tries)
        }
    };
    let (mut committed, mut aborted) = (false, false);
    for state in report.nodes.iter().filter_map(|(_, view)| view.as_ref()) {
        match state.state {
            TxnState::Committed => committed = true,
            TxnState::Aborted(_) => aborted = true,
            TxnState::Unknown | TxnState::Forgotten | TxnState::Prepared => {}
        }
    }
    let after = stage.money(&places)?;
    // Each time that it is asked again begins a transaction too.
    let others_moved = others_before > 0 || begun_by_others(stage, ended, None) > tries;

    let name = cluster::name(target);
    let of_target = |contains: &str, since: u64| {
        let filter = LogFilter {
            process: Some(name.clone()),
            contains: Some(contains.to_owned()),
        };
        book.after(since, &filter, 1).into_iter().next()
    };
    let point = match &crash.trigger {
        Trigger::After(_) => None,
        Trigger::At { name, .. } => Some(name.clone()),
    };
    let point_line = point
        .as_ref()
        .and_then(|point| of_target(&format!("failpoint {point} acts"), begun));
    let commit_line = txn.and_then(|txn| match target {
        Target::Coordinator => of_target(&format!("append COMMIT {txn}"), begun),
        Target::Node(_) => None,
    });
    let stayed = match &crash.trigger {
        Trigger::At { stays, .. } if reached && !stays.is_zero() => Some(*stays),
        Trigger::At { .. } | Trigger::After(_) => None,
    };
    // A process that killed itself died at its last line.
    let died_us = match (&point_line, stayed) {
        (Some(line), None) if reached => written_us(line),
        (_, _) => died_us,
    };
    let synced_us = match (&point_line, point.as_deref()) {
        (Some(line), Some("synced.COMMIT")) => Some(written_us(line)),
        (_, _) => commit_line.map(|line| written_us(&line)),
    };
    let recovery = match target {
        Target::Coordinator => {
            let filter = LogFilter {
                process: Some(name.clone()),
                contains: None,
            };
            let lines = book.after(down, &filter, 1000);
            Found::among(lines.iter().map(|line| line.line.as_str())).map(|found| found.text)
        }
        Target::Node(_) => of_target("Found ", down).map(|line| {
            let text = line.line.as_str();
            text.find("Found ")
                .map_or(text, |start| &text[start..])
                .to_owned()
        }),
    };
    let death = Death {
        name: name.clone(),
        is_coordinator: target == Target::Coordinator,
        takes_part: match target {
            Target::Coordinator => true,
            Target::Node(node) => order.participants().contains(&node),
        },
        alone: match order.participants().as_slice() {
            [node] => Some(*node),
            _ => None,
        },
        point,
        reached,
        stayed_ms: stayed.map(|time| time.as_millis()),
        after_ms: match &crash.trigger {
            Trigger::After(delay) => Some(delay.as_millis()),
            Trigger::At { .. } => None,
        },
        txn,
        on_disk: match (&stored, txn) {
            (Ok(stored), Some(txn)) => Ok(stored.about(txn)),
            (Ok(_), None) => Ok(crate::control::OnDisk::Nothing),
            (Err(problem), _) => Err(problem.detail().to_owned()),
        },
        committed_ms_before: synced_us.map(|at| died_us.saturating_sub(at) / 1000),
        heard,
        recovery,
        outcome: again.as_ref().map(|again| again.outcome.clone()),
        disagree: committed && aborted,
        others_moved,
        expected: order.legs().iter().map(|leg| leg.delta.get()).collect(),
        before,
        after,
    };
    Ok(Told {
        verdict: death.verdict(),
        transactions: transactions(again, order),
        cli: crash.cli.clone(),
    })
}

fn transactions(again: Option<Submission>, order: &Order) -> Vec<TransactionLine> {
    again.iter().map(|submission| line(submission, order)).collect()
}

/// How many transactions the coordinator has begun since then beside `own`, as its log tells.
fn begun_by_others(stage: &Stage<'_>, since: u64, own: Option<TxnId>) -> usize {
    let filter = LogFilter {
        process: Some(cluster::name(Target::Coordinator)),
        contains: Some("append START".to_owned()),
    };
    let own = own.map(|own| format!("START {own} "));
    let lines = stage.control.logs().after(since, &filter, usize::MAX);
    let is_other = |line: &str| own.as_ref().is_none_or(|own| !line.contains(own));
    lines.iter().filter(|line| is_other(&line.line)).count()
}

/// A process that is to die, and that runs again when this is dropped, whatever happened.
struct Doomed<'a> {
    keeper: &'a Keeper,
    target: Target,
    pid: Option<u32>,
    _held: Held,
}

impl<'a> Doomed<'a> {
    fn take(keeper: &'a Keeper, target: Target) -> Result<Doomed<'a>, Problem> {
        let held = keeper.hold(target)?;
        let pid = keeper.find(&cluster::name(target))?.pid;
        Ok(Doomed {
            keeper,
            target,
            pid,
            _held: held,
        })
    }

    /// Waits for its death, or brings it about. Returns whether it came to the point where it was to die.
    fn die(&self, trigger: &Trigger, client: &mut Client) -> Result<bool, Problem> {
        let reached = match trigger {
            Trigger::After(delay) => {
                thread::sleep(*delay);
                true
            }
            Trigger::At { stays, .. } => {
                let began = Instant::now();
                loop {
                    let view = self.keeper.find(&cluster::name(self.target))?;
                    if view.pid != self.pid {
                        break true;
                    }
                    if view.state == ProcessState::Frozen {
                        thread::sleep(*stays);
                        break true;
                    }
                    let is_over = client.answered().is_some_and(|at| at.elapsed() > AFTERMATH);
                    if is_over || began.elapsed() > DEATH_MAX {
                        break false;
                    }
                    thread::sleep(POLL);
                }
            }
        };
        self.kill()?;
        Ok(reached)
    }

    fn kill(&self) -> Result<(), Problem> {
        match self.keeper.kill(self.target) {
            Ok(()) | Err(OrderError::NotNow(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Doomed<'_> {
    fn drop(&mut self) {
        let alive = self.keeper.find(&cluster::name(self.target)).ok();
        if alive.is_some_and(|view| view.pid.is_some() && view.pid == self.pid) {
            // It may be armed, or stand still. Without it nothing more can be done here.
            let _ = self.kill();
        }
    }
}

/// A client that has sent one request, once.
struct Client {
    answers: Receiver<Heard>,
    heard: Option<(Heard, Instant)>,
}

impl Client {
    /// When it got its answer, or lost its connection.
    fn answered(&mut self) -> Option<Instant> {
        if self.heard.is_none() {
            match self.answers.try_recv() {
                Ok(heard) => self.heard = Some((heard, Instant::now())),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.heard = Some((Heard::Nothing("the client gave up".to_owned()), Instant::now()));
                }
            }
        }
        self.heard.as_ref().map(|(_, at)| *at)
    }

    /// What it heard in the end.
    fn wait(mut self) -> Heard {
        match self.heard.take() {
            Some((heard, _)) => heard,
            None => self
                .answers
                .recv()
                .unwrap_or_else(|_| Heard::Nothing("the client gave up".to_owned())),
        }
    }
}

fn submit_once(stage: &Stage<'_>, request: RequestId, order: &Order) -> Client {
    let (tell, answers) = mpsc::channel();
    let config = stage.client_config().clone();
    let order = order.clone();
    thread::spawn(move || {
        let sent = || -> Result<Heard, client::Error> {
            let mut connection = Pipeline::connect(&config)?;
            connection.send(Ask::Submit {
                request,
                repeated: false,
                order,
            })?;
            let answer = connection.receive(ANSWER_MAX)?;
            Ok(match answer {
                Some((_, Answer::Outcome(outcome))) => Heard::Answer(outcome),
                Some((_, other)) => Heard::Nothing(other.to_string()),
                None => Heard::Nothing("no answer came in time".to_owned()),
            })
        };
        let heard = sent().unwrap_or_else(|error| {
            Heard::Nothing(match error {
                client::Error::NoAnswer(why) => why,
                client::Error::Config(_) | client::Error::NoCoordinator(_) | client::Error::Failed(_) => {
                    error.to_string()
                }
            })
        });
        // Whoever asked may have given up.
        let _ = tell.send(heard);
    });
    Client { answers, heard: None }
}

/// When a process wrote a line, as the line itself says: on a busy machine it is read a while later.
fn written_us(line: &LogLine) -> u64 {
    const DAY_US: u64 = 24 * 3600 * 1_000_000;
    let Some(of_day) = time_of_day_us(&line.line) else {
        return line.at_us;
    };
    let today = line.at_us - line.at_us % DAY_US + of_day;
    // Written just before midnight, and read after it.
    if today > line.at_us + DAY_US / 2 {
        today - DAY_US
    } else {
        today
    }
}

/// `17:04:36.393Z` at the line's beginning.
fn time_of_day_us(line: &str) -> Option<u64> {
    let (time, _) = line.split_once("Z ")?;
    let (clock, ms) = time.split_once('.')?;
    let mut of_day = 0;
    for part in clock.split(':') {
        of_day = of_day * 60 + part.parse::<u64>().ok()?;
    }
    Some((of_day * 1000 + ms.parse::<u64>().ok()?) * 1000)
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_when_it_was_written_also_around_midnight() {
        const DAY_US: u64 = 24 * 3600 * 1_000_000;
        let line = |at_us, line: &str| LogLine {
            n: 1,
            at_us,
            process: "N1".to_owned(),
            line: line.to_owned(),
        };
        let read = 20 * DAY_US + 3_661_007_500;
        assert_eq!(
            written_us(&line(read, "01:01:01.002Z [INFO] x")),
            20 * DAY_US + 3_661_002_000
        );
        assert_eq!(
            written_us(&line(20 * DAY_US + 5, "23:59:59.999Z [INFO] x")),
            20 * DAY_US - 1000
        );
        assert_eq!(written_us(&line(read, "no time at all")), read);
    }
}
