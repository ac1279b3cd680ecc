//! One process: a real machine on a real engine, whose disk is in memory and whose end may come at any moment.
//!
//! A turn is that of the event loop: hear what has arrived, fire timers, sync once, send. A process dies between turns,
//! at any operation of its disk, before any message leaves, or when a message arrives.

use std::collections::VecDeque;
use std::slice;
use std::time::Duration;

use engine::{Halt, MemDisk, StoreConfig, StoreKind, Turn};
use protocol::effects::{Effects, Level, Machine};
use protocol::fold::Fold;
use protocol::frame;
use protocol::hello::Hello;

use crate::autopsy::{Moment, RecordKinds};
use crate::network::{ConnId, Frame};
use crate::role::{Cast, Role, cluster};
use crate::tally::Tally;
use crate::time::{Clock, MS, Time};
use crate::trace::{Event, Trace};
use crate::weather::Weather;
use crate::who::{Who, store_id};

/// Something that has arrived and was not heard yet.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A connection is up; its far side says this.
    Opened(ConnId, Hello),
    /// A connection is gone.
    Closed(ConnId),
    /// A frame.
    Frame(ConnId, Frame),
}

/// What a process needs of the world while it runs.
pub(crate) struct Stage<'a> {
    pub(crate) now: Time,
    pub(crate) clock: &'a Clock,
    pub(crate) cast: &'a Cast,
    pub(crate) trace: &'a mut Trace,
    pub(crate) tally: &'a mut Tally,
    /// Alarms that were raised.
    pub(crate) alarms: &'a mut Vec<(Who, String)>,
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) conn: ConnId,
    pub(crate) frame: Frame,
}

/// What a turn came to.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    /// What may leave now.
    pub(crate) sends: Vec<Send>,
    /// Connections that were taken: their far side is to hear our hello.
    pub(crate) accepted: Vec<ConnId>,
    /// Connections to close once everything has been sent.
    pub(crate) hangups: Vec<ConnId>,
    /// Whether the disk was synced.
    pub(crate) synced: bool,
    /// How many of the sends leave before the process dies; all of them if it does not.
    pub(crate) dies_after: Option<usize>,
}

/// Why a process is no more.
#[derive(Debug)]
pub(crate) enum Death {
    /// Its disk failed it, or it was killed at that operation.
    Disk(engine::Error),
    /// It stopped by itself.
    Stopped(String),
}

/// A process that runs.
struct Life<R: Role> {
    role: R,
    machine: R::Machine,
    turn: Turn<R::Machine>,
    tend_at: Option<Time>,
    syncs: u64,
}

/// What there is to a process whether or not it runs.
pub(crate) struct Body {
    pub(crate) who: Who,
    pub(crate) disk: MemDisk,
    /// How often it was started.
    pub(crate) lives: u32,
    pub(crate) inbox: VecDeque<Item>,
    pub(crate) frozen_until: Time,
    pub(crate) busy_until: Time,
    /// It dies after that many more messages have been sent.
    pub(crate) doomed_sends: Option<usize>,
    /// What it was doing last.
    pub(crate) moment: Moment,
    /// What its disk holds and has not synced.
    pub(crate) unsynced: RecordKinds,
    /// The identity its store gets when it is made.
    pub(crate) birth: u64,
}

/// A process, whatever its role.
pub(crate) trait Host {
    fn body(&self) -> &Body;
    fn body_mut(&mut self) -> &mut Body;
    fn is_up(&self) -> bool;
    /// Recovers what the disk holds and starts on it.
    fn start(&mut self, incarnation: u64, stage: &mut Stage<'_>) -> Result<Turned, Death>;
    /// One turn of the event loop.
    fn turn(&mut self, stage: &mut Stage<'_>) -> Result<Turned, Death>;
    /// When the next turn must begin, if nothing happens before.
    fn deadline(&self, clock: &Clock) -> Option<Time>;
    /// What it says to whoever connects.
    fn hello(&self) -> Hello;
    /// How many transactions are open, while it runs.
    fn load(&self) -> Option<usize>;
    /// The process is gone; its disk is what the operating system still knows.
    fn die(&mut self);
}

/// A place where a process runs, again and again, on the same disk.
pub(crate) struct Process<R: Role> {
    body: Body,
    life: Option<Life<R>>,
    segment_len_max: u64,
}

impl<R: Role> Process<R> {
    pub(crate) fn new(who: Who, weather: &Weather) -> Process<R> {
        let disk = MemDisk::new();
        disk.set_reuses(weather.reuses);
        Process {
            body: Body {
                who,
                disk,
                lives: 0,
                inbox: VecDeque::new(),
                frozen_until: Time::default(),
                busy_until: Time::default(),
                doomed_sends: None,
                moment: Moment::Idle,
                unsynced: RecordKinds::default(),
                birth: 0,
            },
            life: None,
            segment_len_max: weather.segment_len_max,
        }
    }

    pub(crate) fn machine(&self) -> Option<&R::Machine> {
        self.life.as_ref().map(|life| &life.machine)
    }

    /// How the store is opened, by the process and by whoever looks at the disk later.
    pub(crate) fn store_config(&self) -> StoreConfig {
        StoreConfig {
            dir: "sim".into(),
            owner: R::owner(self.body.who),
            kind: StoreKind::Json,
            cluster: cluster(),
            segment_len_max: self.segment_len_max,
            power_cut: None,
        }
    }

    fn fire_timers(&mut self, stage: &mut Stage<'_>) -> Result<(), Death> {
        let now = stage.clock.instant(stage.now);
        let mark = self.living().turn.mark();
        while let Some(timer) = self.living().turn.pop_due(now, mark) {
            self.step(R::fired(timer), stage)?;
        }
        Ok(())
    }

    fn hear(&mut self, item: Item, turned: &mut Turned, stage: &mut Stage<'_>) -> Result<(), Death> {
        let life = self.living();
        let input = match item {
            Item::Opened(conn, hello) => {
                if life.role.hello().check(&hello, &[hello.role]).is_err() {
                    stage.tally.fire("W11");
                    turned.hangups.push(conn);
                    return Ok(());
                }
                // Those who dialled know the far side already.
                if R::accepts().contains(&hello.role) {
                    turned.accepted.push(conn);
                }
                life.role.opened(conn, &hello)
            }
            Item::Closed(conn) => life.role.closed(conn),
            Item::Frame(conn, arrived) => {
                let mut rest = match frame::read(&arrived.bytes) {
                    Ok(Some(body)) => body,
                    Ok(None) | Err(_) => {
                        // Damaged on the way: the connection is of no more use.
                        turned.hangups.push(conn);
                        return Ok(());
                    }
                };
                assert!(!arrived.damaged, "a damaged frame reads as if it were whole");
                if let Some(text) = arrived.text {
                    let (from, to) = (arrived.from, self.body.who);
                    stage.trace.tell(stage.now, Event::Message { from, to, text });
                }
                while !rest.is_empty() {
                    match self.living().role.decode(conn, &mut rest) {
                        Ok(input) => self.step(input, stage)?,
                        Err(_) => {
                            turned.hangups.push(conn);
                            break;
                        }
                    }
                }
                return Ok(());
            }
        };
        match input {
            Some(input) => self.step(input, stage),
            None => Ok(()),
        }
    }

    fn step(&mut self, input: <R::Machine as Machine>::Input, stage: &mut Stage<'_>) -> Result<(), Death> {
        let who = self.body.who;
        let unsynced = &mut self.body.unsynced;
        let life = self.life.as_mut().expect("only the living step");
        let (role, trace, alarms, at) = (&life.role, &mut *stage.trace, &mut *stage.alarms, stage.now);
        let tell = |effects: &Effects<R::Machine>| {
            for (seq, record) in &effects.records {
                unsynced.add(R::record_kind(record));
                trace.deed(at, who, || {
                    let forced = if *seq <= effects.force { " (forced)" } else { "" };
                    format!("append {record}{forced}")
                });
            }
            for note in &effects.notes {
                match note.level {
                    Level::Alarm => {
                        trace.deed(at, who, || format!("ALARM {}", note.text));
                        alarms.push((who, note.text.clone()));
                    }
                    Level::Warning | Level::Info => trace.deed(at, who, || note.text.clone()),
                }
            }
        };
        let now = stage.clock.instant(stage.now);
        let duration = |timer: &<R::Machine as Machine>::Timer| -> Duration { role.duration(timer) };
        life.machine.look_ahead(slice::from_ref(&input)); // As the event loop does, of whatever comes.
        life.turn
            .step(&mut life.machine, input, now, duration, tell)
            .map_err(|halt| match halt {
                Halt::Store(error) => Death::Disk(error),
                Halt::Stopped(why) => Death::Stopped(why),
            })
    }

    fn end_turn(&mut self, turned: &mut Turned, stage: &mut Stage<'_>) -> Result<(), Death> {
        let who = self.body.who;
        let life = self.life.as_mut().expect("only the living end a turn");
        for to in life.turn.hangups() {
            turned.hangups.extend(life.role.route(&to));
        }
        self.body.moment = Moment::Syncing;
        let (role, trace) = (&life.role, &mut *stage.trace);
        let mut sends = Vec::new();
        life.turn
            .sync_and_send(stage.clock.instant(stage.now), |outgoing| {
                let Some(conn) = role.route(&outgoing.to) else {
                    return;
                };
                let mut bytes = Vec::new();
                frame::write(&R::encode(&outgoing.message), &mut bytes);
                let frame = Frame {
                    bytes,
                    kind: R::kind(&outgoing.message),
                    from: who,
                    text: trace.is_on().then(|| outgoing.message.to_string()),
                    damaged: false,
                };
                sends.push(Send { conn, frame });
            })
            .map_err(Death::Disk)?;
        turned.sends = sends;
        let syncs = life.turn.stats().syncs;
        turned.synced = syncs != life.syncs;
        life.syncs = syncs;
        let told = self.body.unsynced;
        if turned.synced {
            self.body.unsynced = RecordKinds::default();
        }
        self.doom_sends(turned);
        if let Some(sent) = turned.dies_after {
            self.body.moment = Moment::Sending {
                sent: turned.sends[..sent].iter().map(|send| send.frame.kind).collect(),
                unsent: turned.sends[sent..].iter().map(|send| send.frame.kind).collect(),
                told,
            };
            return Ok(());
        }
        self.body.moment = Moment::Tending;
        let life = self.living();
        let wanted = life.turn.tend(&mut life.machine).map_err(Death::Disk)?;
        life.tend_at = wanted.map(|ms| stage.now + ms * MS);
        self.body.moment = Moment::Idle;
        Ok(())
    }

    /// A process that is to die while it sends dies between two messages.
    fn doom_sends(&mut self, turned: &mut Turned) {
        if let Some(left) = &mut self.body.doomed_sends {
            if *left < turned.sends.len() {
                turned.dies_after = Some(*left);
                self.body.doomed_sends = None;
            } else {
                *left -= turned.sends.len();
            }
        }
    }

    fn living(&mut self) -> &mut Life<R> {
        self.life.as_mut().expect("only the living act")
    }
}

impl<R: Role> Host for Process<R> {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn is_up(&self) -> bool {
        self.life.is_some()
    }

    fn start(&mut self, incarnation: u64, stage: &mut Stage<'_>) -> Result<Turned, Death> {
        self.body.lives += 1;
        self.body.moment = Moment::Recovering;
        self.body.unsynced = RecordKinds::default();
        self.body.inbox.clear();
        self.body.busy_until = stage.now;
        self.body.frozen_until = stage.now;
        let config = self.store_config();
        let fresh = store_id(self.body.who, self.body.birth);
        let opened = engine::open_on::<<R::Machine as Machine>::State, MemDisk>(
            &self.body.disk,
            &config,
            fresh,
            stage.clock.for_engine(),
        )
        .map_err(Death::Disk)?;
        let (who, now) = (self.body.who, stage.now);
        let seq = opened.state.seq();
        stage.trace.deed(now, who, || format!("starts at record {seq}"));
        for notice in &opened.notices {
            stage.trace.deed(now, who, || notice.clone());
        }
        let (role, machine) =
            R::awake(stage.cast, who, opened.store, incarnation, opened.state).map_err(Death::Stopped)?;
        self.life = Some(Life {
            role,
            machine,
            turn: Turn::new(opened.engine),
            tend_at: None,
            syncs: 0,
        });
        let mut turned = Turned::default();
        self.body.moment = Moment::Stepping;
        self.step(R::start(), stage)?;
        self.end_turn(&mut turned, stage)?;
        Ok(turned)
    }

    fn turn(&mut self, stage: &mut Stage<'_>) -> Result<Turned, Death> {
        let mut turned = Turned::default();
        self.body.moment = Moment::Stepping;
        let life = self.life.as_mut().expect("only the living have turns");
        let open = R::load(&life.machine);
        if let Some(room) = life.turn.room_changed(open) {
            self.step(R::room(room), stage)?;
        }
        while let Some(item) = self.body.inbox.pop_front() {
            self.hear(item, &mut turned, stage)?;
        }
        self.fire_timers(stage)?;
        self.end_turn(&mut turned, stage)?;
        Ok(turned)
    }

    fn deadline(&self, clock: &Clock) -> Option<Time> {
        let life = self.life.as_ref()?;
        let deadline = life.turn.deadline().map(|at| clock.time(at));
        [deadline, life.tend_at].into_iter().flatten().min()
    }

    fn hello(&self) -> Hello {
        let life = self.life.as_ref().expect("only the living say hello");
        life.role.hello()
    }

    fn load(&self) -> Option<usize> {
        self.life.as_ref().map(|life| R::load(&life.machine))
    }

    fn die(&mut self) {
        self.life = None;
        self.body.inbox.clear();
        self.body.doomed_sends = None;
    }
}
