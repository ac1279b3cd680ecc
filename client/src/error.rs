//! What can go wrong with a call, by what its caller can do about it.

use std::fmt;

/// Why a call has no answer. How a transfer ended is not an error: see [`Outcome`](crate::Outcome).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The configuration cannot work. Nothing was sent.
    Config(String),
    /// No coordinator could be reached: nothing was sent by this call. Start one or correct the address, and call
    /// again.
    NoCoordinator(String),
    /// It was sent and no answer came. A question can be asked again; look at the cluster before an operator's word is
    /// given again.
    NoAnswer(String),
    /// The coordinator says that it cannot be done, and why. No money moved because of this call.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(why) | Error::Failed(why) => f.write_str(why),
            Error::NoCoordinator(why) => write!(f, "no coordinator can be reached ({why}); nothing was sent"),
            Error::NoAnswer(why) => write!(f, "no answer ({why})"),
        }
    }
}

impl std::error::Error for Error {}
