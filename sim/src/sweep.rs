//! Instead of chance: every point of some short stories, one after the other, as the one thing that goes wrong.
//!
//! A story is first lived in peace, to count the disk operations of every process and the messages. Then it is lived
//! again and again: with a process that dies at operation 1, 2, 3, …, in each of several manners, and with message
//! 1, 2, 3, … lost, repeated, cut off, or killing its sender or receiver.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use protocol::locking::Locking;

use crate::dice::Dice;
use crate::nemesis::{DiskDeed, PostDeed, Script};
use crate::role::{Cast, Policies};
use crate::run::{self, Report, Tracing};
use crate::tally::Tally;
use crate::time::{MS, SECOND};
use crate::weather::{Habits, Mail, Weather};
use crate::who::Who;

/// A short story.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Its name.
    pub name: &'static str,
    coordinators: usize,
    nodes: usize,
    clients: usize,
    requests: usize,
    locking: Locking,
    many_legs: u32,
    one_node: u32,
    segment_len_max: u64,
    reuses: bool,
}

const MANY_CHECKPOINTS: Story = Story {
    name: "a checkpoint every few records",
    coordinators: 1,
    nodes: 2,
    clients: 2,
    requests: 10,
    locking: Locking::NoWait,
    many_legs: 0,
    one_node: 200,
    segment_len_max: 1500,
    reuses: false,
};

/// All stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "transfers between two nodes",
        coordinators: 1,
        nodes: 2,
        clients: 2,
        requests: 6,
        locking: Locking::NoWait,
        many_legs: 0,
        one_node: 0,
        segment_len_max: 1 << 20,
        reuses: false,
    },
    Story {
        name: "two coordinators, three nodes, many legs",
        coordinators: 2,
        nodes: 3,
        clients: 3,
        requests: 6,
        locking: Locking::NoWait,
        many_legs: 500,
        one_node: 0,
        segment_len_max: 1 << 20,
        reuses: false,
    },
    Story {
        name: "one participant decides",
        coordinators: 2,
        nodes: 2,
        clients: 2,
        requests: 6,
        locking: Locking::NoWait,
        many_legs: 0,
        one_node: 1000,
        segment_len_max: 1 << 20,
        reuses: false,
    },
    Story {
        name: "escrow",
        coordinators: 1,
        nodes: 2,
        clients: 3,
        requests: 6,
        locking: Locking::Escrow,
        many_legs: 300,
        one_node: 200,
        segment_len_max: 1 << 20,
        reuses: false,
    },
    Story {
        name: "the older one waits",
        coordinators: 2,
        nodes: 2,
        clients: 3,
        requests: 6,
        locking: Locking::Wait,
        many_legs: 300,
        one_node: 200,
        segment_len_max: 1 << 20,
        reuses: false,
    },
    MANY_CHECKPOINTS,
    Story {
        name: "a checkpoint every few records, and files written over",
        reuses: true,
        ..MANY_CHECKPOINTS
    },
];

/// What a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Disk operations of all processes in the peaceful run.
    pub operations: u64,
    /// Messages in the peaceful run.
    pub messages: u64,
    /// Runs in all.
    pub runs: usize,
    /// Faults that were fired.
    pub tally: Tally,
    /// Which plot, what was done in it, and what was wrong then.
    pub wrong: Vec<(usize, String, Vec<String>)>,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Point {
    Disk(Who, u64, DiskDeed),
    Message(u64, PostDeed),
}

impl Point {
    /// Whether only one of the two can be had.
    fn is_at_the_place_of(self, other: Point) -> bool {
        match (self, other) {
            (Point::Disk(one, ..), Point::Disk(two, ..)) => one == two,
            (Point::Message(one, _), Point::Message(two, _)) => one == two,
            (Point::Disk(..), Point::Message(..)) | (Point::Message(..), Point::Disk(..)) => false,
        }
    }
}

impl Story {
    /// The world of this story, in which nothing goes wrong by itself.
    fn weather(&self) -> Weather {
        Weather {
            cast: Cast {
                coordinators: self.coordinators,
                nodes: self.nodes,
                clients: self.clients,
                locking: Policies::ByNode(vec![self.locking]),
                prepare_timeout: Duration::from_millis(200),
                request_window: 1_000_000,
            },
            mail: Mail {
                latency: (10, 100),
                ..Mail::default()
            },
            habits: Habits {
                requests: self.requests,
                accounts: 2,
                hot: 200,
                many_legs: self.many_legs,
                one_node: self.one_node,
                evil: 0,
                read: 100,
                audit: 50,
                batch: 0,
                think: 200,
                patience: 3 * SECOND,
            },
            deeds: Vec::new(),
            pause: (SECOND, SECOND),
            sync: (100, 200),
            segment_len_max: self.segment_len_max,
            reuses: self.reuses,
            down: 50 * MS,
        }
    }

    fn live(&self, script: Script, tracing: Tracing, repeat: String) -> Report {
        run::run(1, self.weather(), script, tracing, repeat)
    }

    /// The arguments that run one plot again.
    pub fn repeat(&self, plot: usize, pairs: u64) -> String {
        let number = STORIES.iter().position(|story| story.name == self.name);
        let number = number.map_or(0, |number| number + 1);
        format!("--sweep --pairs {pairs} --plot {number}:{plot}")
    }
}

/// What is tried with one story.
struct Plots {
    peace: Report,
    /// One thing that goes wrong, or two.
    plots: Vec<Vec<Point>>,
}

/// Lives the story in peace and makes a list of all that can be done to it, the same every time.
fn plots(story: &Story, pairs: u64) -> Plots {
    let peace = story.live(Script::default(), Tracing::Off, "--sweep".to_owned());
    let mut points = Vec::new();
    for &(who, operations) in &peace.operations {
        for operation in 0..operations {
            points.extend(DiskDeed::ALL.map(|deed| Point::Disk(who, operation, deed)));
        }
    }
    for message in 1..=peace.messages {
        points.extend(PostDeed::ALL.map(|deed| Point::Message(message, deed)));
    }
    let mut plots: Vec<Vec<Point>> = points.iter().map(|&point| vec![point]).collect();
    let mut dice = Dice::new(1, story.name);
    for _ in 0..pairs {
        let (first, mut second) = (*dice.pick(&points), *dice.pick(&points));
        while first.is_at_the_place_of(second) {
            second = *dice.pick(&points);
        }
        plots.push(vec![first, second]);
    }
    Plots { peace, plots }
}

/// Lives one plot again, in full.
pub fn one(story: &Story, plot: usize, pairs: u64) -> Option<Report> {
    let plots = plots(story, pairs).plots;
    let script = script(plots.get(plot)?);
    Some(story.live(script, Tracing::Full, story.repeat(plot, pairs)))
}

/// Sweeps one story; `pairs` pairs of points are tried besides. A process's disk is struck once in a pair.
pub fn run(story: &Story, pairs: u64, threads: usize) -> Swept {
    let Plots { peace, plots } = plots(story, pairs);
    let mut swept = Swept {
        operations: peace.operations.iter().map(|(_, operations)| operations).sum(),
        messages: peace.messages,
        runs: plots.len() + 1,
        ..Swept::default()
    };
    if !peace.wrong.is_empty() {
        swept.wrong.push((0, "in peace".to_owned(), peace.wrong));
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(&mut swept);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(plot) = plots.get(number) else {
                return;
            };
            let report = story.live(script(plot), Tracing::Off, story.repeat(number, pairs));
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.tally.add(&report.tally);
            if !report.wrong.is_empty() {
                found.wrong.push((number, format!("{plot:?}"), report.wrong));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    swept.wrong.sort();
    swept
}

fn script(plot: &[Point]) -> Script {
    let mut script = Script::default();
    for point in plot {
        match *point {
            Point::Disk(who, operation, deed) => {
                script.disks.insert(who, (operation, deed));
            }
            Point::Message(message, deed) => {
                script.messages.insert(message, deed);
            }
        }
    }
    script
}
