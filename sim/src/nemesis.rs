//! Whoever makes things go wrong: at random by the weather, or at one chosen point for the sweeps.

use std::collections::{BTreeMap, BTreeSet};

use engine::failpoint::Fault;

use crate::dice::Dice;
use crate::role::Kind;
use crate::time::{MS, Micros, SECOND};
use crate::weather::Deed;
use crate::who::Who;
use crate::world::{Ending, Relief, World};

/// What can be done to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostDeed {
    /// It is lost.
    Lose,
    /// It arrives twice.
    Twice,
    /// Its connection breaks under it.
    Cut,
    /// Its receiver dies when it arrives.
    KillReceiver,
    /// Its sender dies when it has left.
    KillSender,
}

impl PostDeed {
    /// All of them.
    pub(crate) const ALL: [PostDeed; 5] = [
        PostDeed::Lose,
        PostDeed::Twice,
        PostDeed::Cut,
        PostDeed::KillReceiver,
        PostDeed::KillSender,
    ];
}

/// What can be done to a process at one operation of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskDeed {
    /// It is killed there.
    Kill,
    /// Its machine loses power there.
    PowerCut,
    /// The operation fails for lack of space.
    NoSpace,
    /// The operation fails.
    Broken,
}

impl DiskDeed {
    /// All of them.
    pub(crate) const ALL: [DiskDeed; 4] = [
        DiskDeed::Kill,
        DiskDeed::PowerCut,
        DiskDeed::NoSpace,
        DiskDeed::Broken,
    ];
}

/// What is to go wrong at a chosen point, for the sweeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// What is done to these processes at that operation of their disks, counted from the end of the funding.
    pub(crate) disks: BTreeMap<Who, (u64, DiskDeed)>,
    /// What is done to the messages with these numbers.
    pub(crate) messages: BTreeMap<u64, PostDeed>,
}

/// What is about to go wrong where.
#[derive(Debug)]
pub(crate) struct Nemesis {
    pub(crate) dice: Dice,
    script: Script,
    /// Who dies when something arrives.
    hearing: BTreeSet<Who>,
    /// Whose next sync takes how much longer.
    slow_syncs: BTreeMap<Who, Micros>,
    /// Whose disk was armed, and what becomes of the machine when it strikes.
    armed: BTreeMap<Who, Armed>,
    rotting: BTreeSet<Who>,
    misroute_next: bool,
}

/// What is about to happen at an operation of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    /// How the operation fails; nothing if its process simply dies there.
    pub(crate) fault: Option<Fault>,
    /// What becomes of the process.
    pub(crate) ending: Ending,
}

impl Nemesis {
    pub(crate) fn new(seed: u64, script: Script) -> Nemesis {
        Nemesis {
            dice: Dice::new(seed, "nemesis"),
            script,
            hearing: BTreeSet::new(),
            slow_syncs: BTreeMap::new(),
            armed: BTreeMap::new(),
            rotting: BTreeSet::new(),
            misroute_next: false,
        }
    }

    /// Nothing is about to go wrong any more.
    pub(crate) fn calm(&mut self) {
        self.hearing.clear();
        self.slow_syncs.clear();
        self.rotting.clear();
        self.misroute_next = false;
        self.script.messages.clear();
    }

    /// Arms the disks that the script names.
    pub(crate) fn arm_script(world: &mut World) {
        for (who, (operation, deed)) in std::mem::take(&mut world.nemesis.script.disks) {
            let fault = match deed {
                DiskDeed::Kill | DiskDeed::PowerCut => None,
                DiskDeed::NoSpace => Some(Fault::NoSpace),
                DiskDeed::Broken => Some(Fault::Broken),
            };
            match fault {
                None => world.disk(who).stop_after(operation),
                Some(fault) => world.disk(who).fail_after(operation, fault),
            }
            let ending = match deed {
                DiskDeed::PowerCut => Ending::PowerCut,
                DiskDeed::Kill | DiskDeed::NoSpace | DiskDeed::Broken => Ending::Killed,
            };
            world.nemesis.arm_disk(who, Armed { fault, ending });
        }
    }

    /// What is done to message `number`.
    pub(crate) fn on_message(&mut self, number: u64, kind: Kind) -> Option<PostDeed> {
        let deed = *self.script.messages.get(&number)?;
        // A handshake that is lost is a connection that breaks.
        match (kind, deed) {
            (Kind::Handshake, PostDeed::Lose | PostDeed::Twice) | (Kind::Mark, PostDeed::Lose) => {
                Some(PostDeed::Cut)
            }
            // A connection delivers a client's call once or not at all.
            (Kind::Submit, PostDeed::Twice) => None,
            (_, deed) => Some(deed),
        }
    }

    pub(crate) fn doom_hearing(&mut self, who: Who) {
        self.hearing.insert(who);
    }

    pub(crate) fn dies_hearing(&mut self, who: Who) -> bool {
        self.hearing.remove(&who)
    }

    pub(crate) fn take_slow_sync(&mut self, who: Who) -> Micros {
        self.slow_syncs.remove(&who).unwrap_or_default()
    }

    pub(crate) fn rots(&mut self, who: Who) -> bool {
        self.rotting.remove(&who)
    }

    pub(crate) fn some_ending(&mut self) -> Ending {
        if self.dice.chance(500) {
            Ending::PowerCut
        } else {
            Ending::Killed
        }
    }

    /// Whether nobody is told of a machine's loss of power.
    pub(crate) fn dies_silently(&mut self) -> bool {
        self.dice.chance(100)
    }

    /// A disk is about to fail, or its process to die there.
    pub(crate) fn arm_disk(&mut self, who: Who, armed: Armed) {
        self.armed.insert(who, armed);
    }

    /// What was done to a disk that has struck; `None` if nobody has done anything.
    pub(crate) fn take_armed(&mut self, who: Who) -> Option<Armed> {
        self.armed.remove(&who)
    }

    /// The node that is reached by whoever dials node `to`.
    pub(crate) fn misroute(&mut self, to: usize, nodes: usize) -> usize {
        if std::mem::take(&mut self.misroute_next) {
            (to + 1) % nodes
        } else {
            to
        }
    }
}

/// Something goes wrong, as the weather has it.
pub(crate) fn strike(world: &mut World) {
    let deed = *world.nemesis.dice.pick(&world.weather.deeds);
    let processes = world.processes();
    let victim = *world.nemesis.dice.pick(&processes);
    let other = *world.nemesis.dice.pick(&processes);
    let done = match deed {
        Deed::Kill => kill(world, victim, Ending::Killed),
        Deed::PowerCut => kill(world, victim, Ending::PowerCut),
        Deed::DieAtDisk => die_at_disk(world, victim),
        Deed::DieSending => die_sending(world, victim),
        Deed::DieHearing => {
            let up = world.is_up(victim);
            if up {
                world.nemesis.doom_hearing(victim);
            }
            up
        }
        Deed::Freeze => freeze(world, victim),
        Deed::Cut => cut(world, victim),
        Deed::BlockOneWay => block_one_way(world, victim, other),
        Deed::Partition => partition(world, victim, other),
        Deed::Isolate => isolate(world, victim),
        Deed::Slow => slow(world, victim, other),
        Deed::DiskFault => disk_fault(world, victim),
        Deed::DiskFull => disk_full(world, victim),
        Deed::SlowSync => slow_sync(world, victim),
        Deed::Rot => {
            world.nemesis.rotting.insert(victim);
            false // Counted when it happens.
        }
        Deed::Misroute => {
            world.nemesis.misroute_next = true;
            false
        }
    };
    if done {
        world.tally.deed();
    }
}

fn kill(world: &mut World, victim: Who, ending: Ending) -> bool {
    let up = world.is_up(victim);
    if up {
        world.kill(victim, ending);
    }
    up
}

/// Some disk operations from now the process dies, in whatever it is doing there. Recovery counts, too.
fn die_at_disk(world: &mut World, victim: Who) -> bool {
    let after = world.nemesis.dice.skewed(0, 40);
    world.disk(victim).stop_after(after);
    let ending = world.nemesis.some_ending();
    world.nemesis.arm_disk(victim, Armed { fault: None, ending });
    false // Counted when it strikes.
}

fn die_sending(world: &mut World, victim: Who) -> bool {
    let after = world.nemesis.dice.below(12);
    world.host_mut(victim).body_mut().doomed_sends = Some(after);
    world.is_up(victim)
}

fn freeze(world: &mut World, victim: Who) -> bool {
    let long = world.nemesis.dice.skewed(MS, 30 * SECOND);
    let up = world.is_up(victim);
    if up {
        world.tally.fire("P12");
        world.freeze(victim, long);
    }
    up
}

fn cut(world: &mut World, victim: Who) -> bool {
    let conns = world.network.conns_of(victim);
    if conns.is_empty() {
        return false;
    }
    let (conn, end) = *world.nemesis.dice.pick(&conns);
    world.tally.fire("W8");
    world.cut(conn, end);
    true
}

fn how_long(world: &mut World) -> Micros {
    world.nemesis.dice.skewed(MS, 30 * SECOND)
}

fn block_one_way(world: &mut World, from: Who, to: Who) -> bool {
    if from == to {
        return false;
    }
    let long = how_long(world);
    world.tally.fire("W6");
    world.block(from, to);
    world.put_relief(long, Relief::Free(from, to));
    true
}

fn partition(world: &mut World, one: Who, other: Who) -> bool {
    if one == other {
        return false;
    }
    let long = how_long(world);
    for (from, to) in [(one, other), (other, one)] {
        world.block(from, to);
        world.put_relief(long, Relief::Free(from, to));
    }
    true
}

/// One is cut off from everybody, clients among them; paths come back one by one.
fn isolate(world: &mut World, victim: Who) -> bool {
    let clients = (0..world.clients_len()).map(Who::Client);
    let others: Vec<Who> = world.processes().into_iter().chain(clients).collect();
    for other in others.into_iter().filter(|&other| other != victim) {
        for (from, to) in [(victim, other), (other, victim)] {
            let long = how_long(world);
            world.block(from, to);
            world.put_relief(long, Relief::Free(from, to));
        }
    }
    true
}

fn slow(world: &mut World, from: Who, to: Who) -> bool {
    let by = world.nemesis.dice.skewed(MS, 3 * SECOND);
    let long = how_long(world);
    if from == to {
        return false;
    }
    world.tally.fire("X1");
    world.network.set_slow(from, to, by);
    world.put_relief(long, Relief::Fast(from, to));
    true
}

fn disk_fault(world: &mut World, victim: Who) -> bool {
    let after = world.nemesis.dice.skewed(0, 40);
    let fault = if world.nemesis.dice.chance(500) {
        Fault::NoSpace
    } else {
        Fault::Broken
    };
    world.disk(victim).fail_after(after, fault);
    let ending = world.nemesis.some_ending();
    let fault = Some(fault);
    world.nemesis.arm_disk(victim, Armed { fault, ending });
    false // Counted when it strikes.
}

/// The disk takes little more than it holds: promises end before what was promised does.
fn disk_full(world: &mut World, victim: Who) -> bool {
    let room = world.nemesis.dice.skewed(256, 768) * 1024;
    let disk = world.disk(victim);
    disk.set_capacity(Some(disk.used() + room));
    world.tally.fire("D8");
    let long = how_long(world);
    world.put_relief(long, Relief::Room(victim));
    true
}

fn slow_sync(world: &mut World, victim: Who) -> bool {
    let long = world.nemesis.dice.skewed(50 * MS, 10 * SECOND);
    world.tally.fire("D12");
    world.nemesis.slow_syncs.insert(victim, long);
    true
}
