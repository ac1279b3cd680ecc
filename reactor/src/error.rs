//! Why an event loop could not start or had to end.

use std::fmt;
use std::io;

use engine::Halt;

/// What ended the loop, or kept it from starting.
#[derive(Debug)]
pub enum Error {
    /// An address cannot be listened on or resolved. The text says which and what to do.
    Address(String),
    /// The operating system failed.
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The store failed. What was not synced is undefined; the process must end, recovery sorts it out (R24).
    Store(engine::Error),
    /// The machine asked to stop: why.
    Stopped(String),
}

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Error {
        Error::Io {
            what: what.into(),
            source,
        }
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Error {
        Error::Store(error)
    }
}

impl From<Halt> for Error {
    fn from(halt: Halt) -> Error {
        match halt {
            Halt::Store(error) => Error::Store(error),
            Halt::Stopped(why) => Error::Stopped(why),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address(text) | Error::Stopped(text) => f.write_str(text),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::Store(error) => write!(
                f,
                "{error}; nothing that was not synced has been answered. Start the process again: it recovers what it \
                 had promised"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Store(error) => Some(error),
            Error::Address(_) | Error::Stopped(_) => None,
        }
    }
}
