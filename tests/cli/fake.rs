//! A coordinator made of one thread: it speaks frames, answers from a script and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use protocol::codec;
use protocol::frame;
use protocol::hello::{Control, Hello};
use protocol::id::StoreId;
use protocol::message::{Answer, Ask, Call, Reply};

/// What the fake does with an ask.
pub(crate) enum Act {
    Answer(Answer),
    /// Closes the connection.
    HangUp,
    /// Says nothing.
    Ignore,
    /// Says something that is no frame.
    Garbage,
}

/// What the fake says when somebody connects.
pub(crate) enum Greeting {
    Control(Control),
    Raw(&'static [u8]),
}

/// Listens on a port of its own until dropped.
pub(crate) struct Fake {
    address: SocketAddr,
    asks: Arc<Mutex<Vec<Ask>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// A coordinator of the cluster `local` that does what `script` says about each ask.
    pub(crate) fn start(script: impl FnMut(&Ask) -> Act + Send + 'static) -> Fake {
        let hello = Hello::coordinator("local".parse().unwrap(), StoreId(0xc));
        Fake::greeting(Greeting::Control(Control::Hello(hello)), script)
    }

    /// One that answers everything with `answer`.
    pub(crate) fn answering(answer: Answer) -> Fake {
        Fake::start(move |_| Act::Answer(answer.clone()))
    }

    /// One that begins every connection with `greeting`.
    pub(crate) fn greeting(greeting: Greeting, mut script: impl FnMut(&Ask) -> Act + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asks, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (record, stop) = (Arc::clone(&asks), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                // A connection ends when either side has had enough: no failure of the test.
                let _ = serve(&mut stream.unwrap(), &greeting, &mut script, &record);
            }
        });
        Fake {
            address,
            asks,
            stopped,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Everything it was asked so far.
    pub(crate) fn asks(&self) -> Vec<Ask> {
        self.asks.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || thread::panicking(),
            "the fake coordinator panicked"
        );
    }
}

fn serve(
    stream: &mut TcpStream,
    greeting: &Greeting,
    script: &mut impl FnMut(&Ask) -> Act,
    record: &Mutex<Vec<Ask>>,
) -> std::io::Result<()> {
    match greeting {
        Greeting::Control(control) => send(stream, &control.encode())?,
        Greeting::Raw(bytes) => stream.write_all(bytes)?,
    }
    // Reads the client's hello first, so that closing does not reset what it is about to read.
    receive(stream)?;
    if !matches!(greeting, Greeting::Control(Control::Hello(_))) {
        return Ok(());
    }
    loop {
        let body = receive(stream)?;
        if Control::is_control(&body) {
            continue;
        }
        let call: Call = codec::decode(&body).expect("the client sends calls");
        record.lock().unwrap().push(call.ask.clone());
        match script(&call.ask) {
            Act::Answer(answer) => {
                send(stream, &Control::Ping.encode())?;
                let nobody = Reply {
                    id: call.id + 1000,
                    answer: Answer::Failed("of another call".to_owned()),
                };
                send(stream, &codec::encode(&nobody))?;
                send(stream, &codec::encode(&Reply { id: call.id, answer }))?;
            }
            Act::HangUp => return Ok(()),
            Act::Ignore => {}
            Act::Garbage => stream.write_all(b"\xff\xff\xff\xff\xff\xff\xff\xff")?,
        }
    }
}

fn send(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    frame::write(body, &mut bytes);
    stream.write_all(&bytes)
}

fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; frame::HEADER_LEN];
    stream.read_exact(&mut bytes)?;
    let len = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    bytes.resize(frame::HEADER_LEN + usize::try_from(len).unwrap(), 0);
    stream.read_exact(&mut bytes[frame::HEADER_LEN..])?;
    Ok(frame::read(&bytes)
        .expect("the client sends frames")
        .expect("a whole one")
        .to_vec())
}
