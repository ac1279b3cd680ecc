//! One session with a PostgreSQL server, spoken to in its own protocol without waiting: what a transfer needs of it,
//! and no more. Statements that recur are prepared once, so that the server does not parse them each time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as BlockingStream;

use mio::net::TcpStream;

/// A connection that is past its login, with one or more rounds of messages on the way.
pub(crate) struct Session {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    used: usize,
    filled: usize,
    output: Vec<u8>,
    sent: usize,
    /// The error of the present round, if it had one.
    error: Option<String>,
    /// The first column of the last row that came.
    row: Option<String>,
}

/// How a round of messages ended.
pub(crate) type Round = Result<(), String>;

impl Session {
    /// Logs in. Waits for that.
    pub(crate) fn open(port: u16) -> Result<Session, String> {
        let text = |error: std::io::Error| format!("PostgreSQL on port {port}: {error}");
        let stream = BlockingStream::connect(("127.0.0.1", port)).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.set_nonblocking(true).map_err(text)?;
        let mut session = Session {
            stream: TcpStream::from_std(stream),
            input: vec![0; 16 * 1024],
            used: 0,
            filled: 0,
            output: Vec::new(),
            sent: 0,
            error: None,
            row: None,
        };
        session.login();
        session.finish_round()?;
        Ok(session)
    }

    /// Logs in and prepares the statements of [`Session::prepare_transfer`]. Waits for that.
    pub(crate) fn for_transfers(port: u16) -> Result<Session, String> {
        let mut session = Session::open(port)?;
        session.parse("begin", "BEGIN");
        session.parse(
            "move",
            "UPDATE account SET balance = balance + $1::bigint WHERE id = $2::bigint",
        );
        session.message(b'S', |_| {});
        session.finish_round()?;
        Ok(session)
    }

    /// Runs `sql` and waits for its end.
    pub(crate) fn run(&mut self, sql: &str) -> Round {
        self.query(sql);
        self.finish_round()
    }

    /// Runs `sql` and waits for its end: the number in the first row.
    pub(crate) fn number(&mut self, sql: &str) -> Result<i64, String> {
        self.run(sql)?;
        let row = self.row.take().ok_or_else(|| format!("no row: {sql}"))?;
        row.parse().map_err(|_| format!("{row:?} is no number: {sql}"))
    }

    /// One side of a transfer up to its promise: a round.
    pub(crate) fn prepare_transfer(&mut self, account: u64, delta: i64, gid: &str) {
        self.execute("begin", &[]);
        self.execute("move", &[&delta.to_string(), &account.to_string()]);
        self.parse("", &format!("PREPARE TRANSACTION '{gid}'"));
        self.execute("", &[]);
        self.message(b'S', |_| {});
    }

    /// `sql` as it stands: a round.
    pub(crate) fn query(&mut self, sql: &str) {
        self.message(b'Q', |body| put_text(body, sql));
    }

    /// Sends as much as the system takes.
    pub(crate) fn send(&mut self) -> Result<(), String> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads what is there.
    pub(crate) fn receive(&mut self) -> Result<(), String> {
        loop {
            if self.used == self.filled {
                (self.used, self.filled) = (0, 0);
            }
            if self.filled == self.input.len() {
                self.input.copy_within(self.used..self.filled, 0);
                (self.used, self.filled) = (0, self.filled - self.used);
                if self.filled == self.input.len() {
                    self.input.resize(self.input.len() * 2, 0);
                }
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(len) => self.filled += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// The end of a round, if all of it has been read.
    pub(crate) fn round(&mut self) -> Option<Round> {
        loop {
            let rest = &self.input[self.used..self.filled];
            let (&kind, after) = rest.split_first()?;
            let (len, _) = after.split_first_chunk::<4>()?;
            let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
            let body = after.get(4..len)?;
            self.used += 1 + len;
            match kind {
                b'E' => self.error = Some(error_text(body)),
                b'D' => self.row = first_column(body),
                b'Z' => return Some(self.error.take().map_or(Ok(()), Err)),
                _ => {}
            }
        }
    }

    fn login(&mut self) {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", "postgres", "database", "postgres", ""] {
            put_text(&mut body, text);
        }
        put_len(&mut self.output, body.len());
        self.output.extend_from_slice(&body);
    }

    fn parse(&mut self, name: &str, sql: &str) {
        self.message(b'P', |body| {
            put_text(body, name);
            put_text(body, sql);
            body.extend_from_slice(&[0, 0]);
        });
    }

    fn execute(&mut self, statement: &str, parameters: &[&str]) {
        self.message(b'B', |body| {
            put_text(body, "");
            put_text(body, statement);
            body.extend_from_slice(&[0, 0]);
            let count = u16::try_from(parameters.len()).expect("two at most");
            body.extend_from_slice(&count.to_be_bytes());
            for parameter in parameters {
                let len = u32::try_from(parameter.len()).expect("digits");
                body.extend_from_slice(&len.to_be_bytes());
                body.extend_from_slice(parameter.as_bytes());
            }
            body.extend_from_slice(&[0, 0]);
        });
        self.message(b'E', |body| {
            put_text(body, "");
            body.extend_from_slice(&[0; 4]);
        });
    }

    fn message(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        self.output.push(kind);
        let start = self.output.len();
        self.output.extend_from_slice(&[0; 4]);
        fill(&mut self.output);
        let len = u32::try_from(self.output.len() - start).expect("short messages");
        self.output[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    /// Waits until a round has ended: for what happens before anything is measured.
    fn finish_round(&mut self) -> Round {
        loop {
            self.send()?;
            self.receive()?;
            if let Some(round) = self.round() {
                return round;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
    body.push(0);
}

/// The length of a body, itself included.
fn put_len(out: &mut Vec<u8>, body_len: usize) {
    let len = u32::try_from(body_len + 4).expect("short messages");
    out.extend_from_slice(&len.to_be_bytes());
}

/// The first column of a row: behind the number of columns, its length and its text.
fn first_column(body: &[u8]) -> Option<String> {
    let (len, rest) = body.get(2..)?.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    Some(String::from_utf8_lossy(rest.get(..len)?).into_owned())
}

/// The message field (`M`) of an error.
fn error_text(body: &[u8]) -> String {
    let fields = body.split(|&byte| byte == 0);
    let text = fields.filter_map(|field| field.strip_prefix(b"M")).next();
    text.map_or_else(
        || "an error without a text".to_owned(),
        |text| String::from_utf8_lossy(text).into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_is_found_among_its_fields() {
        assert_eq!(
            error_text(b"SERROR\0C55P03\0Mcanceling statement\0Fx.c\0\0"),
            "canceling statement"
        );
        assert_eq!(error_text(b"\0"), "an error without a text");
    }
}
