//! Does the check find the holes that the rules forbid? Bugs exist only in builds with `--cfg planted`.
#![cfg(planted)]

use model::{Limits, Scenario, check};
use protocol::planted::{Bug, plant};

/// One test, because a process has one planted bug at a time.
#[test]
fn planted_bugs_are_found() {
    let limits = Limits {
        states_max: Some(2_000_000),
        time_max: None,
        threads: 2,
    };
    for (bug, scenario, faults) in [
        (Bug::VoteBeforeSync, "one", 1),
        (Bug::DecisionBeforeSync, "one", 1),
        (Bug::RecoveryEndsCommits, "one", 1),
        (Bug::ActivePresumedAborted, "one", 1),
        (Bug::AckBeforeSync, "one", 1),
        (Bug::ExecutedBeforeSync, "alone", 2),
        (Bug::YoungerWaits, "wait", 0),
        (Bug::WaitersForgotten, "wait", 0),
    ] {
        plant(Some(bug));
        let scenario = Scenario::named(scenario).expect("a scenario of ours");
        let report = check(scenario.with_faults(faults), limits);
        plant(None);
        assert!(
            !report.is_good(),
            "{} was not found in {} states",
            bug.name(),
            report.unique
        );
    }
}
