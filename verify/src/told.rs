//! Whether what clients were told is what the stores hold (V4).

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{NodeId, RequestId, TxnId};
use protocol::leg::Order;
use protocol::message::OperatorWord;

use crate::balances;
use crate::claims::{Claims, Told, Word};
use crate::decided::{Cluster, Decided, is_part, words};
use crate::findings::{At, Findings, Store, Why};
use crate::node::Standing;
use crate::once::Runs;
use crate::report::{CoordinatorWord, Invariant};

/// What claims are held against.
pub(crate) struct Stores<'c, 'a> {
    pub(crate) cluster: &'c Cluster<'a>,
    pub(crate) decided: &'c Decided,
    pub(crate) runs: &'c Runs,
}

/// Holds every claim against the stores.
pub(crate) fn check(claims: &Claims, stores: &Stores<'_, '_>, findings: &mut Findings) {
    let mut by_request: BTreeMap<RequestId, Vec<&Told>> = BTreeMap::new();
    for told in &claims.told {
        by_request.entry(told.request).or_default().push(told);
    }
    for (request, told) in &by_request {
        stores.check_words(*request, told, findings);
        let mut seen = BTreeSet::new();
        for told in told {
            match told.word {
                Word::Committed(txn) if seen.insert(txn) => {
                    stores.check_committed(*request, txn, &told.order, findings);
                }
                Word::Aborted { txn: Some(txn), .. } if stores.decided.happened(txn) => {
                    let at = At::store(Store::All).txn(txn);
                    let expected = format_args!("request {request} was told that it aborted");
                    findings.violation(Invariant::V4, at, expected, "committed");
                }
                Word::Committed(_) | Word::Aborted { .. } | Word::Unknown => {}
            }
        }
    }
    if claims.complete {
        balances::check(stores, &by_request, findings);
    }
}

impl Stores<'_, '_> {
    /// What was said about one request goes together, and a last word stays true.
    fn check_words(&self, request: RequestId, told: &[&Told], findings: &mut Findings) {
        let at = At::store(Store::All);
        let mut committed: Option<TxnId> = None;
        let (mut is_final, mut last) = (false, Word::Unknown);
        for told in told {
            match told.word {
                Word::Unknown => continue,
                Word::Committed(txn) => {
                    if let Some(before) = committed.filter(|before| *before != txn) {
                        let expected =
                            format_args!("request {request} was told that it committed as {before}");
                        findings.violation(Invariant::V4, at.txn(txn), expected, "and then as another");
                    }
                    if is_final {
                        let expected = format_args!("request {request} was told for good that it aborted");
                        findings.violation(
                            Invariant::V4,
                            at.txn(txn),
                            expected,
                            "and then that it committed",
                        );
                    }
                    committed = Some(txn);
                }
                Word::Aborted { txn, is_final: now } => {
                    if let Some(before) = committed {
                        let at = At { txn, ..at };
                        let expected =
                            format_args!("request {request} was told that it committed as {before}");
                        findings.violation(Invariant::V4, at, expected, "and then that it aborted");
                    }
                    is_final |= now;
                }
            }
            last = told.word;
        }
        let is_aborted = is_final || matches!(last, Word::Aborted { .. });
        if let Some(run) = self
            .runs
            .of_request(&request)
            .first()
            .filter(|_| is_aborted && committed.is_none())
        {
            let expected = format_args!("request {request} was told that it aborted");
            findings.violation(Invariant::V4, at.txn(run.txn), expected, "it committed");
        }
    }

    /// Every participant has what was promised, exactly, and the home knows whose it is.
    fn check_committed(&self, request: RequestId, txn: TxnId, order: &Order, findings: &mut Findings) {
        let participants = order.participants();
        for &node in &participants {
            self.check_part(request, txn, order, node, findings);
        }
        let told = format_args!("request {request} was told that it committed");
        if participants.len() > 1
            && let Some(coordinator) = self.cluster.coordinators.get(&txn.coordinator)
        {
            let at = At::store(Store::Coordinator(txn.coordinator)).txn(txn);
            match coordinator.word(txn) {
                // It forgets only what everyone has.
                CoordinatorWord::Commit | CoordinatorWord::Unknown => {}
                CoordinatorWord::Abort | CoordinatorWord::Undecided if coordinator.has_lost => {}
                word @ (CoordinatorWord::Abort | CoordinatorWord::Undecided) => {
                    findings.violation(
                        Invariant::V4,
                        at,
                        told,
                        format_args!("COMMIT is not on disk: {word:?}"),
                    );
                }
            }
        }
        let Some(home) = self.cluster.nodes.get(&order.home()) else {
            return;
        };
        let at = At::store(Store::Node(home.node)).txn(txn);
        match home.book.requests.get(&request) {
            Some(attempt) if attempt.txn == txn => {}
            Some(attempt) => {
                let found = format_args!("it has the request as {}", attempt.txn);
                findings.violation(Invariant::V4, at, told, found);
            }
            None if home.book.requests.has_forgotten => {
                findings.unchecked(Invariant::V4, Why::BeyondWindow(home.node));
            }
            None if self.is_given_up(home.node, txn) => {}
            None => findings.violation(Invariant::V4, at, told, "it does not know the request"),
        }
    }

    fn check_part(
        &self,
        request: RequestId,
        txn: TxnId,
        order: &Order,
        node: NodeId,
        findings: &mut Findings,
    ) {
        let Some(its) = self.cluster.nodes.get(&node) else {
            return findings.unchecked(Invariant::V4, Why::NoNode(node));
        };
        let at = At::store(Store::Node(node)).txn(txn);
        let told = format_args!("request {request} was told that it committed");
        let operations = its.stories.get(&txn).and_then(|story| story.operations);
        if let Some(operations) = operations.filter(|operations| !is_part(order, node, operations)) {
            let expected = format_args!("its part of {order}");
            findings.violation(Invariant::V4, at, expected, words(operations));
        }
        match its.standing(txn) {
            Standing::Ended(end) if end.word == OperatorWord::Abort && end.forced.is_none() => {
                findings.violation(Invariant::V4, at.seq(end.seq), told, "aborted");
            }
            Standing::Ended(_) => {}
            Standing::Prepared(_) if self.decided.happened(txn) => {}
            Standing::Prepared(seq) => match self.cluster.coordinators.get(&txn.coordinator) {
                // Without its log nobody can say that the decision was not on disk.
                None => findings.unchecked(Invariant::V4, Why::NoCoordinator(txn.coordinator)),
                Some(_) => findings.violation(
                    Invariant::V4,
                    at.seq(seq),
                    told,
                    "prepared, and committed nowhere",
                ),
            },
            Standing::Forgotten => {
                // A home remembers how a request ended for longer than how its transaction did.
                let attempt = its
                    .book
                    .requests
                    .get(&request)
                    .filter(|attempt| attempt.txn == txn);
                let committed = attempt.and_then(|attempt| attempt.ended).map(|(word, _)| word);
                if committed != Some(OperatorWord::Commit) {
                    findings.unchecked(Invariant::V4, Why::NodeForgot(node));
                }
            }
            Standing::Unheard if self.is_given_up(node, txn) => {}
            Standing::Unheard => findings.violation(Invariant::V4, at, told, "no trace of it"),
        }
    }

    fn is_given_up(&self, node: NodeId, txn: TxnId) -> bool {
        let mut coordinators = self.cluster.coordinators.values();
        coordinators.any(|coordinator| coordinator.forgives(node, txn))
    }
}
