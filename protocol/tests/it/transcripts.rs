//! Golden transcripts: one behaviour each, told in the notation that logs use. `UPDATE_TRANSCRIPTS=1` writes them anew;
//! read them before you commit them.

use std::fs;
use std::path::Path;

use faults::fired;
use protocol::coordinator::CoordinatorTimer;
use protocol::fold::Fold;
use protocol::id::{Birth, Place, RequestId, StoreId, TxnId, TxnPoint};
use protocol::leg::{BodyDigest, Leg, Order};
use protocol::locking::Locking;
use protocol::message::{Ask, Call, Home, OperatorWord, Prepare, ToNode};
use protocol::money::Amount;
use protocol::participant::{ParticipantInput, ParticipantTimer};
use protocol::reason::{Decision, Reason};

use crate::world::{World, node_id};

/// A world with N1/A and N2/B (and N3/C) at 100, and a short way to say things.
pub(crate) struct Story {
    pub(crate) world: World,
    calls: u64,
}

pub(crate) const C: usize = 0;
pub(crate) const D: usize = 1;
pub(crate) const N1: usize = 0;
pub(crate) const N2: usize = 1;

pub(crate) fn txn(epoch: u32, sequence: u64) -> TxnId {
    TxnId::new(StoreId(0xc), epoch, sequence)
}

fn order(legs: &str) -> Order {
    let legs: Vec<Leg> = legs.split(' ').map(|leg| leg.parse().unwrap()).collect();
    Order::new(&legs).unwrap()
}

/// When the requests of these stories were born, where that does not matter.
pub(crate) const BIRTH: Birth = Birth(1_700_000_000_000);

impl Story {
    pub(crate) fn new(coordinators: usize, nodes: usize) -> Story {
        Story::under(Locking::NoWait, coordinators, nodes)
    }

    /// A story under another conflict policy.
    pub(crate) fn under(locking: Locking, coordinators: usize, nodes: usize) -> Story {
        let mut story = Story {
            world: World::new(coordinators, nodes, locking),
            calls: 0,
        };
        for (n, account) in ["N1/A", "N2/B", "N3/C"].iter().enumerate().take(nodes) {
            let place: Place = account.parse().unwrap();
            let order = Order::deposit(place, Amount::try_from(100).unwrap());
            let request = RequestId(1000 + u128::try_from(n).unwrap());
            story.ask(
                C,
                Ask::Submit {
                    request,
                    repeated: false,
                    order,
                },
            );
            story.world.settle();
        }
        story.world.replies.clear();
        story.world.trace.clear();
        story
    }

    pub(crate) fn ask(&mut self, c: usize, ask: Ask) {
        self.calls += 1;
        self.world.call(c, self.calls, Call { id: self.calls, ask });
    }

    pub(crate) fn submit(&mut self, c: usize, request: u128, legs: &str) {
        let request = RequestId(request);
        self.ask(
            c,
            Ask::Submit {
                request,
                repeated: false,
                order: order(legs),
            },
        );
    }

    pub(crate) fn repeat(&mut self, c: usize, request: u128, legs: &str) {
        let request = RequestId(request);
        self.ask(
            c,
            Ask::Submit {
                request,
                repeated: true,
                order: order(legs),
            },
        );
    }

    /// The transfer that most stories are about.
    pub(crate) fn transfer(&mut self) {
        self.submit(C, 1, "N1/A:-30 N2/B:+30");
    }

    /// Votes are in and one is on its way; nothing is decided.
    pub(crate) fn prepared_everywhere(&mut self) {
        self.transfer();
        for n in [N1, N2] {
            self.world.deliver_to_node(C, n);
            self.world.sync_node(n);
        }
    }

    /// COMMIT is on disk, and nobody has heard it.
    pub(crate) fn decided(&mut self) {
        self.prepared_everywhere();
        self.world.deliver_to_coordinator(C, N1);
        self.world.deliver_to_coordinator(C, N2);
        self.world.sync_coordinator(C);
    }

    pub(crate) fn tell_node(&mut self, n: usize, message: ToNode) {
        let session = self.world.links[&(C, n)].session.unwrap();
        self.say(&format!("c → {} {message}", node_id(n)));
        self.world
            .step_node(n, ParticipantInput::Message { session, message });
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.world.trace.push(line.to_owned());
    }

    pub(crate) fn tick_node(&mut self, n: usize) {
        self.say(&format!("{} tick", node_id(n)));
        self.world.fire_node(n, ParticipantTimer::Tick);
    }

    pub(crate) fn tick_coordinator(&mut self, c: usize) {
        self.say(&format!("{} tick", ["c", "d"][c]));
        self.world.fire_coordinator(c, CoordinatorTimer::Tick);
    }

    /// Heals, settles, and ends the story with what the accounts hold.
    pub(crate) fn end(mut self, name: &str) {
        self.say("---");
        self.world.heal();
        self.world.settle();
        for n in 0..self.world.nodes.len() {
            use protocol::effects::Machine;
            let state = self.world.nodes[n].machine.as_ref().unwrap().state();
            let accounts = state.ledger().accounts().filter(|(id, _)| !id.is_world());
            let accounts: Vec<String> = accounts
                .map(|(id, account)| format!("{id} {}", account.balance))
                .collect();
            let held = if state.ledger().any_held() { ", held" } else { "" };
            let line = format!("{} {}{held}", node_id(n), accounts.join(", "));
            self.say(&line);
        }
        self.check(name);
    }

    fn check(self, name: &str) {
        compare(name, &(self.world.trace.join("\n") + "\n"));
    }
}

/// Compares what was told with the golden file, or writes it.
pub(crate) fn compare(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, told).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == told,
        "{name} went differently:\n{told}\ninstead of:\n{golden}"
    );
}

/// One test for each story, named as its transcript.
macro_rules! stories {
    ($($name:ident($coordinators:literal, $nodes:literal) $story:expr;)+) => {
        $(#[test]
        fn $name() {
            let mut story = Story::new($coordinators, $nodes);
            let tell: fn(&mut Story) = $story;
            tell(&mut story);
            story.end(stringify!($name));
        })+
    };
}

stories! {
    a_transfer_commits_on_both_nodes(1, 2) |s| {
        s.transfer();
        s.world.settle();
    };
    three_legs_on_three_nodes_commit_together(1, 3) |s| {
        s.submit(C, 1, "N1/A:-30 N2/B:+10 N3/C:+20");
        s.world.settle();
    };
    insufficient_funds_abort_and_release_the_other_node(1, 2) |s| {
        s.submit(C, 1, "N1/A:-101 N2/B:+101");
        s.world.settle();
    };
    an_unknown_account_aborts(1, 2) |s| {
        s.submit(C, 1, "N1/A:-1 N2/X:+1");
        fired("I7");
        s.world.settle();
    };
    the_second_comer_aborts_with_lock_contention(1, 3) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N2);
        s.submit(C, 2, "N2/B:-50 N3/C:+50");
        s.world.settle();
    };
    a_node_that_does_not_vote_in_time_counts_as_no(1, 2) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.deliver_to_coordinator(C, N1);
        s.say("c votes are due");
        s.world.fire_coordinator(C, CoordinatorTimer::Votes(txn(1, 3)));
        fired("W4");
        s.world.settle();
    };
    a_link_lost_before_the_vote_counts_as_no(1, 2) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.cut(C, N2);
        fired("W1");
        s.world.settle();
    };
    a_node_that_is_down_counts_as_no_and_nothing_is_begun(1, 2) |s| {
        s.world.crash_node(N2, 0);
        s.transfer();
        s.world.settle();
    };
    participant_crash_before_its_vote_is_synced_leaves_no_trace(1, 2) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N2);
        s.world.crash_node(N2, 0);
        fired("N4");
        s.world.settle();
    };
    participant_crash_after_vote_inquires_and_commits(1, 2) |s| {
        s.decided();
        s.world.crash_node(N2, 0);
        fired("N6");
        s.world.run();
        s.say("N2 is back");
    };
    a_vote_that_survived_a_crash_unsynced_inquires_and_aborts(1, 2) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N2);
        s.world.crash_node(N2, 1);
        fired("N4");
        s.world.settle();
    };
    coordinator_crash_while_collecting_aborts(1, 2) |s| {
        s.prepared_everywhere();
        s.world.crash_coordinator(C, 9);
        fired("C3");
    };
    coordinator_crash_with_commit_unsynced_and_lost_aborts(1, 2) |s| {
        s.prepared_everywhere();
        s.world.deliver_to_coordinator(C, N1);
        s.world.deliver_to_coordinator(C, N2);
        s.world.crash_coordinator(C, 3);
        fired("C5");
    };
    coordinator_crash_with_commit_unsynced_and_kept_commits(1, 2) |s| {
        s.prepared_everywhere();
        s.world.deliver_to_coordinator(C, N1);
        s.world.deliver_to_coordinator(C, N2);
        s.world.crash_coordinator(C, 4);
        fired("C5");
    };
    coordinator_crash_with_commit_synced_commits(1, 2) |s| {
        s.decided();
        s.world.crash_coordinator(C, 0);
        fired("C6");
    };
    a_lost_commit_is_sent_again_by_the_tick(1, 2) |s| {
        s.decided();
        s.world.links.get_mut(&(C, N1)).unwrap().to_node.clear();
        fired("W1");
        s.world.settle();
        s.tick_coordinator(C);
        s.tick_coordinator(C);
        s.tick_coordinator(C);
    };
    a_repeated_commit_forces_the_lazy_record(1, 2) |s| {
        s.decided();
        s.world.deliver_to_node(C, N1);
        s.tell_node(N1, ToNode::Decide { txn: txn(1, 3), decision: Decision::Commit, bind: None, durable: 0 });
        fired("W2");
        s.world.run();
    };
    an_abort_before_its_prepare_leaves_a_tombstone(1, 2) |s| {
        let decision = Decision::Abort(Reason::CoordinatorRestarted);
        s.tell_node(N1, ToNode::Decide { txn: txn(1, 3), decision, bind: None, durable: 0 });
        fired("W3");
        s.transfer();
        s.world.settle();
    };
    a_prepare_below_the_mark_is_refused(1, 2) |s| {
        s.tell_node(N1, ToNode::Mark { below: TxnPoint { epoch: 1, sequence: 9 }, durable: 0 });
        s.transfer();
        fired("W2");
        s.world.settle();
    };
    a_commit_below_an_unsynced_mark_is_acknowledged_only_behind_it(1, 2) |s| {
        let commit = || ToNode::Decide { txn: txn(1, 3), decision: Decision::Commit, bind: None, durable: 0 };
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.tell_node(N1, commit());
        s.tell_node(N1, ToNode::Mark { below: TxnPoint { epoch: 1, sequence: 9 }, durable: 0 });
        s.tell_node(N1, commit());
        s.say("nothing of this may be told before it is on disk");
        s.world.run();
    };
    a_query_is_told_of_another_attempt_only_once_its_end_is_synced(1, 2) |s| {
        let home = Home { request: RequestId(7), digest: BodyDigest(7), repeated: true };
        let decision = Decision::Abort(Reason::PresumedAbort);
        s.tell_node(N1, ToNode::Decide { txn: txn(1, 3), decision, bind: None, durable: 0 });
        s.world.sync_node(N1);
        let operations = order("N1/Z:-1 N2/B:+1").operations(node_id(N1));
        let participants = vec![node_id(N1), node_id(N2)];
        s.tell_node(N1, ToNode::Prepare(Prepare {
            txn: txn(1, 4), operations, opens: false, participants: participants.into(), birth: BIRTH, home: Some(home),
        }));
        s.tell_node(N1, ToNode::Query { txn: txn(1, 3), home });
        s.say("what the home says of the request must not be lost any more");
        s.world.run();
    };
    marks_rise_only_behind_the_end_of_every_transaction(1, 2) |s| {
        s.decided();
        s.tick_coordinator(C);
        s.world.run();
        s.say("now the acknowledgements");
        s.world.settle();
        s.tick_coordinator(C);
        s.world.settle();
    };
    an_inquiry_while_votes_are_collected_is_pending(1, 2) |s| {
        s.transfer();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.links.get_mut(&(C, N1)).unwrap().to_coordinator.clear();
        fired("W1");
        s.tick_node(N1);
        s.tick_node(N1);
        while s.world.deliver_to_coordinator(C, N1) {}
        fired("C13");
        s.world.deliver_to_node(C, N1);
        s.say("c votes are due");
        s.world.fire_coordinator(C, CoordinatorTimer::Votes(txn(1, 3)));
    };
    one_participant_decides_by_itself(1, 2) |s| {
        s.ask(C, Ask::Submit {
            request: RequestId(1),
            repeated: false,
            order: Order::deposit("N1/Z".parse().unwrap(), Amount::try_from(5).unwrap()),
        });
        fired("I5");
        s.world.settle();
    };
    a_lost_answer_of_one_participant_is_asked_for(1, 2) |s| {
        s.ask(C, Ask::Submit {
            request: RequestId(1),
            repeated: false,
            order: Order::deposit("N1/Z".parse().unwrap(), Amount::try_from(5).unwrap()),
        });
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.cut(C, N1);
        fired("W1");
    };
    a_lost_order_to_one_participant_leaves_a_durable_tombstone(1, 2) |s| {
        s.ask(C, Ask::Submit {
            request: RequestId(1),
            repeated: false,
            order: Order::deposit("N1/Z".parse().unwrap(), Amount::try_from(5).unwrap()),
        });
        s.world.cut(C, N1);
        fired("W1");
    };
    a_question_that_comes_again_below_the_mark_accuses_nobody(1, 2) |s| {
        let order = Order::deposit("N1/Z".parse().unwrap(), Amount::try_from(5).unwrap());
        let home = Home { request: RequestId(1), digest: order.digest(), repeated: false };
        s.ask(C, Ask::Submit { request: RequestId(1), repeated: false, order });
        s.world.settle();
        s.tick_coordinator(C);
        s.world.settle();
        s.tell_node(N1, ToNode::Query { txn: txn(1, 3), home });
        fired("W2");
    };
    the_same_request_through_another_coordinator_happens_once(2, 2) |s| {
        s.prepared_everywhere();
        s.repeat(D, 1, "N1/A:-30 N2/B:+30");
        fired("P11");
        fired("I8");
        s.world.deliver_to_node(D, N1);
        s.world.deliver_to_node(D, N2);
        s.world.settle();
        s.say("d asks the home again");
        s.world.fire_coordinator(D, CoordinatorTimer::Recall(TxnId::new(StoreId(0xd), 1, 1)));
        s.world.settle();
    };
    a_request_repeated_after_its_commit_is_told_the_first_outcome(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.repeat(C, 1, "N1/A:-30 N2/B:+30");
        fired("I8");
        s.world.settle();
    };
    a_request_id_with_another_body_is_refused(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.repeat(C, 1, "N1/A:-31 N2/B:+31");
        fired("I9");
        s.world.settle();
    };
    a_repeated_request_is_told_abort_only_when_its_home_holds_it(1, 2) |s| {
        s.repeat(C, 1, "N1/A:-30 N2/X:+30");
        s.world.settle();
        s.say("a late first attempt");
        s.submit(C, 1, "N1/A:-30 N2/X:+30");
        fired("W4");
        s.world.settle();
    };
    a_repeated_request_whose_home_is_down_is_unknown(1, 2) |s| {
        s.world.crash_node(N1, 0);
        s.repeat(C, 1, "N1/A:-30 N2/B:+30");
    };
    a_read_waits_for_the_holds_it_found(1, 2) |s| {
        s.prepared_everywhere();
        s.ask(C, Ask::Balance { place: "N2/B".parse().unwrap(), wait_ms: 100 });
        s.world.settle();
    };
    a_read_that_waited_long_enough_names_both_balances(1, 2) |s| {
        s.prepared_everywhere();
        s.ask(C, Ask::Balance { place: "N2/B".parse().unwrap(), wait_ms: 100 });
        s.world.deliver_to_node(C, N2);
        s.say("N2 the read gives up");
        s.world.fire_node(N2, ParticipantTimer::Read { read: 0, wait_ms: 100 });
        s.world.links.get_mut(&(C, N2)).unwrap().to_coordinator.rotate_left(1);
        s.world.deliver_to_coordinator(C, N2);
    };
    an_audit_counts_what_is_prepared_if_it_was_decided(1, 2) |s| {
        s.decided();
        s.world.deliver_to_node(C, N1);
        s.ask(C, Ask::Audit);
        // The decision for N2 is overtaken on purpose: its node still lists the transaction as prepared.
        s.world.links.get_mut(&(C, N2)).unwrap().to_node.rotate_left(1);
        s.world.settle();
    };
    an_audit_leaves_out_what_is_prepared_and_undecided(1, 2) |s| {
        s.prepared_everywhere();
        s.ask(C, Ask::Audit);
        s.world.deliver_to_node(C, N1);
        s.world.deliver_to_node(C, N2);
        for n in [N1, N2] {
            s.world.links.get_mut(&(C, n)).unwrap().to_coordinator.rotate_left(1);
            s.world.deliver_to_coordinator(C, n);
        }
    };
    an_audit_among_several_coordinators_freezes_the_nodes(2, 2) |s| {
        s.prepared_everywhere();
        s.ask(D, Ask::Audit);
        for n in [N1, N2] {
            s.world.deliver_to_node(D, n);
        }
        while s.world.deliver_to_coordinator(D, N1) || s.world.deliver_to_coordinator(D, N2) {}
        s.submit(D, 2, "N1/A:-1 N2/B:+1");
        s.world.settle();
    };
    a_freeze_that_ended_too_early_makes_the_audit_incomplete(2, 2) |s| {
        s.ask(D, Ask::Audit);
        for n in [N1, N2] {
            s.world.deliver_to_node(D, n);
            s.world.deliver_to_coordinator(D, n);
        }
        s.world.deliver_to_node(D, N1);
        s.say("N1 the freeze has lasted a second");
        s.world.fire_node(N1, ParticipantTimer::Thaw);
        s.say("d audits once more");
        s.ask(D, Ask::Audit);
        s.world.settle();
    };
    a_full_disk_votes_no_and_lets_open_transactions_end(1, 2) |s| {
        s.prepared_everywhere();
        s.say("N2 has no room");
        s.world.step_node(N2, ParticipantInput::Room(false));
        fired("D8");
        s.world.settle();
        s.submit(C, 2, "N1/A:-1 N2/B:+1");
        s.world.settle();
    };
    a_repeated_request_that_a_full_disk_refuses_is_unknown_and_writes_nothing(1, 2) |s| {
        s.world.step_node(N1, ParticipantInput::Room(false));
        s.repeat(C, 2, "N1/A:-1 N2/B:+1");
        s.world.settle();
    };
    what_a_full_disk_has_refused_stays_refused_when_there_is_room_again(1, 2) |s| {
        s.world.step_node(N1, ParticipantInput::Room(false));
        s.ask(C, Ask::Submit {
            request: RequestId(1),
            repeated: false,
            order: Order::deposit("N1/Z".parse().unwrap(), Amount::try_from(5).unwrap()),
        });
        let link = s.world.links.get_mut(&(C, N1)).unwrap();
        let execute = link.to_node.back().cloned().unwrap();
        link.to_node.push_back(execute);
        s.world.deliver_to_node(C, N1);
        s.say("N1 has room again when the same order arrives once more");
        s.world.step_node(N1, ParticipantInput::Room(true));
        fired("W2");
        s.world.settle();
    };
    an_operator_ends_what_a_lost_coordinator_left(2, 2) |s| {
        s.prepared_everywhere();
        s.world.crash_coordinator(C, 0);
        s.say("c is gone");
        s.ask(D, Ask::List { in_doubt: true });
        fired("O1");
        s.world.run();
        fired("O2");
        for _ in 0..2 {
            let why = "c's disk burnt".to_owned();
            s.ask(D, Ask::Resolve { txn: txn(1, 3), word: OperatorWord::Abort, why });
            s.world.run();
        }
        fired("O4");
        s.say("c is back after all");
    };
    an_operator_who_contradicts_the_decision_is_told(2, 2) |s| {
        s.decided();
        s.world.crash_coordinator(C, 0);
        s.say("c is gone");
        let why = "guessed".to_owned();
        s.ask(D, Ask::Resolve { txn: txn(1, 3), word: OperatorWord::Abort, why });
        s.world.run();
        s.say("c is back after all");
        fired("O3");
    };
    a_forced_commit_stands_against_an_abort_that_binds_a_request(2, 2) |s| {
        s.prepared_everywhere();
        s.world.crash_coordinator(C, 0);
        let why = "guessed".to_owned();
        s.ask(D, Ask::Resolve { txn: txn(1, 3), word: OperatorWord::Commit, why });
        s.world.run();
        s.world.start_coordinator(C);
        s.world.connect(C, N1);
        s.world.run();
        let home = Home { request: RequestId(2), digest: BodyDigest(2), repeated: true };
        let decision = Decision::Abort(Reason::Unreachable(node_id(N2)));
        s.tell_node(N1, ToNode::Decide { txn: txn(1, 3), decision, bind: Some(home), durable: 0 });
        s.world.run();
    };
    an_operator_cannot_contradict_what_has_happened(2, 2) |s| {
        s.decided();
        s.world.deliver_to_node(C, N1);
        s.world.sync_node(N1);
        s.world.crash_coordinator(C, 0);
        let why = "guessed".to_owned();
        s.ask(D, Ask::Resolve { txn: txn(1, 3), word: OperatorWord::Abort, why });
        fired("O2");
        s.world.run();
    };
    an_older_log_is_met_by_what_a_connection_that_still_stands_has_proved(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.say("c comes back from an old backup, and N1 does not know yet that its connection is dead");
        s.world.step_node(N1, ParticipantInput::Connected { session: 99, coordinator: StoreId(0xc) });
        let message = ToNode::Join { epoch: 2, incarnation: 77, durable: 2, history: Vec::new(), proved: None };
        s.world.step_node(N1, ParticipantInput::Message { session: 99, message });
    };
    a_node_that_lost_acknowledged_records_is_quarantined_until_adopted(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.tick_coordinator(C);
        s.world.settle();
        s.say("N2 comes back from an old backup");
        s.world.crash_node(N2, 0);
        s.world.nodes[N2].records.truncate(2);
        s.world.nodes[N2].synced = 2;
        fired("P6");
        s.world.heal();
        s.submit(C, 2, "N1/A:-1 N2/B:+1");
        s.world.settle();
        s.ask(C, Ask::Adopt { node: node_id(N2) });
        s.world.settle();
        s.submit(C, 3, "N1/A:-1 N2/B:+1");
        s.world.settle();
    };
    nobody_says_that_an_operators_word_was_not_done_which_may_have_been(2, 2) |s| {
        s.say("a node that is away has done nothing");
        s.world.crash_node(N2, 0);
        s.ask(C, Ask::Adopt { node: node_id(N2) });
        s.world.heal();
        s.say("one whose answer is lost may have done it");
        s.ask(C, Ask::Adopt { node: node_id(N2) });
        s.world.deliver_to_node(C, N2);
        s.world.cut(C, N2);
        s.world.heal();
        s.prepared_everywhere();
        s.world.crash_coordinator(C, 0);
        s.say("c is gone");
        let why = "c's disk burnt".to_owned();
        s.ask(D, Ask::Resolve { txn: txn(1, 3), word: OperatorWord::Abort, why });
        while s.world.deliver_to_node(D, N1) | s.world.deliver_to_node(D, N2) {}
        while s.world.deliver_to_coordinator(D, N1) | s.world.deliver_to_coordinator(D, N2) {}
        s.world.deliver_to_node(D, N1);
        s.world.deliver_to_node(D, N2);
        s.world.sync_node(N1);
        s.world.sync_node(N2);
        s.world.deliver_to_coordinator(D, N1);
        s.world.cut(D, N2);
    };
    a_quarantine_outlives_restarts_however_the_log_grows(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.tick_coordinator(C);
        s.world.settle();
        s.say("N2 comes back from an old backup");
        s.world.crash_node(N2, 0);
        s.world.nodes[N2].records.truncate(2);
        s.world.nodes[N2].synced = 2;
        fired("P6");
        for _ in 0..3 {
            s.world.crash_coordinator(C, 9);
            s.world.heal();
        }
        s.submit(C, 2, "N1/A:-1 N2/B:+1");
    };
    a_node_caught_without_its_vote_is_quarantined_until_adopted(1, 2) |s| {
        s.decided();
        s.say("N2 loses its vote");
        s.world.crash_node(N2, 0);
        s.world.nodes[N2].records.truncate(2);
        s.world.nodes[N2].synced = 2;
        fired("P6");
        s.world.crash_coordinator(C, 0);
        s.world.heal();
        s.submit(C, 2, "N1/A:-1 N2/B:+1");
        s.world.run();
        s.ask(C, Ask::Adopt { node: node_id(N2) });
        s.world.settle();
    };
    a_restored_log_that_began_another_epoch_is_found_out_by_its_history(1, 2) |s| {
        s.world.crash_coordinator(C, 0);
        let backup = s.world.coordinators[C].records.clone();
        s.world.heal();
        s.submit(C, 1, "N1/A:-30 N2/B:+30");
        for n in [N1, N2] {
            s.world.deliver_to_node(C, n);
            s.world.sync_node(n);
        }
        s.world.deliver_to_coordinator(C, N1);
        s.world.deliver_to_coordinator(C, N2);
        s.world.sync_coordinator(C);
        s.say("c comes back from an old backup, and is stopped");
        s.world.crash_coordinator(C, 0);
        s.world.coordinators[C].synced = backup.last().unwrap().0;
        s.world.coordinators[C].records = backup;
        fired("P10");
        s.world.heal();
        s.say("c is started once more");
        s.world.coordinators[C].stopped = None;
        for n in [N1, N2] {
            s.world.cut(C, n);
        }
    };
    a_log_that_one_node_found_short_presumes_nothing_for_another_that_cannot_tell(1, 2) |s| {
        let joined = s.world.coordinators[C].synced;
        s.decided();
        s.world.deliver_to_node(C, N2);
        s.world.sync_node(N2);
        s.say("c comes back from an old backup, and meets N2 first");
        s.world.crash_coordinator(C, 0);
        s.world.coordinators[C].records.truncate(usize::try_from(joined).unwrap());
        s.world.coordinators[C].synced = joined;
        s.world.start_coordinator(C);
        s.world.connect(C, N2);
        s.world.run();
        s.world.connect(C, N1);
        s.world.run();
    };
    a_coordinator_that_lost_its_newest_records_is_quarantined(1, 2) |s| {
        s.transfer();
        s.world.settle();
        s.tick_coordinator(C);
        s.world.settle();
        s.tick_node(N1);
        s.world.settle();
        s.say("c comes back from an old backup");
        s.world.crash_coordinator(C, 0);
        s.world.coordinators[C].records.truncate(4);
        s.world.coordinators[C].synced = 4;
        fired("P10");
    };
}

#[test]
fn a_state_survives_its_own_entries_after_every_story() {
    // `Process::recover` compares replay with restore at every restart; here for the state as it stands in a running one.
    use protocol::effects::Machine;
    let mut story = Story::new(1, 2);
    story.prepared_everywhere();
    let state = story.world.nodes[N1].machine.as_ref().unwrap().state();
    let entries: Vec<_> = state.entries().collect();
    let restored = protocol::participant::NodeState::restore(state.seq(), &mut entries.into_iter());
    assert_eq!(restored.as_ref(), Ok(state));
}
