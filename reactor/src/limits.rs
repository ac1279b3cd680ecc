//! How much and how long: every bound of the event loop in one place, so that tests can shorten them.

use std::time::Duration;

/// The bounds of one event loop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at a time; the next one is refused as busy.
    pub connections: usize,
    /// From accepting or starting to dial until the peer's hello has been checked.
    pub hello: Duration,
    /// A client must complete a frame it has begun within this time.
    pub partial_frame: Duration,
    /// Bytes waiting for a client above which nothing more is read from it. Peers are always read.
    pub client_queue_len: usize,
    /// A client that stays above [`Limits::client_queue_len`] for this long is dropped.
    pub client_stalled: Duration,
    /// A peer connection on which nothing was sent for this long gets a ping.
    pub heartbeat: Duration,
    /// A peer that is silent for this long is dead.
    pub silence: Duration,
    /// Wait before the first attempt to dial again; doubles with every failure.
    pub redial_min: Duration,
    /// Longest wait before dialling again.
    pub redial_max: Duration,
    /// Wait before accepting again when the process has run out of file descriptors.
    pub accept_retry: Duration,
    /// A connection that is being closed may take this long to fetch what was said to it.
    pub linger: Duration,
    /// Bytes read from one connection before the others get their turn.
    pub read_per_turn: usize,
    /// Messages of one client that are handled before the others get their turn: each may have a long answer.
    pub messages_per_turn: usize,
    /// Open transactions at which reading from clients stops; it resumes below three quarters.
    pub open: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            hello: Duration::from_secs(5),
            partial_frame: Duration::from_secs(10),
            client_queue_len: 1024 * 1024,
            client_stalled: Duration::from_secs(10),
            heartbeat: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            redial_min: Duration::from_millis(20),
            redial_max: Duration::from_millis(200),
            accept_retry: Duration::from_millis(100),
            linger: Duration::from_secs(1),
            read_per_turn: 32 * 1024,
            messages_per_turn: 512,
            open: 16_384,
        }
    }
}
