//! What was a process doing when it died? Answers with the ids of the fault catalogue, at the point of injection.

use engine::Operation;

use crate::role::Kind;
use crate::who::Who;

/// What a process was doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing: it waited.
    #[default]
    Idle,
    /// It read its store.
    Recovering,
    /// It stepped its machine and appended records.
    Stepping,
    /// It synced.
    Syncing,
    /// It had synced and was sending.
    Sending {
        /// What had left.
        sent: Vec<Kind>,
        /// What had not.
        unsent: Vec<Kind>,
        /// The records of this turn.
        told: RecordKinds,
    },
    /// It looked after its log: checkpoints, new segments.
    Tending,
}

/// What a record does, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A vote YES.
    PrepareOk,
    /// A commit at a node.
    Apply,
    /// A transaction that its only participant decided.
    OnePhase,
    /// An abort at a node.
    Release,
    /// A coordinator's START.
    Start,
    /// A coordinator's COMMIT.
    Decision,
    /// A coordinator's COMPLETE.
    Complete,
    /// Everything else.
    Other,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordKinds(u8);

impl RecordKinds {
    pub(crate) fn add(&mut self, kind: RecordKind) {
        self.0 |= 1 << kind as u8;
    }

    pub(crate) fn has(self, kind: RecordKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

/// The scene of a death.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) who: Who,
    pub(crate) moment: &'a Moment,
    /// The disk operation it died in.
    pub(crate) struck: Option<Operation>,
    /// What it had appended and not synced.
    pub(crate) unsynced: RecordKinds,
    /// Messages that had arrived and were not heard.
    pub(crate) unheard: Vec<Kind>,
    /// How often it had been started.
    pub(crate) lives: u32,
}

/// The faults that this death was.
pub(crate) fn faults(scene: &Scene<'_>) -> Vec<&'static str> {
    let mut found = match scene.who {
        Who::Node(_) => node(scene),
        Who::Coordinator(_) => coordinator(scene),
        Who::Client(_) => Vec::new(),
    };
    if matches!(scene.moment, Moment::Tending) {
        found.extend(match scene.who {
            Who::Node(_) => ["K-a"].as_slice(),
            Who::Coordinator(_) | Who::Client(_) => ["K-a", "C11"].as_slice(),
        });
    }
    found
}

fn node(scene: &Scene<'_>) -> Vec<&'static str> {
    let mut found = Vec::new();
    let heard = |kind| scene.unheard.contains(&kind);
    match scene.moment {
        Moment::Recovering => found.push("N13"),
        Moment::Idle | Moment::Tending => {}
        Moment::Stepping => match scene.struck {
            Some(Operation::Append) => found.push("N3"),
            Some(
                Operation::Look | Operation::Create | Operation::Sync | Operation::Name | Operation::SyncDir,
            )
            | None => found.push("N2"),
        },
        Moment::Syncing => {
            if scene.struck == Some(Operation::Append) {
                found.push("N3");
                if scene.unsynced.has(RecordKind::PrepareOk) {
                    found.push("N2");
                }
            } else if scene.unsynced.has(RecordKind::PrepareOk) {
                found.push("N4");
            }
            if scene.unsynced.has(RecordKind::Apply) {
                found.push("N8");
            }
            if scene.unsynced.has(RecordKind::OnePhase) {
                found.push("N14");
            }
            if scene.unsynced.has(RecordKind::Release) {
                found.push("N12");
            }
        }
        Moment::Sending { sent, unsent, told } => {
            if unsent.contains(&Kind::VoteYes) {
                found.push(if told.has(RecordKind::PrepareOk) {
                    "N5"
                } else {
                    "N15"
                });
            }
            if sent.contains(&Kind::VoteYes) {
                found.push("N6");
            }
            if unsent.contains(&Kind::Ack) {
                found.push("N11");
                if told.has(RecordKind::Apply) {
                    found.push("N9");
                }
            }
            if unsent.contains(&Kind::Executed) {
                found.push("N14");
            }
            if sent.contains(&Kind::Inquiry) {
                found.push("N15");
            }
        }
    }
    if heard(Kind::Prepare) {
        found.push("N1");
    }
    if heard(Kind::Commit) {
        found.push("N7");
    }
    if heard(Kind::Abort) {
        found.push("N12");
    }
    if heard(Kind::Execute) {
        found.push("N14");
    }
    found
}

fn coordinator(scene: &Scene<'_>) -> Vec<&'static str> {
    let mut found = Vec::new();
    let heard = |kind| scene.unheard.contains(&kind);
    match scene.moment {
        Moment::Recovering | Moment::Idle | Moment::Tending => {}
        Moment::Stepping | Moment::Syncing => {
            if scene.unsynced.has(RecordKind::Decision) {
                found.push("C5");
            }
            if scene.unsynced.has(RecordKind::Complete) {
                found.push("C10");
            }
            if scene.unsynced.has(RecordKind::Start) {
                found.push("C2");
            }
        }
        Moment::Sending { sent, unsent, told } => {
            let (asked, unasked) = (sent.contains(&Kind::Prepare), unsent.contains(&Kind::Prepare));
            if asked && unasked {
                found.push("C3");
            } else if unasked {
                found.push("C2");
            }
            if told.has(RecordKind::Decision) {
                match (sent.contains(&Kind::Commit), unsent.contains(&Kind::Commit)) {
                    (false, true) => found.push("C6"),
                    (true, true) => found.push("C7"),
                    (_, false) => {}
                }
                if sent.contains(&Kind::Outcome) {
                    found.push("C8");
                }
            }
        }
    }
    if heard(Kind::Submit) {
        found.push("C1");
    }
    if heard(Kind::VoteYes) {
        found.push("C4");
    }
    if heard(Kind::Ack) {
        found.push("C9");
    }
    if scene.lives >= 3 {
        found.push("C14");
    }
    found
}
