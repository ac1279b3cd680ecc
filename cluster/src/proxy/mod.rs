//! A link that can go wrong: a TCP proxy between two processes, each direction of it by itself.
//!
//! It passes bytes on as they come, until it is told to be slow, to let them through one by one, to keep them back, to
//! change one, to end one direction, or to break. Nothing is ever lost, doubled or reordered within a connection: that is
//! what TCP sees to. What is kept back arrives late or, if the connection is cut meanwhile, never.

mod flow;

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use flow::Weather;
use flow::{Flow, pump};

/// How long the far side may take to accept.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the side that connected.
    Forth,
    /// To the side that connected.
    Back,
}

impl Direction {
    /// Both.
    pub const BOTH: [Direction; 2] = [Direction::Forth, Direction::Back];
}

/// A proxy in front of one address. Dropping it breaks its connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    /// Whether new connections are closed at once.
    refusing: AtomicBool,
    ended: AtomicBool,
    forth: Arc<Flow>,
    back: Arc<Flow>,
    connections: Mutex<Vec<Arc<Connection>>>,
}

/// Both ends of one connection.
#[derive(Debug)]
struct Connection {
    near: TcpStream,
    far: TcpStream,
    /// Set once it is of no use any more.
    broken: AtomicBool,
    /// Directions that end here: what still comes is thrown away.
    ended: [AtomicBool; 2],
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 that leads to `target`.
    ///
    /// # Errors
    /// If the system has no port or no thread for it.
    pub fn start(target: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            refusing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            forth: Arc::default(),
            back: Arc::default(),
            connections: Mutex::default(),
        });
        let accepting = thread::Builder::new().name("proxy".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        })?;
        Ok(Proxy {
            shared,
            address,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How bytes of one direction fare from now on, on every connection.
    pub fn set(&self, direction: Direction, weather: Weather) {
        self.flow(direction).set(weather);
    }

    /// One bit of what comes next in this direction arrives changed.
    pub fn garble(&self, direction: Direction) {
        self.flow(direction).garble();
    }

    /// Breaks every connection. Returns how many there were.
    pub fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *self.shared.connections());
        let broken = connections
            .iter()
            .filter(|connection| connection.break_off())
            .count();
        self.shared.forth.wake();
        self.shared.back.wake();
        broken
    }

    /// From now on closes new connections at once, or no longer.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
    }

    /// Ends this direction of every connection, as a side does that has nothing more to say; the other one goes on.
    /// Returns how many connections there were.
    pub fn half_close(&self, direction: Direction) -> usize {
        let connections = self.shared.connections();
        let alive = connections.iter().filter(|connection| !connection.is_broken());
        alive.map(|connection| connection.end(direction)).count()
    }

    /// Everything as it should be again, for connections to come and for those that are left.
    pub fn calm(&self) {
        self.refuse(false);
        for direction in Direction::BOTH {
            self.set(direction, Weather::default());
        }
    }

    fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::Forth => &self.shared.forth,
            Direction::Back => &self.shared.back,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_PATIENCE);
        if let Some(accepting) = self.accepting.take() {
            // It has nothing to say, and its panic would be one of ours.
            let _ = accepting.join();
        }
        self.cut();
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: &TcpListener) {
        loop {
            let Ok((near, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(10)); // Out of descriptors: some will come back.
                continue;
            };
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            if !self.refusing.load(Ordering::Relaxed) {
                // What fails here looks to the near side like a far side that closes at once.
                let _ = self.connect(near);
            }
        }
    }

    fn connect(&self, near: TcpStream) -> io::Result<()> {
        let far = TcpStream::connect_timeout(&self.target, CONNECT_PATIENCE)?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let connection = Arc::new(Connection {
            near,
            far,
            broken: AtomicBool::new(false),
            ended: Default::default(),
        });
        {
            let mut connections = self.connections();
            connections.retain(|known| !known.is_broken());
            connections.push(Arc::clone(&connection));
        }
        for (direction, flow) in [(Direction::Forth, &self.forth), (Direction::Back, &self.back)] {
            let (connection, flow) = (Arc::clone(&connection), Arc::clone(flow));
            let pumping = thread::Builder::new().name("proxy".to_owned());
            pumping.spawn(move || pump(&connection, direction, &flow))?;
        }
        Ok(())
    }
}

impl Connection {
    /// Where bytes of that direction come from and go to.
    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::Forth => (&self.near, &self.far),
            Direction::Back => (&self.far, &self.near),
        }
    }

    /// Lets the receiver of that direction see its end.
    fn end(&self, direction: Direction) {
        self.ended(direction).store(true, Ordering::Relaxed);
        let (_, to) = self.ends(direction);
        // Fails only where it is closed already.
        let _ = to.shutdown(Shutdown::Write);
        if Direction::BOTH.iter().all(|&direction| self.has_ended(direction)) {
            self.break_off();
        }
    }

    fn has_ended(&self, direction: Direction) -> bool {
        self.ended(direction).load(Ordering::Relaxed)
    }

    fn ended(&self, direction: Direction) -> &AtomicBool {
        let [forth, back] = &self.ended;
        match direction {
            Direction::Forth => forth,
            Direction::Back => back,
        }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Breaks it; says whether it was whole.
    fn break_off(&self) -> bool {
        let was_broken = self.broken.swap(true, Ordering::Relaxed);
        for end in [&self.near, &self.far] {
            // Fails only where the other side was faster.
            let _ = end.shutdown(Shutdown::Both);
        }
        !was_broken
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(60);

    /// Both ends of a connection through a proxy.
    struct Line {
        proxy: Proxy,
        listener: TcpListener,
        near: TcpStream,
        far: TcpStream,
    }

    fn line() -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
        let near = TcpStream::connect(proxy.address()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        for end in [&near, &far] {
            end.set_read_timeout(Some(LONG)).unwrap();
        }
        // The proxy knows of a connection at latest when something has come through.
        (&near).write_all(b"hello").unwrap();
        expect(&mut far, b"hello");
        Line {
            proxy,
            listener,
            near,
            far,
        }
    }

    fn expect(end: &mut TcpStream, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        end.read_exact(&mut read).unwrap();
        assert_eq!(read, bytes);
    }

    fn expect_nothing(end: &mut TcpStream) {
        end.set_read_timeout(Some(SHORT)).unwrap();
        assert!(end.read(&mut [0]).is_err(), "something came through");
        end.set_read_timeout(Some(LONG)).unwrap();
    }

    fn is_over(end: &mut TcpStream) -> bool {
        matches!(end.read(&mut [0]), Ok(0) | Err(_))
    }

    #[test]
    fn bytes_pass_both_ways_whole_or_one_by_one() {
        let mut line = line();
        let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for piece in [None, Some(3)] {
            let weather = Weather {
                piece,
                ..Weather::default()
            };
            for direction in Direction::BOTH {
                line.proxy.set(direction, weather);
            }
            let part = &text[..if piece.is_some() { 5_000 } else { text.len() }];
            thread::scope(|scope| {
                let (near, far) = (&mut line.near, &mut line.far);
                scope.spawn(|| near.write_all(part).unwrap());
                expect(far, part);
            });
            line.far.write_all(&part[..1000]).unwrap();
            expect(&mut line.near, &part[..1000]);
        }
    }

    #[test]
    fn a_held_direction_is_silent_and_the_other_one_is_not() {
        let mut line = line();
        let held = Weather {
            held: true,
            ..Weather::default()
        };
        line.proxy.set(Direction::Forth, held);
        line.near.write_all(b"late").unwrap();
        line.far.write_all(b"back").unwrap();
        expect(&mut line.near, b"back");
        expect_nothing(&mut line.far);
        line.proxy.calm();
        expect(&mut line.far, b"late");

        line.proxy.set(Direction::Forth, held);
        line.near.write_all(b"never").unwrap();
        expect_nothing(&mut line.far);
        assert_eq!(line.proxy.cut(), 1);
        assert!(is_over(&mut line.near) && is_over(&mut line.far));
        assert_eq!(line.proxy.cut(), 0);
    }

    #[test]
    fn a_slow_link_is_slow() {
        let mut line = line();
        let slow = Weather {
            delay: SHORT,
            ..Weather::default()
        };
        line.proxy.set(Direction::Back, slow);
        let began = Instant::now();
        line.far.write_all(b"x").unwrap();
        expect(&mut line.near, b"x");
        assert!(began.elapsed() >= SHORT);
    }

    #[test]
    fn a_cut_link_comes_back_unless_it_is_refused() {
        let line = line();
        line.proxy.cut();
        line.proxy.refuse(true);
        let mut refused = TcpStream::connect(line.proxy.address()).unwrap();
        refused.set_read_timeout(Some(LONG)).unwrap();
        assert!(is_over(&mut refused));
        line.proxy.calm();
        let mut near = TcpStream::connect(line.proxy.address()).unwrap();
        let (mut far, _) = line.listener.accept().unwrap();
        near.write_all(b"again").unwrap();
        expect(&mut far, b"again");
        drop(line.proxy);
        assert!(is_over(&mut far));
    }

    #[test]
    fn a_half_closed_link_ends_one_way_and_goes_on_the_other() {
        let mut line = line();
        assert_eq!(line.proxy.half_close(Direction::Forth), 1);
        assert!(is_over(&mut line.far));
        line.near.write_all(b"unheard").unwrap();
        line.far.write_all(b"still here").unwrap();
        expect(&mut line.near, b"still here");
    }

    #[test]
    fn one_bit_of_a_garbled_message_is_wrong() {
        let mut line = line();
        line.proxy.garble(Direction::Forth);
        line.near.write_all(&[0; 9]).unwrap();
        let mut read = [0; 9];
        line.far.read_exact(&mut read).unwrap();
        let wrong: u32 = read.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(wrong, 1);
        line.near.write_all(b"right").unwrap();
        expect(&mut line.far, b"right");
    }

    #[test]
    fn the_end_of_one_side_reaches_the_other() {
        let mut line = line();
        line.near.write_all(b"bye").unwrap();
        line.near.shutdown(Shutdown::Write).unwrap();
        expect(&mut line.far, b"bye");
        assert!(is_over(&mut line.far));
        line.far.write_all(b"bye bye").unwrap();
        drop(line.far);
        expect(&mut line.near, b"bye bye");
        assert!(is_over(&mut line.near));
    }
}
