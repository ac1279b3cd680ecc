//! What must always hold, and a place for what does not.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// An invariant, by the number that the whole project knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Rule {
    V1,
    V2,
    V3,
    V4,
    V5,
    V6,
    V7,
    V8,
    V9,
    V10,
    V11,
}

impl Rule {
    /// All of them.
    pub(super) const ALL: [Rule; 11] = [
        Rule::V1,
        Rule::V2,
        Rule::V3,
        Rule::V4,
        Rule::V5,
        Rule::V6,
        Rule::V7,
        Rule::V8,
        Rule::V9,
        Rule::V10,
        Rule::V11,
    ];

    /// What it says.
    pub(super) fn text(self) -> &'static str {
        match self {
            Rule::V1 => "no money is made or lost",
            Rule::V2 => "no account is ever overdrawn",
            Rule::V3 => "all or nothing",
            Rule::V4 => "what a client was told is so, and stays so",
            Rule::V5 => "a request happens at most once",
            Rule::V6 => "every store adds up to what its log says",
            Rule::V7 => "there is an order in which it all happened one by one",
            Rule::V8 => "every audit that completes is exact",
            Rule::V9 => "nothing stays held once everything has ended",
            Rule::V10 => "all comes to its end within 10 s of peace, and processes die only when killed",
            Rule::V11 => "logs, tables and memory stay bounded",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What it breaks.
    pub(super) rule: Rule,
    /// What was seen.
    pub(super) what: String,
    /// Where to look further.
    pub(super) look: String,
}

/// What all threads have found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Mutex<Vec<Finding>>,
    any: Arc<AtomicBool>,
}

impl Findings {
    /// Takes something down, once.
    pub(super) fn add(&self, rule: Rule, what: impl Into<String>, look: impl Into<String>) {
        let finding = Finding {
            rule,
            what: what.into(),
            look: look.into(),
        };
        let mut found = self.lock();
        if !found.contains(&finding) {
            found.push(finding);
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether there is a reason to stop.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Set once there is one.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.any)
    }

    pub(super) fn all(&self) -> Vec<Finding> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Finding>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
