//! kill -9 of real processes at every named point, with transfers running: once as it is, and once as a power cut, which
//! takes everything with it that was not synced.
//!
//! After each crash and restart: every transfer that was acknowledged is there on both sides and happened once, none
//! that was aborted left a trace, a client without an answer learns the outcome by its request id, the audit is exact,
//! nothing stays in doubt, and the stopped cluster's stores, read from outside, agree about every transaction. The ids in
//! the comments are those of `ARCHITECTURE.md`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bank;
mod case;
mod load;
mod logs;
mod memory;
mod network;
mod trouble;

use case::{Case, Victim, run};

/// One test for each point and store.
macro_rules! kill_at {
    ($($name:ident: $victim:ident $point:literal on $($store:ident)+;)+) => {
        $(mod $name {
            use super::*;

            $(#[test]
            fn $store() {
                run(&Case::kill(stringify!($name), Victim::$victim, $point, stringify!($store)));
            })+
        })+
    };
}

// A node dies. N2 is debited by some transfers and credited by others.
kill_at! {
    n1_prepare_received: Node "received.prepare" on json sled;
    n2_validated_before_append: Node "append.prepare_ok" on json sled;
    n4_vote_appended_not_synced: Node "appended.prepare_ok" on json sled;
    n5_vote_synced_not_sent: Node "sending.vote" on json sled;
    n6_vote_sent: Node "sent.vote" on json sled;
    n7_commit_received: Node "received.commit" on json sled;
    n7_commit_before_append: Node "append.commit" on json sled;
    n8_commit_appended_not_synced: Node "appended.commit" on json sled;
    n9_commit_synced: Node "synced.commit" on json sled;
    n11_before_ack: Node "sending.ack" on json sled;
    n11_after_ack: Node "sent.ack" on json sled;
    n12_abort_received: Node "received.abort" on json sled;
    n12_abort_before_append: Node "append.abort" on json sled;
    n12_abort_appended: Node "appended.abort" on json sled;
    n12_no_before_append: Node "append.prepare_failed" on json sled;
    n14_one_phase_received: Node "received.execute" on json sled;
    n14_one_phase_before_append: Node "append.commit_one_phase" on json sled;
    n14_one_phase_appended: Node "appended.commit_one_phase" on json sled;
    n14_one_phase_synced: Node "synced.commit_one_phase" on json sled;
    n14_one_phase_before_reply: Node "sending.executed" on json sled;
    n14_one_phase_after_reply: Node "sent.executed" on json sled;
    n10_before_batch: Node "sled.before-batch" on sled;
    n10_after_batch: Node "sled.after-batch" on sled;
    n10_flushed: Node "sled.flushed" on sled;
}

// The coordinator dies.
kill_at! {
    c1_request_received: Coordinator "received.submit" on json sled;
    c2_start_appended: Coordinator "appended.START" on json sled;
    c3_prepare_sent_to_one: Coordinator "sent.prepare@N1" on json sled;
    c3_prepare_sent: Coordinator "sent.prepare" on json sled;
    c4_before_commit: Coordinator "append.COMMIT" on json sled;
    c5_commit_appended_not_synced: Coordinator "appended.COMMIT" on json sled;
    c6_commit_synced_nothing_sent: Coordinator "synced.COMMIT" on json sled;
    c7_commit_sent_to_one: Coordinator "sent.commit@N1" on json sled;
    c8_client_answered: Coordinator "sent.outcome" on json sled;
    c9_some_acknowledged: Coordinator "received.ack" on json sled;
    c9_before_complete: Coordinator "append.COMPLETE" on json sled;
    c10_complete_appended: Coordinator "appended.COMPLETE" on json sled;
    c11_before_batch: Coordinator "sled.before-batch" on sled;
    c11_after_batch: Coordinator "sled.after-batch" on sled;
}

/// One test for each torn record: some bytes of it reach the file.
macro_rules! torn {
    ($($name:ident: $victim:ident $action:literal;)+) => {
        $(#[test]
        fn $name() {
            let point = concat!("torn.", $action);
            run(&Case::with(stringify!($name), Victim::$victim, point, "torn:25@2", "json").also("D1"));
        })+
    };
}

torn! {
    n3_vote_torn: Node "prepare_ok";
    n8_commit_torn: Node "commit";
    n14_one_phase_torn: Node "commit_one_phase";
    c2_start_torn: Coordinator "START";
    c5_commit_torn: Coordinator "COMMIT";
    c10_complete_torn: Coordinator "COMPLETE";
}

/// One test for each checkpoint step, on a node and on the coordinator, with segments so short that load cuts them.
macro_rules! checkpoint {
    ($($name:ident: $point:literal;)+) => {
        $(mod $name {
            use super::*;

            #[test]
            fn node() {
                run(&Case::kill(stringify!($name), Victim::Node, $point, "json").with_short_segments());
            }

            #[test]
            fn coordinator() {
                let case = Case::kill(stringify!($name), Victim::Coordinator, $point, "json").with_short_segments();
                run(&case.also("C11"));
            }
        })+
    };
}

checkpoint! {
    k1_picked: "checkpoint.k1";
    k2_written: "checkpoint.k2";
    k3_synced: "checkpoint.k3";
    k4_previous_kept: "checkpoint.k4";
    k5_renamed: "checkpoint.k5";
    k6_directory_synced: "checkpoint.k6";
    k7_next_segment_made: "checkpoint.k7";
    k8_next_segment_synced: "checkpoint.k8";
    k9_directory_synced: "checkpoint.k9";
    k10_old_segments_removed: "checkpoint.k10";
    k11_directory_synced: "checkpoint.k11";
}

// A failed sync or a full disk in the middle of a promise stops the process; recovery is the handler (R24).
#[test]
fn c12_sync_of_a_decision_fails() {
    for store in ["json", "sled"] {
        let case = Case::with(
            "c12_sync_fails",
            Victim::Coordinator,
            "sync",
            "error:eio@5",
            store,
        );
        run(&case.also("D11"));
    }
}

#[test]
fn d11_sync_of_a_vote_fails() {
    for store in ["json", "sled"] {
        run(&Case::with(
            "d11_sync_fails",
            Victim::Node,
            "sync",
            "error:eio@5",
            store,
        ));
    }
}

#[test]
fn c12_no_space_for_a_decision() {
    run(&Case::with(
        "c12_no_space",
        Victim::Coordinator,
        "append.COMMIT",
        "error:enospc@2",
        "json",
    ));
}

/// N13: recovery itself is killed three times in a row, each time one record later.
#[test]
fn n13_killed_while_recovering() {
    let points = [
        "recovery.record=kill",
        "recovery.record=kill@2",
        "recovery.copied=kill",
    ];
    let node = Case::kill("n6_then_recovering", Victim::Node, "sent.vote", "json");
    run(&node.recovery_killed_at("N13", points));
    let coordinator = Case::kill("c6_then_recovering", Victim::Coordinator, "synced.COMMIT", "json");
    run(&coordinator.recovery_killed_at("C14", points));
}

/// P14: a panic in the loop's thread, or in the one that cuts a checkpoint.
#[test]
fn p14_panic_in_any_thread() {
    for store in ["json", "sled"] {
        for (victim, point) in [
            (Victim::Node, "appended.commit"),
            (Victim::Coordinator, "appended.COMMIT"),
        ] {
            run(&Case::with("p14_loop_panics", victim, point, "panic@3", store));
        }
    }
    for victim in [Victim::Node, Victim::Coordinator] {
        let case = Case::with(
            "p14_checkpoint_panics",
            victim,
            "checkpoint.k2",
            "panic@2",
            "json",
        );
        run(&case.with_short_segments());
    }
}

/// C14: a coordinator that dies in each of several lives, at once after its new epoch is on disk.
#[test]
fn c14_crash_loop() {
    let points = [
        "appended.EPOCH=kill",
        "synced.EPOCH=kill",
        "sent.join=kill",
        "received.welcome=kill",
    ];
    for store in ["json", "sled"] {
        let case = Case::kill(
            "c5_then_crash_loop",
            Victim::Coordinator,
            "appended.COMMIT",
            store,
        );
        run(&case.recovery_killed_at("C14", points));
    }
}
