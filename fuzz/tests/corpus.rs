//! Does the whole corpus still hold, and what lies right around it?

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use fuzz::driver::{self, Proof, Until};
use fuzz::{Seen, Target, corpus};

/// Replays the corpus of `name`, then `count` mutations of it.
fn hold(name: &str, count: u64) {
    let target = fuzz::find(name).unwrap();
    let inputs = corpus::read(target).unwrap();
    let mut seen = Seen::new();
    driver::replay(target, &inputs, &mut seen).unwrap_or_else(|proof| panic!("{}", explain(target, &proof)));
    shows_everything(target, &seen);
    let explored = driver::explore(target, &inputs, 1, Until::Count(count), &mut seen);
    let explored = explored.unwrap_or_else(|proof| panic!("{}", explain(target, &proof)));
    assert_eq!(explored, count);
    for (id, times) in seen.faults() {
        let test = std::thread::current().name().unwrap_or(name).to_owned();
        faults::fired_by(&test, id, times);
    }
}

fn explain(target: &Target, proof: &Proof) -> String {
    let name = target.name;
    let small = driver::shrink(target, &proof.input);
    format!(
        "{name}: {} proves it wrong, made small: {small:02x?}",
        proof.origin
    )
}

/// A target that refuses everything would hold, too.
fn shows_everything(target: &Target, seen: &Seen) {
    let missing: Vec<&&str> = target.shows.iter().filter(|way| seen.count(way) == 0).collect();
    assert!(missing.is_empty(), "the corpus no longer shows {missing:?}");
    let fired: Vec<&str> = seen.faults().map(|(id, _)| id).collect();
    let missing: Vec<&&str> = target.faults.iter().filter(|id| !fired.contains(id)).collect();
    assert!(missing.is_empty(), "the corpus no longer injects {missing:?}");
}

#[test]
fn frames_come_out_whole_however_their_bytes_arrive() {
    hold("frames", 1_000);
}

#[test]
fn hellos_are_understood_exactly_or_refused() {
    hold("hello", 4_000);
}

#[test]
fn what_a_node_may_hear_decodes_whole_or_not_at_all() {
    hold("to-node", 4_000);
}

#[test]
fn what_a_coordinator_may_hear_from_a_node_decodes_whole_or_not_at_all() {
    hold("from-node", 4_000);
}

#[test]
fn what_a_client_may_ask_decodes_whole_or_not_at_all() {
    hold("call", 4_000);
}

#[test]
fn what_a_client_may_be_told_decodes_whole_or_not_at_all() {
    hold("reply", 4_000);
}

#[test]
fn names_and_amounts_are_taken_exactly_by_their_grammar() {
    hold("names", 4_000);
}

#[test]
fn orders_are_balanced_or_refused() {
    hold("orders", 4_000);
}

#[test]
fn a_hand_written_file_is_adopted_whole_or_left_alone() {
    hold("by-hand", 1_000);
}

#[test]
fn a_changed_state_file_or_manifest_is_refused_or_makes_sense() {
    hold("state", 1_000);
}

#[test]
fn a_damaged_log_is_refused_or_tells_the_truth() {
    hold("log", 600);
}

#[test]
fn a_node_keeps_its_money_and_its_word_whatever_happens() {
    hold("node", 1_000);
}

#[test]
fn a_coordinator_keeps_its_word_whatever_happens() {
    hold("coordinator", 1_000);
}

#[test]
fn every_seed_is_in_the_corpus() {
    for target in &fuzz::ALL {
        let inputs = corpus::read(target).unwrap();
        for seed in corpus::seeds(target) {
            assert!(
                inputs.contains(&seed),
                "{}: run `twopence-fuzz seeds`",
                target.name
            );
        }
    }
}
