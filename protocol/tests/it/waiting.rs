//! Stories of `--locking wait`: who waits, who dies, and how a wait ends. Golden transcripts, as in `transcripts`.

use protocol::coordinator::CoordinatorTimer;
use protocol::id::{Birth, RequestId};
use protocol::leg::Order;
use protocol::locking::Locking;
use protocol::message::Ask;
use protocol::money::Amount;

use crate::transcripts::{C, D, N1, N2, Story, txn};

/// Request number `n`, born so many milliseconds after 1970: who is born first is older.
fn born(ms: u64, n: u128) -> u128 {
    RequestId::born(Birth(ms), n).0
}

/// A transfer from N1/A to N2/B.
fn transfer(s: &mut Story, ms: u64, n: u128) {
    s.submit(C, born(ms, n), "N1/A:-30 N2/B:+30");
}

/// Hands the newest PREPAREs over, and syncs.
fn arrive(s: &mut Story) {
    for n in [N1, N2] {
        while s.world.deliver_to_node(C, n) {}
        s.world.sync_node(n);
    }
}

fn deposit(s: &mut Story, n: u128, place: &str) {
    let order = Order::deposit(place.parse().unwrap(), Amount::try_from(100).unwrap());
    let request = RequestId(n);
    s.ask(
        C,
        Ask::Submit {
            request,
            repeated: false,
            order,
        },
    );
    s.world.settle();
    s.world.trace.clear();
}

macro_rules! stories {
    ($($name:ident($coordinators:literal, $nodes:literal) $story:expr;)+) => {
        $(#[test]
        fn $name() {
            let mut story = Story::under(Locking::Wait, $coordinators, $nodes);
            let tell: fn(&mut Story) = $story;
            tell(&mut story);
            story.end(stringify!($name));
        })+
    };
}

stories! {
    who_is_older_waits_until_the_younger_one_has_ended(1, 2) |s| {
        transfer(s, 20, 1);
        arrive(s);
        transfer(s, 10, 2);
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    who_is_younger_dies_at_once_and_wins_later_by_its_age(1, 2) |s| {
        transfer(s, 10, 1);
        arrive(s);
        transfer(s, 20, 2);
        arrive(s);
        s.world.settle();
        s.say("--- a third holds the account when the second is tried again, as old as it was");
        transfer(s, 30, 3);
        arrive(s);
        transfer(s, 20, 4);
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    two_that_cross_do_not_wait_for_each_other(1, 2) |s| {
        transfer(s, 10, 1);
        s.world.deliver_to_node(C, N1);
        s.submit(C, born(20, 2), "N1/A:+5 N2/B:-5");
        // The second one overtakes the first on its way to N2.
        let link = s.world.links.get_mut(&(C, N2)).unwrap();
        link.to_node.make_contiguous().reverse();
        s.world.deliver_to_node(C, N2);
        s.world.sync_node(N1);
        s.world.sync_node(N2);
        s.say("--- the older one waits at N2, the younger one dies at N1");
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    those_that_wait_go_on_in_the_order_in_which_they_came(1, 2) |s| {
        for ms in [40, 30, 20, 10] {
            transfer(s, ms, ms.into());
            arrive(s);
        }
        s.say("--- and one that is no older than the last dies");
        transfer(s, 15, 15);
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    nobody_overtakes_to_an_account_that_is_free(1, 2) |s| {
        deposit(s, 5, "N1/F");
        transfer(s, 30, 1);
        arrive(s);
        s.say("--- waits for A, and so for F, too");
        s.submit(C, born(20, 2), "N1/A:-5 N1/F:-5 N2/B:+10");
        arrive(s);
        s.say("--- the younger one dies, the older one waits");
        s.submit(C, born(25, 3), "N1/F:-7 N2/B:+7");
        arrive(s);
        s.submit(C, born(10, 4), "N1/F:-8 N2/B:+8");
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    a_wait_ends_with_the_time_for_votes_and_leaves_a_tombstone(1, 2) |s| {
        transfer(s, 20, 1);
        arrive(s);
        transfer(s, 10, 2);
        let link = s.world.links.get_mut(&(C, N1)).unwrap();
        let late = link.to_node.back().cloned().unwrap();
        arrive(s);
        s.say("c votes are due");
        s.world.fire_coordinator(C, CoordinatorTimer::Votes(txn(1, 4)));
        arrive(s);
        s.say("--- its PREPARE comes a second time");
        s.tell_node(N1, late);
        s.say("---");
        s.world.settle();
    };
    a_prepare_that_comes_again_keeps_its_place(1, 2) |s| {
        transfer(s, 20, 1);
        arrive(s);
        transfer(s, 10, 2);
        let link = s.world.links.get_mut(&(C, N1)).unwrap();
        let again = link.to_node.back().cloned().unwrap();
        arrive(s);
        s.tell_node(N1, again);
        s.say("---");
        s.world.settle();
    };
    who_waits_is_forgotten_with_its_connection(2, 2) |s| {
        s.submit(D, born(30, 1), "N1/A:-30 N2/B:+30");
        for n in [N1, N2] {
            s.world.deliver_to_node(D, n);
            s.world.sync_node(n);
        }
        transfer(s, 20, 2);
        arrive(s);
        s.say("--- N1 loses c");
        s.world.cut(C, N1);
        s.say("---");
        s.world.settle();
    };
    an_audit_that_freezes_a_node_ends_every_wait(2, 2) |s| {
        transfer(s, 20, 1);
        arrive(s);
        transfer(s, 10, 2);
        arrive(s);
        s.ask(D, Ask::Audit);
        // The cut, and since there is another coordinator, the freeze.
        for _ in 0..2 {
            for n in [N1, N2] {
                s.world.deliver_to_node(D, n);
                s.world.deliver_to_coordinator(D, n);
            }
        }
        s.say("---");
        s.world.settle();
    };
    what_one_node_does_alone_waits_too(1, 2) |s| {
        deposit(s, 5, "N1/F");
        transfer(s, 20, 1);
        arrive(s);
        s.submit(C, born(10, 2), "N1/A:-5 N1/F:+5");
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    who_is_asked_how_it_ended_has_waited_long_enough(1, 2) |s| {
        deposit(s, 5, "N1/F");
        transfer(s, 20, 1);
        arrive(s);
        s.submit(C, born(10, 2), "N1/A:-5 N1/F:+5");
        arrive(s);
        for _ in 0..2 {
            s.tick_coordinator(C);
        }
        arrive(s);
        s.say("---");
        s.world.settle();
    };
    nobody_waits_for_what_a_restart_found_in_doubt(2, 2) |s| {
        transfer(s, 20, 1);
        arrive(s);
        s.world.crash_coordinator(C, 0);
        s.world.crash_node(N1, 0);
        s.world.start_node(N1);
        s.world.connect(D, N1);
        s.world.run();
        s.tick_node(N1);
        s.say("--- older, and yet it does not wait");
        s.submit(D, born(10, 2), "N1/A:-5 N2/B:+5");
        s.world.run();
    };
}
