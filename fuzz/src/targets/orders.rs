//! What a request may ask for: legs become an order exactly if they are balanced, and an order that arrives from outside is
//! held to the same.

use protocol::codec;
use protocol::id::{AccountId, NodeId, Place};
use protocol::leg::{BadOrder, LEGS_MAX, Leg, Order};
use protocol::money::{AMOUNT_MAX, BadAmount, Delta};
use serde::Serialize;

use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "orders",
    holds: "an order is balanced, merged, sorted and within bounds, or it is refused for the first thing that is wrong with it",
    judge,
    seeds,
    memory: (1 << 20, 1024),
    shows: &[
        "order",
        "no legs",
        "too many legs",
        "unbalanced",
        "same account",
        "too large",
        "world",
        "deposit",
        "no deposit",
    ],
    faults: &["I1", "I4", "I5"],
};

/// A leg before anybody looked at it: node, account, delta.
type RawLeg = (NodeId, AccountId, i64);

/// What an order is on the wire.
#[derive(Serialize)]
struct RawOrder {
    legs: Vec<((NodeId, AccountId), i64)>,
    opens: bool,
}

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let opens = choices.flag();
    let raw = legs(&mut choices);
    let typed: Option<Vec<Leg>> = raw.iter().map(typed).collect();
    if let Some(typed) = &typed {
        from_legs(&raw, typed, choices.byte(), seen);
    } else {
        seen.fault("I1");
    }
    from_outside(&raw, typed, opens, seen);
}

fn typed((node, account, delta): &RawLeg) -> Option<Leg> {
    let place = Place {
        node: *node,
        account: account.clone(),
    };
    Some(Leg {
        place,
        delta: Delta::try_from(*delta).ok()?,
    })
}

/// Legs that are balanced more often than not.
fn legs(choices: &mut Choices<'_>) -> Vec<RawLeg> {
    let mut legs: Vec<RawLeg> = Vec::new();
    let most = if choices.byte() == 255 { LEGS_MAX + 2 } else { 12 };
    while !choices.is_over() && legs.len() < most {
        let node = choices.pick(&["N1", "N2", "N3"]).parse().expect("good names");
        let account = match choices.below(16) {
            15 => AccountId::world(),
            other => ["A", "B", "C"][other % 3].parse().expect("good names"),
        };
        let rest = legs
            .iter()
            .fold(0_i64, |sum, (.., delta)| sum.saturating_sub(*delta));
        let delta = match choices.below(8) {
            0..=2 => i64::from(choices.byte()) + 1,
            3 => -i64::from(choices.byte()) - 1,
            4 | 5 if rest != 0 => rest,
            6 => *choices.pick(&[AMOUNT_MAX, -AMOUNT_MAX, AMOUNT_MAX + 1, 0, i64::MIN, i64::MAX]),
            _ => choices.signed(),
        };
        legs.push((node, account, delta));
    }
    if most > 12 && legs.len() > 1 {
        // So many that nobody could type them.
        while legs.len() < most {
            legs.push(legs[legs.len() % 2].clone());
        }
    }
    legs
}

/// The first thing that is wrong, or the merged legs in order: added up the slow way.
fn by_the_book(raw: &[RawLeg]) -> Result<Vec<RawLeg>, BadOrder> {
    if raw.iter().any(|(_, account, _)| account.as_str() == "@world") {
        return Err(BadOrder::World);
    }
    merged(raw)
}

fn merged(raw: &[RawLeg]) -> Result<Vec<RawLeg>, BadOrder> {
    if raw.is_empty() {
        return Err(BadOrder::NoLegs);
    }
    if raw.len() > 256 {
        return Err(BadOrder::TooManyLegs);
    }
    let total: i128 = raw.iter().map(|(.., delta)| i128::from(*delta)).sum();
    if total != 0 {
        return Err(BadOrder::Unbalanced(total));
    }
    let mut places: Vec<(NodeId, AccountId)> = raw
        .iter()
        .map(|(node, account, _)| (*node, account.clone()))
        .collect();
    places.sort_by(|a, b| (a.0.as_str(), a.1.as_str()).cmp(&(b.0.as_str(), b.1.as_str())));
    places.dedup();
    let sum_of = |(node, account): (NodeId, AccountId)| {
        let of_place = raw.iter().filter(|leg| leg.0 == node && leg.1 == account);
        match of_place.map(|(.., delta)| i128::from(*delta)).sum::<i128>() {
            0 => Err(BadOrder::SameAccount(Place { node, account })),
            sum if sum.abs() > 1_000_000_000_000_000_000 => Err(BadAmount::TooLarge.into()),
            sum => Ok((node, account, i64::try_from(sum).expect("below the limit"))),
        }
    };
    places.into_iter().map(sum_of).collect()
}

fn from_legs(raw: &[RawLeg], typed: &[Leg], turn: u8, seen: &mut Seen) {
    let order = Order::new(typed);
    match (&order, by_the_book(raw)) {
        (Ok(order), Ok(expected)) => {
            seen.way("order");
            check(order, &expected);
            // In another order of legs it is the same order.
            let mut turned = typed.to_vec();
            turned.rotate_left(usize::from(turn) % typed.len());
            turned.reverse();
            assert_eq!(Order::new(&turned).as_ref(), Ok(order));
            assert_eq!(
                Order::new(&turned).map(|order| order.digest()),
                Ok(order.digest())
            );
            if order.participants().len() == 1 {
                seen.fault("I5");
            }
        }
        (Err(found), Err(expected)) => {
            assert_eq!(*found, expected);
            note(found, seen);
        }
        (found, expected) => panic!("{found:?}, but {expected:?}"),
    }
}

fn note(bad: &BadOrder, seen: &mut Seen) {
    match bad {
        BadOrder::NoLegs => seen.way("no legs"),
        BadOrder::TooManyLegs => seen.way("too many legs"),
        BadOrder::Unbalanced(_) => seen.way("unbalanced"),
        BadOrder::SameAccount(_) => {
            seen.way("same account");
            seen.fault("I4");
        }
        BadOrder::World => seen.way("world"),
        BadOrder::Amount(_) => {
            seen.way("too large");
            seen.fault("I1");
        }
        BadOrder::LegSyntax => panic!("nothing was parsed here"),
    }
}

/// What an order says of itself, against its legs.
fn check(order: &Order, expected: &[RawLeg]) {
    let found: Vec<RawLeg> = order
        .legs()
        .iter()
        .map(|leg| (leg.place.node, leg.place.account.clone(), leg.delta.get()))
        .collect();
    assert_eq!(found, expected);
    let mut nodes: Vec<NodeId> = expected.iter().map(|(node, ..)| *node).collect();
    nodes.dedup();
    assert_eq!(order.participants().as_slice(), nodes);
    let home = expected.iter().find(|(.., delta)| *delta < 0).expect("a debit");
    assert_eq!(order.home(), home.0);
    let parts: usize = nodes.iter().map(|&node| order.operations(node).len()).sum();
    assert_eq!(parts, expected.len(), "every leg is somebody's");
}

/// The same legs as they could arrive in a message, where nobody has looked at them.
fn from_outside(raw: &[RawLeg], typed: Option<Vec<Leg>>, opens: bool, seen: &mut Seen) {
    let legs = raw
        .iter()
        .map(|(node, account, delta)| ((*node, account.clone()), *delta));
    let body = codec::encode(&RawOrder {
        legs: legs.collect(),
        opens,
    });
    let Ok(order) = codec::decode::<Order>(&body) else {
        assert!(typed.is_none(), "legs that can be written can be read");
        return;
    };
    assert!(typed.is_some(), "a delta out of bounds is taken: {order:?}");
    let as_is = order.clone();
    let good = if opens {
        is_deposit(raw)
    } else {
        by_the_book(raw).is_ok()
    };
    match order.validated() {
        Ok(order) => {
            assert!(good, "{as_is:?} is taken");
            assert_eq!(order.opens(), opens);
            check(&order, &merged(raw).expect("an order that is taken is balanced"));
            assert_eq!(order.clone().validated(), Ok(order));
            if opens {
                seen.way("deposit");
            }
        }
        Err(why) => {
            assert!(!good, "{as_is:?} is refused: {why}");
            if opens {
                seen.way("no deposit");
            }
        }
    }
}

/// `@world` pays one account of its own node.
fn is_deposit(raw: &[RawLeg]) -> bool {
    let [(from, world, out), (to, account, into)] = raw else {
        return false;
    };
    from == to
        && world.as_str() == "@world"
        && account.as_str() != "@world"
        && *into > 0
        && i128::from(*out) == -i128::from(*into)
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    // Opens, many, then per leg: node, account, kind of delta and its size; at the end how to turn them.
    vec![
        ("transfer", vec![0, 0, 0, 0, 3, 29, 1, 1, 4]),
        ("three-legs", vec![0, 0, 0, 0, 3, 29, 1, 1, 0, 9, 2, 2, 4]),
        ("one-node", vec![0, 0, 0, 0, 3, 9, 0, 1, 4]),
        ("to-itself", vec![0, 0, 0, 0, 3, 9, 0, 0, 4]),
        ("deposit", vec![1, 0, 0, 15, 3, 99, 0, 0, 4]),
        ("deposit-elsewhere", vec![1, 0, 0, 15, 3, 99, 1, 0, 4]),
        ("withdrawal", vec![1, 0, 0, 15, 0, 99, 0, 0, 4]),
        ("world-plain", vec![0, 0, 0, 15, 3, 99, 0, 0, 4]),
        ("unbalanced", vec![0, 0, 0, 0, 3, 9, 1, 1, 0, 8]),
        ("largest", vec![0, 0, 0, 0, 6, 0, 1, 1, 6, 1]),
        (
            "merged-too-large",
            vec![0, 0, 0, 0, 6, 0, 0, 0, 6, 0, 1, 1, 6, 1, 2, 1, 6, 1],
        ),
        ("beyond", vec![0, 0, 0, 0, 6, 2, 1, 1, 4]),
        ("extremes", vec![0, 0, 0, 0, 6, 4, 1, 1, 6, 5]),
        ("many", vec![0, 255, 0, 0, 3, 9, 1, 1, 4]),
        ("none", vec![0]),
    ]
}
