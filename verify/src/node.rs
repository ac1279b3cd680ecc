//! One node's store: its stories, its book, and whether its records and its states tell the same.

use engine::{Content, Inspection, Owner};
use protocol::fold::{Fold, Seq};
use protocol::id::{AccountId, NodeId, TxnId};
use protocol::money::Balance;
use protocol::participant::{NodeRecord, NodeState};

use crate::book::Book;
use crate::compare::compare;
use crate::findings::{At, Findings, Store, Why};
use crate::history::{History, newest};
use crate::report::{Invariant, StoreLine};
use crate::stories::{End, Stories, Story};

/// What one node says about all transactions.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) node: NodeId,
    /// As of the newest record.
    pub(crate) book: Book<'a>,
    pub(crate) stories: Stories<'a>,
    pub(crate) adopted: Adopted<'a>,
    pub(crate) line: StoreLine,
}

/// The hand-written balances that a store began with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Adopted<'a> {
    None,
    These(&'a [(AccountId, Balance)]),
    /// There were some, and the log no longer says which.
    Forgotten,
}

/// What one node says about one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing<'a> {
    /// It has ended.
    Ended(End<'a>),
    /// It is promised, in this record.
    Prepared(Seq),
    /// The node may have forgotten how it ended.
    Forgotten,
    /// The node has never heard of it, or would know.
    Unheard,
}

impl<'a> Node<'a> {
    /// Goes through a node's whole store. `empty` is the state before the first record.
    ///
    /// # Panics
    /// If the image is not one of a node.
    pub(crate) fn new(
        image: &'a Inspection<NodeState>,
        empty: &'a NodeState,
        findings: &mut Findings,
    ) -> Node<'a> {
        let Owner::Node(node) = image.owner else {
            panic!("a node's state belongs to a node, not to the {}", image.owner)
        };
        let content = &image.content;
        let before = findings.violations.len();
        let History {
            base, has_moments, ..
        } = History::of(content, empty);
        let mut stories = Stories::from_state(node, base);
        let mut book = Book::at(node, base);
        compare_checkpoints(node, &book, content, base, findings);
        for (seq, record) in &content.records {
            stories.note(*seq, record, findings);
            if *seq <= book.seq {
                continue; // In the oldest state that we can begin with, and told for the stories' sake.
            }
            if *seq != book.seq + 1 {
                let found = format_args!("record {seq} follows record {}", book.seq);
                let at = At::store(Store::Node(node)).seq(*seq);
                findings.violation(Invariant::V6, at, "records without a gap", found);
            }
            book.apply(*seq, record, findings);
            compare_checkpoints(node, &book, content, base, findings);
        }
        check_reaches(node, &book, content, findings);
        if findings.violations.len() == before {
            // Else the state machine might refuse these records, which is its right.
            compare(node, &book, &content.recover(), "what a start recovers", findings);
        }
        if !has_moments {
            findings.unchecked(Invariant::V2, Why::NoHistory(node));
            findings.unchecked(Invariant::V6, Why::NoHistory(node));
        }
        let line = StoreLine {
            name: node.to_string(),
            kind: image.kind.to_string(),
            store: image.store,
            through: book.seq,
            checked_from: has_moments.then_some(base.seq()),
            records: content.records.len(),
            accounts: book.accounts.keys().filter(|id| !id.starts_with('@')).count(),
            notices: content.notices.clone(),
            damage: content.damage.clone(),
        };
        Node {
            node,
            book,
            stories,
            adopted: adopted(content),
            line,
        }
    }

    /// How a transaction stands here.
    pub(crate) fn standing(&self, txn: TxnId) -> Standing<'a> {
        match self.stories.get(&txn) {
            Some(Story { end: Some(end), .. }) => Standing::Ended(*end),
            Some(Story {
                promised: Some(seq), ..
            }) => Standing::Prepared(*seq),
            // What ended is kept until the mark passes, so only then can it have been here.
            Some(_) | None if self.book.is_below_mark(txn) => Standing::Forgotten,
            Some(_) | None => Standing::Unheard,
        }
    }
}

/// Every state on disk that the book has just come to.
fn compare_checkpoints(
    node: NodeId,
    book: &Book<'_>,
    content: &Content<NodeState>,
    base: &NodeState,
    findings: &mut Findings,
) {
    let here = content.checkpoints.iter().filter(|state| state.seq() == book.seq);
    for state in here.filter(|state| !std::ptr::eq(*state, base)) {
        compare(node, book, state, "the state file", findings);
    }
}

fn check_reaches(node: NodeId, book: &Book<'_>, content: &Content<NodeState>, findings: &mut Findings) {
    let newest = newest(content).seq();
    if book.seq < newest {
        let at = At::store(Store::Node(node)).seq(newest);
        let found = format_args!("the records end with {}", book.seq);
        findings.violation(Invariant::V6, at, "records up to the newest state file", found);
    }
}

fn adopted(content: &Content<NodeState>) -> Adopted<'_> {
    match content.records.first() {
        Some((_, NodeRecord::AdoptBalances { accounts, .. })) => Adopted::These(accounts),
        Some(_) | None if newest(content).adopted().is_some() => Adopted::Forgotten,
        Some(_) | None => Adopted::None,
    }
}
