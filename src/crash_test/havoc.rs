//! Carrying faults out, and ending them: the schedule of one round against the real processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use client::{NodeId, Target};
use cluster::{Cluster, Exit, Link, Proxy, Weather, name};

use super::fault::{Draw, Fault, Kind, Targets, Trouble};
use super::finding::{Findings, Rule};
use super::points;
use super::pulse::{Clock, Pulse};

/// How long a process that a failpoint has killed stays down.
const DOWN_AFTER_FAILPOINT: Duration = Duration::from_millis(100);

/// Faults carried out, and what became of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) faults: BTreeMap<Kind, u64>,
    /// Failpoints that acted, by the id of their fault.
    pub(super) points: BTreeMap<&'static str, u64>,
    /// What was over when, for whoever asks how long the cluster took to recover.
    pub(super) over: Vec<Over>,
}

/// The end of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub(super) kind: Kind,
    /// The node that is back; `None` if it is more than one.
    pub(super) node: Option<NodeId>,
    pub(super) at: Instant,
}

/// One round's faults at work.
pub(super) struct Havoc<'a> {
    cluster: &'a mut Cluster,
    findings: &'a Findings,
    pulse: &'a Pulse,
    tally: &'a mut Tally,
    began: Instant,
    agenda: VecDeque<(Duration, Fault)>,
    /// What ends when.
    ends: Vec<(Instant, End)>,
    down: BTreeSet<Target>,
    frozen: BTreeSet<Target>,
    troubled: BTreeSet<Link>,
    /// What was armed in the present life of a process.
    armed: BTreeMap<Target, String>,
}

/// How a fault ends.
#[derive(Clone, Debug)]
enum End {
    Start(Target, Option<String>, Kind),
    Thaw(Target),
    Calm(Link, Kind),
}

/// The faults of a round that is `time` long.
pub(super) fn agenda(draw: &mut Draw, targets: &Targets, time: Duration) -> VecDeque<(Duration, Fault)> {
    let mut agenda = VecDeque::new();
    let mut at = draw.pause();
    while at < time {
        agenda.push_back((at, draw.fault(targets)));
        at += draw.pause();
    }
    agenda
}

impl<'a> Havoc<'a> {
    pub(super) fn new(
        cluster: &'a mut Cluster,
        agenda: VecDeque<(Duration, Fault)>,
        tally: &'a mut Tally,
        pulse: &'a Pulse,
        findings: &'a Findings,
    ) -> Havoc<'a> {
        Havoc {
            cluster,
            findings,
            pulse,
            tally,
            began: Instant::now(),
            agenda,
            ends: Vec::new(),
            down: BTreeSet::new(),
            frozen: BTreeSet::new(),
            troubled: BTreeSet::new(),
            armed: BTreeMap::new(),
        }
    }

    /// What was carried out so far.
    pub(super) fn tally(&self) -> &Tally {
        self.tally
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        while let Some((_, fault)) = self.agenda.pop_front_if(|(at, _)| *at <= self.began.elapsed()) {
            self.begin(&fault);
        }
        let now = Instant::now();
        for (_, end) in self.ends.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.end(end);
        }
        self.look_for_dead();
    }

    /// Ends everything at once. Who still has something armed is killed once more: nothing may act from now on.
    pub(super) fn heal(mut self) {
        self.look_for_dead();
        for target in std::mem::take(&mut self.armed).into_keys() {
            self.cluster.kill9(target);
        }
        for target in std::mem::take(&mut self.frozen) {
            // Fails only for one that has died meanwhile.
            let _ = self.cluster.thaw(target);
        }
        for proxy in self.cluster.links().values() {
            proxy.calm();
            // What was held back or half closed must not linger.
            proxy.cut();
        }
    }

    fn begin(&mut self, fault: &Fault) {
        let kind = fault.kind();
        let done = match fault {
            Fault::Kill { target, down, arm } => self.kill(*target, *down, arm.clone(), kind),
            Fault::KillAll { down } => {
                let targets = self.cluster.targets();
                let killed = targets
                    .into_iter()
                    .filter(|target| self.kill(*target, *down, None, kind));
                killed.count() > 0
            }
            Fault::Stop { target, down } => self.stop(*target, *down),
            Fault::Freeze { target, time } => self.freeze(*target, *time),
            Fault::Link { link, trouble, time } => self.trouble(*link, *trouble, *time, kind),
        };
        if done {
            log::debug!("{fault}");
            self.count(kind);
        }
    }

    /// Whether it was there to be killed.
    fn kill(&mut self, target: Target, down: Duration, arm: Option<String>, kind: Kind) -> bool {
        self.look_for_dead();
        if !self.down.insert(target) {
            return false;
        }
        self.cluster.kill9(target);
        self.frozen.remove(&target);
        self.later(down, End::Start(target, arm, kind));
        true
    }

    fn stop(&mut self, target: Target, down: Duration) -> bool {
        self.look_for_dead();
        if !self.down.insert(target) {
            return false;
        }
        self.frozen.remove(&target);
        let armed = self.armed.remove(&target);
        // One that has not come up yet dies of the signal. What was armed may also have been faster.
        let by_signal = |status: ExitStatus| status.signal() == Some(15);
        let clock = self.pulse.clock();
        let stopped = self.cluster.stop(target);
        let stopped = stopped.is_ok_and(|status| status.success() || by_signal(status));
        if !stopped
            && let Ok(exit) = self.cluster.wait_exit(target, Duration::ZERO)
            && !explains(armed.as_deref(), &exit)
            && !is_impatience(&exit, &clock)
        {
            judge_end(target, &exit, self.findings);
        }
        self.later(down, End::Start(target, None, Kind::Stop));
        true
    }

    fn freeze(&mut self, target: Target, time: Duration) -> bool {
        let can = !self.down.contains(&target) && !self.frozen.contains(&target);
        if !can || self.cluster.freeze(target).is_err() {
            return false;
        }
        self.frozen.insert(target);
        self.later(time, End::Thaw(target));
        true
    }

    fn trouble(&mut self, link: Link, trouble: Trouble, time: Duration, kind: Kind) -> bool {
        if self.troubled.contains(&link) {
            return false;
        }
        let proxy = &self.cluster.links()[&link];
        if !strike(proxy, trouble) {
            return false;
        }
        self.troubled.insert(link);
        self.later(time, End::Calm(link, kind));
        true
    }

    fn end(&mut self, end: End) {
        match end {
            End::Start(target, arm, kind) => self.start(target, arm, kind),
            End::Thaw(target) => {
                if self.frozen.remove(&target) && self.cluster.thaw(target).is_ok() {
                    self.over(Kind::Freeze, target);
                }
            }
            End::Calm(link, kind) => {
                let proxy = &self.cluster.links()[&link];
                proxy.calm();
                if matches!(kind, Kind::HalfClose | Kind::Silent) {
                    proxy.cut();
                }
                self.troubled.remove(&link);
                let target = match link {
                    Link::Clients => Target::Coordinator,
                    Link::Node(node) => Target::Node(node),
                };
                self.over(kind, target);
            }
        }
    }

    fn start(&mut self, target: Target, arm: Option<String>, kind: Kind) {
        let points: Vec<&str> = arm.as_deref().into_iter().collect();
        match self.cluster.launch(target, &points) {
            Ok(()) => {
                self.down.remove(&target);
                self.over(kind, target);
                match arm {
                    Some(arm) => self.armed.insert(target, arm),
                    None => self.armed.remove(&target),
                };
            }
            Err(error) => {
                let what = format!("{} cannot be started again: {error}", name(target));
                self.findings.add(Rule::V10, what, "the machine");
            }
        }
    }

    /// Processes that have ended and were not ended by us: a failpoint acted, or something is wrong.
    fn look_for_dead(&mut self) {
        for (target, exit) in self.cluster.ended() {
            if !self.down.insert(target) {
                continue;
            }
            self.frozen.remove(&target);
            let armed = self.armed.remove(&target);
            let kind = match &armed {
                Some(point) if points::is_in_recovery(point) => Kind::Recovery,
                Some(_) | None => Kind::Failpoint,
            };
            if explains(armed.as_deref(), &exit) {
                self.count(kind);
                if let Some(id) = armed.as_deref().and_then(points::id) {
                    *self.tally.points.entry(id).or_default() += 1;
                }
            } else if !exit.port_in_use() {
                judge_end(target, &exit, self.findings);
            }
            self.later(DOWN_AFTER_FAILPOINT, End::Start(target, None, kind));
        }
    }

    fn later(&mut self, time: Duration, end: End) {
        self.ends.push((Instant::now() + time, end));
    }

    fn over(&mut self, kind: Kind, target: Target) {
        let node = match target {
            Target::Node(node) if kind != Kind::KillAll => Some(node),
            Target::Node(_) | Target::Coordinator => None,
        };
        let at = Instant::now();
        self.tally.over.push(Over { kind, node, at });
    }

    fn count(&mut self, kind: Kind) {
        *self.tally.faults.entry(kind).or_default() += 1;
    }
}

/// Makes a link go wrong. Says whether there was anything to it.
fn strike(proxy: &Proxy, trouble: Trouble) -> bool {
    let calm = Weather::default();
    match trouble {
        Trouble::Cut => return proxy.cut() > 0,
        Trouble::Down => {
            proxy.refuse(true);
            proxy.cut();
        }
        Trouble::Delay(direction, delay) => proxy.set(direction, Weather { delay, ..calm }),
        Trouble::Pieces(direction, len) => proxy.set(
            direction,
            Weather {
                piece: Some(len),
                ..calm
            },
        ),
        Trouble::Silent(which) => {
            let all = cluster::Direction::BOTH;
            for direction in all
                .into_iter()
                .filter(|one| which.is_none_or(|only| only == *one))
            {
                proxy.set(direction, Weather { held: true, ..calm });
            }
        }
        Trouble::HalfClose(direction) => return proxy.half_close(direction) > 0,
        Trouble::Garble(direction) => proxy.garble(direction),
    }
    true
}

/// Whether an end is what was armed: death by kill -9, or a stop over a failed sync.
fn explains(armed: Option<&str>, exit: &Exit) -> bool {
    match armed {
        Some(point) if points::is_error(point) => exit.status.code() == Some(5),
        Some(_) => exit.status.signal() == Some(9),
        None => false,
    }
}

/// Whether a process that was told to stop was killed only because the machine stood still meanwhile.
pub(super) fn is_impatience(exit: &Exit, clock: &Clock<'_>) -> bool {
    exit.status.signal() == Some(9) && !clock.stalled().is_zero()
}

/// A process that ended by itself, as none may.
pub(super) fn judge_end(target: Target, exit: &Exit, findings: &Findings) {
    let who = name(target);
    let rule = match exit.status.code() {
        Some(9) => Rule::V6, // It refuses its store.
        Some(_) | None => Rule::V10,
    };
    findings.add(
        rule,
        exit.to_string(),
        format!("logs/{who}.log beside the stores"),
    );
}
