//! Has somebody asked us to stop?
//!
//! The first Ctrl-C, SIGTERM or hang-up is noted, and whoever runs looks for it. The second one ends this process at
//! once; the cluster's processes notice that and stop too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The wish to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(crate) fn watch() -> io::Result<Interrupt> {
        let flag: Arc<AtomicBool> = Arc::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the signal that sets the flag must not see it set.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))?;
            flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Interrupt(flag))
    }

    /// Whether a signal came.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for others to look at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
