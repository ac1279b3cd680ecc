//! Failpoint specifications, in a process of their own: they are one table for everybody in it.

use fuzz::driver::{self, Until};
use fuzz::{Seen, corpus};

#[test]
fn failpoints_are_armed_exactly_by_their_grammar_and_act_once() {
    let target = fuzz::find("failpoint").unwrap();
    let inputs = corpus::read(target).unwrap();
    let mut seen = Seen::new();
    driver::replay(target, &inputs, &mut seen).unwrap();
    assert!(target.shows.iter().all(|way| seen.count(way) > 0), "{seen:?}");
    driver::explore(target, &inputs, 1, Until::Count(4_000), &mut seen).unwrap();
}
