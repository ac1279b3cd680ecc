//! Everybody, and everything that is about to happen, in the order in which it will.
//!
//! One thread, one queue of events, virtual time. Nothing here decides what goes wrong (that is [`crate::nemesis`]) or
//! whether it was right ([`crate::oracle`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use engine::{Fate, MemDisk, Pending};
use protocol::codec;
use protocol::effects::Machine;
use protocol::frame;
use protocol::hello::Hello;
use protocol::message::{Answer, Ask, AuditVerdict, BalanceAnswer, Outcome, Reply};
use protocol::participant::Participant;
use protocol::reason::Reason;
use protocol::request;

use crate::autopsy::{self, Scene};
use crate::client::{Client, Job, Wish};
use crate::dice::Dice;
use crate::history::{History, request_id};
use crate::nemesis::{Nemesis, PostDeed};
use crate::network::{Cargo, ConnId, End, Frame, Network};
use crate::process::{Death, Item, Process, Send, Stage, Turned};
use crate::role::{Cast, CoordinatorRole, Kind, NodeRole, Role, cluster};
use crate::tally::Tally;
use crate::time::{Clock, MS, Micros, SECOND, Time};
use crate::trace::{Event as Told, Trace};
use crate::weather::Weather;
use crate::who::{Who, node_id};
use crate::workload;
use crate::{nemesis, rot};

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
    /// A frame arrives once more, over whatever connection there is. Its sender was in that life.
    Again(Who, u32, Who, Frame),
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
        let segment_len_max = weather.segment_len_max;
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
                .map(|number| Process::new(Who::Coordinator(number), segment_len_max))
                .collect(),
            nodes: (0..nodes)
                .map(|number| Process::new(Who::Node(number), segment_len_max))
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

    fn wake_clients(&mut self) {
        for number in 0..self.clients.len() {
            self.put(self.now, Event::Client(number));
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
            Event::Again(from, life, to, frame) => self.send_again(from, life, to, frame),
        }
    }

    // ------------------------------------------------------------------------------------- processes

    pub(crate) fn is_up(&self, who: Who) -> bool {
        match who {
            Who::Coordinator(number) => self.coordinators[number].is_up(),
            Who::Node(number) => self.nodes[number].is_up(),
            Who::Client(_) => true,
        }
    }

    fn lives(&self, who: Who) -> u32 {
        match who {
            Who::Coordinator(number) => self.coordinators[number].lives,
            Who::Node(number) => self.nodes[number].lives,
            Who::Client(_) => 0,
        }
    }

    pub(crate) fn disk(&self, who: Who) -> &MemDisk {
        match who {
            Who::Coordinator(number) => &self.coordinators[number].disk,
            Who::Node(number) => &self.nodes[number].disk,
            Who::Client(_) => unreachable!("clients have no disk"),
        }
    }

    pub(crate) fn set_disk(&mut self, who: Who, disk: MemDisk) {
        match who {
            Who::Coordinator(number) => self.coordinators[number].disk = disk,
            Who::Node(number) => self.nodes[number].disk = disk,
            Who::Client(_) => unreachable!("clients have no disk"),
        }
    }

    /// Lets a process look up at `at`, unless it does so before anyway.
    fn wake(&mut self, who: Who, at: Time) {
        let (busy, frozen) = self.hindered_until(who);
        let at = at.max(self.now).max(busy).max(frozen);
        if self
            .wakes
            .get(&who)
            .is_none_or(|&before| at < before || before < self.now)
        {
            self.wakes.insert(who, at);
            self.put(at, Event::Wake(who));
        }
    }

    fn start(&mut self, who: Who) {
        if self.is_up(who) {
            return;
        }
        if self.nemesis.rots(who) {
            rot::flip_a_bit(self, who);
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let (now, clock) = (self.now, self.clock.clone());
        let cast = self.weather.cast.clone();
        let mut stage = Stage {
            now,
            clock: &clock,
            cast: &cast,
            trace: &mut self.trace,
            tally: &mut self.tally,
            alarms: &mut self.alarms,
        };
        let started = match who {
            Who::Coordinator(number) => self.coordinators[number].start(incarnation, &mut stage),
            Who::Node(number) => self.nodes[number].start(incarnation, &mut stage),
            Who::Client(_) => unreachable!("clients are always there"),
        };
        match started {
            Ok(turned) => {
                self.after_turn(who, turned);
                if let Who::Coordinator(from) = who {
                    let life = self.lives(who);
                    for to in 0..self.nodes.len() {
                        let link = Link {
                            wait: REDIAL.0,
                            conn: None,
                            up: false,
                        };
                        self.links.insert((from, to), link);
                        self.put(self.now, Event::Dial { from, life, to });
                    }
                }
            }
            Err(death) => self.die(who, death),
        }
    }

    fn turn(&mut self, who: Who) {
        if !self.is_up(who) {
            return;
        }
        let (now, clock) = (self.now, self.clock.clone());
        let cast = self.weather.cast.clone();
        let mut stage = Stage {
            now,
            clock: &clock,
            cast: &cast,
            trace: &mut self.trace,
            tally: &mut self.tally,
            alarms: &mut self.alarms,
        };
        let turned = match who {
            Who::Coordinator(number) => self.coordinators[number].turn(&mut stage),
            Who::Node(number) => self.nodes[number].turn(&mut stage),
            Who::Client(_) => unreachable!("clients have no turns"),
        };
        match turned {
            Ok(turned) => self.after_turn(who, turned),
            Err(death) => self.die(who, death),
        }
    }

    fn after_turn(&mut self, who: Who, mut turned: Turned) {
        let mut took = 1;
        if turned.synced {
            took += self.disks.between(self.weather.sync.0, self.weather.sync.1);
            took += self.nemesis.take_slow_sync(who);
        }
        for &conn in &turned.accepted {
            let hello = self.hello(who);
            self.post(conn, End::Dialler, Cargo::Opened(hello));
        }
        if let Some(sent) = turned.dies_after {
            turned.sends.truncate(sent);
            self.send_all(turned.sends);
            let ending = self.nemesis.some_ending();
            self.kill(who, ending);
            return;
        }
        match who {
            Who::Coordinator(number) => self.coordinators[number].busy_until = self.now + took,
            Who::Node(number) => self.nodes[number].busy_until = self.now + took,
            Who::Client(_) => unreachable!("clients have no turns"),
        }
        if !turned.sends.is_empty() {
            let life = self.lives(who);
            self.put(self.now + took, Event::Release(who, life, turned.sends));
        }
        for conn in turned.hangups {
            // What was said last leaves before.
            if let Some(end) = self.network.end_of(conn, who) {
                self.put(self.now + took + 1, Event::HangUp(conn, end));
            }
        }
        let deadline = match who {
            Who::Coordinator(number) => self.coordinators[number].deadline(&self.clock),
            Who::Node(number) => self.nodes[number].deadline(&self.clock),
            Who::Client(_) => None,
        };
        if let Some(deadline) = deadline {
            self.wake(who, deadline);
        }
    }

    fn hello(&self, who: Who) -> Hello {
        let said = match who {
            Who::Coordinator(number) => self.coordinators[number].role().map(Role::hello),
            Who::Node(number) => self.nodes[number].role().map(Role::hello),
            Who::Client(_) => Some(Hello::client(cluster())),
        };
        said.expect("only the living say hello")
    }

    /// A process has died of its disk or of its own accord.
    fn die(&mut self, who: Who, death: Death) {
        match death {
            Death::Disk(error) => {
                self.trace.deed(self.now, who, || {
                    format!("dies: {}", first_line(&error.to_string()))
                });
                let expected = self.nemesis.expects_disk_death(who);
                if !expected {
                    self.history
                        .violations
                        .push(format!("{who} died of a healthy disk: {error}"));
                }
                let ending = self.nemesis.ending_at_disk(who);
                self.kill(who, ending);
            }
            Death::Stopped(why) => {
                self.trace.deed(self.now, who, || format!("stops: {why}"));
                if !self.nemesis.allows_stops() {
                    self.history.violations.push(format!("{who} stopped: {why}"));
                }
                self.kill(who, Ending::Killed);
            }
        }
    }

    /// A process is gone from now on; it is started again later.
    pub(crate) fn kill(&mut self, who: Who, ending: Ending) {
        self.autopsy(who);
        self.trace.deed(self.now, who, || match ending {
            Ending::Killed => "is killed".to_owned(),
            Ending::PowerCut => "loses power".to_owned(),
        });
        match who {
            Who::Coordinator(number) => self.coordinators[number].die(),
            Who::Node(number) => self.nodes[number].die(),
            Who::Client(_) => unreachable!("clients do not die"),
        }
        if ending == Ending::PowerCut {
            self.tally.fire("D2");
            self.cut_power(who);
        }
        let silently = ending == Ending::PowerCut && self.nemesis.dies_silently();
        if silently {
            self.tally.fire("W7");
        }
        let down = if self.healed {
            MS
        } else {
            self.nemesis.dice.skewed(MS, self.weather.down)
        };
        // A machine that is back refuses the next heartbeat on a connection it knows nothing of.
        let learnt = self.now + SILENCE.min(down + HEARTBEAT);
        for (conn, end) in self.network.conns_of(who) {
            if self.network.close(conn, end) {
                if silently {
                    self.put(learnt, Event::Arrive(conn, end.other(), Cargo::Closed));
                } else {
                    self.post(conn, end.other(), Cargo::Closed);
                }
            }
        }
        self.put(self.now + down, Event::Start(who));
    }

    fn autopsy(&mut self, who: Who) {
        let struck = self.disk(who).calm();
        let (moment, unsynced, inbox, lives) = match who {
            Who::Coordinator(number) => {
                let process = &self.coordinators[number];
                (&process.moment, process.unsynced, &process.inbox, process.lives)
            }
            Who::Node(number) => {
                let process = &self.nodes[number];
                (&process.moment, process.unsynced, &process.inbox, process.lives)
            }
            Who::Client(_) => return,
        };
        let unheard = inbox.iter().filter_map(|item| match item {
            Item::Frame(_, frame) => Some(frame.kind),
            Item::Opened(..) | Item::Closed(_) => None,
        });
        let scene = Scene {
            who,
            moment,
            struck,
            unsynced,
            unheard: unheard.collect(),
            lives,
        };
        for id in autopsy::faults(&scene) {
            self.tally.fire(id);
        }
    }

    /// What a power cut leaves of the disk.
    fn cut_power(&mut self, who: Who) {
        let mood = self.disks.below(4);
        let (dice, tally) = (&mut self.disks, &mut self.tally);
        let mut fate = |pending: Pending| match mood {
            0 => Fate::Drop,
            1 => Fate::Keep,
            _ => match pending {
                _ if dice.chance(250) => Fate::Keep,
                Pending::Name => Fate::Drop,
                Pending::Append(_) if dice.chance(333) => Fate::Drop,
                Pending::Append(len) => {
                    tally.fire("D1");
                    if dice.chance(700) {
                        Fate::Torn(dice.below(len + 1))
                    } else {
                        Fate::Zeros
                    }
                }
            },
        };
        let after = self_disk(&self.coordinators, &self.nodes, who).crash(&mut fate);
        self.set_disk(who, after);
    }

    // --------------------------------------------------------------------------------------- network

    fn send_all(&mut self, sends: Vec<Send>) {
        for Send { conn, frame } in sends {
            self.send(conn, frame);
        }
    }

    /// A frame leaves its sender.
    fn send(&mut self, conn: ConnId, mut frame: Frame) {
        let Some(end) = self.network.end_of(conn, frame.from) else {
            return;
        };
        if !self.network.is_open(conn, end) {
            return;
        }
        let to_end = end.other();
        let to = self.network.who(conn, to_end).expect("just looked");
        self.messages += 1;
        if frame.kind == Kind::Pending {
            self.tally.fire("C13");
        }
        let scripted = self.nemesis.on_message(self.messages, frame.kind);
        if let Some(deed) = scripted.filter(|_| !self.healed) {
            match deed {
                PostDeed::Lose => {
                    self.lose(conn, &frame, to);
                    return;
                }
                PostDeed::Twice => {
                    self.tally.fire("W2");
                    self.tally.deed();
                    self.post(conn, to_end, Cargo::Frame(frame.clone()));
                }
                PostDeed::Cut => {
                    self.tally.fire("W8");
                    self.tally.deed();
                    self.cut(conn, end);
                    return;
                }
                PostDeed::KillReceiver => {
                    self.tally.deed();
                    self.post(conn, to_end, Cargo::Frame(frame));
                    self.doom_hearing(to);
                    return;
                }
                PostDeed::KillSender => {
                    self.tally.deed();
                    let from = frame.from;
                    self.post(conn, to_end, Cargo::Frame(frame));
                    if self.is_up(from) && !matches!(from, Who::Client(_)) {
                        let ending = self.nemesis.some_ending();
                        self.kill(from, ending);
                    }
                    return;
                }
            }
        }
        if self.healed || frame.kind == Kind::Handshake {
            self.post(conn, to_end, Cargo::Frame(frame));
            return;
        }
        let mail = self.weather.mail;
        let between_servers = !matches!(frame.from, Who::Client(_)) && !matches!(to, Who::Client(_));
        if self.mail.chance(mail.lost) {
            self.lose(conn, &frame, to);
            return;
        }
        if between_servers && self.mail.chance(mail.twice) {
            self.tally.fire("W2");
            self.tally.deed();
            self.post(conn, to_end, Cargo::Frame(frame.clone()));
        }
        // An inquiry is answered before its transaction can end: it never arrives later than its own acknowledgement.
        let comes_again = !matches!(frame.kind, Kind::Other | Kind::Inquiry);
        if between_servers && comes_again && self.mail.chance(mail.again) {
            let after = self.mail.skewed(MS, 10 * SECOND);
            let life = self.lives(frame.from);
            self.put(
                self.now + after,
                Event::Again(frame.from, life, to, frame.clone()),
            );
        }
        if self.mail.chance(mail.damaged) {
            self.tally.fire("W10");
            self.tally.deed();
            let bit = self.mail.below(frame.bytes.len() * 8);
            frame.bytes[bit / 8] ^= 1 << (bit % 8);
            frame.damaged = true;
        }
        self.post(conn, to_end, Cargo::Frame(frame));
    }

    fn lose(&mut self, _conn: ConnId, frame: &Frame, to: Who) {
        self.tally.fire("W1");
        self.tally.deed();
        let (from, kind) = (frame.from, frame.kind);
        self.trace
            .world(self.now, || format!("lost: {kind:?} from {from} to {to}"));
    }

    /// A frame from long ago arrives once more.
    fn send_again(&mut self, from: Who, life: u32, to: Who, frame: Frame) {
        // A new life begins its transactions itself; whoever says otherwise is no coordinator of ours.
        let begins = matches!(frame.kind, Kind::Prepare | Kind::Execute);
        if self.healed || (begins && self.lives(from) != life) {
            return;
        }
        let conns = self.network.conns_between(to, from);
        if let Some(&(conn, end)) = conns.last() {
            self.tally.fire("W2");
            self.tally.deed();
            self.post(conn, end, Cargo::Frame(frame));
        }
    }

    fn post(&mut self, conn: ConnId, to: End, cargo: Cargo) {
        let mail = self.weather.mail;
        let mut latency = if self.healed {
            mail.latency.0
        } else {
            self.mail.between(mail.latency.0, mail.latency.1)
        };
        if !self.healed && self.mail.chance(mail.late) {
            self.tally.fire("W4");
            self.tally.deed();
            latency += self.mail.skewed(MS, 3 * SECOND);
        }
        if let Some((at, cargo)) = self.network.post(conn, to, cargo, self.now, latency) {
            self.put(at, Event::Arrive(conn, to, cargo));
        }
    }

    fn arrive(&mut self, conn: ConnId, end: End, cargo: Cargo) {
        if !self.network.is_open(conn, end) {
            return;
        }
        let who = self.network.who(conn, end).expect("it is open");
        let other = self.network.who(conn, end.other());
        if matches!(cargo, Cargo::Closed) {
            self.network.close(conn, end);
        }
        if let Who::Client(number) = who {
            return self.client_hears(number, conn, cargo);
        }
        if !self.is_up(who) {
            return; // Its connections are closed with it.
        }
        if let (Who::Coordinator(from), End::Dialler, Some(Who::Node(to))) = (who, end, other) {
            self.link_changed(from, to, conn, &cargo);
        }
        match &cargo {
            Cargo::Opened(hello) => {
                self.trace
                    .deed(self.now, who, || format!("connection {} with {hello}", conn.0));
            }
            Cargo::Closed => self
                .trace
                .deed(self.now, who, || format!("connection {} is closed", conn.0)),
            Cargo::Frame(_) => {}
        }
        let item = match cargo {
            Cargo::Opened(hello) => Item::Opened(conn, hello),
            Cargo::Closed => Item::Closed(conn),
            Cargo::Frame(frame) => Item::Frame(conn, frame),
        };
        match who {
            Who::Coordinator(number) => self.coordinators[number].inbox.push_back(item),
            Who::Node(number) => self.nodes[number].inbox.push_back(item),
            Who::Client(_) => unreachable!("handled above"),
        }
        if self.nemesis.dies_hearing(who) {
            let ending = self.nemesis.some_ending();
            self.kill(who, ending);
        } else {
            self.wake(who, self.now);
        }
    }

    /// A coordinator's connection to a node came up or went down.
    fn link_changed(&mut self, from: usize, to: usize, conn: ConnId, cargo: &Cargo) {
        let link = self.links.get_mut(&(from, to)).expect("set at every start");
        if link.conn != Some(conn) {
            return; // One that reached somebody else, or was given up.
        }
        match cargo {
            Cargo::Opened(_) => {
                link.wait = REDIAL.0;
                link.up = true;
            }
            Cargo::Closed => self.redial(from, to),
            Cargo::Frame(_) => {}
        }
    }

    fn redial(&mut self, from: usize, to: usize) {
        let link = self.links.get_mut(&(from, to)).expect("set at every start");
        let wait = link.wait;
        *link = Link {
            wait: (wait * 2).min(REDIAL.1),
            conn: None,
            up: false,
        };
        let life = self.coordinators[from].lives;
        self.put(self.now + wait, Event::Dial { from, life, to });
    }

    fn dial(&mut self, from: usize, life: u32, to: usize) {
        let caller = Who::Coordinator(from);
        if !self.is_up(caller) || self.lives(caller) != life || self.links[&(from, to)].conn.is_some() {
            return;
        }
        // Somebody else may answer there; the hello finds out.
        let reached = self.nemesis.misroute(to, self.nodes.len());
        let hello = self.hello(caller).expecting(node_id(to));
        match self.open(caller, Who::Node(reached), hello) {
            Some(conn) => self.links.get_mut(&(from, to)).expect("just seen").conn = Some(conn),
            None => self.redial(from, to),
        }
    }

    /// Begins a connection; `None` if nobody is there.
    fn open(&mut self, from: Who, to: Who, hello: Hello) -> Option<ConnId> {
        let is_up = self.is_up(to);
        if !is_up && !self.network.is_blocked(from, to) {
            return None;
        }
        let conn = self.network.dial(from, to);
        if is_up {
            self.post(conn, End::Listener, Cargo::Opened(hello));
        } else {
            self.network.close(conn, End::Listener);
        }
        self.put(self.now + DIAL_PATIENCE, Event::DialLate(conn));
        Some(conn)
    }

    fn on_dial_late(&mut self, conn: ConnId) {
        let late = self
            .links
            .iter()
            .find(|(_, link)| link.conn == Some(conn) && !link.up);
        let Some((&(from, to), _)) = late else {
            return;
        };
        if self.network.close(conn, End::Dialler) {
            self.post(conn, End::Listener, Cargo::Closed);
        }
        if self.is_up(Who::Coordinator(from)) {
            self.redial(from, to);
        }
    }

    /// A connection breaks; both sides learn it.
    pub(crate) fn cut(&mut self, conn: ConnId, first: End) {
        self.trace
            .world(self.now, || format!("connection {} breaks", conn.0));
        self.put(self.now, Event::Arrive(conn, first, Cargo::Closed));
        self.post(conn, first.other(), Cargo::Closed);
    }

    /// What is sent from `from` to `to` waits from now on.
    pub(crate) fn block(&mut self, from: Who, to: Who) {
        if self.network.block(from, to) {
            self.blocked_since.insert((from, to), self.now);
            self.trace
                .world(self.now, || format!("{from} no longer reaches {to}"));
            let silent = Event::Silent {
                hearer: to,
                other: from,
                since: self.now,
            };
            self.put(self.now + SILENCE, silent);
        }
    }

    fn on_silence(&mut self, hearer: Who, other: Who, since: Time) {
        let blocked = self.network.is_blocked(other, hearer)
            && self.blocked_since.get(&(other, hearer)) == Some(&since);
        let frozen = self.frozen_since.get(&other) == Some(&since);
        if !blocked && !frozen {
            return;
        }
        self.tally.fire("W7");
        for (conn, end) in self.network.conns_between(hearer, other) {
            self.trace.world(self.now, || {
                format!("{hearer} has heard nothing of {other} for too long")
            });
            self.put(self.now, Event::Arrive(conn, end, Cargo::Closed));
            self.post(conn, end.other(), Cargo::Closed);
        }
    }

    /// A process is frozen from now on: whoever is connected to it may give it up.
    pub(crate) fn freeze(&mut self, frozen: Who, long: Micros) {
        let until = self.now + long;
        match frozen {
            Who::Coordinator(number) => self.coordinators[number].frozen_until = until,
            Who::Node(number) => self.nodes[number].frozen_until = until,
            Who::Client(_) => return,
        }
        self.trace
            .deed(self.now, frozen, || format!("freezes until {until}"));
        self.frozen_since.insert(frozen, self.now);
        self.put(until, Event::Relief(Relief::Thaw(frozen)));
        self.wakes.remove(&frozen);
        self.wake(frozen, self.now);
        for hearer in self.processes() {
            let silent = Event::Silent {
                hearer,
                other: frozen,
                since: self.now,
            };
            self.put(self.now + SILENCE, silent);
        }
    }

    fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Free(from, to) => self.free(from, to),
            Relief::Fast(from, to) => self.network.set_slow(from, to, 0),
            Relief::Room(who) => self.disk(who).set_capacity(None),
            Relief::Thaw(who) => {
                self.frozen_since.remove(&who);
            }
        }
    }

    /// A path is free again: what waited arrives, or its connection turns out to have broken meanwhile.
    pub(crate) fn free(&mut self, from: Who, to: Who) {
        let freed = self.network.unblock(from, to);
        self.trace
            .world(self.now, || format!("{from} reaches {to} again"));
        self.tally.fire("W5");
        let mut broken = BTreeSet::new();
        for (conn, end, cargo) in freed {
            if self.mail.chance(100) && broken.insert(conn) {
                self.cut(conn, end);
            }
            if !broken.contains(&conn) || matches!(cargo, Cargo::Closed) {
                self.post(conn, end, cargo);
            }
        }
    }

    // --------------------------------------------------------------------------------------- clients

    fn on_client(&mut self, number: usize) {
        if self.clients[number].deadline() > self.now {
            return;
        }
        let wishes = if self.clients[number].is_idle() {
            self.think(number)
        } else {
            self.clients[number].fire(self.now)
        };
        self.grant(number, wishes);
    }

    fn client_hears(&mut self, number: usize, conn: ConnId, cargo: Cargo) {
        let now = self.now;
        let wishes = match cargo {
            Cargo::Opened(_) => self.clients[number].connected(conn, now),
            Cargo::Closed => self.clients[number].lost(conn, now),
            Cargo::Frame(frame) => {
                let body = frame::read(&frame.bytes).ok().flatten();
                match body.map(codec::decode::<Reply>) {
                    Some(Ok(reply)) if !frame.damaged => {
                        if let Some(text) = frame.text {
                            let (from, to) = (frame.from, Who::Client(number));
                            self.trace.tell(now, Told::Message { from, to, text });
                        }
                        self.clients[number].heard(conn, reply.id, reply.answer, now)
                    }
                    Some(Ok(_)) => unreachable!("a damaged frame reads as if it were whole"),
                    Some(Err(_)) | None => {
                        self.cut(conn, End::Dialler);
                        Vec::new()
                    }
                }
            }
        };
        self.grant(number, wishes);
    }

    /// Does what a client wants.
    fn grant(&mut self, number: usize, wishes: Vec<Wish>) {
        let who = Who::Client(number);
        for wish in wishes {
            match wish {
                Wish::Dial(coordinator) => {
                    let hello = Hello::client(cluster());
                    match self.open(who, Who::Coordinator(coordinator), hello) {
                        Some(conn) => self.clients[number].dialled(coordinator, conn),
                        None => {
                            // Refused at once; the client hears of it a moment later.
                            let conn = self.network.dial(who, Who::Coordinator(coordinator));
                            self.network.close(conn, End::Listener);
                            self.clients[number].dialled(coordinator, conn);
                            self.put(self.now + 100, Event::Arrive(conn, End::Dialler, Cargo::Closed));
                        }
                    }
                }
                Wish::Close(conn) => {
                    if self.network.close(conn, End::Dialler) {
                        self.post(conn, End::Listener, Cargo::Closed);
                    }
                }
                Wish::Call(conn, call) => {
                    let mut bytes = Vec::new();
                    frame::write(&codec::encode(&call), &mut bytes);
                    let kind = match call.ask {
                        Ask::Submit { .. } => Kind::Submit,
                        Ask::Balance { .. }
                        | Ask::Accounts { .. }
                        | Ask::Audit
                        | Ask::Status
                        | Ask::Show(_)
                        | Ask::List { .. }
                        | Ask::Resolve { .. }
                        | Ask::Adopt { .. }
                        | Ask::Arm { .. } => Kind::Other,
                    };
                    let frame = Frame {
                        bytes,
                        kind,
                        from: who,
                        text: self.trace.is_on().then(|| call.to_string()),
                        damaged: false,
                    };
                    self.send(conn, frame);
                }
                Wish::Done { job, began, end } => self.on_done(number, job, began, end),
            }
        }
        let at = self.clients[number].deadline().max(self.now);
        if at > self.now || !self.clients[number].is_idle() {
            self.put(at, Event::Client(number));
        }
    }

    /// An idle client thinks of something to do.
    fn think(&mut self, number: usize) -> Vec<Wish> {
        let habits = self.weather.habits;
        let (now, nodes) = (self.now, self.nodes.len());
        let coordinators = self.coordinators.len();
        let client = &mut self.clients[number];
        let first = client.dice.chance(200).then(|| client.dice.below(coordinators));
        if !client.open.is_empty() && (self.requests_left == 0 || client.dice.chance(300)) {
            let at = client.dice.below(client.open.len());
            let order = client.open.swap_remove(at);
            return self.ask(number, order, first);
        }
        if self.requests_left == 0 {
            return Vec::new();
        }
        if client.dice.chance(habits.audit) {
            return client.begin(Job::Audit, Ask::Audit, first, habits.patience, now);
        }
        if client.dice.chance(habits.read) {
            let place = workload::place(client.dice.below(nodes), client.dice.below(habits.accounts));
            let ask = Ask::Balance {
                place: place.clone(),
                wait_ms: 1000,
            };
            return client.begin(Job::Read(place), ask, first, habits.patience, now);
        }
        self.requests_left -= 1;
        if client.dice.chance(20)
            && let Some(again) = self.some_committed(number)
        {
            if self.clients[number].dice.chance(500) {
                self.tally.fire("I8");
                return self.ask(number, again, first);
            }
            self.tally.fire("I9");
            let asked = &self.history.asked()[again];
            let ask = Ask::Submit {
                request: asked.id,
                repeated: true,
                order: workload::other_body(&asked.order),
            };
            return self.clients[number].begin(Job::Reuse, ask, first, habits.patience, now);
        }
        let idea = workload::idea(&mut self.clients[number].dice, &habits, nodes);
        if let Some(id) = idea.fault {
            self.tally.fire(id);
        }
        let order = self.history.ask(idea.order, now, idea.never);
        self.ask(number, order, first)
    }

    /// A transfer that this client was told to have happened; a deposit would have to be repeated as one.
    fn some_committed(&mut self, number: usize) -> Option<usize> {
        let asked = self.history.asked();
        let at = self.clients[number].dice.below(asked.len());
        (at..asked.len()).find(|&order| {
            let asked = &asked[order];
            !asked.order.opens() && asked.told.as_ref().is_some_and(|told| told.committed.is_some())
        })
    }

    fn ask(&mut self, client: usize, order: usize, first: Option<usize>) -> Vec<Wish> {
        let asked = &self.history.asked()[order];
        // Only its own client knows whether it was sent before.
        let repeated = !self.asked_before.insert(order);
        let ask = Ask::Submit {
            request: request_id(order),
            repeated,
            order: asked.order.clone(),
        };
        let (patience, now) = (self.weather.habits.patience, self.now);
        self.clients[client].begin(Job::Order { order, repeated }, ask, first, patience, now)
    }

    fn on_done(&mut self, number: usize, job: Job, began: Time, end: request::End) {
        let think = self.clients[number].dice.skewed(1, self.weather.habits.think);
        self.clients[number].idle_until = self.now + if self.healed { 1 } else { think };
        let answer = match end {
            request::End::Answer(answer) => Some(answer),
            request::End::NoCoordinator { .. } | request::End::Unknown { .. } => None,
        };
        match job {
            Job::Order { order, repeated } => match answer {
                Some(Answer::Outcome(outcome)) => {
                    if let Outcome::Aborted { refusal, .. } = &outcome
                        && let Reason::CreditOverflow(_) = refusal.reason
                    {
                        self.tally.fire("I2");
                    }
                    self.history.tell(order, &outcome, repeated, self.now);
                }
                Some(_) | None => {
                    if self.history.asked()[order].told.is_none() {
                        self.clients[number].open.push(order);
                    }
                }
            },
            Job::Reuse => {
                if let Some(Answer::Outcome(outcome)) = answer
                    && outcome != Outcome::Reused
                {
                    self.history.violations.push(format!(
                        "V5: a request that had happened was sent again with another body, and the answer is {outcome}"
                    ));
                }
            }
            Job::Read(place) => match answer {
                Some(Answer::Balance(BalanceAnswer::Is(found))) => {
                    self.history.read(place, began, self.now, found);
                }
                Some(Answer::Balance(BalanceAnswer::NoSuchAccount)) => {
                    self.history.violations.push(format!("V7: {place} is not there"));
                }
                Some(_) | None => {}
            },
            Job::Audit => {
                if let Some(Answer::Audit(report)) = answer {
                    match report.verdict {
                        AuditVerdict::Exact => self.history.exact_audits += 1,
                        AuditVerdict::Incomplete(_) => {}
                        AuditVerdict::Violated => {
                            self.history
                                .violations
                                .push(format!("V8: an audit says {report:?}"));
                        }
                    }
                }
            }
        }
    }

    /// Whether every client has nothing more to ask.
    pub(crate) fn clients_are_done(&self) -> bool {
        self.requests_left == 0
            && self
                .clients
                .iter()
                .all(|client| client.is_idle() && client.open.is_empty())
    }

    /// Whether everything that was begun has ended, everywhere.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.clients_are_done()
            && self
                .processes()
                .into_iter()
                .all(|who| self.is_up(who) && self.is_free(who))
            && self.links.values().all(|link| self.is_whole(link))
            && self.participants().all(|participant| participant.load() == 0)
            && self
                .coordinators
                .iter()
                .all(|process| process.machine().is_some_and(|machine| machine.load() == 0))
    }

    /// Whether a process is neither frozen nor waiting longer for its disk than a sync takes.
    fn is_free(&self, who: Who) -> bool {
        let (busy, frozen) = self.hindered_until(who);
        busy.max(frozen) <= self.now + self.weather.sync.1 + 1
    }

    /// Until when a process waits for its disk, and until when it is frozen.
    fn hindered_until(&self, who: Who) -> (Time, Time) {
        match who {
            Who::Coordinator(number) => (
                self.coordinators[number].busy_until,
                self.coordinators[number].frozen_until,
            ),
            Who::Node(number) => (self.nodes[number].busy_until, self.nodes[number].frozen_until),
            Who::Client(_) => (self.now, self.now),
        }
    }

    /// Whether both ends of a link are up: a machine that lost power is not missed at once.
    fn is_whole(&self, link: &Link) -> bool {
        let is_open = |conn| self.network.is_open(conn, End::Listener);
        link.up && link.conn.is_some_and(is_open)
    }

    /// Who has not come to rest, for a person.
    pub(crate) fn what_is_left(&self) -> String {
        let mut left = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            if !client.is_idle() || !client.open.is_empty() {
                left.push(format!("{} waits {:?}", Who::Client(number), client.open));
            }
        }
        for who in self.processes().into_iter().filter(|&who| !self.is_free(who)) {
            left.push(format!("{who} is hindered until {:?}", self.hindered_until(who)));
        }
        for ((from, to), link) in &self.links {
            if !self.is_whole(link) {
                left.push(format!(
                    "{} has no link to {}",
                    Who::Coordinator(*from),
                    Who::Node(*to)
                ));
            }
        }
        for process in &self.coordinators {
            match process.machine() {
                None => left.push(format!("{} is down", process.who)),
                Some(machine) if machine.load() > 0 => {
                    left.push(format!("{} has {} open", process.who, machine.load()));
                }
                Some(_) => {}
            }
        }
        for process in &self.nodes {
            match process.machine() {
                None => left.push(format!("{} is down", process.who)),
                Some(machine) if machine.load() > 0 => {
                    let prepared = machine.state().prepared().keys();
                    left.push(format!("{} has {prepared:?} prepared", process.who));
                }
                Some(_) => {}
            }
        }
        left.join("; ")
    }

    /// Lets a client do one more thing.
    pub(crate) fn employ(&mut self, number: usize, job: Job, ask: Ask, first: usize) {
        let (patience, now) = (self.weather.habits.patience, self.now);
        let wishes = self.clients[number].begin(job, ask, Some(first), patience, now);
        self.grant(number, wishes);
    }

    /// Lets a client ask once more about a request.
    pub(crate) fn ask_again(&mut self, number: usize, order: usize) {
        self.clients[number].open.push(order);
        self.put(self.now, Event::Client(number));
    }

    /// Clients drop what they have not thought of yet.
    pub(crate) fn stop_requests(&mut self) {
        self.requests_left = 0;
    }

    pub(crate) fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// Everything works again: whoever is dead starts at once, every path is free, every disk has room.
    pub(crate) fn heal(&mut self) {
        self.trace.world(self.now, || "everything heals".to_owned());
        self.healed = true;
        self.nemesis.calm();
        self.frozen_since.clear();
        for (from, to) in self.network.blocked() {
            self.free(from, to);
        }
        self.network.clear_slow();
        for who in self.processes() {
            self.disk(who).calm();
            self.disk(who).set_capacity(None);
            match who {
                Who::Coordinator(number) => {
                    self.coordinators[number].frozen_until = self.now;
                    self.coordinators[number].doomed_sends = None;
                }
                Who::Node(number) => {
                    self.nodes[number].frozen_until = self.now;
                    self.nodes[number].doomed_sends = None;
                }
                Who::Client(_) => {}
            }
            if self.is_up(who) {
                self.wake(who, self.now);
            } else {
                self.put(self.now, Event::Start(who));
            }
        }
        for client in &mut self.clients {
            client.idle_until = self.now;
        }
        self.wake_clients();
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

    /// A process dies as soon as it hears something.
    pub(crate) fn doom_hearing(&mut self, who: Who) {
        if !matches!(who, Who::Client(_)) {
            self.nemesis.doom_hearing(who);
        }
    }

    /// The living participants.
    pub(crate) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.nodes.iter().filter_map(Process::machine)
    }
}

fn self_disk<'a>(
    coordinators: &'a [Process<CoordinatorRole>],
    nodes: &'a [Process<NodeRole>],
    who: Who,
) -> &'a MemDisk {
    match who {
        Who::Coordinator(number) => &coordinators[number].disk,
        Who::Node(number) => &nodes[number].disk,
        Who::Client(_) => unreachable!("clients have no disk"),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
