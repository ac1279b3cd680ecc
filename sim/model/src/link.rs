//! The connection between a coordinator and a node, as each side sees it.
//!
//! Messages of one connection arrive in order or not at all. When it breaks, one side notices first; what is on its
//! way to the other side may still arrive there, until that side notices too. A new connection ends the old one, so
//! there is never more than one of each pair.

use std::collections::VecDeque;

use protocol::message::{FromNode, ToNode};
use protocol::participant::SessionId;

/// What a connection carries one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way<Message> {
    /// On its way, oldest first.
    pub(crate) queue: VecDeque<Message>,
    /// Second copies: each may arrive at any time for as long as the connection lasts.
    pub(crate) copies: Vec<Message>,
}

impl<Message> Default for Way<Message> {
    fn default() -> Way<Message> {
        Way {
            queue: VecDeque::new(),
            copies: Vec::new(),
        }
    }
}

impl<Message: Clone> Way<Message> {
    /// Takes the oldest message off; one that is copied stays behind as a copy.
    pub(crate) fn take(&mut self, copied: bool) -> Message {
        let message = self
            .queue
            .pop_front()
            .expect("only a message that is there arrives");
        if copied {
            self.copies.push(message.clone());
        }
        message
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.copies.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.copies.is_empty()
    }
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// What the node calls it.
    pub(crate) session: SessionId,
    /// The coordinator holds it open.
    pub(crate) at_coordinator: bool,
    /// The node holds it open.
    pub(crate) at_node: bool,
    pub(crate) to_node: Way<ToNode>,
    pub(crate) to_coordinator: Way<FromNode>,
}

impl Link {
    /// Both sides believe in it.
    pub(crate) fn is_whole(&self) -> bool {
        self.at_coordinator && self.at_node
    }
}
