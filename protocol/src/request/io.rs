//! What happens to a request and what it asks its driver to do.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::message::{Answer, Ask};

/// Something that happened. `attempt` is the number in the [`Effect::Connect`] that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Begin. Once.
    Start,
    /// There is a connection and both sides have accepted each other's hello.
    Connected {
        /// Which attempt.
        attempt: u32,
    },
    /// There is no connection: it could not be made, was refused, or broke.
    Lost {
        /// Which attempt.
        attempt: u32,
        /// Why, for people.
        why: String,
    },
    /// The reply to what was sent.
    Answered {
        /// Which attempt.
        attempt: u32,
        /// The answer.
        answer: Answer,
    },
    /// A timer fired.
    Expired(Timer),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Be connected to that coordinator; a connection that is already open will do.
    Connect {
        /// Names the attempt in the inputs that follow from it.
        attempt: u32,
        /// Which coordinator.
        coordinator: usize,
    },
    /// Send this over the connection of the attempt.
    Send {
        /// Which attempt.
        attempt: u32,
        /// What to send.
        ask: Ask,
    },
    /// Close the connection, if there is one: what it may still bring is not wanted.
    Hangup,
    /// Let a timer fire after its own duration; replaces a running one of the same name.
    Set(Timer),
    /// Stop a timer.
    Cancel(Timer),
    /// The last effect. Timers that still run are to be forgotten.
    End(End),
}

/// The timers. The driver owns their durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// How long a connection may take, hellos included.
    Connect,
    /// How long one coordinator may take to answer before another one is asked.
    Answer,
    /// How long to pause after all coordinators have been tried.
    Backoff {
        /// How often that has happened, from 1: pauses grow with it.
        round: u32,
    },
    /// How long the whole request may take.
    Deadline,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A coordinator answered. Never an unknown outcome: that ends as [`End::Unknown`].
    Answer(Answer),
    /// No coordinator could be reached: nothing was sent.
    NoCoordinator {
        /// What went wrong with each.
        failures: Vec<Failure>,
    },
    /// It was sent and no answer came: it may or may not have been done.
    Unknown {
        /// What went wrong last with each coordinator that was tried.
        failures: Vec<Failure>,
    },
}

/// Why a coordinator was given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Which.
    pub coordinator: usize,
    /// Why, for people.
    pub why: String,
}

/// What makes it harmless to send an ask a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resend {
    /// Its request id: the second send says that it is one, and the request's home sees to the rest.
    UnderItsId,
    /// It changes nothing.
    Freely,
    /// Nothing: when its answer is lost, a person has to look at what happened.
    Never,
}

impl Resend {
    /// The rule for `ask`.
    pub fn of(ask: &Ask) -> Resend {
        match ask {
            Ask::Submit { .. } => Resend::UnderItsId,
            Ask::Balance { .. }
            | Ask::Accounts { .. }
            | Ask::Audit
            | Ask::Status
            | Ask::Show(_)
            | Ask::List { .. } => Resend::Freely,
            Ask::Resolve { .. } | Ask::Adopt { .. } | Ask::Arm { .. } => Resend::Never,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Start => f.write_str("start"),
            Input::Connected { attempt } => write!(f, "connected #{attempt}"),
            Input::Lost { attempt, why } => write!(f, "lost #{attempt}: {why}"),
            Input::Answered { attempt, answer } => write!(f, "answered #{attempt}: {answer}"),
            Input::Expired(timer) => write!(f, "expired {timer}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Connect { attempt, coordinator } => write!(f, "connect #{attempt} to c{coordinator}"),
            Effect::Send { attempt, ask } => write!(f, "send #{attempt} {ask}"),
            Effect::Hangup => f.write_str("hang up"),
            Effect::Set(timer) => write!(f, "set {timer}"),
            Effect::Cancel(timer) => write!(f, "cancel {timer}"),
            Effect::End(end) => write!(f, "end: {end}"),
        }
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Timer::Connect => f.write_str("connect"),
            Timer::Answer => f.write_str("answer"),
            Timer::Backoff { round } => write!(f, "backoff {round}"),
            Timer::Deadline => f.write_str("deadline"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, failures) = match self {
            End::Answer(answer) => return write!(f, "{answer}"),
            End::NoCoordinator { failures } => ("no coordinator", failures),
            End::Unknown { failures } => ("unknown", failures),
        };
        f.write_str(word)?;
        for (index, Failure { coordinator, why }) in failures.iter().enumerate() {
            let gap = if index == 0 { ": " } else { "; " };
            write!(f, "{gap}c{coordinator} {why}")?;
        }
        Ok(())
    }
}
