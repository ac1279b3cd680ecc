//! A small HTTP client that says exactly what it is told to, a foreign `Host` too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is an error of this code and status that says everything an error has to say.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:twopence:problem:{code}"));
        for member in ["title", "detail", "money_moved"] {
            let text = problem[member].as_str().unwrap();
            assert!(!text.is_empty(), "{member}: {self:?}");
        }
        problem
    }

    /// Checks that it went well.
    #[track_caller]
    pub(crate) fn is_ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

/// A server as its users see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http(pub(crate) SocketAddr);

impl Http {
    pub(crate) fn get(self, path: &str) -> Response {
        self.send("GET", path, &[], "")
    }

    pub(crate) fn post(self, path: &str, json: &str) -> Response {
        self.send("POST", path, &[("Content-Type", "application/json")], json)
    }

    pub(crate) fn post_with_key(self, path: &str, key: &str, json: &str) -> Response {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        self.send("POST", path, &headers, json)
    }

    /// Sends one request on a connection of its own. A `Host` among the headers takes the place of the right one.
    pub(crate) fn send(self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut stream = self.open(method, path, headers, body);
        let (status, headers) = head(&mut stream);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Response {
            status,
            headers,
            text,
        }
    }

    /// Listens to events until the listener is dropped.
    pub(crate) fn listen(self, path: &str) -> Listener {
        let mut stream = self.open("GET", path, &[], "");
        let (status, headers) = head(&mut stream);
        assert_eq!(status, 200, "{headers:?}");
        let kind = headers.iter().find(|(name, _)| name == "content-type").unwrap();
        assert_eq!(kind.1, "text/event-stream");
        Listener {
            stream,
            text: String::new(),
            ended: false,
        }
    }

    fn open(self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.0);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        // A server that refuses it need not have read all of it.
        let _ = stream.write_all(text.as_bytes());
        BufReader::new(stream)
    }
}

/// Reads the status line and the headers.
fn head(stream: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(':') else {
            return (status, headers);
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

/// Somebody who listens to events.
pub(crate) struct Listener {
    stream: BufReader<TcpStream>,
    /// What came and was not taken yet.
    text: String,
    ended: bool,
}

impl Listener {
    /// The next event, by name; `None` once the server has ended the stream.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (name, data) = frame.split_once('\n').unwrap();
                let event = (
                    name.strip_prefix("event: ").unwrap().to_owned(),
                    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
                );
                self.text = rest.to_owned();
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.chunk();
        }
    }

    /// The next event of that name that fits.
    #[track_caller]
    pub(crate) fn until(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        while let Some((found, data)) = self.next() {
            if found == name && fits(&data) {
                return data;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "in vain: {name}; the last was {found} {data}"
            );
        }
        panic!("the stream ended before {name}");
    }

    /// One chunk of the body, which has no length.
    fn chunk(&mut self) {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let len = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; len + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        self.text += std::str::from_utf8(&chunk[..len]).unwrap();
        self.ended = len == 0;
    }
}
