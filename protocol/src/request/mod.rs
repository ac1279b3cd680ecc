//! The client's side of one request: which coordinator to ask, when to ask again, and what is known when it ends.
//!
//! Like the other machines it is pure: inputs in, effects out, timers by name. The client library drives it over
//! real connections, the simulator over imagined ones.
//!
//! ```text
//!           Start             Connected             Answered
//!   New ──────────▶ Connecting ─────────▶ Waiting ────────────▶ Ended
//!                    │   ▲                  │ lost, late,         ▲
//!          nobody    ▼   │ Backoff          │ "unknown"           │ Deadline, or nobody there
//!          there    Pausing ◀───────────────┘─────────────────────┘
//! ```
//!
//! What makes a second send harmless is different for each kind of [`Ask`], see [`Resend`]. A submit goes out again
//! under the id it already has, marked as repeated; so it happens at most once, whoever executes it.

mod io;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

pub use io::{Effect, End, Failure, Input, Resend, Timer};

use crate::message::{Answer, Ask, Outcome};
use crate::planted;

/// How often all coordinators are tried in vain before a request that was never sent gives up.
pub const ROUNDS_MAX: u32 = 5;

/// One request against a list of coordinators, from its start to its [`End`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    ask: Ask,
    phase: Phase,
    /// The coordinator that is being asked, an index below `failures.len()`.
    current: usize,
    /// Coordinators tried since the last pause.
    tried: usize,
    /// Rounds over all coordinators so far.
    round: u32,
    /// Numbers the attempts, so that what an abandoned one still brings is told apart.
    attempt: u32,
    /// Whether the request may have left this machine.
    sent: bool,
    /// Why each coordinator was last given up.
    failures: Vec<Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    New,
    Connecting,
    Waiting,
    Pausing,
    Ended,
}

impl Request {
    /// A request that will ask one of `coordinators` coordinators, beginning with number `first`. A submit whose id
    /// may have been sent before, by anybody, has to say so in its `repeated`.
    ///
    /// # Panics
    /// If there is no coordinator, or `first` is not one of them.
    pub fn new(ask: Ask, coordinators: usize, first: usize) -> Request {
        assert!(first < coordinators, "coordinator {first} of {coordinators}");
        Request {
            ask,
            phase: Phase::New,
            current: first,
            tried: 0,
            round: 0,
            attempt: 0,
            sent: false,
            failures: alloc::vec![None; coordinators],
        }
    }

    /// The coordinator that is being asked, or answered.
    pub fn coordinator(&self) -> usize {
        self.current
    }

    /// Takes one input; pushes what is to be done, in order. Inputs that come too late change nothing.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Start => self.on_start(effects),
            Input::Connected { attempt } => self.on_connected(attempt, effects),
            Input::Lost { attempt, why } => self.on_lost(attempt, why, effects),
            Input::Answered { attempt, answer } => self.on_answered(attempt, answer, effects),
            Input::Expired(Timer::Connect) => self.on_connect_expired(effects),
            Input::Expired(Timer::Answer) => self.on_answer_expired(effects),
            Input::Expired(Timer::Backoff { round }) => self.on_backoff_expired(round, effects),
            Input::Expired(Timer::Deadline) => self.on_deadline(effects),
        }
    }

    fn on_start(&mut self, effects: &mut Vec<Effect>) {
        if self.phase != Phase::New {
            return;
        }
        effects.push(Effect::Set(Timer::Deadline));
        self.connect(effects);
    }

    fn on_connected(&mut self, attempt: u32, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Connecting || attempt != self.attempt {
            return;
        }
        effects.push(Effect::Cancel(Timer::Connect));
        let ask = self.marked_ask();
        self.sent = true;
        self.phase = Phase::Waiting;
        if Resend::of(&self.ask) != Resend::Never {
            effects.push(Effect::Set(Timer::Answer));
        }
        effects.push(Effect::Send { attempt, ask });
    }

    fn on_lost(&mut self, attempt: u32, why: String, effects: &mut Vec<Effect>) {
        if attempt != self.attempt {
            return;
        }
        match self.phase {
            Phase::Connecting => {
                effects.push(Effect::Cancel(Timer::Connect));
                self.give_up_current(why, effects);
            }
            Phase::Waiting => self.on_answer_lost(why, effects),
            Phase::New | Phase::Pausing | Phase::Ended => {}
        }
    }

    fn on_answered(&mut self, attempt: u32, answer: Answer, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Waiting || attempt != self.attempt {
            return;
        }
        if !fits(&self.ask, &answer) {
            effects.push(Effect::Hangup);
            return self.on_answer_lost("it answered another question".to_owned(), effects);
        }
        match answer {
            // The coordinator could not find out: ask again, it or another one, until the deadline.
            Answer::Outcome(Outcome::Unknown { why }) => self.on_answer_lost(why, effects),
            Answer::Outcome(_)
            | Answer::Balance(_)
            | Answer::Accounts(_)
            | Answer::Audit(_)
            | Answer::Status(_)
            | Answer::Txn(_)
            | Answer::List(_)
            | Answer::Done(_)
            | Answer::Failed(_) => self.end(End::Answer(answer), effects),
        }
    }

    fn on_connect_expired(&mut self, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Connecting {
            return;
        }
        effects.push(Effect::Hangup);
        self.give_up_current("no connection in time".to_owned(), effects);
    }

    fn on_answer_expired(&mut self, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Waiting {
            return;
        }
        effects.push(Effect::Hangup);
        self.on_answer_lost("no answer in time".to_owned(), effects);
    }

    fn on_backoff_expired(&mut self, round: u32, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Pausing || round != self.round {
            return;
        }
        self.turn_to_next();
        self.connect(effects);
    }

    fn on_deadline(&mut self, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::New | Phase::Ended => return,
            Phase::Connecting => self.cut_short("no connection in time", effects),
            Phase::Waiting => self.cut_short("no answer in time", effects),
            Phase::Pausing => {}
        }
        self.end_without_answer(effects);
    }

    /// The deadline ends an attempt under way. What this coordinator said before tells more than that it was not given
    /// the time to say it again.
    fn cut_short(&mut self, why: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Hangup);
        self.failures[self.current].get_or_insert_with(|| why.to_owned());
    }

    /// The request was sent and its answer will not come from here.
    fn on_answer_lost(&mut self, why: String, effects: &mut Vec<Effect>) {
        match Resend::of(&self.ask) {
            Resend::UnderItsId | Resend::Freely => {
                effects.push(Effect::Cancel(Timer::Answer));
                self.give_up_current(why, effects);
            }
            Resend::Never => {
                self.failures[self.current] = Some(why);
                self.end_without_answer(effects);
            }
        }
    }

    /// Turns to the next coordinator, or pauses when all have been tried.
    fn give_up_current(&mut self, why: String, effects: &mut Vec<Effect>) {
        self.failures[self.current] = Some(why);
        self.tried += 1;
        if self.tried < self.failures.len() {
            self.turn_to_next();
            return self.connect(effects);
        }
        self.tried = 0;
        self.round += 1;
        if !self.sent && self.round >= ROUNDS_MAX {
            return self.end_without_answer(effects);
        }
        self.phase = Phase::Pausing;
        effects.push(Effect::Set(Timer::Backoff { round: self.round }));
    }

    fn turn_to_next(&mut self) {
        self.current = (self.current + 1) % self.failures.len();
    }

    fn connect(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Connecting;
        self.attempt += 1;
        if Resend::of(&self.ask) == Resend::Never {
            // An idle connection may be dead already, and such an ask cannot be sent a second time.
            effects.push(Effect::Hangup);
        }
        effects.push(Effect::Set(Timer::Connect));
        effects.push(Effect::Connect {
            attempt: self.attempt,
            coordinator: self.current,
        });
    }

    /// The ask as it has to be sent now: a submit says whether it may have been sent before.
    fn marked_ask(&self) -> Ask {
        let mut ask = self.ask.clone();
        if let Ask::Submit { repeated, .. } = &mut ask {
            *repeated |= self.sent && !planted!(RetryUnmarked);
        }
        ask
    }

    fn end_without_answer(&mut self, effects: &mut Vec<Effect>) {
        let failures = core::mem::take(&mut self.failures);
        let failures = failures.into_iter().enumerate();
        let failures = failures.filter_map(|(coordinator, why)| {
            Some(Failure {
                coordinator,
                why: why?,
            })
        });
        let failures = failures.collect();
        let end = if self.sent && !planted!(LostAnswerIsFailure) {
            End::Unknown { failures }
        } else {
            End::NoCoordinator { failures }
        };
        self.end(end, effects);
    }

    fn end(&mut self, end: End, effects: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        effects.push(Effect::End(end));
    }
}

/// Whether `answer` can be meant for `ask`.
fn fits(ask: &Ask, answer: &Answer) -> bool {
    match answer {
        Answer::Outcome(_) => matches!(ask, Ask::Submit { .. }),
        Answer::Balance(_) => matches!(ask, Ask::Balance { .. }),
        Answer::Accounts(_) => matches!(ask, Ask::Accounts { .. }),
        Answer::Audit(_) => matches!(ask, Ask::Audit),
        Answer::Status(_) => matches!(ask, Ask::Status),
        Answer::Txn(_) => matches!(ask, Ask::Show(_)),
        Answer::List(_) => matches!(ask, Ask::List { .. }),
        Answer::Done(_) => Resend::of(ask) == Resend::Never,
        Answer::Failed(_) => true,
    }
}
