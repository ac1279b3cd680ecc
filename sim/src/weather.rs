//! What goes wrong in a run, and how often: drawn from the seed, differently for each ("swarm testing", Groce et al. 2012),
//! because a world in which everything goes wrong at once hides what needs a long quiet time.

use std::time::Duration;

use protocol::locking::Locking;

use crate::dice::{Dice, Permille};
use crate::role::{Cast, Policies};
use crate::time::{MS, Micros, SECOND};

/// Something that is done to the world now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// A process is killed between two turns; the operating system keeps what was written.
    Kill,
    /// A machine loses power: what was not synced is kept, lost or torn, piece by piece.
    PowerCut,
    /// A process dies at one of its next disk operations.
    DieAtDisk,
    /// A process dies between two of its next messages.
    DieSending,
    /// A process dies with messages that have arrived and were not heard.
    DieHearing,
    /// A process freezes and thaws.
    Freeze,
    /// A connection breaks.
    Cut,
    /// A path is blocked in one direction.
    BlockOneWay,
    /// Two are cut off from each other.
    Partition,
    /// One is cut off from everybody.
    Isolate,
    /// A path becomes slow.
    Slow,
    /// A disk operation fails once.
    DiskFault,
    /// A disk fills up.
    DiskFull,
    /// A sync takes seconds.
    SlowSync,
    /// A bit rots on the disk of a process that is down.
    Rot,
    /// A connection reaches somebody else.
    Misroute,
}

impl Deed {
    /// All of them.
    pub const ALL: [Deed; 16] = [
        Deed::Kill,
        Deed::PowerCut,
        Deed::DieAtDisk,
        Deed::DieSending,
        Deed::DieHearing,
        Deed::Freeze,
        Deed::Cut,
        Deed::BlockOneWay,
        Deed::Partition,
        Deed::Isolate,
        Deed::Slow,
        Deed::DiskFault,
        Deed::DiskFull,
        Deed::SlowSync,
        Deed::Rot,
        Deed::Misroute,
    ];
}

/// What happens to single messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// How long a message travels, at the least and at the most.
    pub latency: (Micros, Micros),
    /// How likely one takes up to three seconds.
    pub late: Permille,
    /// How likely one is lost.
    pub lost: Permille,
    /// How likely one arrives twice.
    pub twice: Permille,
    /// How likely one arrives a second time long after.
    pub again: Permille,
    /// How likely one is damaged.
    pub damaged: Permille,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Requests that they send in all.
    pub requests: usize,
    /// Accounts of each node.
    pub accounts: usize,
    /// How likely a leg is on the one hot account.
    pub hot: Permille,
    /// How likely a request has more than two legs.
    pub many_legs: Permille,
    /// How likely both accounts are on one node.
    pub one_node: Permille,
    /// How likely somebody tries something foolish or evil, or something that must end in an overflow if it goes on.
    pub evil: Permille,
    /// How likely an account is read before the next request.
    pub read: Permille,
    /// How likely an audit is asked for before the next request.
    pub audit: Permille,
    /// How likely requests travel together, in one frame.
    pub batch: Permille,
    /// How long a client thinks between requests, at most.
    pub think: Micros,
    /// How long a client waits for a request, at most.
    pub patience: Micros,
}

/// One world.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Who there is.
    pub cast: Cast,
    /// Messages.
    pub mail: Mail,
    /// Clients.
    pub habits: Habits,
    /// Deeds that may happen, each as often as it stands here.
    pub deeds: Vec<Deed>,
    /// The time between two deeds, at the least and at the most.
    pub pause: (Micros, Micros),
    /// How long a sync takes, at the least and at the most.
    pub sync: (Micros, Micros),
    /// When a log segment is closed.
    pub segment_len_max: u64,
    /// Whether files that are of no more use are written over, as on a real disk.
    pub reuses: bool,
    /// How long a process stays dead, at the most.
    pub down: Micros,
}

impl Weather {
    /// The default size: two or three coordinators, three to five nodes, four to sixteen clients, 300 requests.
    pub fn of_seed(seed: u64) -> Weather {
        let mut dice = Dice::new(seed, "weather");
        let cast = Cast {
            coordinators: 2 + dice.below(2),
            nodes: 3 + dice.below(3),
            clients: 4 + dice.below(13),
            locking: policies(seed, dice.chance(300)),
            prepare_timeout: Duration::from_micros(dice.between(100 * MS, 2 * SECOND)),
            request_window: 1_000_000,
        };
        let mut rare = |most: Permille| {
            if dice.chance(500) {
                u32::try_from(dice.between(1, u64::from(most))).expect("a small number")
            } else {
                0
            }
        };
        let (late, lost, twice, again, damaged) = (rare(10), rare(10), rare(30), rare(20), rare(2));
        let latency_max = dice.skewed(20, 5 * MS);
        let mail = Mail {
            latency: (10, 10 + latency_max),
            late,
            lost,
            twice,
            again,
            damaged,
        };
        let habits = Habits {
            requests: 300,
            accounts: 6 + dice.below(15),
            hot: *dice.pick(&[0, 0, 0, 50, 150]),
            many_legs: *dice.pick(&[0, 100, 300]),
            one_node: *dice.pick(&[0, 100, 300]),
            evil: 150,
            read: *dice.pick(&[50, 100, 200]),
            audit: *dice.pick(&[0, 10, 40]),
            batch: batches(seed),
            think: dice.skewed(2 * MS, 300 * MS),
            patience: dice.between(2 * SECOND, 12 * SECOND),
        };
        let mut deeds = Vec::new();
        for deed in Deed::ALL {
            if dice.chance(500) {
                let often = 1 + dice.below(4);
                deeds.extend(std::iter::repeat_n(deed, often));
            }
        }
        let gap = dice.skewed(40 * MS, 3 * SECOND);
        Weather {
            cast,
            mail,
            habits,
            deeds,
            pause: (gap / 4, gap),
            sync: (50, 50 + dice.skewed(10, 5 * MS)),
            segment_len_max: dice.between(4096, 48 * 1024),
            reuses: seed % 4 == 2, // Not drawn, for the same reason as batches.
            down: dice.skewed(MS, SECOND),
        }
    }
}

/// In every fourth world clients send batches. Nothing is drawn for it, so that the other worlds stay what they were.
fn batches(seed: u64) -> Permille {
    if seed % 4 == 1 { 300 } else { 0 }
}

/// Mostly one policy everywhere, since a mixture shows less of each. Drawn apart, so that the rest of a seed's world does
/// not depend on which policies there are.
fn policies(seed: u64, escrow: bool) -> Policies {
    let mut dice = Dice::new(seed, "locking");
    let mut some = || *dice.pick(&Locking::ALL);
    let several = vec![some(), some(), some()];
    match dice.below(10) {
        0 => Policies::ByNode(several),
        1 => Policies::ByStart(several),
        2..5 => Policies::ByNode(vec![several[0]]),
        _ if escrow => Policies::ByNode(vec![Locking::Escrow]),
        _ => Policies::ByNode(vec![Locking::NoWait]),
    }
}
