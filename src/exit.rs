//! Exit codes: the one place that says which number means what.

use std::process::ExitCode;

use client::{AuditVerdict, Error, Outcome, Reason, ReasonClass};

/// How a command ended, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Committed, or done.
    Ok,
    /// What was typed makes no sense. Nothing was sent.
    Usage,
    /// Aborted: not enough money.
    Funds,
    /// Aborted: somebody was in the way. A new try may succeed.
    Conflict,
    /// Aborted or failed for another reason.
    Other,
    /// The outcome is unknown, or the answer incomplete.
    Unknown,
    /// No coordinator could be reached.
    NoCoordinator,
    /// Money was made or lost.
    Violated,
    /// A store is not what was written.
    Corrupt,
    /// The request id was used before with another body.
    Reused,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Usage => 2,
            Exit::Funds => 3,
            Exit::Conflict => 4,
            Exit::Other => 5,
            Exit::Unknown => 6,
            Exit::NoCoordinator => 7,
            Exit::Violated => 8,
            Exit::Corrupt => 9,
            Exit::Reused => 10,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl From<&Reason> for Exit {
    fn from(reason: &Reason) -> Exit {
        match reason.class() {
            ReasonClass::Funds => Exit::Funds,
            ReasonClass::Conflict => Exit::Conflict,
            ReasonClass::Other => Exit::Other,
        }
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Exit {
        match outcome {
            Outcome::Committed { .. } => Exit::Ok,
            Outcome::Aborted { refusal, .. } => Exit::from(&refusal.reason),
            Outcome::Unknown { .. } => Exit::Unknown,
            Outcome::Reused => Exit::Reused,
            Outcome::Rejected { .. } => Exit::Usage,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Exit {
        match error {
            Error::Config(_) => Exit::Usage,
            Error::NoCoordinator(_) => Exit::NoCoordinator,
            Error::NoAnswer(_) => Exit::Unknown,
            Error::Failed(_) => Exit::Other,
        }
    }
}

impl From<&AuditVerdict> for Exit {
    fn from(verdict: &AuditVerdict) -> Exit {
        match verdict {
            AuditVerdict::Exact => Exit::Ok,
            AuditVerdict::Violated => Exit::Violated,
            AuditVerdict::Incomplete(_) => Exit::Unknown,
        }
    }
}

impl From<&engine::Error> for Exit {
    fn from(error: &engine::Error) -> Exit {
        match error {
            engine::Error::Corrupt(_) => Exit::Corrupt,
            engine::Error::Locked { .. } | engine::Error::Mismatch(_) | engine::Error::Io { .. } => {
                Exit::Other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_the_code_that_tells_what_to_do() {
        for (reason, code) in [
            ("insufficient_funds_on_A", 3),
            ("lock_contention_on_A", 4),
            ("audit_in_progress", 4),
            ("unknown_account_A", 5),
            ("unknown_node_N9", 5),
            ("cannot_reach_N2", 5),
            ("no_vote_in_time_from_N2", 5),
            ("quarantined_N2", 5),
            ("operator_decision", 5),
        ] {
            let reason: Reason = reason.parse().unwrap();
            assert_eq!(Exit::from(&reason).code(), code, "{reason}");
        }
    }
}
