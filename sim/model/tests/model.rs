//! Small parts of what the command explores, small enough for every day.

use model::{Limits, Report, Scenario, Sight, Verdict, check};
use protocol::message::Ask;

const LIMITS: Limits = Limits {
    states_max: None,
    time_max: None,
    threads: 2,
};

fn named(name: &str) -> Scenario {
    Scenario::named(name).expect("a scenario of ours")
}

/// Everything there is with so many faults in one run; none of it breaks a rule.
fn holds(name: &str, faults: u8) -> Report {
    let report = check(named(name).with_faults(faults), LIMITS);
    let told = report
        .violation
        .as_ref()
        .map(|violation| violation.transcript.join("\n"));
    assert!(
        report.is_good(),
        "{name}: {:?}\n{}",
        report.properties,
        told.unwrap_or_default()
    );
    assert!(
        report.fixpoint,
        "{name} is too large for a test: {} states",
        report.unique
    );
    report
}

#[test]
fn no_single_fault_breaks_a_rule_of_one_transfer() {
    for (name, faults, states) in [
        ("one", 1, 1_000),
        ("late", 1, 2_000),
        ("proofs", 1, 1_000),
        ("alone", 1, 500),
    ] {
        let report = holds(name, faults);
        assert!(report.unique > states, "{name} has only {} states", report.unique);
    }
}

#[test]
fn without_faults_no_order_of_events_breaks_a_rule() {
    for name in ["two", "escrow", "wait", "twice", "audit", "freeze"] {
        holds(name, 0);
    }
}

#[test]
fn two_runs_find_the_same_states() {
    let (first, second) = (holds("one", 1), holds("one", 1));
    assert_eq!(first.unique, second.unique);
}

#[test]
fn what_no_run_shows_is_not_passed_over() {
    let scenario = Scenario {
        sights: &[Sight::AllCommitted, Sight::AuditExact],
        ..named("one").with_faults(0)
    };
    let report = check(scenario, LIMITS);
    let verdict = |sight: Sight| {
        let mut found = report.properties.iter().filter(|(name, _)| *name == sight.what());
        found.next().map(|(_, verdict)| *verdict)
    };
    assert_eq!(verdict(Sight::AllCommitted), Some(Verdict::Seen));
    assert_eq!(
        verdict(Sight::AuditExact),
        Some(Verdict::Unseen),
        "nobody audits here"
    );
    assert!(!report.is_good());
}

/// One request id for two different transfers: the second client is told so, which no scenario expects.
#[test]
fn a_broken_rule_is_told_in_the_notation_of_the_logs() {
    let mut scenario = named("two").with_faults(0);
    let Ask::Submit { request: first, .. } = scenario.wishes[0].ask else {
        panic!("a submit");
    };
    if let Ask::Submit { request, .. } = &mut scenario.wishes[1].ask {
        *request = first;
    }
    let limits = Limits { threads: 1, ..LIMITS };
    let report = check(scenario, limits);
    assert!(!report.is_good() && !report.fixpoint);
    let violation = report.violation.expect("two bodies under one id");
    assert_eq!(violation.rule, "what a client is told stays true");
    let told = violation.transcript.join("\n");
    for line in [
        "c append COMMIT c-1-1 (forced)",
        "N1 → c vote c-1-1 yes",
        "N1 sync",
        "duplicate, another body",
        "outcome request id reused",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

#[test]
fn a_check_that_was_cut_short_does_not_claim_a_fixpoint() {
    let limits = Limits {
        states_max: Some(500),
        ..LIMITS
    };
    let report = check(named("one"), limits);
    assert!(!report.fixpoint);
    assert!(report.violation.is_none());
}
