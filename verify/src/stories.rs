//! What became of each transaction at one node, as its log and its oldest checkpoint tell it.
//!
//! Unlike the node itself, a story forgets nothing that is still in the log, whatever marks have passed it.

use std::collections::BTreeMap;

use protocol::fold::Seq;
use protocol::id::{NodeId, TxnId};
use protocol::leg::Operation;
use protocol::message::{Home, OperatorWord};
use protocol::participant::{Finished, NodeRecord, NodeState};

use crate::findings::{At, Findings, Store};
use crate::report::Invariant;

/// One transaction at one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Story<'a> {
    /// What it does here.
    pub(crate) operations: Option<&'a [Operation]>,
    /// Who takes part; empty if that is not known.
    pub(crate) participants: &'a [NodeId],
    /// Its request, at the request's home.
    pub(crate) home: Option<Home>,
    /// The record that promised it.
    pub(crate) promised: Option<Seq>,
    /// How it ended.
    pub(crate) end: Option<End<'a>>,
}

/// How a transaction ended at one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) word: OperatorWord,
    pub(crate) seq: Seq,
    /// Committed without a promise and a decision: this node was the only one.
    pub(crate) alone: bool,
    /// An operator ended it, with these words where they are still known.
    pub(crate) forced: Option<&'a str>,
}

/// All of a node's stories.
#[derive(Debug)]
pub(crate) struct Stories<'a> {
    node: NodeId,
    by_txn: BTreeMap<TxnId, Story<'a>>,
}

impl<'a> Stories<'a> {
    /// What a checkpoint still tells of what happened before it.
    pub(crate) fn from_state(node: NodeId, state: &'a NodeState) -> Stories<'a> {
        let mut by_txn = BTreeMap::new();
        for (&txn, prepared) in state.prepared().iter() {
            let story = Story {
                operations: Some(&prepared.operations),
                participants: &prepared.participants,
                home: prepared.home,
                promised: Some(prepared.seq),
                end: None,
            };
            by_txn.insert(txn, story);
        }
        for (&txn, finished) in state.ended().iter() {
            let story: &mut Story<'a> = by_txn.entry(txn).or_default();
            story.end = Some(End::from(finished));
        }
        Stories { node, by_txn }
    }

    pub(crate) fn get(&self, txn: &TxnId) -> Option<&Story<'a>> {
        self.by_txn.get(txn)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TxnId, &Story<'a>)> {
        self.by_txn.iter().map(|(&txn, story)| (txn, story))
    }

    /// Adds one record.
    pub(crate) fn note(&mut self, seq: Seq, record: &'a NodeRecord, findings: &mut Findings) {
        let end = |word| End {
            word,
            seq,
            alone: false,
            forced: None,
        };
        match record {
            NodeRecord::PrepareOk {
                txn,
                operations,
                participants,
                home,
                ..
            } => {
                let story = self.by_txn.entry(*txn).or_default();
                story.operations = Some(operations);
                story.participants = participants;
                story.home = *home;
                story.promised = Some(seq);
            }
            NodeRecord::CommitOnePhase {
                txn,
                operations,
                home,
                ..
            } => {
                let story = self.by_txn.entry(*txn).or_default();
                story.operations = Some(operations);
                story.home = Some(*home);
                let alone = End {
                    alone: true,
                    ..end(OperatorWord::Commit)
                };
                self.end(*txn, alone, findings);
            }
            NodeRecord::Commit { txn } => self.end(*txn, end(OperatorWord::Commit), findings),
            NodeRecord::PrepareFailed { txn, .. } | NodeRecord::Abort { txn, .. } => {
                self.end(*txn, end(OperatorWord::Abort), findings);
            }
            NodeRecord::Resolve { txn, word, why } => {
                let forced = End {
                    forced: Some(why),
                    ..end(*word)
                };
                self.end(*txn, forced, findings);
            }
            NodeRecord::AdoptBalances { .. }
            | NodeRecord::Coordinator { .. }
            | NodeRecord::Mark { .. }
            | NodeRecord::Proved { .. }
            | NodeRecord::Quarantine { .. }
            | NodeRecord::AcceptLog { .. }
            | NodeRecord::Truth { .. }
            | NodeRecord::RequestWindow { .. } => {}
        }
    }

    /// The first end stands; a later one must be the same.
    fn end(&mut self, txn: TxnId, end: End<'a>, findings: &mut Findings) {
        let story = self.by_txn.entry(txn).or_default();
        match story.end {
            None => story.end = Some(end),
            Some(before) if before.word == end.word => {}
            Some(before) => findings.violation(
                Invariant::V3,
                At::store(Store::Node(self.node)).txn(txn).seq(end.seq),
                format_args!("{}, as it had ended in record {}", before.word, before.seq),
                end.word,
            ),
        }
    }
}

impl<'a> From<&'a Finished> for End<'a> {
    fn from(finished: &'a Finished) -> End<'a> {
        End {
            word: finished.word(),
            seq: finished.seq,
            alone: false,
            forced: finished.forced.as_ref().map(|forced| forced.why.as_str()),
        }
    }
}
