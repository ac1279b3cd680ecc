//! What clients ask for: transfers of every shape, some of which must fail.

use client::{Amount, Leg, NodeId, Order, Place};
use engine::Dice;

/// What every account starts with.
pub(super) const FUNDED: i64 = 100_000;

const ACCOUNTS_PER_NODE: usize = 6;

/// The accounts, and whose nodes they are on.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    nodes: Vec<NodeId>,
    /// Node by node.
    places: Vec<Place>,
}

impl Accounts {
    pub(super) fn on(nodes: &[NodeId]) -> Accounts {
        let of_node = |node: &NodeId| {
            let node = *node;
            (0..ACCOUNTS_PER_NODE).map(move |number| place(node, &format!("a{number}")))
        };
        Accounts {
            nodes: nodes.to_vec(),
            places: nodes.iter().flat_map(of_node).collect(),
        }
    }

    /// The deposits that open them.
    pub(super) fn deposits(&self) -> impl Iterator<Item = Order> {
        let amount = Amount::try_from(FUNDED).expect("a good amount");
        self.places
            .iter()
            .map(move |place| Order::deposit(place.clone(), amount))
    }

    /// The next thing that a client wants.
    pub(super) fn order(&self, dice: &mut Dice) -> Order {
        let amount = i64::try_from(1 + dice.below(100)).expect("a small amount");
        let (from, to) = self.two_nodes(dice);
        match dice.below(20) {
            // Everybody wants this account.
            0..3 => transfer(self.place(from, dice), self.hot(), amount),
            3..5 => transfer(self.hot(), self.place(from, dice), amount),
            // Within one node.
            5..7 => {
                let first = below(dice, ACCOUNTS_PER_NODE);
                let second = (first + 1 + below(dice, ACCOUNTS_PER_NODE - 1)) % ACCOUNTS_PER_NODE;
                transfer(self.at(from, first), self.at(from, second), amount)
            }
            // One pays two.
            7..9 => {
                let payee = self.at(to, 1);
                legs(&[
                    (self.at(from, 2), -2 * amount),
                    (payee, amount),
                    (self.at(to, 3), amount),
                ])
            }
            // Everybody pays or is paid.
            9 => {
                let others = i64::try_from(self.nodes.len() - 1).expect("a few nodes");
                let leg = |node: usize| {
                    let delta = if node == from { -others * amount } else { amount };
                    (self.at(node, 4), delta)
                };
                legs(&(0..self.nodes.len()).map(leg).collect::<Vec<_>>())
            }
            // More than there is.
            10 => transfer(self.place(from, dice), self.place(to, dice), FUNDED * 1000),
            // To nobody.
            11 => transfer(self.place(from, dice), place(self.nodes[to], "nobody"), amount),
            _ => transfer(self.place(from, dice), self.place(to, dice), amount),
        }
    }

    fn two_nodes(&self, dice: &mut Dice) -> (usize, usize) {
        let count = self.nodes.len();
        let from = below(dice, count);
        (from, (from + 1 + below(dice, count - 1)) % count)
    }

    /// Any account of a node but the first, which may be the hot one.
    fn place(&self, node: usize, dice: &mut Dice) -> Place {
        self.at(node, 1 + below(dice, ACCOUNTS_PER_NODE - 1))
    }

    fn at(&self, node: usize, number: usize) -> Place {
        self.places[node * ACCOUNTS_PER_NODE + number].clone()
    }

    fn hot(&self) -> Place {
        self.at(0, 0)
    }
}

fn place(node: NodeId, account: &str) -> Place {
    Place {
        node,
        account: account.parse().expect("a good account id"),
    }
}

fn transfer(from: Place, to: Place, amount: i64) -> Order {
    legs(&[(from, -amount), (to, amount)])
}

fn legs(legs: &[(Place, i64)]) -> Order {
    let leg = |(place, delta): &(Place, i64)| Leg {
        place: place.clone(),
        delta: (*delta).try_into().expect("not zero"),
    };
    Order::new(&legs.iter().map(leg).collect::<Vec<Leg>>()).expect("legs that add up to nothing")
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    let bound = u64::try_from(bound).expect("a small number");
    usize::try_from(dice.below(bound)).expect("below it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_well_formed_for_any_number_of_nodes() {
        for count in 2..6_u16 {
            let nodes: Vec<NodeId> = (1..=count)
                .map(|number| format!("N{number}").parse().unwrap())
                .collect();
            let accounts = Accounts::on(&nodes);
            assert_eq!(
                accounts.deposits().count(),
                usize::from(count) * ACCOUNTS_PER_NODE
            );
            let mut dice = Dice::new(u64::from(count));
            let orders: Vec<Order> = (0..500).map(|_| accounts.order(&mut dice)).collect();
            assert!(
                orders
                    .iter()
                    .any(|order| order.participants().len() == usize::from(count))
            );
            assert!(orders.iter().any(|order| order.participants().len() == 1));
        }
    }
}
