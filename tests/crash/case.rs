//! One case: load, death at a point, restart, the same death once more as a power cut, and everything that must hold
//! afterwards.

use client::{Client, Target};
use cluster::{Cluster, ClusterConfig};
use faults::fired;

use crate::bank::Choices;
use crate::load::{self, PATIENCE};

/// Who dies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Victim {
    /// N2.
    Node,
    Coordinator,
}

/// One crash.
pub(crate) struct Case {
    /// Begins with the fault's id in lower case.
    name: String,
    victim: Victim,
    point: String,
    action: String,
    store: String,
    short_segments: bool,
    /// Faults that it also is.
    also: Vec<&'static str>,
    /// The fault that dying again while recovering is, and the points where it does.
    recovery: Option<(&'static str, Vec<String>)>,
}

impl Case {
    pub(crate) fn kill(name: &str, victim: Victim, point: &str, store: &str) -> Case {
        // Not the very first hit, so that there is something to recover.
        Case::with(name, victim, point, "kill@3", store)
    }

    pub(crate) fn with(name: &str, victim: Victim, point: &str, action: &str, store: &str) -> Case {
        Case {
            name: name.to_owned(),
            victim,
            point: point.to_owned(),
            action: action.to_owned(),
            store: store.to_owned(),
            short_segments: false,
            also: Vec::new(),
            recovery: None,
        }
    }

    /// Load then cuts a checkpoint every few transfers.
    pub(crate) fn with_short_segments(mut self) -> Case {
        self.short_segments = true;
        // There are fewer hits of what a checkpoint does.
        self.action = self.action.replace("@3", "@2");
        self
    }

    /// It is fault `id`, too.
    pub(crate) fn also(mut self, id: &'static str) -> Case {
        self.also.push(id);
        self
    }

    /// The restarts after the crash die at these points, one after the other, which is fault `id`.
    pub(crate) fn recovery_killed_at<const N: usize>(mut self, id: &'static str, points: [&str; N]) -> Case {
        self.recovery = Some((id, points.map(str::to_owned).to_vec()));
        self
    }

    /// The faults that its first death is.
    fn faults(&self) -> impl Iterator<Item = String> {
        let id = self.name.split('_').next().expect("a name has a first word");
        let id = match id.strip_prefix('k') {
            // Each step of a checkpoint is a place for the one fault of dying there.
            Some(_step) => "K-a".to_owned(),
            None => id.to_uppercase(),
        };
        std::iter::once(id).chain(self.also.iter().map(|&id| id.to_owned()))
    }
}

/// Runs one case.
pub(crate) fn run(case: &Case) {
    let victim = match case.victim {
        Victim::Node => load::n2(),
        Victim::Coordinator => Target::Coordinator,
    };
    let shorten = |config: &mut ClusterConfig| {
        if case.short_segments {
            load::short_segments(config);
        }
    };
    load::through(&case.name, &case.store, shorten, |cluster, client| {
        // The first time the page cache survives. From then on the victim lives on a disk that forgets.
        let seed = Choices::new(&format!("{}-{}", case.name, case.store)).below(1 << 31);
        cluster.set_power_cut(Some(u64::try_from(seed).unwrap()));
        crash(case, cluster, client, victim);
        load::for_a_while();
        crash(case, cluster, client, victim);
        fired("D2");
    });
}

fn crash(case: &Case, cluster: &mut Cluster, client: &mut Client, victim: Target) {
    let armed = format!("{}={}", case.point, case.action);
    // The load may reach the point before the answer is out, and then the answer is that there was none.
    let said = client.arm(victim, &armed);
    let exit = cluster.wait_exit(victim, PATIENCE).unwrap_or_else(|error| {
        panic!(
            "{}: {armed} was never reached: {error}; arming it: {said:?}",
            case.name
        )
    });
    assert!(!exit.status.success(), "{}: it died, it did not stop", case.name);
    died_at(case, cluster, victim, &case.point);
    for id in case.faults() {
        fired(&id);
    }
    for (id, point) in case
        .recovery
        .iter()
        .flat_map(|(id, points)| points.iter().map(move |point| (id, point)))
    {
        cluster.launch(victim, &[point]).unwrap();
        let exit = cluster.wait_exit(victim, PATIENCE);
        exit.unwrap_or_else(|error| panic!("{}: {point} was never reached: {error}", case.name));
        let (name, _) = point.split_once('=').expect("a point and what it does");
        died_at(case, cluster, victim, name);
        fired(id);
    }
    cluster
        .restart(victim)
        .unwrap_or_else(|error| panic!("{}: cannot restart: {error}", case.name));
}

/// Its own last words say where it died, so that no other death is taken for this one.
fn died_at(case: &Case, cluster: &Cluster, victim: Target, point: &str) {
    let acted = format!("failpoint {point} acts");
    let lines = cluster.log_lines(victim);
    assert!(
        lines.iter().any(|line| line.contains(&acted)),
        "{}: it did not die at {point}: {lines:?}",
        case.name
    );
}
