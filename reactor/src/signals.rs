//! When to stop: SIGTERM, SIGINT, the end of the process that started this one, or a [`Stopper`].
//!
//! Each is a file descriptor in the same poll as the sockets. Nothing depends on a clean stop; it only saves the next
//! start some work.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, Waker};
use rustix::fs::OFlags;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::Error;

/// SIGTERM and SIGINT as readable sockets.
#[derive(Debug)]
pub(crate) struct Signals {
    received: UnixStream,
    handlers: Vec<SigId>,
}

impl Signals {
    /// Takes both signals over, for as long as the value lives.
    pub(crate) fn register(registry: &Registry, token: Token) -> Result<Signals, Error> {
        let failed = |error| Error::io("cannot watch for SIGTERM and SIGINT", error);
        let (received, raised) = StdUnixStream::pair().map_err(failed)?;
        received.set_nonblocking(true).map_err(failed)?;
        raised.set_nonblocking(true).map_err(failed)?;
        let mut received = UnixStream::from_std(received);
        registry
            .register(&mut received, token, Interest::READABLE)
            .map_err(failed)?;
        let mut signals = Signals {
            received,
            handlers: Vec::new(),
        };
        for signal in [SIGTERM, SIGINT] {
            let raised = raised.try_clone().map_err(failed)?;
            let handler = low_level::pipe::register(signal, raised).map_err(failed)?;
            signals.handlers.push(handler);
        }
        Ok(signals)
    }

    /// Whether a signal came. Takes all that did.
    pub(crate) fn came(&mut self) -> bool {
        drain(&mut self.received) != Drained::Nothing
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}

/// The reading end of a pipe whose writing end the parent process holds and never writes to.
#[derive(Debug)]
pub(crate) struct ParentPipe(File);

impl ParentPipe {
    /// Opens inherited file descriptor `fd` a second time, so that making it non-blocking affects nobody else.
    pub(crate) fn open(fd: RawFd, registry: &Registry, token: Token) -> Result<ParentPipe, Error> {
        let failed = |error| {
            Error::io(
                format!(
                    "cannot watch the parent process through file descriptor {fd} (it must be a pipe's reading end)"
                ),
                error,
            )
        };
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("an open flag is a small number");
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(format!("/dev/fd/{fd}"))
            .map_err(failed)?;
        registry
            .register(&mut SourceFd(&pipe.as_raw_fd()), token, Interest::READABLE)
            .map_err(failed)?;
        Ok(ParentPipe(pipe))
    }

    /// Whether the parent has closed its end, which dying does too.
    pub(crate) fn is_closed(&mut self) -> bool {
        drain(&mut self.0) == Drained::End
    }
}

/// What reading until nothing is left came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Nothing,
    Bytes,
    End,
}

fn drain(mut from: impl Read) -> Drained {
    let mut drained = Drained::Nothing;
    loop {
        match from.read(&mut [0; 64]) {
            Ok(0) => return Drained::End,
            Ok(_) => drained = Drained::Bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return drained,
            Err(_) => return Drained::End,
        }
    }
}

/// Stops a loop from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    asked: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stopper {
    pub(crate) fn new(registry: &Registry, token: Token) -> Result<Stopper, Error> {
        let waker = Waker::new(registry, token).map_err(|error| Error::io("cannot make a waker", error))?;
        Ok(Stopper {
            asked: Arc::new(AtomicBool::new(false)),
            waker: Arc::new(waker),
        })
    }

    /// Asks the loop to stop cleanly, as SIGTERM would. It does so soon after, not at once.
    ///
    /// # Errors
    /// If the loop cannot be woken.
    pub fn stop(&self) -> io::Result<()> {
        self.asked.store(true, Ordering::Release);
        self.waker.wake()
    }

    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}
