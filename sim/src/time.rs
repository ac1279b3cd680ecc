//! Virtual time: nothing here waits, a day passes as soon as nobody has anything to do before tomorrow.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment, in microseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A length of time in microseconds.
pub type Micros = u64;

/// One millisecond.
pub const MS: Micros = 1_000;

/// One second.
pub const SECOND: Micros = 1_000_000;

impl Add<Micros> for Time {
    type Output = Time;

    fn add(self, micros: Micros) -> Time {
        Time(self.0 + micros)
    }
}

/// Seconds and microseconds.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / SECOND, self.0 % SECOND)
    }
}

/// The world's clock, as the production code sees it: instants.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Instant,
    now: Arc<AtomicU64>,
}

impl Clock {
    /// A clock at the beginning of time. Only differences between its instants mean anything.
    pub fn new() -> Clock {
        Clock {
            base: Instant::now(),
            now: Arc::default(),
        }
    }

    /// Moves on to `now`.
    pub fn set(&self, now: Time) {
        self.now.store(now.0, Ordering::Relaxed);
    }

    /// A moment as an instant.
    pub fn instant(&self, at: Time) -> Instant {
        self.base + Duration::from_micros(at.0)
    }

    /// An instant as the first moment that is not before it.
    pub fn time(&self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.base);
        let micros = since.as_nanos().div_ceil(1_000);
        Time(u64::try_from(micros).expect("no run lasts for ages"))
    }

    /// What the json engine asks for the time.
    pub fn for_engine(&self) -> engine::Clock {
        let clock = self.clone();
        Arc::new(move || clock.instant(Time(clock.now.load(Ordering::Relaxed))))
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}
