//! Transfers under load, and what they must have come to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{Amount, Client, ClientConfig, Error, Leg, Order, Outcome, Place, Reason, RequestId};

/// What every account starts with.
const FUNDED: i64 = 10_000;

const ACCOUNTS: [&str; 6] = ["N1/A", "N1/D", "N2/B", "N2/E", "N3/C", "N3/F"];

/// A request and what its client was told.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) request: RequestId,
    pub(crate) order: Order,
    pub(crate) outcome: Outcome,
}

/// A small deterministic source of choices.
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn new(seed: &str) -> Choices {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Choices(seed.bytes().fold(0xcbf2_9ce4_8422_2325, mix) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

/// Opens every account.
pub(crate) fn fund(client: &mut Client) -> Vec<Sent> {
    let deposit = |account: &&str| {
        let order = Order::deposit(place(account), Amount::try_from(FUNDED).unwrap());
        let submission = client
            .submit(None, order.clone())
            .expect("a quiet cluster answers");
        assert!(
            matches!(submission.outcome, Outcome::Committed { .. }),
            "{:?}",
            submission.outcome
        );
        Sent {
            request: submission.request,
            order,
            outcome: submission.outcome,
        }
    };
    ACCOUNTS.iter().map(deposit).collect()
}

/// Two-node transfers mostly; also three legs, one node, and some that must fail.
fn next_order(choices: &mut Choices) -> Order {
    let amount = i64::try_from(1 + choices.below(20)).unwrap();
    let kind = choices.below(10);
    let amount = if kind == 0 { FUNDED * 10 } else { amount };
    let from = choices.below(ACCOUNTS.len());
    let apart = if kind == 1 {
        from ^ 1
    } else {
        (from + 2 + choices.below(ACCOUNTS.len() - 3)) % ACCOUNTS.len()
    };
    let leg = |account: usize, delta: i64| Leg {
        place: place(ACCOUNTS[account]),
        delta: delta.try_into().unwrap(),
    };
    if kind == 2 {
        let third = (0..ACCOUNTS.len())
            .find(|&other| other != from && other != apart)
            .unwrap();
        return Order::new(&[leg(from, -2 * amount), leg(apart, amount), leg(third, amount)]).unwrap();
    }
    Order::new(&[leg(from, -amount), leg(apart, amount)]).unwrap()
}

/// Sends one request after another until told to stop. A crash in between is the normal case. Counts what was committed.
pub(crate) fn work(
    config: &ClientConfig,
    seed: &str,
    stop: &AtomicBool,
    committed: &AtomicUsize,
) -> Vec<Sent> {
    let mut choices = Choices::new(seed);
    let mut client = Client::new(config.clone()).unwrap();
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let order = next_order(&mut choices);
        match client.submit(None, order.clone()) {
            Ok(submission) => {
                if matches!(submission.outcome, Outcome::Committed { .. }) {
                    committed.fetch_add(1, Ordering::Relaxed);
                }
                sent.push(Sent {
                    request: submission.request,
                    order,
                    outcome: submission.outcome,
                });
            }
            Err(Error::NoCoordinator(_)) => {} // Nothing was sent.
            Err(other) => panic!("{other}"),
        }
    }
    sent
}

/// Learns every outcome that is still unknown, under the request's own id.
pub(crate) fn learn(client: &mut Client, sent: &mut [Sent], patience: Duration) {
    let until = Instant::now() + patience;
    for sent in sent {
        while let Outcome::Unknown { why } = &sent.outcome {
            assert!(
                Instant::now() < until,
                "the outcome of {} stays unknown: {why}",
                sent.request
            );
            if let Ok(submission) = client.submit(Some(sent.request), sent.order.clone()) {
                sent.outcome = submission.outcome;
            }
        }
    }
}

/// Every outcome is final: asking again gives the same word.
pub(crate) fn ask_again(client: &mut Client, sent: &[Sent]) {
    for Sent {
        request,
        order,
        outcome,
    } in sent
    {
        let again = client
            .submit(Some(*request), order.clone())
            .expect("a quiet cluster answers")
            .outcome;
        let same = match (outcome, &again) {
            (Outcome::Committed { txn: first }, Outcome::Committed { txn }) => first == txn,
            // A first send that aborted may run when it is sent again: nobody had promised otherwise.
            (Outcome::Aborted { .. }, Outcome::Aborted { .. } | Outcome::Committed { .. }) => true,
            (_, _) => false,
        };
        assert!(same, "request {request} was told {outcome}, and now {again}");
    }
}

/// What the accounts must hold if exactly the committed requests happened, each once.
pub(crate) fn expected(sent: &[Sent]) -> BTreeMap<Place, i64> {
    let mut balances = BTreeMap::new();
    for sent in sent {
        match &sent.outcome {
            Outcome::Committed { .. } => {
                for leg in sent
                    .order
                    .legs()
                    .iter()
                    .filter(|leg| !leg.place.account.is_world())
                {
                    *balances.entry(leg.place.clone()).or_default() += leg.delta.get();
                }
            }
            Outcome::Aborted { refusal, .. } => {
                assert_ne!(
                    refusal.reason,
                    Reason::Duplicate,
                    "a client is told the first attempt's outcome"
                );
            }
            other @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                panic!("request {} ended with {other}", sent.request)
            }
        }
    }
    balances
}
