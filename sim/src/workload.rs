//! What clients think of: transfers of every shape, foolish and evil requests, the same request twice.

use protocol::codec;
use protocol::id::{AccountId, NodeId, Place};
use protocol::leg::{Leg, Order};
use protocol::money::{AMOUNT_MAX, Amount};

use crate::dice::Dice;
use crate::weather::Habits;
use crate::who::node_id;

/// What every account holds at the beginning.
pub(crate) const FUNDED: i64 = 1000;

/// A new request.
pub(crate) struct Idea {
    pub(crate) order: Order,
    /// Whether it must never happen.
    pub(crate) never: bool,
    /// The fault that it is, if it is one.
    pub(crate) fault: Option<&'static str>,
}

/// Account number so and so of a node.
pub(crate) fn place(node: usize, account: usize) -> Place {
    let letter = char::from(b'A' + u8::try_from(account).expect("few accounts"));
    Place {
        node: node_id(node),
        account: letter.to_string().parse().expect("a letter is a name"),
    }
}

/// The deposit that opens an account.
pub(crate) fn funding(place: Place) -> Order {
    Order::deposit(place, amount(FUNDED))
}

fn amount(value: i64) -> Amount {
    Amount::try_from(value).expect("a good amount")
}

fn leg(place: Place, delta: i64) -> Leg {
    Leg {
        place,
        delta: delta.try_into().expect("a good amount"),
    }
}

/// Somebody wants to move money.
pub(crate) fn idea(dice: &mut Dice, habits: &Habits, nodes: usize) -> Idea {
    if dice.chance(habits.evil) {
        return evil(dice, habits, nodes);
    }
    loop {
        if let Ok(order) = Order::new(&legs(dice, habits, nodes)) {
            let fault = (order.participants().len() == 1).then_some("I5");
            return Idea {
                order,
                never: false,
                fault,
            };
        }
    }
}

fn legs(dice: &mut Dice, habits: &Habits, nodes: usize) -> Vec<Leg> {
    let from_node = dice.below(nodes);
    let some_place = |dice: &mut Dice, node: Option<usize>| {
        if dice.chance(habits.hot) {
            return place(0, 0);
        }
        let node = node.unwrap_or_else(|| dice.below(nodes));
        place(node, dice.below(habits.accounts))
    };
    let one_node = dice.chance(habits.one_node).then_some(from_node);
    let amount = i64::try_from(dice.skewed(1, 200)).expect("a small amount");
    let from = some_place(dice, Some(from_node));
    if dice.chance(habits.many_legs) {
        let credits = i64::try_from(dice.between(2, 5)).expect("a few");
        let mut legs = vec![leg(from, -amount * credits)];
        for _ in 0..credits {
            legs.push(leg(some_place(dice, one_node), amount));
        }
        legs
    } else {
        vec![leg(from, -amount), leg(some_place(dice, one_node), amount)]
    }
}

/// Something that must be refused, however it is tried.
fn evil(dice: &mut Dice, habits: &Habits, nodes: usize) -> Idea {
    let mut somewhere = || place(dice.below(nodes), dice.below(habits.accounts));
    let (from, mut to) = (somewhere(), somewhere());
    if from == to {
        to = Place {
            node: from.node,
            account: "other".parse().expect("a good name"),
        };
    }
    let nobody: AccountId = "nobody".parse().expect("a good name");
    let nowhere: NodeId = "N99".parse().expect("a good name");
    let (legs, fault) = match dice.below(10) {
        // More than there is.
        0 => (
            vec![leg(from, -1_000_000_000), leg(to, 1_000_000_000)],
            Some("I3"),
        ),
        // To nobody.
        1 => {
            let node = to.node;
            let nobody = Place {
                node,
                account: nobody,
            };
            (vec![leg(from, -1), leg(nobody, 1)], Some("I7"))
        }
        // From nobody.
        2 => {
            let node = from.node;
            let nobody = Place {
                node,
                account: nobody,
            };
            (vec![leg(nobody, -1), leg(to, 1)], Some("I7"))
        }
        // Nowhere.
        3 => {
            let account = to.account.clone();
            let nowhere = Place {
                node: nowhere,
                account,
            };
            (vec![leg(from, -1), leg(nowhere, 1)], Some("I6"))
        }
        // Money from nothing.
        4 => (vec![leg(from, -5), leg(to, 10)], None),
        // To oneself.
        5 => (vec![leg(from.clone(), -5), leg(from, 5)], Some("I4")),
        // From the account that only balances deposits.
        6 => {
            let world = Place {
                node: from.node,
                account: AccountId::world(),
            };
            (vec![leg(world, -AMOUNT_MAX), leg(to, AMOUNT_MAX)], None)
        }
        // So much that an account overflows, in the end.
        _ => {
            let vault = Place {
                node: node_id(0),
                account: "vault".parse().expect("a good name"),
            };
            return Idea {
                order: Order::deposit(vault, amount(AMOUNT_MAX)),
                never: false,
                fault: None,
            };
        }
    };
    // What the library refuses to build can still be sent by somebody else's.
    let order = Order::new(&legs).unwrap_or_else(|_| forged(&legs));
    Idea {
        order,
        never: true,
        fault,
    }
}

/// An order as only bytes from outside can make it.
fn forged(legs: &[Leg]) -> Order {
    let bytes = codec::encode(&(legs, false));
    codec::decode(&bytes).expect("its shape is that of an order")
}

/// The same debit with another amount: another body for the same home.
pub(crate) fn other_body(order: &Order) -> Order {
    let legs: Vec<Leg> = order
        .legs()
        .iter()
        .map(|it| leg(it.place.clone(), it.delta.get() * 2))
        .collect();
    Order::new(&legs).expect("twice a balanced order is balanced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forged_cannot_be_built() {
        let legs = [leg(place(0, 0), -5), leg(place(1, 0), 10)];
        assert!(Order::new(&legs).is_err());
        assert_eq!(forged(&legs).legs(), legs);
        assert!(forged(&legs).validated().is_err());
    }
}
