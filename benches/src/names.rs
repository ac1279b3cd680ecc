//! Account numbers as names on nodes.

use std::str;

use client::{NodeId, Place};

/// Digits of an account's name. All are equally long, so that names are in the order of their numbers.
const DIGITS: usize = 8;

/// Most accounts that have a name.
pub const ACCOUNTS_MAX: u64 = 99_999_999;

/// The name of an account: `a` and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name([u8; DIGITS + 1]);

impl Name {
    /// The name of account `number`.
    pub fn of(number: u64) -> Name {
        let mut name = [b'a'; DIGITS + 1];
        let mut left = number;
        for byte in name[1..].iter_mut().rev() {
            *byte = b'0' + u8::try_from(left % 10).expect("a digit");
            left /= 10;
        }
        Name(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("a letter and digits")
    }
}

/// The nodes, and which account lives where.
#[derive(Clone, Debug)]
pub struct Nodes(Vec<NodeId>);

impl Nodes {
    /// These nodes.
    pub fn new(nodes: Vec<NodeId>) -> Nodes {
        Nodes(nodes)
    }

    /// The node of account `number`.
    pub fn of(&self, number: u64) -> &NodeId {
        let count = u64::try_from(self.0.len()).expect("few nodes");
        &self.0[usize::try_from(number % count).expect("few nodes")]
    }

    /// Account `number` on its node.
    pub fn place(&self, number: u64) -> Place {
        Place {
            node: *self.of(number),
            account: Name::of(number).as_str().parse().expect("a letter and digits"),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[NodeId] {
        &self.0
    }
}
