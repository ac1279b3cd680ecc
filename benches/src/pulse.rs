//! How the disk does while a load runs: a sync every second, on a thread of its own.
//!
//! It shows whether a slow minute was the cluster's or the disk's. Syncs under load wait for those of the stores, so
//! they are longer than those of the calibration before and after.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::calibrate::Calibration;

/// Between two syncs.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// The syncs of one run: when each began and how long it took.
#[derive(Debug)]
pub(crate) struct Pulse {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Duration, Duration)>>,
}

impl Pulse {
    /// Begins to sync a file in `dir`.
    pub(crate) fn begin(dir: &Path) -> std::io::Result<Pulse> {
        let dir = dir.join("pulse");
        std::fs::create_dir_all(&dir)?;
        let mut file = Calibration::new(&dir)?;
        let stop: Arc<AtomicBool> = Arc::default();
        let thread = thread::Builder::new().name("pulse".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                let begin = Instant::now();
                let mut syncs = Vec::new();
                let mut next = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let now = begin.elapsed();
                    if now < next {
                        thread::sleep(LOOK.min(next - now));
                        continue;
                    }
                    next = now + PAUSE;
                    // A disk that fails will have its say in the stores.
                    if let Ok(took) = file.sync_once() {
                        syncs.push((now, took));
                    }
                }
                syncs
            }
        })?;
        Ok(Pulse { stop, thread })
    }

    /// Ends it: all syncs so far.
    pub(crate) fn end(self) -> Vec<(Duration, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
