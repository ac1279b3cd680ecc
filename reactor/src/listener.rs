//! Who may come in: the listening socket, and what happens when there is no room.
//!
//! The poll is edge-triggered, so every event accepts until nothing is left. When the process runs out of file
//! descriptors, a spare one is given up to accept, and so turn away, whoever waits; what is left after that comes back
//! by timer, for no further event would announce it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use protocol::hello::Role;
use rustix::io::Errno;

use crate::Error;

/// Where to listen and whom to serve there.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Host and port, such as `127.0.0.1:6001`. Port 0 lets the system choose.
    pub address: String,
    /// Roles that are served here.
    pub accepts: Vec<Role>,
}

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) accepts: Vec<Role>,
    /// Given up to accept one more connection when all others are used.
    spare: Option<File>,
}

/// One attempt to accept.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Somebody came.
    Connection(TcpStream, SocketAddr),
    /// Nobody waits.
    Nobody,
    /// Somebody waits and cannot be served: try again after a while.
    Exhausted,
}

impl Listener {
    /// Listens.
    pub(crate) fn bind(listen: &Listen, registry: &Registry, token: Token) -> Result<Listener, Error> {
        let address = resolve(&listen.address)?[0];
        let mut socket = TcpListener::bind(address).map_err(|error| refused(address, &error))?;
        registry
            .register(&mut socket, token, Interest::READABLE)
            .map_err(|error| Error::io("cannot watch the listening socket", error))?;
        let spare = File::open("/dev/null").map_err(|error| Error::io("cannot open /dev/null", error))?;
        Ok(Listener {
            socket,
            accepts: listen.accepts.clone(),
            spare: Some(spare),
        })
    }

    /// The address in use.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts one connection, if somebody waits.
    pub(crate) fn accept(&mut self) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((stream, from)) => return Accepted::Connection(stream, from),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Accepted::Nobody,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::MFILE | Errno::NFILE) => {
                        if let Some(end) = self.turn_one_away() {
                            return end;
                        }
                    }
                    Some(Errno::NOBUFS | Errno::NOMEM) => return Accepted::Exhausted,
                    // Interrupted, or that connection died while it waited; the next one may be fine.
                    Some(_) | None => log::debug!("a connection could not be accepted: {error}"),
                },
            }
        }
    }

    /// Accepts one connection with the spare descriptor and closes it, so that its client knows. Says how accepting
    /// ends, or `None` if more may wait. Without a free descriptor the system reports exhaustion even when nobody
    /// waits, so only this attempt can tell.
    fn turn_one_away(&mut self) -> Option<Accepted> {
        let had_spare = self.spare.take().is_some();
        let waiting = had_spare.then(|| self.socket.accept());
        let end = match &waiting {
            Some(Ok((_, from))) => {
                log::warn!("out of file descriptors: turned {from} away (raise `ulimit -n`)");
                None
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => Some(Accepted::Nobody),
            Some(Err(_)) | None => Some(Accepted::Exhausted),
        };
        drop(waiting);
        self.spare = File::open("/dev/null").ok();
        match self.spare {
            Some(_) => end,
            None => Some(Accepted::Exhausted),
        }
    }
}

/// Looks up `address`, which is host and port.
pub(crate) fn resolve(address: &str) -> Result<Vec<SocketAddr>, Error> {
    match address.to_socket_addrs() {
        Ok(found) => {
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                Err(Error::Address(format!("{address} has no network address")))
            } else {
                Ok(found)
            }
        }
        Err(error) => Err(Error::Address(format!(
            "cannot resolve {address}: {error}; write host:port, such as 127.0.0.1:6001"
        ))),
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Error {
    let (port, host) = (address.port(), address.ip());
    Error::Address(if error.kind() == ErrorKind::AddrInUse {
        format!(
            "port {port} on {host} is already in use: stop the process that listens there, or choose another port"
        )
    } else if error.kind() == ErrorKind::PermissionDenied {
        format!("not allowed to listen on port {port} of {host}: choose a port above 1023")
    } else if error.kind() == ErrorKind::AddrNotAvailable {
        format!("{host} is not an address of this machine")
    } else {
        format!("cannot listen on {address}: {error}")
    })
}
