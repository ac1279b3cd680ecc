//! Processes live and die: turns, deaths, and starting again.

use engine::failpoint::Fault;
use engine::{Fate, MemDisk, Pending};
use protocol::participant::Participant;

use super::{Ending, Event, HEARTBEAT, Relief, SILENCE, World};
use crate::autopsy::{self, Moment, RecordKind, Scene};
use crate::nemesis::Armed;
use crate::network::{Cargo, End};
use crate::process::{Death, Host, Item, Process, Stage, Turned};
use crate::rot;
use crate::time::{MS, Micros, Time};
use crate::who::Who;

impl World {
    /// A process. Clients are none.
    pub(crate) fn host(&self, who: Who) -> &dyn Host {
        match who {
            Who::Coordinator(number) => &self.coordinators[number],
            Who::Node(number) => &self.nodes[number],
            Who::Client(_) => unreachable!("a client is no process"),
        }
    }

    pub(crate) fn host_mut(&mut self, who: Who) -> &mut dyn Host {
        match who {
            Who::Coordinator(number) => &mut self.coordinators[number],
            Who::Node(number) => &mut self.nodes[number],
            Who::Client(_) => unreachable!("a client is no process"),
        }
    }

    /// Whether somebody is there; clients always are.
    pub(crate) fn is_up(&self, who: Who) -> bool {
        who.is_client() || self.host(who).is_up()
    }

    /// How often a process was started.
    pub(super) fn lives(&self, who: Who) -> u32 {
        if who.is_client() {
            0
        } else {
            self.host(who).body().lives
        }
    }

    pub(crate) fn disk(&self, who: Who) -> &MemDisk {
        &self.host(who).body().disk
    }

    /// The living participants.
    pub(crate) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.nodes.iter().filter_map(Process::machine)
    }

    /// Lets a process look up at `at`, unless it does so before anyway.
    pub(super) fn wake(&mut self, who: Who, at: Time) {
        let at = at.max(self.now).max(self.hindered_until(who));
        if self
            .wakes
            .get(&who)
            .is_none_or(|&before| at < before || before < self.now)
        {
            self.wakes.insert(who, at);
            self.put(at, Event::Wake(who));
        }
    }

    /// Until when a process is frozen or waits for its disk.
    pub(super) fn hindered_until(&self, who: Who) -> Time {
        let body = self.host(who).body();
        body.busy_until.max(body.frozen_until)
    }

    /// Lets a process act, and sees to what comes of it.
    fn act(&mut self, who: Who, deed: impl FnOnce(&mut dyn Host, &mut Stage<'_>) -> Result<Turned, Death>) {
        let host: &mut dyn Host = match who {
            Who::Coordinator(number) => &mut self.coordinators[number],
            Who::Node(number) => &mut self.nodes[number],
            Who::Client(_) => unreachable!("a client is no process"),
        };
        let mut stage = Stage {
            now: self.now,
            clock: &self.clock,
            cast: &self.weather.cast,
            trace: &mut self.trace,
            tally: &mut self.tally,
            alarms: &mut self.alarms,
        };
        match deed(host, &mut stage) {
            Ok(turned) => self.after_turn(who, turned),
            Err(death) => self.on_death(who, death),
        }
    }

    pub(super) fn start(&mut self, who: Who) {
        if self.is_up(who) {
            return;
        }
        if self.nemesis.rots(who) {
            rot::flip_a_bit(self, who);
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.act(who, |host, stage| host.start(incarnation, stage));
        if let Who::Coordinator(from) = who
            && self.is_up(who)
        {
            self.dial_all(from);
        }
    }

    pub(super) fn turn(&mut self, who: Who) {
        if self.is_up(who) {
            self.act(who, |host, stage| host.turn(stage));
        }
    }

    fn after_turn(&mut self, who: Who, mut turned: Turned) {
        let mut took = 1;
        if turned.synced {
            took += self.disks.between(self.weather.sync.0, self.weather.sync.1);
            took += self.nemesis.take_slow_sync(who);
        }
        for &conn in &turned.accepted {
            let hello = self.host(who).hello();
            self.post(conn, End::Dialler, Cargo::Opened(hello));
        }
        if let Some(sent) = turned.dies_after {
            turned.sends.truncate(sent);
            self.send_all(turned.sends);
            let ending = self.nemesis.some_ending();
            self.kill(who, ending);
            return;
        }
        let (now, life) = (self.now, self.lives(who));
        self.host_mut(who).body_mut().busy_until = now + took;
        if !turned.sends.is_empty() {
            self.put(now + took, Event::Release(who, life, turned.sends));
        }
        for conn in turned.hangups {
            // What was said last leaves before.
            if let Some(end) = self.network.end_of(conn, who) {
                self.put(now + took + 1, Event::HangUp(conn, end));
            }
        }
        if let Some(deadline) = self.host(who).deadline(&self.clock) {
            self.wake(who, deadline);
        }
    }

    /// A process has died of its disk or of its own accord.
    fn on_death(&mut self, who: Who, death: Death) {
        let ending = match death {
            Death::Disk(error) => {
                let text = error.to_string();
                self.trace.deed(self.now, who, || {
                    format!("dies: {}", text.lines().next().unwrap_or_default())
                });
                match self.nemesis.take_armed(who) {
                    Some(Armed { fault, ending }) => {
                        self.tally.deed();
                        self.blame(who, fault);
                        ending
                    }
                    None => {
                        self.history
                            .violations
                            .push(format!("{who} died of a healthy disk: {text}"));
                        Ending::Killed
                    }
                }
            }
            Death::Stopped(why) => {
                self.trace.deed(self.now, who, || format!("stops: {why}"));
                self.history.violations.push(format!("{who} stopped: {why}"));
                Ending::Killed
            }
        };
        self.kill(who, ending);
    }

    /// A process is gone from now on; it is started again later.
    pub(crate) fn kill(&mut self, who: Who, ending: Ending) {
        self.autopsy(who);
        self.trace.deed(self.now, who, || match ending {
            Ending::Killed => "is killed".to_owned(),
            Ending::PowerCut => "loses power".to_owned(),
        });
        self.host_mut(who).die();
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

    /// Notes which fault of its disk a process died of.
    fn blame(&mut self, who: Who, fault: Option<Fault>) {
        let Some(fault) = fault else {
            return;
        };
        let body = self.host(who).body();
        let syncing = matches!(body.moment, Moment::Syncing);
        let deciding = body.unsynced.has(RecordKind::Decision);
        self.tally.fire(match fault {
            Fault::NoSpace => "D8",
            Fault::Broken | Fault::Torn(_) if syncing => "D11",
            Fault::Broken | Fault::Torn(_) => "D10",
        });
        if syncing && deciding {
            self.tally.fire("C12");
        }
    }

    fn autopsy(&mut self, who: Who) {
        let struck = self.disk(who).calm();
        let body = self.host(who).body();
        let unheard = body.inbox.iter().filter_map(|item| match item {
            Item::Frame(_, frame) => Some(frame.kind),
            Item::Opened(..) | Item::Closed(_) => None,
        });
        let scene = Scene {
            who,
            moment: &body.moment,
            struck,
            unsynced: body.unsynced,
            unheard: unheard.collect(),
            lives: body.lives,
        };
        for id in autopsy::faults(&scene) {
            self.tally.fire(id);
        }
    }

    /// What a power cut leaves of the disk: all, nothing or any piece of what was not synced.
    fn cut_power(&mut self, who: Who) {
        let mood = self.disks.below(4);
        let disk = self.disk(who).clone();
        let (dice, tally) = (&mut self.disks, &mut self.tally);
        let mut fate = |pending: Pending| match mood {
            0 => Fate::Drop,
            1 => Fate::Keep,
            _ => match pending {
                _ if dice.chance(250) => Fate::Keep,
                Pending::Name | Pending::Cut => Fate::Drop,
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
        self.host_mut(who).body_mut().disk = disk.crash(&mut fate);
    }

    /// A process stands still for some time: whoever is connected to it may give it up.
    pub(crate) fn freeze(&mut self, frozen: Who, long: Micros) {
        let until = self.now + long;
        self.host_mut(frozen).body_mut().frozen_until = until;
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
}
