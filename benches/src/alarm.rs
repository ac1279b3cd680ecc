//! Waking up in time: `epoll` counts in milliseconds, and a fixed rate needs microseconds.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

#[cfg(target_os = "linux")]
mod clock {
    use std::os::fd::{AsRawFd, OwnedFd};

    use mio::Interest;
    use mio::unix::SourceFd;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use super::{Duration, Registry, Token, io};

    /// A timer that wakes a poll.
    #[derive(Debug)]
    pub(crate) struct Alarm(OwnedFd);

    impl Alarm {
        pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Alarm(timer))
        }

        /// The longest that the poll should wait by itself, if it is to end after `time`.
        pub(crate) fn set(&mut self, time: Duration) -> io::Result<Duration> {
            // Zero would mean never.
            let time = time.max(Duration::from_micros(1));
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let value = Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(time.subsec_nanos()),
            };
            let once = Itimerspec {
                it_interval: zero,
                it_value: value,
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            Ok(time + Duration::from_millis(1))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use super::{Duration, Registry, Token, io};

    /// Nothing better than the poll's own time-out.
    #[derive(Debug)]
    pub(crate) struct Alarm;

    impl Alarm {
        pub(crate) fn new(_: &Registry, _: Token) -> io::Result<Alarm> {
            Ok(Alarm)
        }

        pub(crate) fn set(&mut self, time: Duration) -> io::Result<Duration> {
            Ok(time)
        }
    }
}

pub(crate) use clock::Alarm;
