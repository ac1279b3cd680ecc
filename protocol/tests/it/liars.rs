//! Nodes that say what no node of ours would say: the coordinator neither believes nor repeats just anything.

use protocol::coordinator::CoordinatorInput;
use protocol::id::StoreId;
use protocol::message::{Answer, Ask, AuditVerdict, Call, FromNode, NodeAnswer, Reply};

use crate::transcripts::{C, N1, N2, Story};
use crate::world::node_id;

/// Asks the coordinator, lets the nodes answer it with `answers`, and returns what it then says.
fn ask(story: &mut Story, ask: Ask, answers: [NodeAnswer; 2]) -> Answer {
    story.world.call(C, 9, Call { id: 9, ask });
    story.world.sync_coordinator(C);
    // Nothing was asked before.
    let number = 1;
    for (n, answer) in [N1, N2].into_iter().zip(answers) {
        let answer = FromNode::Answer {
            ask: number,
            answer: Box::new(answer),
        };
        story
            .world
            .step_coordinator(C, CoordinatorInput::Node(node_id(n), answer));
    }
    let (_, _, Reply { answer, .. }) = story.world.replies.pop().unwrap();
    answer
}

fn cut(sum: i128) -> NodeAnswer {
    NodeAnswer::Cut {
        sum,
        world: -5,
        prepared: Vec::new(),
        others: false,
    }
}

#[test]
fn sums_beyond_all_bounds_make_an_audit_incomplete() {
    for (first, second) in [(i128::MAX, 1), (i128::MIN, -1)] {
        let mut story = Story::new(1, 2);
        let Answer::Audit(report) = ask(&mut story, Ask::Audit, [cut(first), cut(second)]) else {
            panic!("an audit is answered by a report");
        };
        let AuditVerdict::Incomplete(why) = report.verdict else {
            panic!("{first} and {second}: {:?}", report.verdict);
        };
        assert!(why.contains("cannot be right"), "{why}");
    }
}

#[test]
fn sums_that_only_do_not_add_up_are_a_violation() {
    let mut story = Story::new(1, 2);
    let Answer::Audit(report) = ask(&mut story, Ask::Audit, [cut(7), cut(-6)]) else {
        panic!("an audit is answered by a report");
    };
    assert_eq!(report.verdict, AuditVerdict::Violated);
    assert_eq!((report.in_accounts, report.brought_in), (11, 10));
}

#[test]
fn what_a_node_says_is_logged_and_told_on_one_line_of_bounded_length() {
    let text = || format!("two\nlines\u{1b}[1m{}", "x".repeat(5_000));
    let plain = |said: &str| !said.chars().any(char::is_control) && said.len() < 2_000;

    let mut story = Story::new(1, 2);
    let page = Ask::Accounts {
        node: node_id(N1),
        after: None,
    };
    let [relayed, unasked] = [NodeAnswer::Failed(text()), NodeAnswer::Done(text())];
    let Answer::Failed(told) = ask(&mut story, page, [relayed, unasked]) else {
        panic!("the node's answer is the client's");
    };
    assert!(plain(&told) && told.starts_with("two lines"), "{told}");

    let welcome = FromNode::Welcome {
        store: StoreId(100),
        durable: 1_000,
        quarantine: Some(text()),
    };
    for said in [welcome, FromNode::Refuse { why: text() }] {
        story.world.trace.clear();
        story
            .world
            .step_coordinator(C, CoordinatorInput::Node(node_id(N1), said));
        let noted: Vec<&String> = story
            .world
            .trace
            .iter()
            .filter(|line| line.contains("two"))
            .collect();
        assert!(
            !noted.is_empty() && noted.iter().all(|line| plain(line)),
            "{noted:?}"
        );
    }
}
