//! What can go wrong with a local cluster, by what the caller can do about it.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// A cluster that does not do what it was told.
#[derive(Debug)]
pub enum Error {
    /// The configuration makes no sense.
    Config(String),
    /// A port that was asked for by number is taken.
    PortInUse(u16),
    /// The operating system failed: what was being done, and why it failed.
    Io(String, io::Error),
    /// A process ended that should run.
    Exited(Exit),
    /// Something did not happen within its time.
    TooSlow {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What was seen last.
        seen: String,
    },
    /// [`crate::ClusterConfig::interrupt`] was set.
    Interrupted,
    /// A process was to be told something, and it does not run.
    NotRunning(String),
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Its name: `N1`, `coordinator`.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it had been ready for work before it ended.
    pub was_ready: bool,
    /// The last lines that it wrote to stderr.
    pub last_lines: Vec<String>,
}

impl Exit {
    /// `exited with code 9` or `was killed by signal 9`.
    pub fn how(&self) -> String {
        how(self.status)
    }

    /// Whether it could not listen because another process uses its port.
    pub fn port_in_use(&self) -> bool {
        self.last_lines.iter().any(|line| line.contains("already in use"))
    }
}

/// An exit status in words.
pub(crate) fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(9)) => "was killed (SIGKILL)".to_owned(),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.how())?;
        if self.last_lines.is_empty() {
            return f.write_str(" and said nothing");
        }
        f.write_str("; its last lines:")?;
        for line in &self.last_lines {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) => f.write_str(text),
            Error::PortInUse(port) => {
                write!(f, "port {port} of 127.0.0.1 is already in use by another process")
            }
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Exited(exit) => exit.fmt(f),
            Error::TooSlow { what, waited, seen } => {
                write!(
                    f,
                    "{what} did not happen within {} s; {seen}",
                    waited.as_secs_f32()
                )
            }
            Error::Interrupted => f.write_str("interrupted"),
            Error::NotRunning(name) => write!(f, "{name} does not run"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(_, error) => Some(error),
            Error::Config(_)
            | Error::PortInUse(_)
            | Error::Exited(_)
            | Error::TooSlow { .. }
            | Error::Interrupted
            | Error::NotRunning(_) => None,
        }
    }
}
