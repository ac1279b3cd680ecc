//! Step mode: a transaction goes on only when somebody says so, and nothing else has to wait.

use std::thread;

use client::{AuditVerdict, Holding, Outcome, Watch};

use crate::world::{World, n1, patient, transfer, txn};

fn waiting(holding: &Holding) -> Vec<String> {
    holding
        .first
        .iter()
        .map(|held| held.to_string().replace(&format!(" {}", held.txn), ""))
        .collect()
}

/// Waits until so many messages wait; asking again closes the gate again, which changes nothing.
fn holds(watch: &mut Watch, count: u64) -> Holding {
    loop {
        let holding = watch.gate(true).unwrap();
        if holding.waiting >= count {
            return holding;
        }
    }
}

#[test]
fn a_transfer_goes_step_by_step_while_status_and_audits_pass() {
    let mut world = World::new("json");
    let mut watch = world.coordinator();
    watch.gate(true).unwrap();
    let mut client = patient(&world.cluster);
    let submitting = thread::spawn(move || client.submit(None, transfer("10")).unwrap());
    let holding = holds(&mut watch, 2);
    assert_eq!(
        waiting(&holding),
        ["c → N1 prepare A -10", "c → N2 prepare B +10"]
    );
    let checks = |world: &mut World| {
        assert_eq!(world.client.status().unwrap().nodes.len(), 2);
        let audit = world.client.audit().unwrap();
        assert_eq!((audit.verdict, audit.in_accounts), (AuditVerdict::Exact, 2000));
    };
    checks(&mut world);
    assert_eq!(waiting(&watch.step().unwrap()), ["c → N2 prepare B +10"]);
    // N1 has promised, N2 has not been asked: an audit counts neither side.
    checks(&mut world);
    assert!(watch.step().unwrap().first.is_empty());
    let holding = holds(&mut watch, 3);
    assert_eq!(
        waiting(&holding),
        ["c → client outcome committed", "c → N1 commit", "c → N2 commit"]
    );
    checks(&mut world);
    watch.step().unwrap();
    let submission = submitting.join().unwrap();
    // The client knows and the nodes do not: an audit counts both sides.
    checks(&mut world);
    watch.step().unwrap();
    checks(&mut world);
    watch.step().unwrap();
    checks(&mut world);
    assert!(!watch.gate(false).unwrap().closed);
    let moved = world.client.show(client_reference(txn(&submission))).unwrap();
    assert_eq!(moved.txn, Some(txn(&submission)));
    world.transfer();
}

fn client_reference(txn: client::TxnId) -> client::Reference {
    client::Reference::Txn(txn)
}

#[test]
fn who_dies_while_a_message_waits_for_it_is_told_nothing_and_nothing_is_lost() {
    let mut world = World::new("json");
    let mut watch = world.coordinator();
    watch.gate(true).unwrap();
    let mut client = patient(&world.cluster);
    let submitting = thread::spawn(move || client.submit(None, transfer("10")).unwrap());
    holds(&mut watch, 2);
    world.cluster.kill9(n1());
    // The link is lost, which counts as a NO; what waited for N1 is lost with it.
    let gone = |holding: &Holding| waiting(holding).iter().all(|line| !line.contains("→ N1"));
    while !gone(&watch.gate(true).unwrap()) {}
    // Its watcher goes: the gate opens.
    drop(watch);
    let outcome = submitting.join().unwrap().outcome;
    assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome}");
    world.restart(n1());
    while world.client.audit().unwrap().verdict != AuditVerdict::Exact {}
    world.transfer();
}
