//! Drives one request machine at a time over real connections and a real clock.

use std::thread;
use std::time::{Duration, Instant};

use protocol::hello::{Hello, Role};
use protocol::message::{Ask, Reply};
use protocol::request::{Effect, End, Failure, Input, Request, Resend, Timer};

use crate::config::ClientConfig;
use crate::connection::{Connection, Fault};

const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The connection that calls share, and what is needed to make another one.
#[derive(Debug)]
pub(crate) struct Driver {
    addresses: Vec<String>,
    hello: Hello,
    /// The coordinator to ask first: the one that answered last.
    preferred: usize,
    open: Option<(usize, Connection)>,
    last_call: u64,
}

impl Driver {
    pub(crate) fn new(config: &ClientConfig) -> Driver {
        Driver {
            addresses: config.coordinators.clone(),
            hello: Hello::client(config.cluster.clone()),
            preferred: 0,
            open: None,
            last_call: 0,
        }
    }

    /// Asks until the request ends, at latest after `timeout`.
    pub(crate) fn run(&mut self, ask: Ask, timeout: Duration) -> End {
        let mut clock = Clock::new(&ask, self.addresses.len(), timeout);
        let mut request = Request::new(ask, self.addresses.len(), self.preferred);
        let mut effects = Vec::new();
        let mut waiting = None;
        let mut input = Input::Start;
        loop {
            request.step(input, &mut effects);
            let mut happened = None;
            for effect in effects.drain(..) {
                match effect {
                    Effect::Set(timer) => clock.set(timer),
                    Effect::Cancel(timer) => clock.cancel(timer),
                    Effect::Hangup => self.open = None,
                    Effect::Connect { attempt, coordinator } => {
                        happened = Some(self.connect(attempt, coordinator, &mut clock));
                    }
                    Effect::Send { attempt, ask } => match self.send(ask, &clock) {
                        Ok(call) => waiting = Some((attempt, call)),
                        Err(why) => happened = Some(Input::Lost { attempt, why }),
                    },
                    Effect::End(end) => {
                        self.preferred = request.coordinator();
                        return end;
                    }
                }
            }
            input = happened.unwrap_or_else(|| self.wait(waiting, &mut clock));
        }
    }

    /// The failures with the addresses that they happened at.
    pub(crate) fn explain(&self, failures: &[Failure]) -> String {
        let explain = |failure: &Failure| format!("{}: {}", self.addresses[failure.coordinator], failure.why);
        let texts: Vec<String> = failures.iter().map(explain).collect();
        texts.join("; ")
    }

    fn connect(&mut self, attempt: u32, coordinator: usize, clock: &mut Clock) -> Input {
        let reusable = |(to, connection): &(usize, Connection)| *to == coordinator && connection.is_alive();
        if self.open.as_ref().is_some_and(reusable) {
            return Input::Connected { attempt };
        }
        self.open = None;
        match Connection::open(
            &self.addresses[coordinator],
            &self.hello,
            &[Role::Coordinator],
            clock.next(),
        ) {
            Ok(connection) => {
                self.open = Some((coordinator, connection));
                Input::Connected { attempt }
            }
            Err(Fault::Late) => Input::Expired(clock.fire()),
            Err(Fault::Lost(why)) => Input::Lost { attempt, why },
        }
    }

    /// Sends the ask; returns the number of the call.
    fn send(&mut self, ask: Ask, clock: &Clock) -> Result<u64, String> {
        self.last_call += 1;
        let (_, connection) = self
            .open
            .as_mut()
            .expect("the machine sends where it is connected");
        connection.queue(self.last_call, &ask);
        match connection.flush(clock.next()) {
            Ok(()) => Ok(self.last_call),
            Err(fault) => {
                self.open = None;
                Err(match fault {
                    Fault::Lost(why) => why,
                    Fault::Late => "it does not take what is sent".to_owned(),
                })
            }
        }
    }

    /// Waits for the reply to the call in `waiting`, or for the next timer.
    fn wait(&mut self, waiting: Option<(u32, u64)>, clock: &mut Clock) -> Input {
        let until = clock.next();
        if let (Some((_, connection)), Some((attempt, call))) = (&mut self.open, waiting) {
            loop {
                match connection.receive::<Reply>(until) {
                    Ok(reply) if reply.id == call => {
                        return Input::Answered {
                            attempt,
                            answer: reply.answer,
                        };
                    }
                    Ok(_late) => {}
                    Err(Fault::Late) => return Input::Expired(clock.fire()),
                    Err(Fault::Lost(why)) => {
                        self.open = None;
                        return Input::Lost { attempt, why };
                    }
                }
            }
        }
        thread::sleep(until.saturating_duration_since(Instant::now()));
        Input::Expired(clock.fire())
    }
}

/// The machine's timers with real durations.
struct Clock {
    connect: Duration,
    answer: Duration,
    deadline: Duration,
    running: Vec<(Instant, Timer)>,
}

impl Clock {
    fn new(ask: &Ask, coordinators: usize, timeout: Duration) -> Clock {
        let patient = coordinators == 1 || Resend::of(ask) == Resend::Freely;
        Clock {
            connect: (timeout / 2).min(CONNECT_TIMEOUT_MAX),
            // A read may rightly take long, it waits for holds; only a submit hurries to the next coordinator.
            answer: if patient { timeout * 2 / 3 } else { timeout / 3 },
            deadline: timeout,
            running: Vec::new(),
        }
    }

    fn set(&mut self, timer: Timer) {
        let duration = match timer {
            Timer::Connect => self.connect,
            Timer::Answer => self.answer,
            Timer::Backoff { round } => backoff(round),
            Timer::Deadline => self.deadline,
        };
        self.cancel(timer);
        self.running.push((Instant::now() + duration, timer));
    }

    fn cancel(&mut self, timer: Timer) {
        self.running.retain(|(_, running)| *running != timer);
    }

    /// When the next timer fires.
    fn next(&self) -> Instant {
        let next = self.running.iter().map(|(at, _)| *at).min();
        next.expect("the deadline runs until the end")
    }

    /// Takes the timer that fires next.
    fn fire(&mut self) -> Timer {
        let index = (0..self.running.len()).min_by_key(|&index| self.running[index].0);
        let index = index.expect("the deadline runs until the end");
        self.running.swap_remove(index).1
    }
}

/// Doubles with each round, and varies by half so that many clients do not come back at once.
fn backoff(round: u32) -> Duration {
    let doubled = BACKOFF_MIN
        .saturating_mul(1 << (round.clamp(1, 8) - 1))
        .min(BACKOFF_MAX);
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    doubled.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_second() {
        for (round, longest) in [(1, 50), (2, 100), (3, 200), (5, 800), (6, 1000), (u32::MAX, 1000)] {
            let pause = backoff(round);
            assert!(pause <= Duration::from_millis(longest), "{round}: {pause:?}");
            assert!(pause >= Duration::from_millis(longest / 2), "{round}: {pause:?}");
        }
    }
}
