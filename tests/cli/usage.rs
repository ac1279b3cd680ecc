//! What makes no sense is refused before anything is sent, and `--help` teaches.

use crate::fake::{Act, Fake};
use crate::run::{ask, twopence};

#[test]
fn what_makes_no_sense_exits_with_2_before_anything_is_sent() {
    let fake = Fake::start(|_| Act::HangUp);
    for (line, expected) in [
        ("deposit N1/A -5", "an amount must be greater than 0"),
        ("deposit N1/A 0", "an amount must be greater than 0"),
        ("deposit N1/A 1.5", "an amount is a whole number of minor units"),
        ("deposit N1/A -x", "an amount is a whole number of minor units"),
        ("deposit N1/A 9223372036854775808", "an amount is at most"),
        ("deposit N1/@world 5", "is not an account id"),
        ("transfer N1/A N2/B -10", "an amount must be greater than 0"),
        (
            "transfer N1/A N1/A 10",
            "money must move between different accounts",
        ),
        ("transfer N1/A N2/B", "required"),
        ("transfer N1/A", "required"),
        ("transfer N1 N2/B 10", "is not an account with its node"),
        ("transfer ../N1/A N2/B 10", "is not a node id"),
        (
            "transfer --from-node N1 --from-account A --to-node N2 --to-account B",
            "--amount",
        ),
        (
            "transfer --from-node N1 --from-account A --to-node N2 --to-account B --amount -1",
            "greater than 0",
        ),
        ("transfer N1/A N2/B 10 --amount 10", "cannot be used with"),
        ("transfer N1/A N2/B 10 --from-node N1", "cannot be used with"),
        ("transfer N1/A N2/B 10 --request-id xyz", "is not a request id"),
        ("transfer N1/A N2/B 10 --timeout-ms 0", "0 is not in"),
        ("submit N1/A:-30 N2/B:+29", "the legs add up to -1"),
        ("submit N1/A:-30 N2/B", "a leg is written node/account:delta"),
        ("submit N1/A:-30 N1/A:30", "cancel out"),
        ("balance N1", "is not an account with its node"),
        ("accounts N_1", "is not a node id"),
        ("tx show x-y", "is not a request id"),
        ("tx resolve c-1-7 perhaps --reason x", "perhaps"),
        ("tx resolve c-1-7 commit", "--reason"),
        ("status --cluster a/b", "is not a cluster name"),
    ] {
        let run = ask(&fake, line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
        assert!(run.stderr.contains(expected), "{line}: {run:?}");
        assert!(
            run.stderr.contains("Nothing was sent") && run.stderr.contains("no money moved"),
            "{line}: {run:?}"
        );
    }
    assert!(fake.asks().is_empty());
}

#[test]
fn servers_refuse_bad_flags_before_they_touch_anything() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data");
    for (line, expected) in [
        ("node --node-id N1 --port 0", "0 is not in 1..=65535"),
        ("node --node-id N1 --port 65536", "65536 is not in 1..=65535"),
        ("node --node-id ../N1 --port 6001", "is not a node id"),
        ("node --node-id N1 --port 6001 --store paper", "paper"),
        (
            "node --node-id N1 --port 6001 --locking optimistic",
            "no-wait, wait, escrow",
        ),
        (
            "node --node-id N1 --port 6001 --failpoint a=kill",
            "--enable-failpoints",
        ),
        ("coordinator --port 5000", "--nodes"),
        (
            "coordinator --port 5000 --nodes N1:h:1,N1:h:2",
            "node N1 is named twice",
        ),
        (
            "coordinator --port 5000 --nodes N1:h:1 --prepare-timeout-ms 0",
            "0 is not in",
        ),
        ("up --nodes 0", "0 is not in"),
    ] {
        let run = twopence(&format!("{line} --data-dir {}", dir.display()));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
        assert!(run.stderr.contains(expected), "{line}: {run:?}");
        assert!(!dir.exists(), "{line} made the data directory");
    }
}

#[test]
fn every_command_explains_itself() {
    for line in [
        "",
        "up",
        "gateway",
        "node",
        "coordinator",
        "transfer",
        "submit",
        "deposit",
        "balance",
        "accounts",
        "audit",
        "status",
        "verify",
        "tx",
        "tx show",
        "tx list",
        "tx resolve",
        "adopt",
        "demo",
        "demo concurrent",
        "demo node-crash",
    ] {
        let run = twopence(&format!("{line} --help"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{line}: {run:?}");
        assert!(run.stdout.contains("Usage: twopence"), "{line}: {run:?}");
    }
    let run = twopence("transfer --help");
    assert!(run.stdout.contains("twopence transfer N1/A N2/B 10"), "{run:?}");
    assert!(twopence("--version").stdout.starts_with("twopence "));
}
