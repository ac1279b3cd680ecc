//! How many connections at a time, and for how long without a request?
//!
//! Each costs memory, and a program that forgets to close its own must not take all of it. Whoever comes when all places
//! are taken waits in the system's queue; a connection on which nothing is asked gives its place up after a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time;

/// How long nobody is let in after the system had no connection to give: it may be out of files.
const RECOVERY: Duration = Duration::from_secs(1);

/// What one server allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// How long a connection may take until the head of its next request is there. Answers may take longer.
    pub(crate) head: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A page takes six at the most, and one of them for its events.
            connections: 512,
            head: Duration::from_secs(30),
        }
    }
}

/// Answers whoever connects until `stopped`, and comes to its end when all who were being answered then have their answer.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopped: impl Future<Output = ()>,
) {
    let open = GracefulShutdown::new();
    tokio::select! {
        () = accept(listener, router, limits, &open) => {}
        () = stopped => {}
    }
    open.shutdown().await;
}

/// Lets in whoever comes while there are places, for ever.
async fn accept(listener: TcpListener, router: Router, limits: Limits, open: &GracefulShutdown) {
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                time::sleep(RECOVERY).await;
                continue;
            }
        };
        // Answers and events are small and must not wait for more.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // It fails if the other side is gone, or late: there is nobody to tell.
            let _ = connection.await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use axum::routing::get;
    use tokio::runtime::Runtime;

    use super::*;

    const EVER: Duration = Duration::from_secs(30);

    fn server(limits: Limits) -> (Runtime, SocketAddr) {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let slow = move || async move {
            time::sleep(3 * limits.head).await;
            "here"
        };
        let router = Router::new()
            .route("/", get(|| future::ready("here")))
            .route("/slow", get(slow));
        runtime.spawn(serve(listener, router, limits, future::pending()));
        (runtime, address)
    }

    fn ask(stream: &TcpStream) {
        ask_for(stream, "/");
    }

    fn ask_for(mut stream: &TcpStream, path: &str) {
        write!(stream, "GET {path} HTTP/1.1\r\nhost: us\r\n\r\n").unwrap();
    }

    fn hear(mut stream: &TcpStream, patience: Duration) -> Result<String, ErrorKind> {
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut heard = [0; 15];
        let read = stream.read(&mut heard).map_err(|error| error.kind())?;
        Ok(String::from_utf8_lossy(&heard[..read]).into_owned())
    }

    #[test]
    fn who_goes_makes_room_for_who_waits() {
        let (_runtime, address) = server(Limits {
            connections: 1,
            head: EVER,
        });
        let first = TcpStream::connect(address).unwrap();
        ask(&first);
        assert_eq!(hear(&first, EVER).unwrap(), "HTTP/1.1 200 OK");
        let second = TcpStream::connect(address).unwrap();
        ask(&second);
        let early = hear(&second, Duration::from_millis(20));
        assert_eq!(early, Err(ErrorKind::WouldBlock));
        drop(first);
        assert_eq!(hear(&second, EVER).unwrap(), "HTTP/1.1 200 OK");
    }

    #[test]
    fn who_never_asks_or_never_comes_to_an_end_does_not_keep_a_place() {
        let (_runtime, address) = server(Limits {
            connections: 3,
            head: Duration::from_millis(20),
        });
        let silent = TcpStream::connect(address).unwrap();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET / HT").unwrap();
        let idle = TcpStream::connect(address).unwrap();
        ask(&idle);
        assert_eq!(hear(&idle, EVER).unwrap(), "HTTP/1.1 200 OK");
        let fourth = TcpStream::connect(address).unwrap();
        ask(&fourth);
        assert_eq!(hear(&fourth, EVER).unwrap(), "HTTP/1.1 200 OK");
        for mut stream in [silent, slow, idle] {
            stream.set_read_timeout(Some(EVER)).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
    }
    #[test]
    fn an_answer_may_take_longer_than_a_request() {
        let (_runtime, address) = server(Limits {
            connections: 1,
            head: Duration::from_millis(50),
        });
        let patient = TcpStream::connect(address).unwrap();
        ask_for(&patient, "/slow");
        assert_eq!(hear(&patient, EVER).unwrap(), "HTTP/1.1 200 OK");
    }
}
