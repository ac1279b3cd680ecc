//! The mock's participant: it votes yes once that is durable, and acknowledges once the commit is.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::line::Line;
use crate::log::Log;
use crate::message::{Message, Word};
use crate::server;

/// How long a commit may wait for a sync to ride on, as in the real one.
const LAZY: Duration = Duration::from_millis(5);

/// Serves one coordinator until it goes.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn run(dir: &Path) -> io::Result<()> {
    let mut log = Log::create(&dir.join("log"))?;
    let (stream, _) = server::listen()?.accept()?;
    stream.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    let mut line = Line::new(mio::net::TcpStream::from_std(stream), poll.registry(), Token(0))?;
    let mut events = Events::with_capacity(8);
    // Commits whose records are not durable, and since when.
    let mut unsynced: Vec<u32> = Vec::new();
    let mut since = Instant::now();
    loop {
        let wait = (!unsynced.is_empty()).then(|| LAZY.saturating_sub(since.elapsed()));
        server::wait(&mut poll, &mut events, wait)?;
        let mut votes: Vec<u32> = Vec::new();
        let is_there = line.receive(|Message { word, place }| {
            log.add(1);
            if word == Word::Prepare {
                votes.push(place);
            } else {
                if unsynced.is_empty() {
                    since = Instant::now();
                }
                unsynced.push(place);
            }
        })?;
        if !is_there {
            return Ok(());
        }
        if !votes.is_empty() || !unsynced.is_empty() && since.elapsed() >= LAZY {
            log.sync()?;
            let messages = |word| move |place| Message { word, place };
            let votes = votes.drain(..).map(messages(Word::Vote));
            let acks = unsynced.drain(..).map(messages(Word::Ack));
            votes.chain(acks).for_each(|message| line.add(message));
        }
        line.send()?;
    }
}
