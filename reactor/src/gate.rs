//! The gate: messages that wait until somebody lets them go, one by one, so that people can look at each.
//!
//! While it is closed, what the machine says about transactions stops here, after the sync that released it; as far as
//! the protocol is concerned it is on its way. Everything else passes: joins, marks, reads, audits. (An audit stays
//! right: whether a decision is known to a node yet makes no difference to it, and its question overtakes no decision
//! that was made after it was asked, since decisions wait and questions do not.) The machine's clock stands still while
//! something waits, or it would give up waiting for the answer to what it has not said.
//!
//! The gate is one watcher's and opens when that one goes. What waits for a connection is lost with it, as if on the way.

use std::collections::{HashSet, VecDeque};

use protocol::message::watch::{Held, Holding, Party};

use crate::Session;

/// Waiting messages that are listed.
const LISTED_MAX: usize = 64;

/// A message at the gate.
#[derive(Debug)]
struct Waiting<M> {
    held: Held,
    /// The connection it is to go over.
    session: Session,
    message: M,
}

/// Messages that wait, and for whom.
#[derive(Debug)]
pub(crate) struct Gate<M> {
    /// The watcher who closed it.
    owner: Option<Session>,
    waiting: VecDeque<Waiting<M>>,
    /// What waits for whom, for a look at a gate where thousands wait. Answers to clients are not in it.
    once: HashSet<(Session, Held)>,
    /// Something changed since this was asked last.
    changed: bool,
}

impl<M> Gate<M> {
    /// An open gate.
    pub(crate) fn new() -> Gate<M> {
        Gate {
            owner: None,
            waiting: VecDeque::new(),
            once: HashSet::new(),
            changed: false,
        }
    }

    /// Whether messages about transactions stop here.
    pub(crate) fn is_closed(&self) -> bool {
        self.owner.is_some()
    }

    /// Whether one waits.
    pub(crate) fn is_holding(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Closes it for `owner`, if it is nobody else's.
    pub(crate) fn close(&mut self, owner: Session) -> bool {
        if self.owner.is_some_and(|other| other != owner) {
            return false;
        }
        self.changed |= self.owner.is_none();
        self.owner = Some(owner);
        true
    }

    /// Opens it, if it is `owner`'s or nobody's: what has waited may go.
    pub(crate) fn open(&mut self, owner: Session) -> Option<Vec<M>> {
        if self.owner.is_some_and(|other| other != owner) {
            return None;
        }
        Some(self.open_for_good())
    }

    /// Opens it, whoever's it is.
    pub(crate) fn open_for_good(&mut self) -> Vec<M> {
        self.changed |= self.owner.take().is_some();
        self.once.clear();
        self.waiting.drain(..).map(|waiting| waiting.message).collect()
    }

    /// A message waits from now on. One that says the same to the same node as one that waits already is dropped: the
    /// machine has only said it again. Answers to clients are said once, and two may read alike but answer two calls.
    /// Says whether it was new.
    pub(crate) fn hold(&mut self, held: Held, session: Session, message: M) -> bool {
        if held.to != Party::Client && !self.once.insert((session, held.clone())) {
            return false;
        }
        self.waiting.push_back(Waiting {
            held,
            session,
            message,
        });
        self.changed = true;
        true
    }

    /// A connection is gone.
    pub(crate) fn forget(&mut self, session: Session) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.session != session);
        self.once.retain(|(other, _)| *other != session);
        self.changed |= self.waiting.len() < before;
    }

    /// Whether this watcher has closed it.
    pub(crate) fn is_of(&self, session: Session) -> bool {
        self.owner == Some(session)
    }

    /// Takes the message that has waited longest.
    pub(crate) fn step(&mut self) -> Option<M> {
        let Waiting {
            held,
            session,
            message,
        } = self.waiting.pop_front()?;
        self.once.remove(&(session, held));
        self.changed = true;
        Some(message)
    }

    /// Whether something has changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What waits.
    pub(crate) fn holding(&self) -> Holding {
        Holding {
            closed: self.is_closed(),
            waiting: u64::try_from(self.waiting.len()).expect("a length fits"),
            first: self
                .waiting
                .iter()
                .take(LISTED_MAX)
                .map(|waiting| waiting.held.clone())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{StoreId, TxnId};

    use super::*;

    fn hold(gate: &mut Gate<&'static str>, session: u64, text: &'static str) -> bool {
        let held = Held {
            txn: TxnId::new(StoreId(0xc), 1, 7),
            to: Party::Node("N1".parse().unwrap()),
            line: text.to_owned(),
        };
        gate.hold(held, Session(session), text)
    }

    #[test]
    fn what_waits_goes_in_order_and_nothing_waits_twice() {
        let mut gate = Gate::new();
        assert!(gate.close(Session(4)) && gate.close(Session(4)) && !gate.close(Session(5)));
        assert!(gate.is_of(Session(4)) && !gate.is_of(Session(5)));
        assert!(gate.take_changed() && !gate.take_changed());
        assert!(
            hold(&mut gate, 1, "prepare") && hold(&mut gate, 2, "prepare") && hold(&mut gate, 3, "abort")
        );
        assert!(!hold(&mut gate, 1, "prepare"), "it waits already");
        assert_eq!(gate.holding().waiting, 3);
        assert_eq!(gate.step(), Some("prepare"));
        assert!(hold(&mut gate, 1, "again") && gate.take_changed());
        gate.forget(Session(3));
        assert!(gate.take_changed(), "what waited for a lost connection is lost");
        assert_eq!(gate.open(Session(5)), None, "it is not that one's");
        assert_eq!(gate.open(Session(4)), Some(vec!["prepare", "again"]));
        assert!(!gate.is_closed() && !gate.is_holding() && gate.take_changed());
        assert_eq!(gate.step(), None);
        assert!(!gate.take_changed());
        assert!(
            gate.close(Session(4)) && hold(&mut gate, 1, "again"),
            "nothing waited"
        );
        gate.forget(Session(1));
        assert!(hold(&mut gate, 1, "again"), "it was lost with its connection");
    }
}
