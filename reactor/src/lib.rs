//! The one event loop that node and coordinator share: *wait → step → sync → send*.
//!
//! [`Reactor`] drives one `protocol::effects::Machine` over framed TCP connections, and its store through
//! `engine::Turn`. A [`Service`] says what frames, names and timers mean. Everything happens on one thread, in
//! the order it was read; what goes wrong outside (slow, broken, hostile or vanished peers, too many of them, no file
//! descriptors left) ends at a limit in [`Limits`], not in the machine.
//!
//! Beside the machine the loop keeps what it saw of transactions (`tap`), for watchers, who never reach the machine.

mod connection;
mod counters;
mod error;
mod gate;
mod inbox;
mod limits;
mod link;
mod listener;
mod net;
mod outbox;
mod serve;
mod service;
mod signals;
mod slow;
mod story;
mod tap;
mod watchers;

pub use connection::{Peer, Session};
pub use counters::Counters;
pub use error::Error;
pub use inbox::Inbox;
pub use limits::Limits;
pub use link::Dial;
pub use listener::Listen;
pub use serve::{Config, Reactor};
pub use service::{Input, Message, Record, Service, Timer, To, kind};
pub use signals::Stopper;
pub use tap::meaning::{End, Meaning, Moment};
