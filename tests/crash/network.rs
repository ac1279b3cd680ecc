//! Links that go wrong under load, each in every way that a proxy between two processes can play.

use std::thread;
use std::time::Duration;

use cluster::{Cluster, ClusterConfig, Direction, Proxy, Weather};
use faults::fired;

use crate::load::{self, for_a_while};

/// Longer than a vote may take.
const LONG: Duration = Duration::from_millis(1200);

fn through(name: &str, store: &str, happens: impl FnOnce(&mut Cluster)) {
    let proxied = |config: &mut ClusterConfig| config.proxied = true;
    load::through(name, store, proxied, |cluster, _| happens(cluster));
}

fn held() -> Weather {
    Weather {
        held: true,
        ..Weather::default()
    }
}

/// Every link, one after the other, with load on it.
fn each_link(cluster: &Cluster, mut happens: impl FnMut(&Proxy)) {
    for proxy in cluster.links().values() {
        happens(proxy);
        for_a_while();
    }
}

#[test]
fn links_that_break_lose_messages_and_nothing_else() {
    for store in ["json", "sled"] {
        through("cut links", store, |cluster| {
            each_link(cluster, |proxy| {
                // What is on its way is lost with the connection.
                for direction in Direction::BOTH {
                    proxy.set(direction, held());
                }
                for_a_while();
                assert!(proxy.cut() > 0);
                fired("W1");
                proxy.calm();
            });
            each_link(cluster, |proxy| {
                for direction in Direction::BOTH {
                    if proxy.half_close(direction) > 0 {
                        fired("W8");
                    }
                    for_a_while();
                }
            });
        });
    }
}

#[test]
fn one_direction_that_stands_still_for_long_delivers_late_and_harms_nobody() {
    through("one direction", "json", |cluster| {
        for direction in Direction::BOTH {
            let nodes = cluster.links().values().next_back().expect("a node's link");
            nodes.set(direction, held());
            fired("W6");
            thread::sleep(LONG);
            // What was kept back arrives after every time-out.
            fired("W4");
            nodes.calm();
            for_a_while();
        }
    });
}

#[test]
fn a_partition_of_everybody_from_everybody_heals_in_any_order() {
    for store in ["json", "sled"] {
        through("partition", store, |cluster| {
            for round in 0..2 {
                let links: Vec<&Proxy> = cluster.links().values().collect();
                for proxy in &links {
                    proxy.refuse(true);
                    proxy.cut();
                }
                fired("W5");
                for_a_while();
                let order: Vec<usize> = if round == 0 {
                    vec![0, 2, 1, 3]
                } else {
                    vec![3, 1, 0, 2]
                };
                for at in order {
                    links[at].calm();
                    thread::sleep(Duration::from_millis(30));
                }
                for_a_while();
            }
        });
    }
}

#[test]
fn bytes_that_come_one_by_one_are_the_same_bytes() {
    through("single bytes", "sled", |cluster| {
        each_link(cluster, |proxy| {
            for direction in Direction::BOTH {
                let piece = Some(1);
                proxy.set(
                    direction,
                    Weather {
                        piece,
                        ..Weather::default()
                    },
                );
            }
            fired("W9");
            for_a_while();
            proxy.calm();
        });
    });
}

#[test]
fn a_bit_that_changes_on_the_way_ends_the_connection_and_moves_no_money() {
    for store in ["json", "sled"] {
        through("garbled", store, |cluster| {
            each_link(cluster, |proxy| {
                for direction in Direction::BOTH {
                    proxy.garble(direction);
                    fired("W10");
                    for_a_while();
                }
            });
        });
    }
}
