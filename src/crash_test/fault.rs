//! What can go wrong in a crash test, and the dice that choose.

use std::fmt;
use std::time::Duration;

use client::Target;
use cluster::{Direction, Link, name};
use engine::{Dice, StoreKind};

use super::points;

/// Something to break. What lasts ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// kill -9, and a start after a while, perhaps with a failpoint armed that kills it again later.
    Kill {
        target: Target,
        down: Duration,
        arm: Option<String>,
    },
    /// kill -9 of everything at once.
    KillAll { down: Duration },
    /// SIGTERM, and a start after a while.
    Stop { target: Target, down: Duration },
    /// SIGSTOP for a while.
    Freeze { target: Target, time: Duration },
    /// A link in trouble.
    Link {
        link: Link,
        trouble: Trouble,
        time: Duration,
    },
}

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// All its connections break; new ones are fine.
    Cut,
    /// They break, and nobody gets through for a while.
    Down,
    /// Everything takes longer in one direction.
    Delay(Direction, Duration),
    /// Bytes come one by one, or a few at a time.
    Pieces(Direction, usize),
    /// One direction falls silent, or both do; connections stay open.
    Silent(Option<Direction>),
    /// One direction ends, the other goes on.
    HalfClose(Direction),
    /// A bit arrives changed.
    Garble(Direction),
}

/// The kinds of faults, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Kill,
    KillAll,
    Failpoint,
    Recovery,
    Stop,
    Freeze,
    Cut,
    Down,
    Delay,
    Pieces,
    Silent,
    OneWay,
    HalfClose,
    Garble,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Kind; 14] = [
        Kind::Kill,
        Kind::KillAll,
        Kind::Failpoint,
        Kind::Recovery,
        Kind::Stop,
        Kind::Freeze,
        Kind::Cut,
        Kind::Down,
        Kind::Delay,
        Kind::Pieces,
        Kind::Silent,
        Kind::OneWay,
        Kind::HalfClose,
        Kind::Garble,
    ];

    /// Which faults of the catalogue it is. Named points have ids of their own.
    pub(super) fn ids(self) -> &'static [&'static str] {
        match self {
            Kind::Kill | Kind::KillAll | Kind::Failpoint | Kind::Recovery => &["P14"],
            Kind::Stop => &["P15"],
            Kind::Freeze => &["P12"],
            Kind::Cut => &["W1", "W8"],
            Kind::Down => &["W5"],
            Kind::Delay => &["W4", "X1"],
            Kind::Pieces => &["W9"],
            Kind::Silent => &["W7"],
            Kind::OneWay => &["W6"],
            Kind::HalfClose => &["W8"],
            Kind::Garble => &["W10"],
        }
    }

    /// What the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill -9 of one process",
            Kind::KillAll => "kill -9 of all processes at once",
            Kind::Failpoint => "death or failed disk at a named point",
            Kind::Recovery => "kill -9 while recovering",
            Kind::Stop => "clean stop and start",
            Kind::Freeze => "freeze (SIGSTOP)",
            Kind::Cut => "connections cut",
            Kind::Down => "link down",
            Kind::Delay => "link slow",
            Kind::Pieces => "link byte by byte",
            Kind::Silent => "link silent",
            Kind::OneWay => "link silent one way",
            Kind::HalfClose => "link half closed",
            Kind::Garble => "bit changed on the way",
        }
    }
}

impl Fault {
    /// How it is counted when it begins. A failpoint counts when it acts.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Fault::Kill { .. } => Kind::Kill,
            Fault::KillAll { .. } => Kind::KillAll,
            Fault::Stop { .. } => Kind::Stop,
            Fault::Freeze { .. } => Kind::Freeze,
            Fault::Link { trouble, .. } => match trouble {
                Trouble::Cut => Kind::Cut,
                Trouble::Down => Kind::Down,
                Trouble::Delay(..) => Kind::Delay,
                Trouble::Pieces(..) => Kind::Pieces,
                Trouble::Silent(None) => Kind::Silent,
                Trouble::Silent(Some(_)) => Kind::OneWay,
                Trouble::HalfClose(_) => Kind::HalfClose,
                Trouble::Garble(_) => Kind::Garble,
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill { target, down, arm } => {
                write!(f, "kill {} for {} ms", name(*target), down.as_millis())?;
                match arm {
                    Some(point) => write!(f, ", then arm {point}"),
                    None => Ok(()),
                }
            }
            Fault::KillAll { down } => write!(f, "kill all for {} ms", down.as_millis()),
            Fault::Stop { target, down } => write!(f, "stop {} for {} ms", name(*target), down.as_millis()),
            Fault::Freeze { target, time } => {
                write!(f, "freeze {} for {} ms", name(*target), time.as_millis())
            }
            Fault::Link { link, trouble, time } => {
                write!(f, "{link} {trouble:?} for {} ms", time.as_millis())
            }
        }
    }
}

/// What there is to break.
pub(super) struct Targets {
    pub(super) processes: Vec<Target>,
    pub(super) links: Vec<Link>,
    pub(super) store: StoreKind,
}

/// Draws faults. Each one made prefers some kinds over others, so that no two rounds are alike.
pub(super) struct Draw {
    dice: Dice,
    /// How many chances each kind has.
    weights: [u64; 5],
}

impl Draw {
    pub(super) fn new(mut dice: Dice) -> Draw {
        // Killing is never left out: it is what the rest is there to make harder.
        let mut weights = [3, 1, 1, 2, 4];
        for weight in &mut weights[1..] {
            *weight *= dice.below(3);
        }
        Draw { dice, weights }
    }

    /// How long until the next fault.
    pub(super) fn pause(&mut self) -> Duration {
        self.between(20, 800)
    }

    pub(super) fn fault(&mut self, targets: &Targets) -> Fault {
        let mut chance = self.dice.below(self.weights.iter().sum());
        let chosen = self.weights.iter().position(|weight| {
            let this = chance < *weight;
            chance = chance.saturating_sub(*weight);
            this
        });
        let target = self.one_of(&targets.processes);
        match chosen {
            Some(0) | None => Fault::Kill {
                target,
                down: self.between(0, 600),
                arm: self
                    .dice
                    .below(3)
                    .gt(&0)
                    .then(|| points::draw(&mut self.dice, target, targets.store)),
            },
            Some(1) => Fault::KillAll {
                down: self.between(0, 300),
            },
            Some(2) => Fault::Stop {
                target,
                down: self.between(0, 300),
            },
            Some(3) => Fault::Freeze {
                target,
                time: self.a_while(),
            },
            Some(_) => Fault::Link {
                link: self.one_of(&targets.links),
                trouble: self.trouble(),
                time: self.a_while(),
            },
        }
    }

    fn trouble(&mut self) -> Trouble {
        let direction = self.one_of(&Direction::BOTH);
        match self.dice.below(8) {
            0 => Trouble::Cut,
            1 => Trouble::Down,
            2 => Trouble::Delay(direction, self.between(1, 400)),
            3 => Trouble::Pieces(direction, self.one_of(&[1, 2, 7])),
            4 => Trouble::Silent(None),
            5 => Trouble::Silent(Some(direction)),
            6 => Trouble::HalfClose(direction),
            _ => Trouble::Garble(direction),
        }
    }

    /// Mostly short, sometimes longer than nodes may take to vote.
    fn a_while(&mut self) -> Duration {
        let most = if self.dice.one_in(4) { 3000 } else { 600 };
        self.between(100, most)
    }

    fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.dice.below(most_ms - least_ms + 1))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let count = u64::try_from(all.len()).expect("a few");
        all[usize::try_from(self.dice.below(count)).expect("an index")]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn targets() -> Targets {
        let nodes = ["N1", "N2"].map(|node| node.parse().unwrap());
        Targets {
            processes: [Target::Coordinator]
                .into_iter()
                .chain(nodes.map(Target::Node))
                .collect(),
            links: [Link::Clients].into_iter().chain(nodes.map(Link::Node)).collect(),
            store: StoreKind::Json,
        }
    }

    #[test]
    fn a_seed_fixes_the_faults_and_many_seeds_have_them_all() {
        let draw = |seed| {
            let mut draw = Draw::new(Dice::new(seed));
            let targets = targets();
            let faults = std::iter::repeat_with(|| (draw.pause(), draw.fault(&targets)));
            faults.take(100).collect::<Vec<(Duration, Fault)>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let seen: BTreeSet<Kind> = (0..20).flat_map(draw).map(|(_, fault)| fault.kind()).collect();
        // The other two are failpoints, which act later.
        assert_eq!(seen.len(), Kind::ALL.len() - 2, "{seen:?}");
    }
}
