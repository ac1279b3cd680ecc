//! Orders that make no sense, or ask for what cannot be: the right exit code, a message that says what happened,
//! whether money moved and what to do, and nothing changed.

use faults::fired;

use crate::world::{Run, STORES, World, free_port, run};

const MAX: u64 = 1_000_000_000_000_000_000;

/// Usage errors: refused before anything is sent.
const NONSENSE: &[(&str, &str)] = &[
    ("transfer N1/A N2/B 0", "greater than 0"),
    ("transfer N1/A N2/B -5", "greater than 0"),
    (
        "transfer N1/A N2/B 1000000000000000001",
        "at most 1000000000000000000",
    ),
    (
        "transfer N1/A N2/B 9223372036854775807",
        "at most 1000000000000000000",
    ),
    (
        "transfer N1/A N2/B 9223372036854775808",
        "at most 1000000000000000000",
    ),
    ("transfer N1/A N2/B -9223372036854775808", "greater than 0"),
    (
        "transfer N1/A N2/B 340282366920938463463374607431768211456",
        "at most 1000000000000000000",
    ),
    ("transfer N1/A N2/B ten", "'ten'"),
    ("transfer N1/A N2/B 1.5", "'1.5'"),
    ("transfer N1/A N2/B 1e3", "'1e3'"),
    ("transfer N1/A N2/B 0x10", "'0x10'"),
    ("transfer N1/A N2/B", "amount"),
    ("transfer N1/A N1/A 5", "cancel out"),
    ("transfer A N2/B 5", "'A'"),
    ("transfer N1/ N2/B 5", "'N1/'"),
    ("transfer /A N2/B 5", "'/A'"),
    ("transfer N1/@world N2/B 5", "not an account id"),
    ("transfer N1/_a N2/B 5", "not an account id"),
    ("transfer N1/ä N2/B 5", "not an account id"),
    ("transfer N1/../A N2/B 5", "not an account id"),
    ("transfer N_1/A N2/B 5", "not a node id"),
    ("transfer N1234567890123456/A N2/B 5", "not a node id"),
    (
        "transfer --from-node N1 --from-account A --to-node N2 --to-account B --amount 0",
        "greater than 0",
    ),
    ("deposit N1/A 0", "greater than 0"),
    ("deposit N1/A -1", "greater than 0"),
    ("deposit N1/@world 1", "not an account id"),
    ("submit N1/A:-3 N2/B:+4", "add up to +1"),
    ("submit N1/A:-3", "add up to -3"),
    ("submit N1/A:-3 N1/A:+3", "cancel out"),
    (
        "submit N1/A:-9223372036854775808 N2/B:+9223372036854775807",
        "error:",
    ),
    ("submit N1/A N2/B:+4", "'N1/A'"),
    ("transfer N1/A N2/B 5 --request-id zz", "'zz'"),
    ("transfer N1/A N2/B 5 --timeout-ms 0", "'0'"),
];

#[test]
fn orders_that_make_no_sense_are_refused_and_change_nothing() {
    for store in STORES {
        let mut world = World::start(store);
        let before = world.snapshot();
        for (line, why) in NONSENSE {
            let run = world.run(line);
            run.says(2, &["error:", why, "no money moved"]);
            if let Some(id) = fault_in(why) {
                fired(id);
            }
            assert_eq!(run.stdout, "", "{run:#?}");
            let json = world.run(&format!("{line} --output json"));
            assert_eq!(json.code, 2, "{json:#?}");
            parses(&json);
        }
        let long = "a".repeat(65);
        world
            .run(&format!("transfer N1/{long} N2/B 5"))
            .says(2, &["1 to 64", "no money moved"]);
        let legs: String = (0..300).map(|n| format!(" N1/x{n}:-1")).collect();
        world
            .run(&format!("submit{legs} N2/B:+300"))
            .says(2, &["256", "no money moved"]);
        world.unharmed(&before);
        world.works_and_stops();
    }
}

fn fault_in(why: &str) -> Option<&'static str> {
    if why.contains("greater than 0") || why.contains("at most") {
        Some("I1")
    } else if why.contains("cancel out") {
        Some("I4")
    } else if why.starts_with("not a") {
        Some("I10")
    } else {
        None
    }
}

/// Orders that are well formed and cannot be done.
const REFUSED: &[(&str, i32, &str, &str)] = &[
    ("transfer N9/A N2/B 5", 5, "unknown_node_N9", "twopence status"),
    ("transfer N1/A N9/B 5", 5, "unknown_node_N9", "twopence status"),
    ("deposit N9/A 5", 5, "unknown_node_N9", "twopence status"),
    (
        "transfer N1/nope N2/B 5",
        5,
        "unknown_account_nope",
        "deposit N1/nope",
    ),
    (
        "transfer N1/A N2/nope 5",
        5,
        "unknown_account_nope",
        "deposit N2/nope",
    ),
    (
        "transfer N1/A N1/nope 5",
        5,
        "unknown_account_nope",
        "deposit N1/nope",
    ),
    (
        "transfer N1/A N2/B 1001",
        3,
        "insufficient_funds_on_A",
        "balance N1/A",
    ),
    (
        "transfer N1/A N2/B 1000000000000000000",
        3,
        "insufficient_funds_on_A",
        "balance N1/A",
    ),
    (
        "submit N1/A:-500 N2/B:-1001 N3/C:+1501",
        3,
        "insufficient_funds_on_B",
        "balance N2/B",
    ),
    (
        "submit N1/A:-600 N1/A:-600 N3/C:+1200",
        3,
        "insufficient_funds_on_A",
        "balance N1/A",
    ),
];

#[test]
fn orders_that_cannot_be_done_say_why_and_leave_all_balances() {
    for store in STORES {
        let mut world = World::start(store);
        let before = world.snapshot();
        for &(line, code, reason, next) in REFUSED {
            let run = world.run(line);
            let next = next.strip_prefix("twopence ").unwrap_or(next);
            run.says(code, &["Aborted:", "No money moved.", next]);
            assert_eq!(run.field("success"), "false");
            assert_eq!(run.field("reason"), reason);
            assert_eq!(run.field("retryable"), "false");
            if reason.starts_with("unknown_node") {
                fired("I6");
            } else if reason.starts_with("unknown_account") {
                fired("I7");
            } else if line.matches("N1/A:-600").count() == 2 {
                fired("I3");
            }
            let json = world.run(&format!("{line} --output json"));
            assert_eq!(json.code, code, "{json:#?}");
            let parsed = parses(&json).expect("one line");
            assert_eq!(parsed["outcome"], "aborted", "{json:#?}");
            assert_eq!(parsed["success"], false, "{json:#?}");
            assert_eq!(parsed["reason"], reason, "{json:#?}");
        }
        world
            .run("balance N1/nope")
            .says(5, &["no account N1/nope", "no money moved", "deposit N1/nope"]);
        world.run("balance N9/A").says(5, &["N9", "no money moved"]);
        world.unharmed(&before);
        world.works_and_stops();
    }
}

#[test]
fn an_account_that_is_full_takes_no_more() {
    for store in STORES {
        let mut world = World::start(store);
        let mut held = 0_u64;
        let refused = loop {
            let run = world.run(&format!("deposit N1/full {MAX}"));
            if run.code != 0 {
                break run;
            }
            held += MAX;
            assert!(held < u64::MAX - MAX, "{store}: it never refuses");
        };
        refused.says(
            5,
            &[
                "would hold more than an account can",
                "No money moved.",
                "another account",
            ],
        );
        fired("I2");
        // The other side of a deposit is as full as the account itself.
        assert!(
            refused.field("reason").starts_with("credit_overflow_on_"),
            "{refused:#?}"
        );
        assert!(held >= MAX, "{store}: not even one fits");
        world.run("balance N1/full").prints(&[&held.to_string()]);
        // The same by transfer, from a node that still has room. The rest of N1 goes on working.
        world.run(&format!("deposit N2/rich {MAX}")).prints(&[]);
        world.run("deposit N2/rich 1").prints(&[]);
        let before = world.snapshot();
        let room = i64::MAX.cast_unsigned() - held;
        if room < MAX {
            world
                .run(&format!("transfer N2/rich N1/full {}", room + 1))
                .says(5, &["would hold more than an account can", "No money moved."]);
        }
        world.unharmed(&before);
        world.works_and_stops();
    }
}

#[test]
fn an_account_may_begin_with_a_digit() {
    for store in STORES {
        let mut world = World::start(store);
        world.run("deposit N1/0A 5").prints(&["success=true"]);
        world.run("transfer N1/A N1/0A 7").prints(&["success=true"]);
        world.run("transfer N1/0A N2/B 2").prints(&["success=true"]);
        world.run("accounts N1").prints(&["N1/0A", "N1/A"]);
        world.cluster.kill9_all();
        world.cluster.start_all().unwrap();
        world.run("balance N1/0A").prints(&["10"]);
        world.whole();
        world.works_and_stops();
    }
}

#[test]
fn a_request_id_means_one_thing_for_ever() {
    for store in STORES {
        let mut world = World::start(store);
        let id = "--request-id 5f0c9d2e8a7b4c61b3f2d1e0a9887766";
        let first = world.run(&format!("transfer N1/A N2/B 10 {id}"));
        first.prints(&["success=true"]);
        let before = world.snapshot();
        for _ in 0..3 {
            let again = world.run(&format!("transfer N1/A N2/B 10 {id}"));
            fired("I8");
            assert_eq!(
                again.stdout, first.stdout,
                "the same result, the same transaction"
            );
        }
        // The order of legs does not matter, and neither does the command.
        let same = world.run(&format!("submit N2/B:+10 N1/A:-10 {id}"));
        same.prints(&["success=true"]);
        assert_eq!(same.field("txn"), first.field("txn"));
        for other in [
            "transfer N1/A N2/B 11",
            "transfer N1/A N3/C 10",
            "submit N1/A:-11 N2/B:+10 N3/C:+1",
        ] {
            let reused = world.run(&format!("{other} {id}"));
            fired("I9");
            reused.says(10, &["used before", "no money moved", "tx show"]);
            assert_eq!(reused.field("reason"), "request_id_reused");
            let json = world.run(&format!("{other} {id} --output json"));
            assert_eq!(json.code, 10);
            assert_eq!(parses(&json).expect("one line")["outcome"], "reused");
        }
        // A refusal is remembered, too, even when it could be done by now.
        let id = "--request-id 00000000000000000000000000000abc";
        let refused = world.run(&format!("transfer N3/C N1/A 1001 {id}"));
        refused.says(3, &["No money moved."]);
        world.run("deposit N3/C 500").prints(&[]);
        let again = world.run(&format!("transfer N3/C N1/A 1001 {id}"));
        again.says(3, &["No money moved."]);
        world.run("balance N3/C").prints(&["1500"]);
        // Both survive a restart of everything.
        world.cluster.kill9_all();
        world.cluster.start_all().unwrap();
        let id = "--request-id 5f0c9d2e8a7b4c61b3f2d1e0a9887766";
        let again = world.run(&format!("transfer N1/A N2/B 10 {id}"));
        assert_eq!(again.stdout, first.stdout);
        world
            .run(&format!("transfer N1/A N2/B 11 {id}"))
            .says(10, &["no money moved"]);
        world.run("balance N1/A").prints(&["990"]);
        drop(before);
        world.works_and_stops();
    }
}

#[test]
fn without_a_coordinator_nothing_is_sent() {
    let coord = format!("127.0.0.1:{}", free_port());
    for line in [
        "transfer N1/A N2/B 5",
        "deposit N1/A 5",
        "submit N1/A:-5 N2/B:+5",
        "balance N1/A",
        "accounts",
        "audit",
        "tx list",
        "tx show 1",
        "adopt N1",
    ] {
        let ask = |more: &[&str]| {
            let words = line.split(' ').chain(["--coord", &coord, "--timeout-ms", "300"]);
            run(&words.chain(more.iter().copied()).collect::<Vec<_>>())
        };
        let run = ask(&[]);
        assert_eq!(run.code, 7, "{run:#?}");
        assert!(run.stderr.to_lowercase().contains("no money moved"), "{run:#?}");
        assert!(
            run.stderr.contains("twopence") || run.stderr.contains("--coord"),
            "{run:#?}"
        );
        let json = ask(&["--output", "json"]);
        assert_eq!(json.code, 7, "{json:#?}");
        parses(&json);
    }
}

/// Every line on stdout is a JSON object; returns the only one.
#[track_caller]
fn parses(run: &Run) -> Option<serde_json::Value> {
    let mut lines = run.stdout.lines().map(|line| {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
    });
    let first = lines.next();
    assert!(lines.next().is_none(), "{run:#?}");
    first
}
