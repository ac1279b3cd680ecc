//! What both servers of the mock need.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::thread;
use std::time::Duration;

use mio::{Events, Poll};

/// Ends this process when the one that started it is gone.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        // It never says anything; the end of the pipe is its end.
        let _ = io::stdin().read(&mut [0]);
        process::exit(0);
    });
}

/// Listens on a port of its own, and tells the parent which.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Waits until something happens.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events, most: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, most) {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}
