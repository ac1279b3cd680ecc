//! What else goes wrong, if a variable asks for it: a disk that lies about syncs, calls that are interrupted or do half of
//! what was asked, a wall clock that jumps.

use std::env;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

const LIES_AFTER: &str = "TWOPENCE_POWER_CUT_LIES_AFTER";
const HALVES: &str = "TWOPENCE_POWER_CUT_HALVES";
const CLOCK: &str = "TWOPENCE_POWER_CUT_CLOCK";

/// How far the wall clock jumps, in seconds: 30 hours.
const JUMP_S: i64 = 30 * 60 * 60;

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

/// How many seconds the wall clock is off at this look at it: ahead, behind, right, and so on.
pub(crate) fn clock_jump() -> i64 {
    static WANTED: OnceLock<bool> = OnceLock::new();
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    if !*WANTED.get_or_init(|| env::var_os(CLOCK).is_some()) {
        return 0;
    }
    match LOOKS.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => JUMP_S,
        1 => -JUMP_S,
        _ => 0,
    }
}
