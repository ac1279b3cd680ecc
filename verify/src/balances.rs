//! Whether the accounts hold what clients were told, and nothing else (V4). Only for those who know every request.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{NodeId, RequestId};
use protocol::leg::Order;

use crate::claims::{Told, Word};
use crate::decided::Decided;
use crate::findings::{At, Findings, Store, Why};
use crate::node::{Adopted, Node};
use crate::report::Invariant;
use crate::told::Stores;

/// Balances by account, of all nodes.
type Expected<'o> = BTreeMap<(NodeId, &'o str), i128>;

/// Compares every account with what the committed requests add up to.
pub(crate) fn check(
    stores: &Stores<'_, '_>,
    told: &BTreeMap<RequestId, Vec<&Told>>,
    findings: &mut Findings,
) {
    if let Some(&(_, node, _)) = stores.decided.against.first() {
        return findings.unchecked(Invariant::V4, Why::Forced(node));
    }
    let mut expected = Expected::new();
    for (request, told) in told {
        match committed(stores, *request, told) {
            Ok(None) => {}
            Ok(Some(order)) => add(order, &mut expected),
            Err(why) => return findings.unchecked(Invariant::V4, why),
        }
    }
    for (&node, its) in &stores.cluster.nodes {
        match found(its, stores.decided) {
            Ok(found) => compare(node, &expected, &found, findings),
            Err(why) => findings.unchecked(Invariant::V4, why),
        }
    }
}

/// What a request did, if it happened: by its client's word, or else by the stores'.
fn committed<'t>(
    stores: &Stores<'_, '_>,
    request: RequestId,
    told: &[&'t Told],
) -> Result<Option<&'t Order>, Why> {
    let is_committed = |told: &&&Told| matches!(told.word, Word::Committed(_));
    if let Some(told) = told.iter().find(is_committed) {
        return Ok(Some(&told.order));
    }
    let Some(told) = told.iter().find(|told| told.word == Word::Unknown) else {
        return Ok(None);
    };
    if !stores.runs.of_request(&request).is_empty() {
        return Ok(Some(&told.order));
    }
    let home = stores.cluster.nodes.get(&told.order.home());
    if home.is_some_and(|home| !home.book.requests.has_forgotten) {
        Ok(None)
    } else {
        Err(Why::NoOutcome(request))
    }
}

fn add<'o>(order: &'o Order, expected: &mut Expected<'o>) {
    for leg in order.legs() {
        let at = (leg.place.node, leg.place.account.as_str());
        *expected.entry(at).or_default() += i128::from(leg.delta.get());
    }
}

/// What a node's accounts hold, with what is in doubt as it was decided and without what nobody had to ask for.
fn found<'a>(node: &Node<'a>, decided: &Decided) -> Result<BTreeMap<&'a str, i128>, Why> {
    let accounts = node.book.accounts.iter();
    let mut found: BTreeMap<&str, i128> = accounts.map(|(id, account)| (*id, account.balance)).collect();
    let prepared = node.book.prepared.iter();
    let happened = prepared.filter(|(txn, _)| decided.happened(**txn));
    for operation in happened.flat_map(|(_, promise)| promise.operations) {
        *found.entry(operation.account.as_str()).or_default() += i128::from(operation.delta.get());
    }
    match node.adopted {
        Adopted::None => {}
        Adopted::These(accounts) => {
            for (id, balance) in accounts {
                *found.entry(id.as_str()).or_default() -= i128::from(*balance);
                *found.entry("@world").or_default() += i128::from(*balance);
            }
        }
        Adopted::Forgotten => return Err(Why::Adopted(node.node)),
    }
    Ok(found)
}

fn compare(node: NodeId, expected: &Expected<'_>, found: &BTreeMap<&str, i128>, findings: &mut Findings) {
    let claimed = expected
        .range((node, "")..)
        .take_while(|((at, _), _)| *at == node);
    let claimed = claimed.map(|((_, id), _)| *id);
    let accounts: BTreeSet<&str> = found.keys().copied().chain(claimed).collect();
    for id in accounts {
        let expected = expected.get(&(node, id)).copied().unwrap_or(0);
        let found = found.get(id).copied().unwrap_or(0);
        if expected != found {
            let at = At::store(Store::Node(node));
            let expected = format_args!("{id} holds {expected}, as clients were told");
            findings.violation(Invariant::V4, at, expected, found);
        }
    }
}
