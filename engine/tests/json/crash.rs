//! Power cuts and failing disks at every operation of a run that rotates, checkpoints and collects.

use std::ops::Range;

use engine::failpoint::Fault;
use engine::{Disk, Error, Fate, MemDisk, Pending};
use faults::fired;
use protocol::fold::{Fold, Seq};

use crate::bank::{Bank, Random, Record, open_mem, owner, records, states, step};

const STEPS: u64 = 45;

/// What a run came to.
struct Ran {
    /// Up to where the store promised durability, whatever happened then.
    promised: Seq,
    result: Result<(), Error>,
    /// The disk's operations that belong to cutting checkpoints and closing segments.
    tending: Vec<Range<u64>>,
}

impl Ran {
    fn was_tending_at(&self, operation: u64) -> bool {
        self.tending.iter().any(|range| range.contains(&operation))
    }
}

/// Opens the store and goes on until `STEPS` steps are done, syncing every second one.
fn run(disk: &MemDisk) -> Ran {
    let (mut promised, mut tending) = (0, Vec::new());
    let mut go = || {
        let mut opened = open_mem(disk)?;
        let mut bank = opened.state;
        // Nothing may be relied upon before the store is open; from then on all of it.
        promised = bank.seq();
        let done = states(STEPS)
            .iter()
            .position(|state| *state == bank)
            .expect("a legal state");
        let begun = (0..=STEPS)
            .find(|&steps| states(steps).len() > done)
            .expect("a legal state");
        // A crash may have cut a step in two; records here are independent, so go on behind it.
        for at in begun..STEPS {
            if states(at).len() - 1 != usize::try_from(bank.seq()).unwrap() {
                break;
            }
            step(&mut *opened.engine, &mut bank, at)?;
            if at % 2 == 0 {
                opened.engine.sync()?;
                promised = opened.engine.synced();
            }
            let tends = if at % 7 == 0 { 3 } else { 1 };
            for _ in 0..tends {
                let begun = disk.operations();
                let result = opened.engine.tend(&mut bank);
                tending.push(begun..disk.operations());
                result?;
            }
        }
        let synced = opened.engine.synced();
        opened.engine.close(&bank)?;
        promised = promised.max(synced).max(bank.seq());
        Ok(())
    };
    let result = go();
    Ran {
        promised,
        result,
        tending,
    }
}

/// A power cut that treats what was pending in a way of its own for each `choice` and `seed`; `tending` says whether it
/// comes in the middle of a checkpoint.
fn power_cut(disk: &MemDisk, tending: bool, choice: u64, seed: u64) -> MemDisk {
    let mut fates = fates(choice, seed);
    let mut did = Did::default();
    let after = disk.crash(&mut |pending| {
        let fate = fates(pending);
        did.note(pending, fate);
        fate
    });
    did.tally(tending);
    after
}

/// What a power cut did.
#[derive(Default)]
struct Did {
    bytes_lost: bool,
    bytes_torn: bool,
    name_kept: bool,
    name_dropped: bool,
    later_name_kept: bool,
}

impl Did {
    fn note(&mut self, pending: Pending, fate: Fate) {
        match (pending, fate) {
            (Pending::Append(_) | Pending::Cut, Fate::Keep) => {}
            (Pending::Append(_), Fate::Drop) | (Pending::Cut, _) => self.bytes_lost = true,
            (Pending::Append(_), Fate::Torn(_) | Fate::Zeros) => self.bytes_torn = true,
            (Pending::Name, Fate::Keep) => {
                self.name_kept = true;
                self.later_name_kept |= self.name_dropped;
            }
            (Pending::Name, Fate::Drop | Fate::Torn(_) | Fate::Zeros) => self.name_dropped = true,
        }
    }

    fn tally(&self, tending: bool) {
        let lost = self.bytes_lost || self.bytes_torn;
        for (id, did) in [
            ("D1", self.bytes_torn),
            ("D2", lost),
            ("K-b", tending && lost && self.name_kept),
            ("K-c", tending && self.later_name_kept),
        ] {
            if did {
                fired(id);
            }
        }
    }
}

/// How a crash treats what was pending.
fn fates(choice: u64, seed: u64) -> impl FnMut(Pending) -> Fate {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    move |pending| match (choice, pending) {
        (0, _) => Fate::Drop,
        (1, _) => Fate::Keep,
        (2, Pending::Append(len)) => {
            Fate::Torn(usize::try_from(random.below(u64::try_from(len).unwrap() + 1)).unwrap())
        }
        (3, Pending::Append(_)) => Fate::Zeros,
        (2 | 3, Pending::Name | Pending::Cut) => Fate::Keep,
        (_, Pending::Append(len)) => match random.below(4) {
            0 => Fate::Drop,
            1 => Fate::Keep,
            2 => Fate::Torn(usize::try_from(random.below(u64::try_from(len).unwrap() + 1)).unwrap()),
            _ => Fate::Zeros,
        },
        (_, Pending::Name | Pending::Cut) if random.below(2) == 0 => Fate::Drop,
        (_, Pending::Name | Pending::Cut) => Fate::Keep,
    }
}

fn check(after: &MemDisk, promised: Seq, legal: &[Bank], what: &str) -> Bank {
    let inspected = inspected(after, legal, what);
    let found = open_mem(after)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
        .state;
    assert_eq!(inspected, found, "{what}: inspected, then opened");
    assert!(
        found.seq() >= promised,
        "{what}: {promised} was promised, {} is there",
        found.seq()
    );
    assert!(legal.contains(&found), "{what}: not a state that ever was");
    found
}

/// What an inspection says the store will recover. It may be taken of any disk that a crash has left, and changes none.
fn inspected(after: &MemDisk, legal: &[Bank], what: &str) -> Bank {
    let before = files(after);
    let found = engine::inspect_on::<Bank, _>(after, owner());
    assert_eq!(files(after), before, "{what}: an inspection writes nothing");
    let content = match found {
        Ok(inspection) => inspection.content,
        Err(Error::Mismatch(_)) => return Bank::empty(), // Not even the manifest was durable.
        Err(error) => panic!("{what}: {error}"),
    };
    assert_eq!(content.damage, [""; 0], "{what}");
    for state in &content.checkpoints {
        assert!(legal.contains(state), "{what}: not a state that ever was");
    }
    let all: Vec<Record> = (0..STEPS).flat_map(records).collect();
    for (seq, record) in &content.records {
        assert_eq!(
            *record,
            all[usize::try_from(*seq).unwrap() - 1],
            "{what}: record {seq}"
        );
    }
    content.recover()
}

fn files(disk: &MemDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().unwrap().into_iter();
    names
        .map(|name| (name.clone(), disk.read(&name).unwrap()))
        .collect()
}

#[test]
fn the_scenario_rotates_checkpoints_and_collects() {
    let disk = MemDisk::new();
    let Ran { promised, result, .. } = run(&disk);
    result.unwrap();
    assert_eq!(promised, states(STEPS).last().unwrap().seq());
    let names = Disk::list(&disk).unwrap();
    let closed = names
        .iter()
        .filter(|name| name.starts_with("node_N1_log.") && *name != "node_N1_log.jsonl");
    assert!(names.contains(&"node_N1_state.prev.json".to_owned()));
    assert!((1..4).contains(&closed.count()), "{names:?}");
    assert!(!names.contains(&"node_N1_log.1.jsonl".to_owned()), "{names:?}");
    let state = Disk::read(&disk, "node_N1_state.json").unwrap();
    let state = String::from_utf8(state).unwrap();
    assert!(
        state.starts_with("{\n  \"@world\": -") && state.ends_with("\"}\n}\n"),
        "{state}"
    );
}

#[test]
fn a_power_cut_at_any_operation_leaves_what_was_promised() {
    let legal = states(STEPS);
    let (mut states_seen, mut n) = (std::collections::BTreeSet::new(), 0);
    loop {
        let disk = MemDisk::new();
        disk.stop_after(n);
        let ran = run(&disk);
        if ran.was_tending_at(n) {
            fired("K-a");
        }
        for choice in 0..12 {
            let after = power_cut(&disk, ran.was_tending_at(n), choice, n * 100 + choice);
            let what = format!("stopped after {n} operations, choice {choice}");
            states_seen.insert(check(&after, ran.promised, &legal, &what).seq());
        }
        if ran.result.is_ok() {
            break;
        }
        n += 1;
    }
    assert!(n > 200, "only {n} operations: the scenario has become too small");
    assert!(
        states_seen.len() > 30,
        "only {states_seen:?}: the crashes hit nothing"
    );
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_either() {
    let legal = states(STEPS);
    let disk = MemDisk::new();
    disk.stop_after(230);
    let promised = run(&disk).promised;
    for choice in 0..6 {
        let crashed = power_cut(&disk, false, choice, 77);
        let whole = check(&crashed.snapshot(), promised, &legal, "recovered at once").seq();
        let mut n = 0;
        loop {
            let second = crashed.snapshot();
            second.stop_after(n);
            let recovered = open_mem(&second).is_ok();
            if !recovered {
                fired("N13");
            }
            for choice in 0..12 {
                let third = power_cut(&second, false, choice, n * 100 + choice);
                let what = format!("recovery stopped after {n} operations, choice {choice}");
                let found = check(&third, promised, &legal, &what).seq();
                assert!(
                    !recovered || found == whole,
                    "{what}: what recovery served must stay"
                );
            }
            if recovered {
                break;
            }
            n += 1;
        }
        assert!(n > 5);
    }
}

#[test]
fn what_is_promised_after_a_recovery_outlives_the_next_power_cut() {
    let legal = states(STEPS);
    let mut went_on = 0;
    for first in (55..235).step_by(20) {
        let disk = MemDisk::new();
        disk.stop_after(first);
        let tending = run(&disk).was_tending_at(first);
        // Torn, most of all: what recovery leaves behind of a tail is found only by the next one.
        let crashed = power_cut(&disk, tending, 2, first);
        for n in 0.. {
            let second = crashed.snapshot();
            second.stop_after(n);
            let ran = run(&second);
            for choice in [0, 2, 4] {
                let after = power_cut(&second, ran.was_tending_at(n), choice, n);
                let what = format!("stopped after {first} operations, then {n}, choice {choice}");
                check(&after, ran.promised, &legal, &what);
            }
            if ran.result.is_ok() {
                went_on += n;
                break;
            }
        }
    }
    assert!(went_on > 400, "only {went_on} operations after a recovery");
}

/// As [`run`], on a disk that has room for everything but checkpoints. Syncs every step.
fn run_without_checkpoints(disk: &MemDisk) -> (Seq, Result<(), Error>) {
    let mut promised = 0;
    let mut go = || {
        let mut opened = open_mem(disk)?;
        let mut bank = opened.state;
        for at in 0..STEPS {
            step(&mut *opened.engine, &mut bank, at)?;
            opened.engine.sync()?;
            promised = opened.engine.synced();
            let len = |name: &String| disk.read(name).map_or(0, |content| content.len());
            let used: usize = disk.list().unwrap_or_default().iter().map(len).sum();
            let first_line_of_a_segment = 200;
            disk.set_capacity(Some(u64::try_from(used + first_line_of_a_segment).unwrap()));
            opened.engine.tend(&mut bank)?;
            disk.set_capacity(None);
        }
        assert_eq!(opened.engine.stats().checkpoints, 0, "there is no room for one");
        Ok(())
    };
    let result = go();
    (promised, result)
}

#[test]
fn closed_segments_that_wait_for_a_checkpoint_are_safe_from_power_cuts() {
    let legal = states(STEPS);
    for n in 0.. {
        let disk = MemDisk::new();
        disk.stop_after(n);
        let (promised, result) = run_without_checkpoints(&disk);
        for choice in 0..12 {
            let after = power_cut(&disk, false, choice, n * 100 + choice);
            after.set_capacity(None);
            check(
                &after,
                promised,
                &legal,
                &format!("stopped after {n} operations, choice {choice}"),
            );
        }
        if result.is_ok() {
            fired("K-d");
            assert!(n > 200, "only {n} operations");
            break;
        }
    }
}

#[test]
fn a_failing_operation_is_an_error_and_costs_nothing_that_was_promised() {
    let legal = states(STEPS);
    let whole = MemDisk::new();
    run(&whole).result.unwrap();
    let operations = whole.operations();
    for fault in [Fault::NoSpace, Fault::Broken] {
        let mut failed = 0;
        for n in 0..operations {
            let disk = MemDisk::new();
            disk.fail_after(n, fault);
            let ran = run(&disk);
            fired(if fault == Fault::NoSpace { "D8" } else { "D10" });
            if ran.was_tending_at(n) {
                fired("K-d");
                if fault == Fault::NoSpace {
                    fired("D9");
                }
            }
            failed += u64::from(ran.result.is_err());
            for choice in 0..4 {
                let after = power_cut(&disk, false, choice, n);
                check(
                    &after,
                    ran.promised,
                    &legal,
                    &format!("{fault:?} at operation {n}, choice {choice}"),
                );
            }
        }
        // A checkpoint without room is only put off.
        assert!(
            failed > operations / 3,
            "{fault:?}: only {failed} of {operations} runs failed"
        );
    }
}

#[test]
fn after_a_failed_sync_the_store_takes_nothing_more() {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    step(&mut *opened.engine, &mut bank, 0).unwrap();
    disk.fail_after(1, Fault::Broken);
    opened.engine.sync().unwrap_err();
    fired("D11");
    opened.engine.sync().unwrap_err();
    step(&mut *opened.engine, &mut bank, 1).unwrap_err();
    opened.engine.tend(&mut bank).unwrap_err();
    assert!(!opened.engine.has_room(0));
    opened.engine.close(&bank).unwrap_err();
}

#[test]
fn on_a_full_disk_the_log_goes_on_within_its_reserve_and_new_promises_are_refused() {
    let disk = MemDisk::new();
    disk.set_capacity(Some(140 * 1024));
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    let mut at = 0;
    while opened.engine.has_room(4) {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        // Never tended: the segment grows into its reserve.
        at += 1;
    }
    fired("D8");
    assert!(at > 10, "there was room for {at} steps");
    let promised = (0..4)
        .map(|more| step(&mut *opened.engine, &mut bank, at + more).unwrap())
        .count();
    opened.engine.sync().unwrap();
    drop(opened.engine);
    assert_eq!(promised, 4);
    assert_eq!(
        open_mem(&disk).unwrap().state,
        bank,
        "recovery has room for its copy"
    );
}

#[test]
fn without_room_a_checkpoint_is_made_of_whatever_is_closed() {
    let disk = MemDisk::new();
    let mut opened = open_mem(&disk).unwrap();
    let mut bank = opened.state;
    let segments = || {
        let names = disk.list().unwrap().into_iter();
        let is_segment = |name: &String| name.ends_with(".jsonl") && !name.ends_with(".next.jsonl");
        names.filter(is_segment).count()
    };
    // The state gets longer than a segment, so that not every closed one makes a checkpoint due.
    let mut before = (segments(), 0);
    for at in 0.. {
        step(&mut *opened.engine, &mut bank, at).unwrap();
        opened.engine.sync().unwrap();
        opened.engine.tend(&mut bank).unwrap();
        let now = (segments(), opened.engine.stats().checkpoints);
        if now.0 > before.0 && now.1 == before.1 && now.1 > 0 {
            before = now;
            break;
        }
        before = now;
    }
    // Enough for a checkpoint, not for new promises.
    disk.set_capacity(Some(disk.used() + 64 * 1024));
    assert!(!opened.engine.has_room(0));
    fired("D8");
    opened.engine.tend(&mut bank).unwrap();
    let (segments, checkpoints) = (segments(), opened.engine.stats().checkpoints);
    assert_eq!(checkpoints, before.1 + 1);
    assert!(segments < before.0, "{segments} segments, as before");
}
