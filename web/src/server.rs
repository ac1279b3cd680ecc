//! How does the server start, run beside others, and stop?
//!
//! Starting has two steps, so that a port that is taken is known before a cluster is started for nothing. The runtime
//! lives on a thread of its own and has two workers: they only shuffle bytes, calls to the cluster block on threads
//! beside them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time;

use crate::connections::{self, Limits};
use crate::router;
use crate::state::{AppState, Site};

/// How long requests that are being answered may take when the server is stopped.
const GRACE: Duration = Duration::from_secs(2);

const WORKERS: usize = 2;

/// Calls to the cluster that block at a time, and readers of files and the like beside them.
const BLOCKING_THREADS_MAX: usize = 64;

/// A port that is ours. Whoever connects waits until [`Bound::serve`].
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the port; port 0 stands for any that is free.
    ///
    /// # Errors
    /// If it cannot be had, above all because another process listens there ([`io::ErrorKind::AddrInUse`]).
    pub fn to(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// If the system has no threads to give.
    pub fn serve(self, site: Site) -> io::Result<Server> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("web")
            .enable_all()
            .build()?;
        let (stop, stopping) = watch::channel(false);
        let state = AppState::new(site, self.address, stopping);
        let address = self.address;
        let shared = state.clone();
        let thread = thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || run(runtime, self.listener, shared))?;
        Ok(Server {
            address,
            state,
            stop,
            thread: Some(thread),
        })
    }
}

/// A server that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: AppState,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its requests share.
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Takes no more connections, lets requests that are being answered come to their end, but not for long, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread of the HTTP server ended by a panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The life of the server's thread.
fn run(runtime: Runtime, listener: TcpListener, state: AppState) {
    runtime.block_on(async {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                log::error!("cannot serve HTTP: {error}");
                return;
            }
        };
        let router = router::router(state.clone());
        let serving = connections::serve(listener, router, Limits::default(), state.stopped());
        let serving = tokio::spawn(serving);
        state.stopped().await;
        // Who takes longer is cut off. What a transfer does, it does also without anybody who waits for it.
        let _ = time::timeout(GRACE, serving).await;
    });
    runtime.shutdown_background();
}
