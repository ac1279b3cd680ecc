//! Did the machine itself stand still? A virtual machine may, for half a minute, and then nothing that was late proves
//! anything about the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the pulse is felt.
const BEAT: Duration = Duration::from_millis(50);

/// A beat that is later than this is a standstill; a busy machine is later than its beat, too.
const LATE: Duration = Duration::from_millis(500);

/// Feels whether this process gets to run.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stalled_ms: AtomicU64,
    ended: AtomicBool,
}

impl Pulse {
    pub(super) fn start() -> Pulse {
        let shared = Arc::<Shared>::default();
        let feeling = Arc::clone(&shared);
        Pulse {
            shared,
            thread: Some(thread::spawn(move || feeling.feel())),
        }
    }

    /// For how long, in all, nothing ran here.
    pub(super) fn stalled(&self) -> Duration {
        Duration::from_millis(self.shared.stalled_ms.load(Ordering::Relaxed))
    }

    /// A clock that stands still with the machine.
    pub(super) fn clock(&self) -> Clock<'_> {
        Clock {
            pulse: self,
            began: Instant::now(),
            stalled: self.stalled(),
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and its panic would be one of ours.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn feel(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            let began = Instant::now();
            thread::sleep(BEAT);
            let late = began.elapsed().saturating_sub(BEAT);
            if late > LATE {
                let ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                self.stalled_ms.fetch_add(ms, Ordering::Relaxed);
            }
        }
    }
}

/// Measures the time in which the machine ran.
pub(super) struct Clock<'a> {
    pulse: &'a Pulse,
    began: Instant,
    stalled: Duration,
}

impl Clock<'_> {
    /// Whether so much time that counts has passed since it was made.
    pub(super) fn is_over(&self, time: Duration) -> bool {
        if self.began.elapsed() < time {
            return false;
        }
        let stalled = self.stalled();
        self.began.elapsed().saturating_sub(stalled) >= time
    }

    /// The time that does not count.
    pub(super) fn stalled(&self) -> Duration {
        // Lets a late beat come to its end.
        thread::sleep(BEAT * 2);
        self.pulse.stalled().saturating_sub(self.stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nothing_ran_does_not_count() {
        let pulse = Pulse::start();
        let clock = pulse.clock();
        pulse.shared.stalled_ms.fetch_add(3_600_000, Ordering::Relaxed);
        assert!(clock.stalled() >= Duration::from_secs(3600));
        assert!(!clock.is_over(Duration::from_millis(1)));
        assert!(pulse.clock().is_over(Duration::ZERO));
    }
}
