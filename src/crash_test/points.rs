//! The named points at which a crash test lets processes die, and which faults of the catalogue that is. The panel offers
//! them too.

use client::Target;
use engine::{Dice, StoreKind};

/// A point, and the fault's id.
type Point = (&'static str, &'static str);

const NODE: &[Point] = &[
    ("received.prepare", "N1"),
    ("append.prepare_ok", "N2"),
    ("appended.prepare_ok", "N4"),
    ("sending.vote", "N5"),
    ("sent.vote", "N6"),
    ("received.commit", "N7"),
    ("append.commit", "N7"),
    ("appended.commit", "N8"),
    ("synced.commit", "N9"),
    ("sending.ack", "N11"),
    ("sent.ack", "N11"),
    ("received.abort", "N12"),
    ("append.abort", "N12"),
    ("appended.abort", "N12"),
    ("received.execute", "N14"),
    ("appended.commit_one_phase", "N14"),
    ("synced.commit_one_phase", "N14"),
    ("sending.executed", "N14"),
];

const COORDINATOR: &[Point] = &[
    ("received.submit", "C1"),
    ("appended.START", "C2"),
    ("sent.prepare@N1", "C3"),
    ("sent.prepare", "C3"),
    ("append.COMMIT", "C4"),
    ("appended.COMMIT", "C5"),
    ("synced.COMMIT", "C6"),
    ("sent.commit@N1", "C7"),
    ("sent.outcome", "C8"),
    ("received.ack", "C9"),
    ("append.COMPLETE", "C9"),
    ("appended.COMPLETE", "C10"),
    ("appended.EPOCH", "C14"),
    ("sent.join", "C14"),
];

const JSON: &[Point] = &[
    ("checkpoint.k1", "K-a"),
    ("checkpoint.k2", "K-a"),
    ("checkpoint.k3", "K-a"),
    ("checkpoint.k4", "K-a"),
    ("checkpoint.k5", "K-a"),
    ("checkpoint.k6", "K-a"),
    ("checkpoint.k7", "K-a"),
    ("checkpoint.k8", "K-a"),
    ("checkpoint.k9", "K-a"),
    ("checkpoint.k10", "K-a"),
    ("checkpoint.k11", "K-a"),
    ("recovery.record", "N13"),
    ("recovery.copied", "N13"),
];

const SLED: &[Point] = &[
    ("sled.before-batch", "N10"),
    ("sled.after-batch", "N10"),
    ("sled.flushed", "N10"),
    ("sled.before-settle", "N10"),
    ("sled.after-settle", "N10"),
];

/// A failed sync: the process stops, and recovery is the handler.
const SYNC: Point = ("sync", "D11");

/// A failpoint for a process that is about to start, as `name=action@hit`.
pub(super) fn draw(dice: &mut Dice, target: Target, store: StoreKind) -> String {
    let of_process = match target {
        Target::Node(_) => NODE,
        Target::Coordinator => COORDINATOR,
    };
    let of_store = match store {
        StoreKind::Json => JSON,
        StoreKind::Sled => SLED,
    };
    if dice.one_in(12) {
        let (point, _) = SYNC;
        return format!("{point}=error:eio@{}", 1 + dice.below(60));
    }
    let is_of_store = dice.below(5) < 2;
    let points = if is_of_store { of_store } else { of_process };
    let count = u64::try_from(points.len()).expect("a few");
    let (point, _) = points[usize::try_from(dice.below(count)).expect("an index")];
    // What happens often is hit at the first opportunity or well into the load.
    let hit = match dice.below(3) {
        0 => 1 + dice.below(3),
        _ if is_of_store && store == StoreKind::Json => 1 + dice.below(2),
        _ => 1 + dice.below(40),
    };
    format!("{point}=kill@{hit}")
}

/// The id of the fault in the catalogue that an armed failpoint is.
pub(super) fn id(armed: &str) -> Option<&'static str> {
    let point = armed.split('=').next()?;
    let all = [NODE, COORDINATOR, JSON, SLED, &[SYNC]];
    let known = all.into_iter().flatten().find(|(name, _)| *name == point);
    known.map(|(_, id)| *id)
}

/// A point as others are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Whose: `coordinator`, `node`, or `any`.
    pub(crate) process: &'static str,
    /// Of which store, if it is a store's.
    pub(crate) store: Option<&'static str>,
    /// Its name.
    pub(crate) name: &'static str,
    /// The fault's id in the catalogue.
    pub(crate) fault: &'static str,
}

/// The points that a process can come to once it is up.
pub(crate) fn while_running() -> impl Iterator<Item = Listed> {
    let of = |process, store, points: &'static [Point]| {
        points.iter().map(move |&(name, fault)| Listed {
            process,
            store,
            name,
            fault,
        })
    };
    of("coordinator", None, COORDINATOR)
        .chain(of("node", None, NODE))
        .chain(of("any", Some("json"), JSON))
        .chain(of("any", Some("sled"), SLED))
        .filter(|point| !is_in_recovery(point.name) && point.name != "appended.EPOCH")
}

/// Whether it kills a process that has not come up yet.
pub(super) fn is_in_recovery(armed: &str) -> bool {
    armed.starts_with("recovery.")
}

/// Whether a process that had this armed may stop with an error.
pub(super) fn is_error(armed: &str) -> bool {
    armed.contains("=error:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_that_is_drawn_can_be_armed_and_is_in_the_catalogue() {
        engine::failpoint::enable();
        let mut dice = Dice::new(1);
        for target in [Target::Coordinator, Target::Node("N1".parse().unwrap())] {
            for store in StoreKind::ALL {
                for _ in 0..500 {
                    let point = draw(&mut dice, target, store);
                    engine::failpoint::arm(&point).unwrap();
                    assert!(faults::find(id(&point).unwrap()).is_some(), "{point}");
                }
            }
        }
    }
}
