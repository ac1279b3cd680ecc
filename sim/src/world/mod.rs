//! Everybody, and everything that is about to happen, in the order in which it will.
//!
//! One thread, one queue of events, virtual time. Nothing here decides what goes wrong (that is [`crate::nemesis`]) or
//! whether it was right ([`crate::oracle`]).

mod clients;
mod life;
mod links;
mod mail;
mod rest;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::client::Client;
use crate::dice::Dice;
use crate::history::History;
use crate::nemesis::{self, Nemesis};
use crate::network::{Cargo, ConnId, End, Frame, Network};
use crate::process::{Process, Send};
use crate::role::{Cast, CoordinatorRole, NodeRole};
use crate::tally::Tally;
use crate::time::{Clock, MS, Micros, SECOND, Time};
use crate::trace::Trace;
use crate::weather::Weather;
use crate::who::Who;
use crate::workload;

/// A peer that is silent for this long is dead.
pub(crate) const SILENCE: Micros = 20 * SECOND;

/// A connection on which nothing was sent for this long gets a ping.
const HEARTBEAT: Micros = 5 * SECOND;

/// A dial that nobody answers is given up after this long.
const DIAL_PATIENCE: Micros = 5 * SECOND;

/// Waits before a coordinator dials a node again: the shortest and the longest.
const REDIAL: (Micros, Micros) = (20 * MS, SECOND);

/// Something that is about to happen.
#[derive(Clone, Debug)]
enum Event {
    /// A process looks at what there is to do.
    Wake(Who),
    /// What a turn has said leaves the process, unless it has died since.
    Release(Who, u32, Vec<Send>),
    /// Something arrives at one end of a connection.
    Arrive(ConnId, End, Cargo),
    /// One end hangs up, and the other learns it.
    HangUp(ConnId, End),
    /// A coordinator dials a node, unless it has died since.
    Dial { from: usize, life: u32, to: usize },
    /// A dial has taken too long.
    DialLate(ConnId),
    /// Somebody has heard nothing over a blocked path for too long.
    Silent { hearer: Who, other: Who, since: Time },
    /// A client has something to do.
    Client(usize),
    /// A dead process is started again.
    Start(Who),
    /// Something goes wrong.
    Strike,
    /// Something that went wrong is over.
    Relief(Relief),
    /// A frame arrives once more, over whatever connection there is. Sender and receiver were in those lives.
    Again(Who, Who, (u32, u32), Frame),
}

/// The end of something that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relief {
    /// A path is free again.
    Free(Who, Who),
    /// A path is fast again.
    Fast(Who, Who),
    /// A disk has room again.
    Room(Who),
    /// A process goes on.
    Thaw(Who),
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The process is gone, the machine goes on: what was written is still known, synced or not.
    Killed,
    /// The machine loses power.
    PowerCut,
}

/// A coordinator's link to a node.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// How long to wait before the next attempt.
    wait: Micros,
    /// The connection in use or in the making.
    conn: Option<ConnId>,
    /// Whether it is in use.
    up: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) weather: Weather,
    pub(crate) now: Time,
    pub(crate) clock: Clock,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) history: History,
    pub(crate) alarms: Vec<(Who, String)>,
    pub(crate) coordinators: Vec<Process<CoordinatorRole>>,
    pub(crate) nodes: Vec<Process<NodeRole>>,
    pub(crate) network: Network,
    pub(crate) nemesis: Nemesis,
    clients: Vec<Client>,
    links: BTreeMap<(usize, usize), Link>,
    /// Since when each path has been blocked.
    blocked_since: BTreeMap<(Who, Who), Time>,
    /// Since when each frozen process has been frozen.
    pub(crate) frozen_since: BTreeMap<Who, Time>,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
    /// When each process will look up next.
    wakes: BTreeMap<Who, Time>,
    /// Requests that clients have not thought of yet.
    requests_left: usize,
    incarnations: u64,
    mail: Dice,
    disks: Dice,
    /// Messages that have left so far.
    pub(crate) messages: u64,
    /// Requests that may have been sent before.
    asked_before: BTreeSet<usize>,
    /// Whether nothing new goes wrong any more.
    pub(crate) healed: bool,
}

struct Queued {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Queued) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl World {
    /// A world in which everybody is about to start.
    pub(crate) fn new(seed: u64, weather: Weather, nemesis: Nemesis, trace: Trace) -> World {
        let Cast {
            coordinators,
            nodes,
            clients,
            ..
        } = weather.cast;
        let client = |number: usize| {
            let dice = Dice::new(seed, &format!("client {number}"));
            Client::new(coordinators, number % coordinators, dice)
        };
        let mut world = World {
            now: Time::default(),
            clock: Clock::new(),
            trace,
            tally: Tally::default(),
            history: History::default(),
            alarms: Vec::new(),
            coordinators: (0..coordinators)
                .map(|number| Process::new(Who::Coordinator(number), &weather))
                .collect(),
            nodes: (0..nodes)
                .map(|number| Process::new(Who::Node(number), &weather))
                .collect(),
            network: Network::default(),
            nemesis,
            clients: (0..clients).map(client).collect(),
            links: BTreeMap::new(),
            blocked_since: BTreeMap::new(),
            frozen_since: BTreeMap::new(),
            queue: BinaryHeap::new(),
            queued: 0,
            wakes: BTreeMap::new(),
            requests_left: 0,
            incarnations: 0,
            mail: Dice::new(seed, "mail"),
            disks: Dice::new(seed, "disks"),
            messages: 0,
            asked_before: BTreeSet::new(),
            healed: false,
            weather,
        };
        for who in world.processes() {
            world.put(Time(0), Event::Start(who));
        }
        world.fund();
        for number in 0..clients {
            world.put(Time(SECOND), Event::Client(number));
        }
        world
    }

    /// Every account is opened by a deposit.
    fn fund(&mut self) {
        let habits = self.weather.habits;
        for node in 0..self.nodes.len() {
            for account in 0..habits.accounts {
                let order = workload::funding(workload::place(node, account));
                let number = self.history.ask(order, self.now, false);
                let client = number % self.clients.len();
                self.clients[client].open.push(number);
            }
        }
    }

    /// Clients begin to think of requests, and things begin to go wrong.
    pub(crate) fn begin(&mut self) {
        self.requests_left = self.weather.habits.requests;
        self.messages = 0;
        Nemesis::arm_script(self);
        self.wake_clients();
        if !self.weather.deeds.is_empty() {
            let pause = self
                .nemesis
                .dice
                .between(self.weather.pause.0, self.weather.pause.1);
            self.put(self.now + pause, Event::Strike);
        }
    }

    /// Every process, coordinators first.
    pub(crate) fn processes(&self) -> Vec<Who> {
        let coordinators = (0..self.coordinators.len()).map(Who::Coordinator);
        coordinators.chain((0..self.nodes.len()).map(Who::Node)).collect()
    }

    fn put(&mut self, at: Time, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse(Queued {
            at,
            number: self.queued,
            event,
        }));
    }

    pub(crate) fn put_relief(&mut self, after: Micros, relief: Relief) {
        self.put(self.now + after, Event::Relief(relief));
    }

    /// Lets the next thing happen, unless that is after `until`. Says whether anything did.
    pub(crate) fn step(&mut self, until: Time) -> bool {
        match self.queue.peek() {
            Some(Reverse(next)) if next.at <= until => {}
            Some(_) | None => {
                self.now = until;
                self.clock.set(until);
                return false;
            }
        }
        let Reverse(Queued { at, event, .. }) = self.queue.pop().expect("just seen");
        self.now = at;
        self.clock.set(at);
        self.happen(event);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(who) => {
                if self.wakes.get(&who) == Some(&self.now) {
                    self.wakes.remove(&who);
                    self.turn(who);
                }
            }
            Event::Release(who, life, sends) => {
                if self.is_up(who) && self.lives(who) == life {
                    self.send_all(sends);
                }
            }
            Event::Arrive(conn, end, cargo) => self.arrive(conn, end, cargo),
            Event::HangUp(conn, end) => self.cut(conn, end),
            Event::Dial { from, life, to } => self.dial(from, life, to),
            Event::DialLate(conn) => self.on_dial_late(conn),
            Event::Silent { hearer, other, since } => self.on_silence(hearer, other, since),
            Event::Client(number) => self.on_client(number),
            Event::Start(who) => self.start(who),
            Event::Strike => self.strike(),
            Event::Relief(relief) => self.relieve(relief),
            Event::Again(from, to, lives, frame) => self.send_again(from, to, lives, frame),
        }
    }

    /// Strikes, and sees to it that this was not the last time.
    fn strike(&mut self) {
        if self.healed {
            return;
        }
        let pause = self
            .nemesis
            .dice
            .between(self.weather.pause.0, self.weather.pause.1);
        self.put(self.now + pause, Event::Strike);
        nemesis::strike(self);
    }
}
