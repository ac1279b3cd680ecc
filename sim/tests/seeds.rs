//! Seeds as tests: those that once found a bug, and a few more.
//!
//! Optimised builds do much more in less time: `cargo run --release -p twopence-sim -- --seeds 2000`, and `--sweep`. `.ci/run`
//! does both.

use sim::campaign::{self, Plan};
use sim::run::{self, Tracing};

/// Seeds that found a bug: what it was, and where it was mended.
const PINNED: &[(u64, &str)] = &[
    // A repeated message did what a full disk had refused: the refusal had left no trace.
    (103_511, "a refusal for lack of room was forgotten"),
    (110_507, "a refusal for lack of room was forgotten"),
    (114_223, "a refusal for lack of room was forgotten"),
];

#[test]
fn seeds_that_once_found_a_bug_find_it_no_more() {
    for (seed, bug) in PINNED {
        let report = run::seed(*seed, Tracing::Off);
        assert!(report.wrong.is_empty(), "seed {seed}, {bug}: {:#?}", report.wrong);
    }
}

#[test]
fn some_seeds_go_well_and_do_not_go_well_by_doing_nothing() {
    let plan = Plan {
        from: 1,
        seeds: 12,
        threads: 2,
        stop_at_first: true,
    };
    let sum = campaign::run(plan, &|_| {});
    assert!(sum.wrong.is_empty(), "{:#?}", sum.wrong);
    assert!(sum.requests >= 299 * sum.seeds, "{} requests", sum.requests);
    // Over many seeds more than half; a dozen vary.
    assert!(
        5 * sum.committed >= 2 * sum.requests,
        "{} committed",
        sum.committed
    );
    assert!(
        sum.tally.deeds() >= 10 * sum.seeds,
        "{} faults",
        sum.tally.deeds()
    );
    assert!(sum.exact_audits >= 2 * sum.seeds, "{} audits", sum.exact_audits);
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    let story = || {
        let report = run::seed(7, Tracing::Full);
        let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let first = story();
    assert!(first.lines().count() > 1000);
    assert_eq!(first, story());
    let other = run::seed(8, Tracing::Digest);
    assert_ne!(other.digest, run::seed(7, Tracing::Digest).digest);
}
