//! How long things took: answers, and the way back after a fault.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::NodeId;
use serde::Serialize;

use super::fault::Kind;
use super::havoc::Over;
use super::history::{Heard, workers};

/// Times in milliseconds, by rank.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) longest_ms: f64,
}

impl Spread {
    pub(super) fn of(times: &[Duration]) -> Spread {
        let mut times = times.to_vec();
        times.sort_unstable();
        let rank = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).max(1);
            let time = times.get(place - 1).copied().unwrap_or_default();
            (time.as_secs_f64() * 10_000.0).round() / 10.0
        };
        Spread {
            count: times.len(),
            p50_ms: rank(50),
            p99_ms: rank(99),
            longest_ms: rank(100),
        }
    }
}

/// From the end of each fault to the first commit that needed what it had hit, by kind.
#[derive(Debug, Default)]
pub(super) struct Recoveries(BTreeMap<Kind, Vec<Duration>>);

impl Recoveries {
    /// Takes a round's ends of faults and what its clients heard.
    pub(super) fn measure(&mut self, over: &[Over], heard: &[Heard]) {
        let mut commits: Vec<(Instant, Vec<NodeId>)> = heard
            .iter()
            .filter_map(|heard| Some((heard.at, workers(heard)?)))
            .collect();
        commits.sort_unstable();
        for over in over {
            let later = commits.partition_point(|(at, _)| *at <= over.at);
            let needs = |nodes: &Vec<NodeId>| over.node.is_none_or(|node| nodes.contains(&node));
            if let Some((at, _)) = commits[later..].iter().find(|(_, nodes)| needs(nodes)) {
                self.0.entry(over.kind).or_default().push(*at - over.at);
            }
        }
    }

    pub(super) fn spreads(&self) -> BTreeMap<Kind, Spread> {
        let spread = |(kind, times): (&Kind, &Vec<Duration>)| (*kind, Spread::of(times));
        self.0.iter().map(spread).collect()
    }
}

#[cfg(test)]
mod tests {
    use client::{Order, Outcome, RequestId};

    use super::*;

    #[test]
    fn a_spread_names_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = Spread {
            count: 200,
            p50_ms: 100.0,
            p99_ms: 198.0,
            longest_ms: 200.0,
        };
        assert_eq!(Spread::of(&times), expected);
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn a_node_is_back_with_the_first_commit_that_needed_it() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let commit = |ms, from: &str, to: &str| Heard {
            request: RequestId(1),
            order: Order::transfer(from.parse().unwrap(), to.parse().unwrap(), "1".parse().unwrap()).unwrap(),
            repeated: false,
            outcome: Outcome::Committed {
                txn: "1-1-1".parse().unwrap(),
            },
            at: after(ms),
            took: Duration::ZERO,
        };
        let heard = [
            commit(70, "N1/A", "N2/B"),
            commit(20, "N1/A", "N2/B"),
            commit(40, "N1/A", "N3/C"),
        ];
        let over = |node: Option<&str>| Over {
            kind: Kind::Kill,
            node: node.map(|node| node.parse().unwrap()),
            at: after(30),
        };
        let recovery = |node| {
            let mut recoveries = Recoveries::default();
            recoveries.measure(&[over(node)], &heard);
            recoveries
                .spreads()
                .get(&Kind::Kill)
                .map(|spread| spread.longest_ms)
        };
        assert_eq!(recovery(None), Some(10.0));
        assert_eq!(recovery(Some("N2")), Some(40.0));
        assert_eq!(recovery(Some("N9")), None);
    }
}
