//! `balance`, `accounts`, `status`: answers on stdout, explanations on stderr.

use std::process::Stdio;

use protocol::id::{NodeId, StoreId, TxnId};
use protocol::message::{
    Answer, Ask, BalanceAnswer, ClusterStatus, CoordinatorStatus, LinkState, NodeStatus, Page, Work,
};

use crate::fake::{Act, Fake};
use crate::run::{ask, command};

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

#[test]
fn a_balance_is_a_number_alone() {
    let fake = Fake::answering(Answer::Balance(BalanceAnswer::Is(1000)));
    ask(&fake, "balance N1/A").is(0, "1000\n", "");
    let run = ask(&fake, "balance N1/A --output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&json["account"], &json["balance"]),
        (&"N1/A".into(), &1000.into())
    );
}

#[test]
fn a_balance_in_doubt_exits_with_6_and_names_the_transaction_and_both_balances() {
    let holders = vec![TxnId::new(StoreId(0xc), 1, 7)];
    let fake = Fake::answering(Answer::Balance(BalanceAnswer::InDoubt {
        holders,
        lowest: 970,
        highest: 1000,
    }));
    let run = ask(&fake, "balance N1/A");
    assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{run:?}");
    assert!(
        run.stderr
            .starts_with("The balance of N1/A is in doubt: 970 or 1000. "),
        "{run:?}"
    );
    assert!(
        run.stderr.ends_with("\n  twopence tx show c-1-7 --coord COORD\n"),
        "{run:?}"
    );
    let run = ask(&fake, "balance N1/A --output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&json["lowest"], &json["highest"], &json["holders"][0]),
        (&970.into(), &1000.into(), &"c-1-7".into())
    );
}

#[test]
fn no_such_account_and_a_failure_exit_with_5() {
    let fake = Fake::answering(Answer::Balance(BalanceAnswer::NoSuchAccount));
    let run = ask(&fake, "balance N1/A");
    assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{run:?}");
    assert!(run.stderr.starts_with("There is no account N1/A."), "{run:?}");
    let fake = Fake::answering(Answer::Failed("there is no node N9".to_owned()));
    ask(&fake, "balance N9/A").is(
        5,
        "",
        "There is no node N9. It was only a question: no money moved.\n",
    );
}

fn up(name: &str) -> LinkState {
    LinkState::Up(
        node(name),
        NodeStatus {
            store: StoreId(0xa),
            kind: "json".to_owned(),
            locking: "no-wait".to_owned(),
            sequence: 12,
            accounts: 2,
            prepared: 1,
            requests: 5,
            request_window: 1_000_000,
            request_horizon: 3,
            has_room: true,
            work: Work {
                records: 12,
                syncs: 5,
                bytes: 1000,
                checkpoints: 0,
            },
        },
    )
}

fn cluster(nodes: Vec<LinkState>) -> Answer {
    let coordinator = CoordinatorStatus {
        id: StoreId(0xc),
        epoch: 2,
        sequence: 40,
        open: 1,
        unacknowledged: 0,
        asking: 0,
        work: Work {
            records: 40,
            syncs: 9,
            bytes: 4000,
            checkpoints: 2,
        },
    };
    Answer::Status(ClusterStatus { coordinator, nodes })
}

#[test]
fn accounts_of_all_nodes_come_page_by_page_and_a_node_that_is_away_makes_it_incomplete() {
    let fake = Fake::start(|ask| {
        let page = |names: &[&str], more| {
            let accounts = names.iter().map(|name| (name.parse().unwrap(), 1000)).collect();
            Act::Answer(Answer::Accounts(Page { accounts, more }))
        };
        let Ask::Accounts { node: asked, after } = ask else {
            return Act::Answer(cluster(vec![up("N1"), LinkState::Down(node("N2"))]));
        };
        match after.as_ref().map(|after| after.as_str()) {
            None if *asked == node("N1") => page(&["A", "B"], true),
            Some("B") if *asked == node("N1") => page(&["C"], false),
            None | Some(_) => Act::Answer(Answer::Failed("node N2 is not connected".to_owned())),
        }
    });
    let run = ask(&fake, "accounts");
    assert_eq!(run.code, 6, "{run:?}");
    let words: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        words,
        [
            ["ACCOUNT", "BALANCE"],
            ["N1/A", "1000"],
            ["N1/B", "1000"],
            ["N1/C", "1000"]
        ]
    );
    assert!(run.stderr.starts_with("Node N2 is not connected."), "{run:?}");
    let run = ask(&fake, "accounts N1 --output json");
    assert_eq!(
        (run.code, run.stdout.lines().count(), run.stderr.as_str()),
        (0, 3, ""),
        "{run:?}"
    );
    assert_eq!(ask(&fake, "accounts N2").code, 5);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fake = Fake::start(|_| {
        let accounts = (0..1000)
            .map(|number| (format!("a{number:04}").parse().unwrap(), 1))
            .collect();
        Act::Answer(Answer::Accounts(Page { accounts, more: true }))
    });
    let mut child = command(&format!("accounts N1 --coord {}", fake.address()));
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // It would list for ever: that it ends at all is what is tested here.
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn status_shows_who_is_up_what_is_in_doubt_and_how_far_request_ids_reach() {
    let quarantined = LinkState::Quarantined(node("N3"), "its store changed".to_owned());
    let fake = Fake::answering(cluster(vec![up("N1"), LinkState::Down(node("N2")), quarantined]));
    let run = ask(&fake, "status");
    let stdout = run.stdout.replace(&fake.address(), "COORD");
    assert_eq!(
        stdout,
        "\
coordinator COORD: up, id c, epoch 2, record 40, 1 open, 0 committed but not acknowledged by all
NODE  STATE        STORE  LOCKING  RECORD  ACCOUNTS  IN DOUBT  REQUEST IDS
N1    up           json   no-wait  12      2         1         5, oldest at record 3, keeps at least 1000000
N2    down         -      -        -       -         -         -
N3    quarantined  -      -        -       -         -         -
N3: its store changed; find out what was lost, then: twopence adopt N3
"
    );
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn status_asks_every_coordinator_and_succeeds_if_one_answers() {
    let fake = Fake::answering(cluster(vec![up("N1")]));
    let node = Fake::start(|_| Act::HangUp);
    let run = ask(
        &fake,
        &format!(
            "status --output json --timeout-ms 1500 --coord {}",
            node.address()
        ),
    );
    assert_eq!(run.code, 0, "{run:?}");
    let states: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["down", "up"]);
}
