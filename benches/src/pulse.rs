//! How the machine does while a load runs: a thread that sleeps, and syncs a file once a second.
//!
//! It helps to tell whether a slow minute or a silence was the cluster's or the machine's: a thread that wants nothing is
//! woken very late where the processors were given to somebody else for a while, and a sync of 128 bytes is long where the
//! disk stood still. Both wait for the cluster, too: syncs for those of the stores, the thread for a turn on a busy core.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::calibrate::Calibration;

/// Between two syncs.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the thread sleeps at a time.
const SLEEP: Duration = Duration::from_millis(10);

/// What was seen in a second or so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beat {
    /// When its sync began, counted from the begin of the run.
    pub(crate) at: Duration,
    /// How long the sync took.
    pub(crate) sync: Duration,
    /// How much too late the thread was woken since the beat before, at the worst.
    pub(crate) late: Duration,
}

/// The beats of one run.
#[derive(Debug)]
pub(crate) struct Pulse {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Beat>>,
}

impl Pulse {
    /// Begins to sleep, and to sync a file in `dir`.
    pub(crate) fn begin(dir: &Path) -> std::io::Result<Pulse> {
        let dir = dir.join("pulse");
        std::fs::create_dir_all(&dir)?;
        let mut file = Calibration::new(&dir)?;
        let stop: Arc<AtomicBool> = Arc::default();
        let thread = thread::Builder::new().name("pulse".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                let begin = Instant::now();
                let mut beats = Vec::new();
                let (mut next, mut late) = (Duration::ZERO, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let at = begin.elapsed();
                    if at < next {
                        thread::sleep(SLEEP);
                        late = late.max(begin.elapsed().saturating_sub(at + SLEEP));
                        continue;
                    }
                    next = at + PAUSE;
                    // A disk that fails will have its say in the stores.
                    if let Ok(sync) = file.sync_once() {
                        let late = mem::take(&mut late);
                        beats.push(Beat { at, sync, late });
                    }
                }
                beats
            }
        })?;
        Ok(Pulse { stop, thread })
    }

    /// Ends it: all beats so far.
    pub(crate) fn end(self) -> Vec<Beat> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
