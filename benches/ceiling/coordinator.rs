//! The mock's coordinator: it counts votes and acknowledgements, and tells a decision once that is durable.

use std::io;
use std::net::TcpStream as StdStream;
use std::path::Path;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::line::Line;
use crate::log::Log;
use crate::message::{Message, Word};
use crate::server;

/// Records of a transaction at its start: that it has begun, and one for each participant.
const BEGIN_RECORDS: usize = 3;

const LISTENER: Token = Token(usize::MAX);

/// A transaction in flight.
#[derive(Clone, Copy, Default)]
struct Open {
    /// The line of its client.
    client: usize,
    /// The first of its two participants.
    first: usize,
    /// A participant has voted, and waits for the other.
    voted: bool,
    /// The same of acknowledgements. Those of the transaction that was here before may come late.
    acknowledged: bool,
}

/// Serves clients until its parent goes. Lines to nodes come first, then those of clients.
///
/// # Errors
/// Whatever the system reports.
pub(crate) fn run(dir: &Path, nodes: &[String]) -> io::Result<()> {
    let mut log = Log::create(&dir.join("log"))?;
    let mut poll = Poll::new()?;
    let mut lines: Vec<Option<Line>> = Vec::new();
    for address in nodes {
        let stream = StdStream::connect(address)?;
        stream.set_nonblocking(true)?;
        let line = Line::new(TcpStream::from_std(stream), poll.registry(), Token(lines.len()))?;
        lines.push(Some(line));
    }
    let listener = server::listen()?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut open: Vec<Open> = Vec::new();
    let mut begun = 0_usize;
    let mut arrived: Vec<Message> = Vec::new();
    let mut decided: Vec<u32> = Vec::new();
    loop {
        server::wait(&mut poll, &mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    let line = Line::new(stream, poll.registry(), Token(lines.len()))?;
                    lines.push(Some(line));
                }
                continue;
            }
            let Token(from) = event.token();
            let Some(line) = &mut lines[from] else {
                continue;
            };
            if !line.receive(|message| arrived.push(message))? {
                if from < nodes.len() {
                    return Err(io::Error::other("a node is gone"));
                }
                lines[from] = None;
            }
            for Message { word, place } in arrived.drain(..) {
                let at = usize::try_from(place).expect("at least 32 bits");
                if open.len() <= at {
                    open.resize(at + 1, Open::default());
                }
                match word {
                    Word::Request => {
                        log.add(BEGIN_RECORDS);
                        open[at].client = from;
                        open[at].first = begun % nodes.len();
                        begun += 1;
                        for node in participants(open[at], nodes.len()) {
                            add(&mut lines, node, Word::Prepare, place);
                        }
                    }
                    Word::Vote => {
                        if second(&mut open[at].voted) {
                            log.add(1);
                            decided.push(place);
                        }
                    }
                    Word::Ack => {
                        if second(&mut open[at].acknowledged) {
                            log.add(1);
                        }
                    }
                    Word::Prepare | Word::Commit | Word::Outcome => {
                        return Err(io::Error::other("nobody says that to a coordinator"));
                    }
                }
            }
        }
        if !decided.is_empty() {
            log.sync()?;
        }
        for place in decided.drain(..) {
            let at = usize::try_from(place).expect("at least 32 bits");
            for node in participants(open[at], nodes.len()) {
                add(&mut lines, node, Word::Commit, place);
            }
            add(&mut lines, open[at].client, Word::Outcome, place);
        }
        for line in lines.iter_mut().flatten() {
            line.send()?;
        }
    }
}

/// Whether this is the second of two.
fn second(first_seen: &mut bool) -> bool {
    std::mem::replace(first_seen, !*first_seen)
}

/// The two nodes of a transaction.
fn participants(open: Open, nodes: usize) -> [usize; 2] {
    [open.first, (open.first + 1) % nodes]
}

fn add(lines: &mut [Option<Line>], to: usize, word: Word, place: u32) {
    if let Some(line) = &mut lines[to] {
        line.add(Message { word, place });
    }
}
