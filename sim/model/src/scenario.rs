//! Small worlds: who there is, what is asked for, and how much may go wrong.

use std::fmt;

use protocol::id::RequestId;
use protocol::leg::{Leg, Order};
use protocol::locking::Locking;
use protocol::message::Ask;

use crate::watch::Sight;

/// How much may still happen. Everything else may happen at any time and in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Faults left, of all kinds together.
    pub faults: u8,
    /// Crashes left to each coordinator.
    pub coordinator_crashes: [u8; COORDINATORS_MAX],
    /// Crashes left to each node.
    pub node_crashes: [u8; NODES_MAX],
    /// Connections that break, and messages that are lost without one.
    pub losses: u8,
    /// Messages that arrive a second time, at any later time.
    pub copies: u8,
    /// Timers that fire.
    pub timers: u8,
}

impl Budget {
    pub(crate) fn may_crash_node(&self, n: usize) -> bool {
        self.faults > 0 && self.node_crashes[n] > 0
    }

    pub(crate) fn may_crash_coordinator(&self, c: usize) -> bool {
        self.faults > 0 && self.coordinator_crashes[c] > 0
    }

    pub(crate) fn may_lose(&self) -> bool {
        self.faults > 0 && self.losses > 0
    }

    pub(crate) fn may_copy(&self) -> bool {
        self.faults > 0 && self.copies > 0
    }

    pub(crate) fn may_fire(&self) -> bool {
        self.faults > 0 && self.timers > 0
    }

    /// Pays for one fault of the kind that `kind` picks. Once nothing more can go wrong, it does not matter what has.
    pub(crate) fn spend(&mut self, kind: impl FnOnce(&mut Budget) -> &mut u8) {
        *kind(self) -= 1;
        self.faults -= 1;
        if self.faults == 0 {
            *self = Budget::NOTHING;
        }
    }

    /// Nothing can go wrong.
    pub const NOTHING: Budget = Budget {
        faults: 0,
        coordinator_crashes: [0; COORDINATORS_MAX],
        node_crashes: [0; NODES_MAX],
        losses: 0,
        copies: 0,
        timers: 0,
    };
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |crashes: &[u8]| crashes.iter().map(|&crashes| u32::from(crashes)).sum::<u32>();
        write!(
            f,
            "at most {} faults in one run, among them at most {} coordinator and {} node crashes (one a process), {} \
             losses, {} copies, {} timers",
            self.faults,
            sum(&self.coordinator_crashes),
            sum(&self.node_crashes),
            self.losses,
            self.copies,
            self.timers,
        )
    }
}

/// Most coordinators of a scenario.
pub const COORDINATORS_MAX: usize = 2;

/// Most nodes of a scenario.
pub const NODES_MAX: usize = 2;

/// Which record numbers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// All that differ, by their order: nothing is lost.
    InOrder,
    /// Those that are durable are taken for one. What is lost is the exchange of how far each log has been proved
    /// durable (R22): nobody ever proves more than before.
    Durable,
}

/// One client and what it wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The question.
    pub ask: Ask,
    /// The coordinator it turns to first.
    pub first: usize,
    /// How often it may send; after the first time to the next coordinator.
    pub sends: u32,
}

/// A small world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How many coordinators.
    pub coordinators: usize,
    /// The accounts of each node and what they hold.
    pub nodes: &'static [&'static [(&'static str, i64)]],
    /// What happens when two transactions want the same account.
    pub locking: Locking,
    /// Which record numbers are told apart.
    pub numbers: Numbers,
    /// Who wants what, at once.
    pub wishes: Vec<Wish>,
    /// What may go wrong.
    pub budget: Budget,
    /// What some run must show, or the scenario tests less than it says.
    pub sights: &'static [Sight],
}

/// Request number `n`: these legs.
fn submit(n: u128, legs: &str) -> Ask {
    let legs: Vec<Leg> = legs
        .split(' ')
        .map(|leg| leg.parse().expect("a leg of ours is well formed"))
        .collect();
    Ask::Submit {
        request: RequestId(n),
        repeated: false,
        order: Order::new(&legs).expect("an order of ours is balanced"),
    }
}

fn once(ask: Ask) -> Wish {
    Wish {
        ask,
        first: 0,
        sends: 1,
    }
}

impl Scenario {
    /// All of them.
    pub fn all() -> Vec<Scenario> {
        vec![
            Scenario::one(),
            Scenario::late(),
            Scenario::proofs(),
            Scenario::two(),
            Scenario::escrow(),
            Scenario::wait(),
            Scenario::twice(),
            Scenario::alone(),
            Scenario::audit(),
            Scenario::freeze(),
        ]
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::all().into_iter().find(|scenario| scenario.name == name)
    }

    /// The same with another number of faults in one run. What has to be seen is left out, since fewer may not show it.
    #[must_use]
    pub fn with_faults(mut self, faults: u8) -> Scenario {
        self.budget.faults = faults;
        self.sights = &[];
        self
    }

    /// The wish behind a request.
    pub(crate) fn wish_of(&self, wanted: RequestId) -> Option<usize> {
        self.wishes.iter().position(|wish| match wish.ask {
            Ask::Submit { request, .. } => request == wanted,
            Ask::Balance { .. }
            | Ask::Accounts { .. }
            | Ask::Audit
            | Ask::Status
            | Ask::Show(_)
            | Ask::List { .. }
            | Ask::Resolve { .. }
            | Ask::Adopt { .. }
            | Ask::Arm { .. } => false,
        })
    }

    /// Whether an alarm is no sign of anything wrong here.
    pub(crate) fn expects_alarm(&self, text: &str) -> bool {
        // A copy of an inquiry may arrive when the commit it asks about has been acknowledged and forgotten; one of a
        // query, when a mark has passed what it asks about. The machines cannot tell that from a lost record.
        self.budget.copies > 0 && (text.starts_with("ABORT for ") || text.starts_with("asked about "))
    }

    /// One transfer over two nodes, and one client that wants it: what the others are variations of.
    fn one() -> Scenario {
        Scenario {
            name: "one",
            about: "one transfer; everyone crashes, something is lost, something comes twice",
            coordinators: 1,
            nodes: &[&[("A", 100)], &[("B", 100)]],
            locking: Locking::NoWait,
            numbers: Numbers::Durable,
            wishes: vec![once(submit(1, "N1/A:-30 N2/B:+30"))],
            budget: Budget {
                faults: 5,
                coordinator_crashes: [1, 0],
                node_crashes: [1, 1],
                losses: 1,
                copies: 1,
                timers: 0,
            },
            sights: &[
                Sight::AllCommitted,
                Sight::Aborted,
                Sight::UnsyncedKept,
                Sight::UnsyncedLost,
                Sight::CommitOutlivesCoordinator,
                Sight::InquiryHearsCommit,
                Sight::InquiryHearsAbort,
                Sight::CommitAcknowledgedAgain,
                Sight::TombstoneRefuses,
            ],
        }
    }

    fn late() -> Scenario {
        Scenario {
            name: "late",
            about: "one transfer; any three faults, timers among them: late votes, late copies, marks",
            budget: Budget {
                faults: 3,
                timers: 2,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::Aborted,
                Sight::InquiryHearsCommit,
                Sight::InquiryHearsAbort,
                Sight::InquiryHearsPending,
                Sight::CommitAcknowledgedAgain,
                Sight::CommitBelowMark,
                Sight::TombstoneRefuses,
                Sight::MarkRefuses,
            ],
            ..Scenario::one()
        }
    }

    fn proofs() -> Scenario {
        Scenario {
            name: "proofs",
            about: "one transfer; any two faults, and what each log has proved: nobody is accused of having lost it",
            numbers: Numbers::InOrder,
            budget: Budget {
                faults: 2,
                copies: 0,
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::Aborted,
                Sight::CommitOutlivesCoordinator,
            ],
            ..Scenario::one()
        }
    }

    fn two() -> Scenario {
        Scenario {
            name: "two",
            about: "two transfers that want the same accounts; any two faults",
            wishes: vec![
                once(submit(1, "N1/A:-60 N2/B:+60")),
                once(submit(2, "N1/A:-40 N2/B:+40")),
            ],
            budget: Budget {
                faults: 2,
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::AllAborted,
                Sight::Contention,
                Sight::CommitOutlivesCoordinator,
                Sight::InquiryHearsCommit,
                Sight::InquiryHearsAbort,
                Sight::CommitAcknowledgedAgain,
                Sight::TombstoneRefuses,
                Sight::MarkRefuses,
            ],
            ..Scenario::one()
        }
    }

    fn escrow() -> Scenario {
        Scenario {
            name: "escrow",
            about: "two transfers that share an account and want more than it holds; any fault",
            locking: Locking::Escrow,
            wishes: vec![
                once(submit(1, "N1/A:-60 N2/B:+60")),
                once(submit(2, "N1/A:-50 N2/B:+50")),
            ],
            budget: Budget {
                faults: 1,
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::Aborted,
                Sight::AllAborted,
                Sight::CommitOutlivesCoordinator,
            ],
            ..Scenario::one()
        }
    }

    /// The first is the older one. They come from two coordinators, since one would send both nodes the same order.
    fn wait() -> Scenario {
        Scenario {
            name: "wait",
            about: "two transfers of two coordinators that cross, and wait for each other if they may; any fault",
            coordinators: 2,
            locking: Locking::Wait,
            wishes: vec![
                once(submit(1, "N1/A:-60 N2/B:+60")),
                Wish {
                    first: 1,
                    ..once(submit(2, "N1/A:+40 N2/B:-40"))
                },
            ],
            budget: Budget {
                faults: 1,
                coordinator_crashes: [1, 1],
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::Waits,
                Sight::WaitsAndIsPrepared,
                Sight::WaitsInVain,
                Sight::Contention,
                Sight::CommitOutlivesCoordinator,
            ],
            ..Scenario::one()
        }
    }

    fn twice() -> Scenario {
        Scenario {
            name: "twice",
            about: "one request through two coordinators under one id; any fault",
            coordinators: 2,
            wishes: vec![Wish {
                sends: 2,
                ..once(submit(1, "N1/A:-30 N2/B:+30"))
            }],
            budget: Budget {
                faults: 1,
                coordinator_crashes: [1, 1],
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::RepeatCommitted,
                Sight::RepeatAborted,
                Sight::DuplicateRefused,
                Sight::Recalled,
                Sight::AbortBound,
                Sight::CommitOutlivesCoordinator,
            ],
            ..Scenario::one()
        }
    }

    fn alone() -> Scenario {
        Scenario {
            name: "alone",
            about: "one request that a single node decides, asked for twice; any three faults",
            nodes: &[&[("A", 100), ("B", 100)]],
            wishes: vec![Wish {
                sends: 2,
                ..once(submit(1, "N1/A:-30 N1/B:+30"))
            }],
            budget: Budget {
                faults: 3,
                node_crashes: [1, 0],
                timers: 2,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::Aborted,
                Sight::RepeatCommitted,
                Sight::RepeatAborted,
                Sight::QueryBuries,
                Sight::QueryHearsCommit,
                Sight::UnsyncedLost,
            ],
            ..Scenario::one()
        }
    }

    /// No copies here: an audit relies on it that the links keep their order.
    fn audit() -> Scenario {
        Scenario {
            name: "audit",
            about: "an audit amidst a transfer; any two faults",
            wishes: vec![once(submit(1, "N1/A:-30 N2/B:+30")), once(Ask::Audit)],
            budget: Budget {
                faults: 2,
                copies: 0,
                timers: 1,
                ..Scenario::one().budget
            },
            sights: &[
                Sight::AllCommitted,
                Sight::AuditExact,
                Sight::AuditAmidst,
                Sight::AuditIncomplete,
            ],
            ..Scenario::one()
        }
    }

    fn freeze() -> Scenario {
        Scenario {
            name: "freeze",
            about: "an audit amidst a transfer of another coordinator; any fault",
            coordinators: 2,
            wishes: vec![
                once(submit(1, "N1/A:-30 N2/B:+30")),
                Wish {
                    first: 1,
                    ..once(Ask::Audit)
                },
            ],
            budget: Budget {
                faults: 1,
                coordinator_crashes: [1, 1],
                ..Scenario::audit().budget
            },
            sights: &[Sight::AllCommitted, Sight::AuditExact, Sight::AuditIncomplete],
            ..Scenario::one()
        }
    }
}
