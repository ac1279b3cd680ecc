//! Who listens, and what is kept for those who come later?

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Bytes;
use client::Sighting;
use client::receipt::Event;
use tokio::sync::mpsc;

use super::wire::{Sampling, frame, micros_now};
use super::{Wishes, pump};
use crate::problem::{Code, Problem};
use crate::state::AppState;

/// Sights that are kept for those who want to begin with what happened before.
const HISTORY_MAX: usize = 4096;

/// Frames that wait for one subscriber. What it is sent at the start fits.
const QUEUE_MAX: usize = 2 * HISTORY_MAX;

const SUBSCRIBERS_MAX: usize = 16;

/// What a process saw.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) address: String,
    pub(super) process: String,
    pub(super) sighting: Sighting,
}

/// The newest thing that was told of a process. It tells again what it still has whenever it is followed anew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    at_us: u64,
    n: u64,
}

impl Mark {
    /// Whether that is still to be told. A process that was started anew counts from 1 again, but later.
    pub(super) fn is_before(self, sighting: &Sighting) -> bool {
        sighting.at_us > self.at_us || sighting.n > self.n
    }
}

/// All subscribers of a server.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    subscribers: Vec<Subscriber>,
    last_id: u64,
    /// Counts the lives of the threads that watch. Those of an earlier life end.
    life: u64,
    running: bool,
    /// With the time of each.
    history: VecDeque<(u64, Bytes)>,
    /// The newest frame of each name that describes a state: whoever comes is told at once.
    latest: BTreeMap<String, Bytes>,
    every: u64,
    /// How many sights were numbered.
    numbered: u64,
    /// Up to where each process has been told of, by address.
    marks: BTreeMap<String, Mark>,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    frames: mpsc::Sender<Bytes>,
    /// It wants to hear of nothing older.
    since_us: u64,
    logs: bool,
    dropped: Arc<AtomicU64>,
    told: Sampling,
}

impl Hub {
    /// Adds a subscriber; the first one sets everything in motion.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn subscribe(
        self: &Arc<Hub>,
        state: &AppState,
        wishes: Wishes,
    ) -> Result<Subscription, Problem> {
        let mut inner = self.inner();
        if inner.subscribers.len() >= SUBSCRIBERS_MAX {
            let detail = format!("Refused: {SUBSCRIBERS_MAX} listen already. No money moved.");
            return Err(Problem::new(Code::Overloaded, detail).next("Close another page, then try again."));
        }
        let (sender, frames) = mpsc::channel(QUEUE_MAX);
        inner.last_id += 1;
        let id = inner.last_id;
        let told = Sampling::new(inner.every.max(1), 0);
        let subscriber = Subscriber {
            id,
            frames: sender,
            since_us: if wishes.replay { 0 } else { micros_now() },
            logs: wishes.logs,
            dropped: Arc::default(),
            told,
        };
        subscriber.send(&frame("sampling", &subscriber.told));
        if wishes.replay {
            inner.history.iter().for_each(|(_, sight)| subscriber.send(sight));
        }
        inner.latest.values().for_each(|latest| subscriber.send(latest));
        inner.subscribers.push(subscriber);
        if !inner.running {
            inner.running = true;
            inner.life += 1;
            let life = inner.life;
            drop(inner);
            pump::start(state.clone(), life);
        }
        Ok(Subscription {
            id,
            frames,
            hub: Arc::clone(self),
        })
    }

    /// The cluster is another one from now on: nothing that was known holds any more.
    pub(crate) fn renew(&self, state: &AppState) {
        let mut inner = self.inner();
        inner.history.clear();
        inner.latest.clear();
        inner.marks.clear();
        if inner.running {
            inner.life += 1;
            let life = inner.life;
            drop(inner);
            pump::start(state.clone(), life);
        }
    }

    /// Whether the threads of this life go on.
    pub(super) fn lives(&self, life: u64) -> bool {
        let inner = self.inner();
        inner.running && inner.life == life
    }

    /// Ends this life if nobody listens any more. Returns whether it has ended.
    pub(super) fn rest(&self, life: u64) -> bool {
        let mut inner = self.inner();
        if inner.life != life {
            return true;
        }
        if inner.subscribers.is_empty() {
            // Whoever comes next finds out anew what holds then. What happened stays known.
            inner.running = false;
            inner.latest.clear();
        }
        !inner.running
    }

    pub(super) fn anybody_reads_logs(&self) -> bool {
        self.inner().subscribers.iter().any(|subscriber| subscriber.logs)
    }

    /// Up to where the process at `address` has been told of.
    pub(super) fn mark(&self, address: &str) -> Mark {
        self.inner().marks.get(address).copied().unwrap_or_default()
    }

    /// Tells everybody what happened, unless it was told before, and keeps it. `heard` is sorted by time.
    pub(super) fn tell_sights(&self, life: u64, heard: &[Heard]) {
        let mut inner = self.inner();
        if inner.life != life {
            return; // The next life finds it again.
        }
        for Heard {
            address,
            process,
            sighting,
        } in heard
        {
            let mark = inner.marks.entry(address.clone()).or_default();
            if !mark.is_before(sighting) {
                continue;
            }
            *mark = Mark {
                at_us: sighting.at_us,
                n: sighting.n,
            };
            inner.numbered += 1;
            let event = Event {
                n: inner.numbered,
                ..Event::of(process, sighting)
            };
            inner.tell_sight(event.at_us, frame("sight", &event));
        }
    }

    /// Tells everybody how something is now, and whoever comes later. `key` tells apart what has the same name.
    pub(super) fn tell_state(&self, key: &str, state: Bytes) {
        let mut inner = self.inner();
        inner
            .subscribers
            .iter()
            .for_each(|subscriber| subscriber.send(&state));
        inner.latest.insert(key.to_owned(), state);
    }

    /// Tells those who want it a line of a log.
    pub(super) fn tell_log(&self, line: &Bytes) {
        let inner = self.inner();
        let readers = inner.subscribers.iter().filter(|subscriber| subscriber.logs);
        readers.for_each(|subscriber| subscriber.send(line));
    }

    /// Tells each how much it is told, if that has changed. `lost` events never came here.
    pub(super) fn tell_sampling(&self, every: u64, lost: u64) {
        let mut inner = self.inner();
        inner.every = every;
        for subscriber in &mut inner.subscribers {
            let dropped = lost + subscriber.dropped.load(Ordering::Relaxed);
            let sampling = Sampling::new(every, dropped);
            if sampling != subscriber.told && subscriber.frames.capacity() > 0 {
                subscriber.send(&frame("sampling", &sampling));
                subscriber.told = sampling;
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell_sight(&mut self, at_us: u64, sight: Bytes) {
        for subscriber in self.subscribers.iter().filter(|one| one.since_us <= at_us) {
            subscriber.send(&sight);
        }
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((at_us, sight));
    }
}

impl Subscriber {
    fn send(&self, frame: &Bytes) {
        if self.frames.try_send(frame.clone()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One subscriber's end of it.
pub(super) struct Subscription {
    id: u64,
    frames: mpsc::Receiver<Bytes>,
    hub: Arc<Hub>,
}

impl Subscription {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.frames.poll_recv(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.hub.inner();
        inner.subscribers.retain(|subscriber| subscriber.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use client::{ClientConfig, Sight};
    use tokio::sync::watch;

    use super::*;
    use crate::state::Site;

    /// Of a server that asks nobody: nobody listens there.
    fn state() -> (watch::Sender<bool>, AppState) {
        let (stop, stopping) = watch::channel(false);
        let site = Site::of(ClientConfig::at(["127.0.0.1:1"]));
        let state = AppState::new(site, "127.0.0.1:0".parse().unwrap(), stopping);
        (stop, state)
    }

    /// What N1 saw at these times.
    fn sights(times: std::ops::Range<u64>) -> Vec<Heard> {
        let sight = |at_us| Heard {
            address: "127.0.0.1:1".to_owned(),
            process: "N1".to_owned(),
            sighting: Sighting {
                n: at_us,
                at_us,
                txn: "c-1-7".parse().unwrap(),
                what: Sight::Synced {
                    through: 1,
                    took_us: 1,
                },
            },
        };
        times.map(sight).collect()
    }

    impl Hub {
        fn tell(&self, heard: &[Heard]) {
            let life = self.inner().life;
            self.tell_sights(life, heard);
        }
    }

    /// The sights among what has come.
    fn heard(subscription: &mut Subscription) -> Vec<String> {
        let mut context = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(frame)) = subscription.poll(&mut context) {
            all.push(String::from_utf8(frame.to_vec()).unwrap());
        }
        all.retain(|frame| frame.starts_with("event: sight"));
        all
    }

    #[test]
    fn who_does_not_read_loses_counted_events_and_nobody_else_does() {
        let (_stop, state) = state();
        let hub = state.hub();
        let replay = Wishes {
            replay: true,
            logs: false,
        };
        let mut slow = hub.subscribe(&state, replay).unwrap();
        let mut quick = hub.subscribe(&state, replay).unwrap();
        let (rounds, each) = (8, 2000);
        for round in 0..rounds {
            hub.tell(&sights(round * each + 1..(round + 1) * each + 1));
            assert_eq!(heard(&mut quick).len(), 2000);
        }
        let got = heard(&mut slow).len();
        assert!(got <= QUEUE_MAX, "{got} frames were kept");
        let lost = rounds * each - u64::try_from(got).unwrap();
        // Now there is room to tell.
        hub.tell_sampling(4, 5);
        let inner = hub.inner();
        let [first, second] = inner.subscribers.as_slice() else {
            panic!("two subscribers");
        };
        assert!(first.told.dropped >= lost + 5, "{:?} of {lost}", first.told);
        assert_eq!(second.told, Sampling::new(4, 5));
        assert_eq!(inner.history.len(), HISTORY_MAX);
    }

    #[test]
    fn who_comes_late_hears_what_happened_before_if_he_likes() {
        let (_stop, state) = state();
        let hub = state.hub();
        hub.tell(&sights(1..3));
        let wishes = |replay| Wishes { replay, logs: false };
        let mut all = hub.subscribe(&state, wishes(true)).unwrap();
        let mut new = hub.subscribe(&state, wishes(false)).unwrap();
        let now = micros_now() + 1;
        hub.tell(&sights(3..4));
        hub.tell(&sights(now..now + 1));
        assert_eq!(heard(&mut all).len(), 4);
        let new = heard(&mut new);
        assert!(
            new.len() == 1 && new[0].contains(&format!("\"at_us\":{now}")),
            "{new:?}"
        );
    }

    #[test]
    fn what_a_process_tells_again_is_told_once_and_not_to_a_life_that_is_over() {
        let (_stop, state) = state();
        let hub = state.hub();
        let mut subscription = hub.subscribe(&state, Wishes::default()).unwrap();
        let now = micros_now() + 1;
        hub.tell(&sights(now..now + 3));
        hub.tell(&sights(now + 1..now + 5));
        assert_eq!(heard(&mut subscription).len(), 5);
        let life = hub.inner().life;
        hub.renew(&state);
        hub.tell_sights(life, &sights(now + 5..now + 6));
        assert!(heard(&mut subscription).is_empty());
        hub.tell(&sights(now..now + 6));
        assert_eq!(heard(&mut subscription).len(), 6, "of another cluster");
    }

    #[test]
    fn there_is_a_limit_to_subscribers_and_those_who_go_make_room() {
        let (_stop, state) = state();
        let subscribe = || state.hub().subscribe(&state, Wishes::default());
        let mut all: Vec<Subscription> = (0..SUBSCRIBERS_MAX).map(|_| subscribe().ok().unwrap()).collect();
        assert_eq!(
            subscribe().err().map(|problem| problem.code()),
            Some(Code::Overloaded)
        );
        all.pop();
        assert!(subscribe().is_ok());
    }
}
