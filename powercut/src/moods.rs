//! What else goes wrong with caught files, if a variable asks for it: a disk that lies about syncs, calls that are
//! interrupted or do half of what was asked.

use std::env;
use std::io;

use rustix::io::Errno;

const LIES_AFTER: &str = "TWOPENCE_POWER_CUT_LIES_AFTER";
const HALVES: &str = "TWOPENCE_POWER_CUT_HALVES";

/// See the head of this file.
pub(crate) struct Moods {
    /// Syncs that are still true, if not all are.
    true_syncs: Option<u64>,
    /// Whether calls are interrupted and writes cut short.
    halves: bool,
    calls: u64,
}

impl Moods {
    /// What the variables ask for.
    pub(crate) fn from_env() -> Moods {
        Moods {
            true_syncs: env::var(LIES_AFTER).ok().and_then(|count| count.parse().ok()),
            halves: env::var_os(HALVES).is_some(),
            calls: 0,
        }
    }

    /// Before a write or a sync: every other one is interrupted by a signal before it has done anything.
    pub(crate) fn interrupted(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.halves && self.calls % 2 == 1 {
            Err(Errno::INTR.into())
        } else {
            Ok(())
        }
    }

    /// What a write takes of `bytes`: at least one.
    pub(crate) fn taken<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.halves {
            &bytes[..bytes.len().div_ceil(2)]
        } else {
            bytes
        }
    }

    /// Whether this sync says that it is done, and is not.
    pub(crate) fn lies(&mut self) -> bool {
        match &mut self.true_syncs {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}
