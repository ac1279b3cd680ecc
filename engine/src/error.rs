//! What can go wrong with a store, by what the caller can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A store that cannot be opened or can no longer be used.
#[derive(Debug)]
pub enum Error {
    /// Another process owns the store.
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The store is another one than was asked for: kind, cluster, node id or format differ.
    Mismatch(String),
    /// What is on disk is not what was written: refuse, never guess. The text names file, line and offset.
    Corrupt(String),
    /// The operating system failed. After an append or sync the outcome is undefined.
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// An [`Error::Io`] about `what`.
    pub fn io(what: impl Into<String>, source: io::Error) -> Error {
        Error::Io {
            what: what.into(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked { path } => write!(
                f,
                "another process owns this store ({} is locked); nothing was touched. Stop that process first, or use \
                 another --data-dir",
                path.display()
            ),
            Error::Mismatch(text) | Error::Corrupt(text) => f.write_str(text),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Locked { .. } | Error::Mismatch(_) | Error::Corrupt(_) => None,
        }
    }
}

/// Whether an operation failed for lack of space only.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
