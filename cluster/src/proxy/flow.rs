//! What happens to the bytes of one direction.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Connection, Direction};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of a chunk that are passed on in pieces; the rest follows whole, or a busy link would stand still.
const PIECES_LEN_MAX: usize = 2048;

/// How bytes fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// They wait so long.
    pub delay: Duration,
    /// They are passed on so many at a time.
    pub piece: Option<usize>,
    /// They are kept back.
    pub held: bool,
}

/// One direction of all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    weather: Weather,
    garble: bool,
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, weather: Weather) {
        self.lock().weather = weather;
        self.wake();
    }

    pub(super) fn garble(&self) {
        self.lock().garble = true;
    }

    /// Lets those who wait look whether their connection still stands.
    pub(super) fn wake(&self) {
        // With the lock, so that nobody is between looking and waiting.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Waits while bytes are kept back. `None` if the connection broke meanwhile.
    fn admit(&self, connection: &Connection) -> Option<(Weather, bool)> {
        let mut state = self.lock();
        loop {
            if connection.is_broken() {
                return None;
            }
            if !state.weather.held {
                return Some((state.weather, std::mem::take(&mut state.garble)));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Passes bytes of one direction on until it ends.
pub(super) fn pump(connection: &Connection, direction: Direction, flow: &Flow) {
    let (mut from, mut to) = connection.ends(direction);
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = match from.read(&mut chunk) {
            Ok(0) => return connection.end(direction),
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let Some((weather, garble)) = flow.admit(connection) else {
            return;
        };
        thread::sleep(weather.delay);
        if garble {
            chunk[len / 2] ^= 1 << (len % 8);
        }
        if !connection.has_ended(direction) && pass(&mut to, &chunk[..len], weather.piece).is_err() {
            // Either way nothing more gets through, but only a broken connection is over.
            if !connection.has_ended(direction) {
                break;
            }
        }
    }
    connection.break_off();
}

fn pass(to: &mut &TcpStream, bytes: &[u8], piece: Option<usize>) -> std::io::Result<()> {
    let (first, rest) = match piece {
        Some(len) => {
            let (first, rest) = bytes.split_at(bytes.len().min(PIECES_LEN_MAX));
            (first.chunks(len.max(1)), rest)
        }
        None => (bytes[..0].chunks(1), bytes),
    };
    for piece in first {
        to.write_all(piece)?;
    }
    to.write_all(rest)
}
