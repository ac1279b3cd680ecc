//! Counters and the live state, as a process tells them.

use client::{Client, ClientConfig, Error, Order, StateEntry, Watch};

use crate::world::{STORES, World, transfer};

fn state(watch: &mut Watch) -> Vec<StateEntry> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = watch.state(after).unwrap();
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

#[test]
fn what_clients_were_told_and_what_nodes_wrote_down_is_counted() {
    let mut world = World::new("json");
    for _ in 0..5 {
        world.transfer();
    }
    world.client.submit(None, transfer("5000")).unwrap();
    let mut everyone = world.everyone();
    let coordinator = everyone[0].numbers().unwrap();
    // Two deposits opened the accounts.
    assert_eq!((coordinator.committed, coordinator.unknown), (7, 0));
    assert_eq!(coordinator.aborted, [("insufficient_funds".to_owned(), 1)]);
    assert_eq!(coordinator.decisions.count(), 8);
    assert!(coordinator.decisions.quantile_us(500) <= coordinator.decisions.quantile_us(990));
    assert_eq!(
        (coordinator.in_doubt, coordinator.every, coordinator.dropped),
        (0, 1, 0)
    );
    assert_eq!(coordinator.syncs.count(), coordinator.work.syncs);
    let n1 = everyone[1].numbers().unwrap();
    assert!(n1.committed >= 1 && n1.aborted == coordinator.aborted, "{n1:?}");
}

#[test]
fn a_transaction_in_doubt_is_counted_with_its_age() {
    let mut world = World::new("json");
    let coordinator = client::Target::Coordinator;
    // It dies with the decision undecided: both votes are in, nobody is told.
    world.client.arm(coordinator, "append.COMMIT=kill").unwrap();
    let hasty = ClientConfig {
        timeout: std::time::Duration::from_secs(2),
        ..world.cluster.client_config()
    };
    let mut n1 = world.everyone().swap_remove(1);
    let unknown = Client::new(hasty).unwrap().submit(None, transfer("10"));
    assert!(!matches!(unknown, Ok(ref told) if matches!(told.outcome, client::Outcome::Committed { .. })));
    let first = n1.numbers().unwrap();
    assert_eq!((first.in_doubt, first.open), (1, 1));
    loop {
        let later = n1.numbers().unwrap();
        if later.oldest_in_doubt_ms > first.oldest_in_doubt_ms + 20 {
            break;
        }
    }
    world.restart(coordinator);
    while n1.numbers().unwrap().in_doubt > 0 {}
    assert_eq!(n1.numbers().unwrap().oldest_in_doubt_ms, 0);
}

#[test]
fn the_live_state_is_told_page_by_page_whatever_the_store() {
    for store in STORES {
        let mut world = World::new(store);
        for number in 0..250 {
            let place = format!("N1/account-{number:03}").parse().unwrap();
            world.commits(Order::deposit(place, "1".parse().unwrap()));
        }
        world.transfer();
        let mut n1 = world.everyone().swap_remove(1);
        let entries = state(&mut n1);
        let accounts: Vec<&str> = entries
            .iter()
            .filter(|entry| entry.tree == "accounts")
            .map(|entry| entry.value.as_str())
            .collect();
        assert_eq!(accounts.len(), 252, "A and @world are there too");
        assert!(
            accounts.contains(&r#"{"account":["account-007",1,1]}"#),
            "{accounts:?}"
        );
        let mut keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all, "an entry came twice");
        let trees = |tree| entries.iter().filter(|entry| entry.tree == tree).count();
        // Each request has an outcome, and each transaction that no mark has passed.
        assert!(trees("outcomes") >= 251 && trees("meta") == 2, "{entries:?}");
        let nonsense = n1.state(Some("nonsense".to_owned()));
        assert!(matches!(nonsense, Err(Error::Failed(_))), "{nonsense:?}");
        let mut coordinator = world.coordinator();
        assert!(state(&mut coordinator).iter().any(|entry| entry.tree == "meta"));
    }
}
