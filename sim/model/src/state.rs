//! One moment of a small world: everything that decides what can happen next, and nothing else.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use protocol::coordinator::Coordinator;
use protocol::id::TxnId;
use protocol::participant::Participant;

use crate::action::Action;
use crate::client::Client;
use crate::link::Link;
use crate::process::Process;
use crate::scenario::Budget;
use crate::shared::Shared;

/// One moment.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) coordinators: Vec<Shared<Process<Coordinator>>>,
    pub(crate) nodes: Vec<Shared<Process<Participant>>>,
    /// Of coordinator `c` and node `n`, at `c * nodes + n`.
    pub(crate) links: Vec<Shared<Link>>,
    pub(crate) clients: Vec<Shared<Client>>,
    pub(crate) past: Shared<Past>,
    pub(crate) left: Budget,
    /// The first rule that was broken on the way here.
    pub(crate) broken: Option<Broken>,
    /// How it came to this, for people. No part of the state.
    pub(crate) story: Option<Arc<Chapter>>,
}

/// One action, and what came before it.
#[derive(Debug)]
pub(crate) struct Chapter {
    pub(crate) before: Option<Arc<Chapter>>,
    pub(crate) action: Action,
}

/// What has happened for good, as far as later events must agree with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// Transactions that have ended at some node, and whether they committed there.
    pub(crate) ended: BTreeMap<TxnId, bool>,
    /// For each wish, the transaction that fulfilled it.
    pub(crate) happened: Vec<Option<TxnId>>,
}

/// A rule that no run may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// Committed at one node, aborted at another.
    Disagreement,
    /// One request, two committed transactions.
    Twice,
    /// A client was told committed, and it is not on disk.
    CommitNotDurable,
    /// A client was told committed and it aborted, or the other way round.
    WrongWord,
    /// A COMMIT reached a node that does not know the transaction.
    Unmatched,
    /// An audit found money missing.
    AuditViolated,
    /// A machine raised an alarm though nothing was lost.
    FalseAlarm,
    /// A machine stopped its process.
    Stopped,
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        let parts = |state: &State| (state.left, state.broken);
        self.coordinators == other.coordinators
            && self.nodes == other.nodes
            && self.links == other.links
            && self.clients == other.clients
            && self.past == other.past
            && parts(self) == parts(other)
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.coordinators.hash(hasher);
        self.nodes.hash(hasher);
        self.links.hash(hasher);
        self.clients.hash(hasher);
        self.past.hash(hasher);
        self.left.hash(hasher);
        self.broken.hash(hasher);
    }
}
