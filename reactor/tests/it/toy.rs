//! A machine that obeys simple words, a store in memory, and a server thread made of both.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::{Engine, Stats};
use protocol::codec::{self, BadBody};
use protocol::effects::{Effects, Machine, Urgency};
use protocol::fold::{AccountLine, Fold, Seq, Table};
use protocol::hello::{Hello, Role};
use protocol::id::{AccountId, NodeId, StoreId, TxnId};
use protocol::index::{self, Key};
use protocol::message::watch::Party;
use protocol::money::Balance;
use protocol::plain::Plain;
use reactor::{
    Config, Counters, Dial, End, Error, Limits, Listen, Meaning, Moment, Peer, Reactor, Service, Session,
    Stopper,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line(pub(crate) String);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts its records.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Count(Seq);

impl Plain for Line {}

impl Fold for Count {
    type Record = Line;
    type Key = u8;
    type Entry = Line;

    fn empty() -> Count {
        Count(0)
    }
    fn seq(&self) -> Seq {
        self.0
    }
    fn size(&self) -> usize {
        0
    }
    fn apply(&mut self, seq: Seq, _: &Line, _: &mut Vec<u8>) {
        self.0 = seq;
    }
    fn entry(&self, _: &u8) -> Option<Line> {
        None
    }
    fn entries(&self) -> Box<dyn Iterator<Item = Line> + '_> {
        Box::new(std::iter::empty())
    }
    fn restore(seq: Seq, _: &mut dyn Iterator<Item = Line>) -> Result<Count, String> {
        Ok(Count(seq))
    }
    fn key(_: &Line) -> u8 {
        0
    }
    fn table(_: &u8) -> Table {
        Table::Meta
    }
    fn as_account(_: &Line) -> Option<AccountLine> {
        None
    }
    fn from_account(_: AccountLine) -> Option<Line> {
        None
    }
    fn adoption(_: Vec<(AccountId, Balance)>, _: u32) -> Option<Line> {
        None
    }
}

/// What tests see of a server, and change under it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) records: Mutex<Vec<String>>,
    pub(crate) syncs: AtomicUsize,
    pub(crate) sync_fails: AtomicBool,
    /// How long the next sync takes.
    pub(crate) sync_takes_ms: AtomicU64,
    pub(crate) full: AtomicBool,
    pub(crate) closed_cleanly: AtomicBool,
    pub(crate) turns: AtomicU64,
    pub(crate) counters: Mutex<Counters>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) links: Mutex<BTreeSet<String>>,
}

struct Store {
    shared: Arc<Shared>,
    appended: Seq,
    synced: Seq,
}

impl Engine<Count> for Store {
    fn append(&mut self, records: &[(Seq, Line)], _: &[u8], state: &Count) -> Result<(), engine::Error> {
        assert_eq!(state.0, records.last().unwrap().0);
        self.appended = state.0;
        let texts = records.iter().map(|(_, line)| line.0.clone());
        self.shared.records.lock().unwrap().extend(texts);
        Ok(())
    }
    fn sync(&mut self) -> Result<(), engine::Error> {
        if self.shared.sync_fails.load(Ordering::SeqCst) {
            return Err(engine::Error::io(
                "cannot sync the toy log",
                std::io::ErrorKind::Other.into(),
            ));
        }
        let ms = self.shared.sync_takes_ms.swap(0, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(ms));
        self.shared.syncs.fetch_add(1, Ordering::SeqCst);
        self.synced = self.appended;
        Ok(())
    }
    fn synced(&self) -> Seq {
        self.synced
    }
    fn tend(&mut self, _: &mut Count) -> Result<Option<u64>, engine::Error> {
        Ok(None)
    }
    fn has_room(&mut self, _: usize) -> bool {
        !self.shared.full.load(Ordering::SeqCst)
    }
    fn stats(&self) -> Stats {
        Stats::default()
    }
    fn close(self: Box<Self>, state: &Count) -> Result<(), engine::Error> {
        assert_eq!(state.0, self.synced, "everything was synced before the close");
        self.shared.closed_cleanly.store(true, Ordering::SeqCst);
        Ok(())
    }
}

pub(crate) enum Input {
    Start,
    Said(Session, String),
    Up(Session),
    Gone,
    Fired(Timer),
    Room(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timer(Session, u64);

impl Key for Timer {
    fn bucket(&self) -> u32 {
        index::hash(self)
    }
}

pub(crate) struct Toy {
    state: Count,
    open: usize,
    room: bool,
    gone: usize,
    /// The most inputs it has been shown ahead.
    most_ahead: Cell<usize>,
}

impl Machine for Toy {
    type State = Count;
    type Input = Input;
    type To = Session;
    type Message = Line;
    type Timer = Timer;

    fn look_ahead(&self, inputs: &[Input]) {
        self.most_ahead.set(self.most_ahead.get().max(inputs.len()));
    }

    fn step(&mut self, input: Input, effects: &mut Effects<Toy>) {
        match input {
            Input::Start => {
                effects.append(&mut self.state, Line("start".to_owned()), Urgency::Forced);
            }
            Input::Said(from, text) => self.obey(from, &text, effects),
            Input::Up(session) => effects.send(session, Line("welcome".to_owned()), 0),
            Input::Gone => self.gone += 1,
            Input::Fired(Timer(session, ms)) => effects.send(session, Line(format!("fired {ms}")), 0),
            Input::Room(room) => self.room = room,
        }
    }

    fn state(&self) -> &Count {
        &self.state
    }

    fn state_mut(&mut self) -> &mut Count {
        &mut self.state
    }
}

impl Toy {
    fn obey(&mut self, from: Session, text: &str, effects: &mut Effects<Toy>) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut answer = |text: String, shows| effects.send(from, Line(text), shows);
        match word {
            "echo" => answer(text.to_owned(), 0),
            "write" | "lazy" => {
                let urgency = if word == "write" {
                    Urgency::Forced
                } else {
                    Urgency::Lazy
                };
                let seq = effects.append(&mut self.state, Line(text.to_owned()), urgency);
                effects.send(from, Line(format!("{word} {rest} is record {seq}")), seq);
            }
            "open" => {
                self.open += 1;
                answer(text.to_owned(), 0);
            }
            "done" => self.open -= rest.parse::<usize>().unwrap(),
            "state" => answer(
                format!("open {} room {} gone {}", self.open, self.room, self.gone),
                0,
            ),
            "ahead" => answer(format!("ahead {}", self.most_ahead.get()), 0),
            "after" => effects.set(Timer(from, rest.parse().unwrap())),
            "cancel" => effects.cancel(Timer(from, rest.parse().unwrap())),
            "large" => answer("x".repeat(rest.parse().unwrap()), 0),
            "hang" => {
                let seq = effects.append(&mut self.state, Line("hang".to_owned()), Urgency::Lazy);
                effects.send(from, Line("bye".to_owned()), seq);
                effects.hangups.push(from);
            }
            "stop" => effects.stop = Some("told to stop".to_owned()),
            // Two toys welcome each other and leave it at that.
            _ => {}
        }
    }
}

pub(crate) struct ToyService(Arc<Shared>);

impl ToyService {
    fn note(&self, text: String) {
        self.0.log.lock().unwrap().push(text);
    }
}

impl Service for ToyService {
    type Machine = Toy;

    fn start(&mut self) -> Option<Input> {
        Some(Input::Start)
    }
    fn opened(&mut self, peer: &Peer) -> Option<Input> {
        self.note(format!("opened {}", peer.hello));
        if peer.link.is_some() {
            self.0.links.lock().unwrap().insert(peer.hello.to_string());
        }
        Some(Input::Up(peer.session))
    }
    fn closed(&mut self, peer: &Peer) -> Option<Input> {
        self.note(format!("closed {}", peer.hello));
        self.0.links.lock().unwrap().remove(&peer.hello.to_string());
        Some(Input::Gone)
    }
    fn decode(&mut self, from: &Peer, body: &mut &[u8]) -> Result<Input, BadBody> {
        codec::decode_next(body).map(|text| Input::Said(from.session, text))
    }
    fn kind(&self, input: &Input) -> String {
        match input {
            Input::Said(_, text) => text.split(' ').next().unwrap().to_owned(),
            Input::Start | Input::Up(_) | Input::Gone | Input::Fired(_) | Input::Room(_) => String::new(),
        }
    }
    fn route(&self, to: &Session) -> Option<Session> {
        Some(*to)
    }
    fn encode(&self, message: &Line, body: &mut Vec<u8>) {
        if message.0.len() > 1_000_000 {
            // The codec has the same limit as the frame, so get past it.
            body.resize(message.0.len(), 1);
        } else {
            body.extend(codec::encode(&message.0));
        }
    }
    fn duration(&self, timer: &Timer) -> Duration {
        Duration::from_millis(timer.1)
    }
    fn fired(&mut self, timer: Timer) -> Input {
        Input::Fired(timer)
    }
    fn room(&mut self, room: bool) -> Option<Input> {
        Some(Input::Room(room))
    }
    fn load(&self, machine: &Toy) -> usize {
        machine.open
    }
    fn heard(&self, input: &Input) -> Option<Meaning> {
        let Input::Said(_, text) = input else {
            return None;
        };
        txn(text).map(|txn| Meaning::of(txn, Moment::Comes))
    }
    fn heard_line(&self, input: &Input) -> (Party, String) {
        let Input::Said(_, text) = input else {
            unreachable!("only what is said is heard");
        };
        (Party::Client, text.clone())
    }
    fn said(&self, message: &Line) -> Option<Meaning> {
        let moment = if message.0.starts_with("write") {
            Moment::Ends(End::Committed)
        } else {
            Moment::Passes
        };
        txn(&message.0).map(|txn| Meaning::of(txn, moment))
    }
    fn recorded(&self, record: &Line) -> Option<Meaning> {
        txn(&record.0).map(|txn| Meaning::of(txn, Moment::UnderWay))
    }
    fn party(&self, _: &Session) -> Party {
        Party::Client
    }
    fn watch(&mut self, counters: &Counters, _: Stats) {
        self.0.turns.store(counters.turns, Ordering::SeqCst);
        *self.0.counters.lock().unwrap() = *counters;
    }
}

/// The transaction that a text is about: `t7` stands for number 7.
fn txn(text: &str) -> Option<TxnId> {
    let number = |word: &str| word.strip_prefix('t')?.parse().ok();
    let number = text.split(' ').find_map(number)?;
    Some(TxnId::new(StoreId(0xc), 1, number))
}

pub(crate) fn cluster() -> protocol::id::ClusterName {
    "local".parse().unwrap()
}

pub(crate) fn n1() -> NodeId {
    "N1".parse().unwrap()
}

pub(crate) fn node() -> Hello {
    Hello::node(cluster(), StoreId(1), n1())
}

pub(crate) fn coordinator() -> Hello {
    Hello::coordinator(cluster(), StoreId(0xc))
}

/// What the coordinator says to N1.
pub(crate) fn to_n1() -> Hello {
    coordinator().expecting(n1())
}

/// A coordinator's client port.
pub(crate) fn for_clients(limits: Limits) -> Config {
    let mut config = Config::new(coordinator());
    config.gate = true;
    config.listen = Some(Listen {
        address: "127.0.0.1:0".to_owned(),
        accepts: vec![Role::Client, Role::Coordinator, Role::Watcher],
    });
    config.limits = limits;
    config
}

/// A node's port.
pub(crate) fn for_coordinators(limits: Limits) -> Config {
    let mut config = for_clients(limits);
    config.hello = node();
    config.listen.as_mut().unwrap().accepts = vec![Role::Coordinator];
    config
}

/// A coordinator that keeps a link to N1 at `address`.
pub(crate) fn dialling(address: SocketAddr, limits: Limits) -> Config {
    let mut config = Config::new(coordinator());
    config.links.push(Dial {
        address: address.to_string(),
        hello: to_n1(),
        accepts: vec![Role::Node],
    });
    config.limits = limits;
    config
}

/// Serves a toy until the loop ends.
pub(crate) fn serve(reactor: Reactor, shared: &Arc<Shared>) -> Result<(), Error> {
    let store = Store {
        shared: Arc::clone(shared),
        appended: 0,
        synced: 0,
    };
    let mut toy = Toy {
        state: Count(0),
        open: 0,
        room: true,
        gone: 0,
        most_ahead: Cell::new(0),
    };
    reactor.serve(&mut ToyService(Arc::clone(shared)), &mut toy, Box::new(store))
}

/// A toy served by a thread. Stops when dropped.
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    address: Option<SocketAddr>,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Server {
    pub(crate) fn start(config: Config) -> Server {
        let reactor = Reactor::bind(config).unwrap();
        let (address, stopper) = (reactor.local_addr(), reactor.stopper());
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(reactor, &seen));
        Server {
            shared,
            address,
            stopper,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.stopper.stop().unwrap();
        self.thread.take().unwrap().join().unwrap()
    }

    /// What the loop returned by itself.
    pub(crate) fn ended(mut self) -> Result<(), Error> {
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.shared.counters.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.stopper.stop();
            let _ = thread.join();
        }
    }
}
