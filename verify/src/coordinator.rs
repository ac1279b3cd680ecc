//! One coordinator's store: what it decided, and whether its records and its states tell the same.

use std::collections::BTreeMap;

use engine::{Content, Inspection};
use protocol::coordinator::{CoordinatorRecord, CoordinatorState, NodeSeen, OpenTxn, Phase};
use protocol::fold::{Fold, Seq};
use protocol::id::{CoordinatorId, Epoch, NodeId, RequestId, TxnId, TxnPoint};
use protocol::leg::Order;

use crate::compare::Differ;
use crate::findings::{At, Findings, Store};
use crate::history::{History, newest};
use crate::report::{CoordinatorWord, Invariant, StoreLine};

/// What one coordinator says about all of its transactions.
#[derive(Debug)]
pub(crate) struct Coordinator<'a> {
    pub(crate) id: CoordinatorId,
    pub(crate) decisions: BTreeMap<TxnId, Decision<'a>>,
    pub(crate) open: BTreeMap<TxnId, OpenTxn>,
    pub(crate) nodes: BTreeMap<NodeId, NodeSeen>,
    /// An operator has accepted this log after a loss, or a node has shown that there was one.
    pub(crate) has_lost: bool,
    pub(crate) line: StoreLine,
    epoch: Epoch,
    /// Every transaction from here on is in the log, if this coordinator began it.
    reach: TxnPoint,
    seq: Seq,
}

/// What the log says about one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decision<'a> {
    pub(crate) request: Option<RequestId>,
    /// What it does, if its START is in the log.
    pub(crate) order: Option<&'a Order>,
    /// Empty if that is not known.
    pub(crate) participants: Vec<NodeId>,
    pub(crate) committed: Option<Seq>,
    pub(crate) aborted: Option<Seq>,
    pub(crate) completed: Option<Seq>,
}

impl<'a> Coordinator<'a> {
    /// Goes through a coordinator's whole store. `empty` is the state before the first record.
    pub(crate) fn new(
        image: &'a Inspection<CoordinatorState>,
        empty: &'a CoordinatorState,
        findings: &mut Findings,
    ) -> Coordinator<'a> {
        let content = &image.content;
        let before = findings.violations.len();
        let history = History::of(content, empty);
        let base = history.base;
        let mut this = Coordinator::at(image, &history);
        this.compare_checkpoints(content, base, findings);
        for (seq, record) in &content.records {
            this.note(*seq, record);
            if *seq <= this.seq {
                continue;
            }
            if *seq != this.seq + 1 {
                let found = format_args!("record {seq} follows record {}", this.seq);
                findings.violation(
                    Invariant::V6,
                    this.at_record(*seq),
                    "records without a gap",
                    found,
                );
            }
            this.apply(*seq, record, findings);
            this.compare_checkpoints(content, base, findings);
        }
        let newest = newest(content).seq();
        if this.seq < newest {
            let found = format_args!("the records end with {}", this.seq);
            let expected = "records up to the newest state file";
            findings.violation(Invariant::V6, this.at_record(newest), expected, found);
        }
        if findings.violations.len() == before {
            this.compare(&content.recover(), "what a start recovers", findings);
        }
        this.line.through = this.seq;
        this
    }

    fn at(
        image: &'a Inspection<CoordinatorState>,
        history: &History<'a, CoordinatorState>,
    ) -> Coordinator<'a> {
        let (content, base) = (&image.content, history.base);
        let decision = |(&txn, open): (&TxnId, &OpenTxn)| {
            let decision = Decision {
                request: Some(open.request),
                participants: open.participants.to_vec(),
                committed: committed(open),
                ..Decision::default()
            };
            (txn, decision)
        };
        let line = StoreLine {
            name: Store::Coordinator(image.store).to_string(),
            kind: image.kind.to_string(),
            store: image.store,
            through: base.seq(),
            checked_from: history.has_moments.then_some(base.seq()),
            records: content.records.len(),
            accounts: 0,
            notices: content.notices.clone(),
            damage: content.damage.clone(),
        };
        Coordinator {
            id: image.store,
            decisions: base.open().iter().map(decision).collect(),
            open: base
                .open()
                .iter()
                .map(|(&txn, open)| (txn, open.clone()))
                .collect(),
            nodes: base.nodes().clone(),
            has_lost: base.is_suspect(),
            line,
            epoch: base.epoch(),
            reach: reach(history),
            seq: base.seq(),
        }
    }

    /// What it has on disk about a transaction of its own.
    pub(crate) fn word(&self, txn: TxnId) -> CoordinatorWord {
        match self.decisions.get(&txn) {
            Some(decision) if decision.committed.is_some() => CoordinatorWord::Commit,
            Some(decision) if decision.aborted.is_some() => CoordinatorWord::Abort,
            Some(decision) if decision.completed.is_some() => CoordinatorWord::Unknown,
            Some(_) if self.open.contains_key(&txn) => CoordinatorWord::Undecided,
            Some(_) | None if txn.at >= self.reach => CoordinatorWord::Abort,
            Some(_) | None => CoordinatorWord::Unknown,
        }
    }

    /// Whether an operator has given up what `node` lost of a transaction.
    pub(crate) fn forgives(&self, node: NodeId, txn: TxnId) -> bool {
        self.nodes.get(&node).is_some_and(|seen| txn.at < seen.forgiven)
    }

    fn at_record(&self, seq: Seq) -> At {
        At::store(Store::Coordinator(self.id)).seq(seq)
    }

    /// What a record says of its transaction, whatever state it belongs to.
    fn note(&mut self, seq: Seq, record: &'a CoordinatorRecord) {
        match record {
            CoordinatorRecord::Start { txn, request, order } => {
                let decision = self.decisions.entry(*txn).or_default();
                decision.request = Some(*request);
                decision.order = Some(order);
                decision.participants = order.participants().to_vec();
            }
            CoordinatorRecord::Commit { txn } => {
                self.decisions.entry(*txn).or_default().committed = Some(seq);
            }
            CoordinatorRecord::Abort { txn, .. } => {
                self.decisions.entry(*txn).or_default().aborted = Some(seq);
            }
            CoordinatorRecord::Complete { txn } => {
                let decision = self.decisions.entry(*txn).or_default();
                decision.completed = Some(seq);
            }
            CoordinatorRecord::Suspect { .. } | CoordinatorRecord::Trust { .. } => self.has_lost = true,
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Proved { .. } => {}
        }
    }

    fn apply(&mut self, seq: Seq, record: &'a CoordinatorRecord, findings: &mut Findings) {
        self.seq = seq;
        let at = self.at_record(seq);
        match record {
            CoordinatorRecord::Epoch { epoch, .. } => {
                if *epoch <= self.epoch {
                    let expected = format_args!("an epoch above {}", self.epoch);
                    findings.violation(Invariant::V6, at, expected, epoch);
                }
                self.epoch = *epoch;
            }
            CoordinatorRecord::Start { txn, request, order } => {
                if txn.coordinator != self.id || txn.at.epoch != self.epoch {
                    let expected = format_args!("an id of coordinator {} in epoch {}", self.id, self.epoch);
                    findings.violation(Invariant::V6, at.txn(*txn), expected, txn);
                }
                let open = OpenTxn {
                    request: *request,
                    digest: order.digest(),
                    home: order.home(),
                    participants: order.participants(),
                    phase: Phase::Started,
                };
                if self.open.insert(*txn, open).is_some() {
                    findings.violation(
                        Invariant::V6,
                        at.txn(*txn),
                        "a transaction begins once",
                        "a second START",
                    );
                }
            }
            CoordinatorRecord::Commit { txn } => match self.open.get_mut(txn) {
                Some(open) if open.phase == Phase::Started && open.participants.len() > 1 => {
                    open.phase = Phase::Committed(seq);
                }
                open => {
                    let found = found(open.as_deref());
                    findings.violation(
                        Invariant::V3,
                        at.txn(*txn),
                        "COMMIT of what is being decided",
                        found,
                    );
                }
            },
            CoordinatorRecord::Abort { txn, .. } => {
                let open = self.open.remove(txn);
                if open.as_ref().is_none_or(|open| open.phase != Phase::Started) {
                    let found = found(open.as_ref());
                    findings.violation(
                        Invariant::V3,
                        at.txn(*txn),
                        "ABORT of what is being decided",
                        found,
                    );
                }
            }
            CoordinatorRecord::Complete { txn } => {
                let open = self.open.remove(txn);
                let done = |open: &OpenTxn| open.phase != Phase::Started || open.participants.len() == 1;
                if !open.as_ref().is_some_and(done) {
                    let found = found(open.as_ref());
                    findings.violation(Invariant::V3, at.txn(*txn), "COMPLETE of what was decided", found);
                }
            }
            CoordinatorRecord::Mark { node, below } => self.check_mark(at, *node, *below, findings),
            CoordinatorRecord::Node {
                node,
                store,
                proved,
                forgives,
            } => {
                let seen = self.nodes.entry(*node).or_default();
                (seen.store, seen.proved, seen.forgiven) = (Some(*store), *proved, *forgives);
                seen.quarantined = false;
            }
            CoordinatorRecord::Quarantine { node } => {
                self.nodes.entry(*node).or_default().quarantined = true;
            }
            CoordinatorRecord::Proved { node, through } => {
                let seen = self.nodes.entry(*node).or_default();
                seen.proved = seen.proved.max(*through);
            }
            CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. } => {}
        }
    }

    /// A mark rises, and passes nothing that the node may still be told about (R9b).
    fn check_mark(&mut self, at: At, node: NodeId, below: TxnPoint, findings: &mut Findings) {
        let mut open = self.open.iter();
        let unfinished = open.find(|(txn, open)| txn.at < below && open.participants.contains(&node));
        if let Some((&txn, _)) = unfinished {
            let found = format_args!(
                "{node} was told that everything below {}-{} has ended",
                below.epoch, below.sequence
            );
            findings.violation(
                Invariant::V3,
                at.txn(txn),
                "a mark passes only what has ended",
                found,
            );
        }
        let seen = self.nodes.entry(node).or_default();
        if below < seen.mark {
            findings.violation(Invariant::V6, at, "a mark that rises", "one that falls");
        }
        seen.mark = below;
    }

    fn compare_checkpoints(
        &self,
        content: &Content<CoordinatorState>,
        base: &CoordinatorState,
        findings: &mut Findings,
    ) {
        let here = content.checkpoints.iter().filter(|state| state.seq() == self.seq);
        for state in here.filter(|state| !std::ptr::eq(*state, base)) {
            self.compare(state, "the state file", findings);
        }
    }

    fn compare(&self, state: &CoordinatorState, what: &str, findings: &mut Findings) {
        let mut differ = Differ {
            at: self.at_record(state.seq()),
            what,
            findings,
        };
        let theirs = state.open().iter();
        differ.report("open", self.open.iter(), theirs, |open| format!("is {open:?}"));
        let theirs = state.nodes().iter();
        differ.report("node", self.nodes.iter(), theirs, |node| format!("is {node:?}"));
        let (ours, theirs) = ([("epoch", self.epoch)], [("epoch", state.epoch())]);
        differ.report("the", ours.into_iter(), theirs.into_iter(), |epoch| {
            format!("is {epoch}")
        });
    }
}

fn committed(open: &OpenTxn) -> Option<Seq> {
    match open.phase {
        Phase::Started => None,
        Phase::Committed(seq) => Some(seq),
    }
}

fn found(open: Option<&OpenTxn>) -> String {
    match open {
        None => "it is not open".to_owned(),
        Some(open) => match open.phase {
            Phase::Started if open.participants.len() == 1 => {
                format!("{} decides it alone", open.home)
            }
            Phase::Started => "it is not decided".to_owned(),
            Phase::Committed(seq) => format!("COMMIT stands in record {seq}"),
        },
    }
}

/// From which transaction on the log has all of them.
fn reach(history: &History<'_, CoordinatorState>) -> TxnPoint {
    let begins = |record: &CoordinatorRecord| match record {
        CoordinatorRecord::Epoch { epoch, .. } => Some(TxnPoint {
            epoch: *epoch,
            sequence: 0,
        }),
        CoordinatorRecord::Start { txn, .. } => Some(txn.at),
        CoordinatorRecord::Prepare { .. }
        | CoordinatorRecord::Commit { .. }
        | CoordinatorRecord::Abort { .. }
        | CoordinatorRecord::Complete { .. }
        | CoordinatorRecord::Mark { .. }
        | CoordinatorRecord::Node { .. }
        | CoordinatorRecord::Quarantine { .. }
        | CoordinatorRecord::Suspect { .. }
        | CoordinatorRecord::Trust { .. }
        | CoordinatorRecord::Proved { .. } => None,
    };
    if history.base.seq() == 0 {
        return TxnPoint::default();
    }
    let first = history.run.iter().find_map(|(_, record)| begins(record));
    first.unwrap_or(TxnPoint {
        epoch: history.base.epoch(),
        sequence: u64::MAX,
    })
}
