//! One HTTP request at a time, as curl would send it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Got {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that must be good.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The detail of a problem that must have this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        let problem = self.json();
        assert_eq!(
            (self.status, &problem["code"]),
            (status, &code.into()),
            "{problem}"
        );
        assert_eq!(problem["money_moved"], "no", "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Asks `address` (`host:port/`) for `path`.
pub(crate) fn get(address: &str, path: &str) -> Got {
    send(address, &format!("GET {path} HTTP/1.1"), "")
}

/// Sends JSON to `path`.
pub(crate) fn post(address: &str, path: &str, body: &Value) -> Got {
    send(address, &format!("POST {path} HTTP/1.1"), &body.to_string())
}

fn send(address: &str, request: &str, body: &str) -> Got {
    let host = address.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "{request}\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let text = if chunked { unchunk(text) } else { text.to_owned() };
    Got { status, text }
}

fn unchunk(mut rest: &str) -> String {
    let mut text = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&more[..length]);
        rest = &more[length + 2..];
        if length == 0 {
            break;
        }
    }
    text
}
