//! What is said of a process: one word, why, and where it is.

use std::fmt;

use client::Target;

use crate::error::Exit;

/// How a process is right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It was started and has not been seen at work yet.
    Starting,
    /// It works.
    Running,
    /// Somebody froze it (SIGSTOP): it keeps its connections and its locks and does nothing.
    Frozen,
    /// It was told to stop and has not ended yet.
    Stopping,
    /// It was told to stop, or was never started.
    Stopped,
    /// It ended by itself or was killed.
    Ended,
}

impl ProcessState {
    /// The word that people and programs read.
    pub fn word(self) -> &'static str {
        match self {
            ProcessState::Starting => "starting",
            ProcessState::Running => "running",
            ProcessState::Frozen => "frozen",
            ProcessState::Stopping => "stopping",
            ProcessState::Stopped => "stopped",
            ProcessState::Ended => "ended",
        }
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A process as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessView {
    /// Which.
    pub target: Target,
    /// `coordinator`, `N1`.
    pub name: String,
    /// How it is.
    pub state: ProcessState,
    /// How it ended, and whether it comes back.
    pub why: Option<String>,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

/// An end in one line: how, and the last words of one that gave up.
pub(super) fn end(exit: &Exit) -> String {
    let gave_up = exit.status.code().is_some_and(|code| code != 0);
    match exit.last_lines.last() {
        Some(last) if gave_up => format!("{}: {last}", exit.how()),
        Some(_) | None => exit.how(),
    }
}
