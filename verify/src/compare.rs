//! Whether a state of a node is what our own book says.

use std::cmp::Ordering;
use std::fmt::{Debug, Display};

use protocol::fold::Fold;
use protocol::id::NodeId;
use protocol::participant::NodeState;

use crate::book::{Account, Book, accounts_of, finished_of, prepared_of};
use crate::findings::{At, Findings, Store};
use crate::report::Invariant;
use crate::requests::attempts_of;

/// Most differences of one kind that are reported of one state: what is wrong everywhere is told by the first few.
const DIFFERENCES_MAX: usize = 5;

/// Reports every part of `state` that is not as in `book`, which has come to the same record. `what` names the state.
pub(crate) fn compare(node: NodeId, book: &Book<'_>, state: &NodeState, what: &str, findings: &mut Findings) {
    let mut differ = Differ {
        at: At::store(Store::Node(node)).seq(state.seq()),
        what,
        findings,
    };
    let accounts = book.accounts.iter().map(|(&id, &account)| (id, account));
    let holds = |account: &Account| format!("holds {} at version {}", account.balance, account.version);
    differ.report("account", accounts, accounts_of(state), holds);
    let prepared = book.prepared.iter().map(|(&txn, &promise)| (txn, promise));
    differ.report("prepared", prepared, prepared_of(state), debug);
    let finished = book.finished.iter().map(|(&txn, &ended)| (txn, ended));
    differ.report("ended", finished, finished_of(state), debug);
    let requests = book.requests.iter().map(|(id, &attempt)| (id, attempt));
    differ.report("request", requests, attempts_of(state.requests()), debug);
    let seen = book.seen.iter().map(|(&id, &seen)| (id, seen));
    let theirs = state.coordinators().iter().map(|(&id, &seen)| (id, seen));
    differ.report("coordinator", seen, theirs, debug);
}

fn debug<T: Debug>(value: &T) -> String {
    format!("is {value:?}")
}

/// Where differences of two maps are reported.
pub(crate) struct Differ<'f> {
    pub(crate) at: At,
    pub(crate) what: &'f str,
    pub(crate) findings: &'f mut Findings,
}

impl Differ<'_> {
    /// Goes through two maps in key order.
    pub(crate) fn report<K: Ord + Display, V: PartialEq>(
        &mut self,
        kind: &str,
        ours: impl Iterator<Item = (K, V)>,
        theirs: impl Iterator<Item = (K, V)>,
        say: impl Fn(&V) -> String,
    ) {
        let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
        let mut reported = 0;
        while reported < DIFFERENCES_MAX {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((our, _)), Some((their, _))) => our.cmp(their),
            };
            let our = ours.next_if(|_| order.is_le());
            let their = theirs.next_if(|_| order.is_ge());
            let (key, _) = our.as_ref().or(their.as_ref()).expect("one of them was there");
            let our = our.as_ref().map(|(_, value)| value);
            let their = their.as_ref().map(|(_, value)| value);
            if our == their {
                continue;
            }
            let words = |value: Option<&V>| value.map_or_else(|| "is not there".to_owned(), &say);
            self.findings.violation(
                Invariant::V6,
                self.at,
                format_args!("{kind} {key} {}, as the records add up", words(our)),
                format_args!("it {} in {}", words(their), self.what),
            );
            reported += 1;
        }
    }
}
