//! Why is a demo not as it should be?

use std::fmt;

use crate::exit::Exit;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Money was made or lost, or stands where it should not.
    Money(String),
    /// Something else than what was announced was seen.
    Story(String),
    /// The cluster cannot be used.
    Cluster(String),
    /// A call brought no answer.
    Call(client::Error),
    /// It makes no sense like this.
    Usage(String),
    /// Ctrl-C.
    Interrupted,
}

impl Wrong {
    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Wrong::Money(_) => Exit::Violated,
            Wrong::Story(_) | Wrong::Cluster(_) | Wrong::Interrupted => Exit::Other,
            Wrong::Call(error) => Exit::from(error),
            Wrong::Usage(_) => Exit::Usage,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Money(text) => write!(f, "money is not where it should be: {text}"),
            Wrong::Story(text) | Wrong::Cluster(text) | Wrong::Usage(text) => f.write_str(text),
            Wrong::Call(error) => error.fmt(f),
            Wrong::Interrupted => f.write_str("interrupted; a cluster of its own is stopped and removed"),
        }
    }
}

impl From<client::Error> for Wrong {
    fn from(error: client::Error) -> Wrong {
        Wrong::Call(error)
    }
}

impl From<cluster::Error> for Wrong {
    fn from(error: cluster::Error) -> Wrong {
        if matches!(error, cluster::Error::Interrupted) {
            Wrong::Interrupted
        } else {
            Wrong::Cluster(error.to_string())
        }
    }
}
