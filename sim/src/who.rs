//! Everybody in the world, by number.

use std::fmt;

use protocol::id::{NodeId, StoreId};

/// One of the cast. Numbers begin at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A coordinator.
    Coordinator(usize),
    /// A node.
    Node(usize),
    /// A client.
    Client(usize),
}

impl Who {
    /// Whether this is a client: they have no disk and do not die.
    pub fn is_client(self) -> bool {
        matches!(self, Who::Client(_))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Coordinator(number) => write!(f, "c{}", number + 1),
            Who::Node(number) => write!(f, "N{}", number + 1),
            Who::Client(number) => write!(f, "client{}", number + 1),
        }
    }
}

/// The name of a node.
pub fn node_id(number: usize) -> NodeId {
    format!("N{}", number + 1).parse().expect("N and a number")
}

/// The number of a node.
pub fn node_number(node: NodeId) -> usize {
    let number: usize = node.as_str()[1..].parse().expect("made by node_id");
    number - 1
}

/// The identity that a store is born with: c1 and n1 are easy to read.
pub fn store_id(who: Who, birth: u64) -> StoreId {
    let (kind, number) = match who {
        Who::Coordinator(number) => (0xc0, number),
        Who::Node(number) => (0xa0, number),
        Who::Client(_) => unreachable!("clients have no store"),
    };
    let number = u64::try_from(number).expect("a small number");
    StoreId((birth << 8) | (kind + number + 1))
}
