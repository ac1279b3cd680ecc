//! Why the process could not start or had to stop.

use std::fmt;

/// Why the process could not start or had to stop.
#[derive(Debug)]
pub enum Error {
    /// It was asked for something that makes no sense.
    Usage(String),
    /// The store could not be opened.
    Store(engine::Error),
    /// The event loop could not start or had to end.
    Loop(reactor::Error),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Error {
        Error::Store(error)
    }
}

impl From<reactor::Error> for Error {
    fn from(error: reactor::Error) -> Error {
        match error {
            reactor::Error::Store(error) => Error::Store(error),
            other @ (reactor::Error::Address(_) | reactor::Error::Io { .. } | reactor::Error::Stopped(_)) => {
                Error::Loop(other)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) => f.write_str(text),
            Error::Store(error) => error.fmt(f),
            Error::Loop(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
