//! From sights and reports to a receipt: how it ended, why, who was in the way, and what nobody can tell any more.

use std::collections::BTreeSet;

use protocol::message::{CoordinatorView, NodeView, Reference, TxnReport, TxnState};

use super::gather::Found;
use super::{Event, LegLine, Receipt, in_order};
use crate::report::TxnLine;

pub(super) fn tell(report: &TxnReport, found: Vec<Found>) -> Receipt {
    let parts = found.iter().map(|found| {
        let sightings = found.what.iter().flat_map(|source| &source.sightings);
        sightings
            .map(|sighting| Event::of(&found.process, sighting))
            .collect()
    });
    let events = in_order(parts.collect());
    let outcome = outcome(report, &events);
    let legs = legs(report, &events);
    let missing = missing(&legs, &found, &events);
    let aborted = outcome == "aborted";
    Receipt {
        id: report.reference.to_string(),
        txn: report.txn.map(|txn| txn.to_string()),
        request_id: request(report, &events),
        outcome,
        reason: reason(report, &events).filter(|_| aborted),
        holder: holder(&events).filter(|_| aborted),
        legs,
        complete: missing.is_empty(),
        note: (!missing.is_empty()).then(|| missing.join(" ")),
        events,
        durable: TxnLine::of(report),
    }
}

fn views(report: &TxnReport) -> impl Iterator<Item = &NodeView> {
    report.nodes.iter().filter_map(|(_, view)| view.as_ref())
}

fn outcome(report: &TxnReport, events: &[Event]) -> &'static str {
    match &report.coordinator {
        CoordinatorView::Committed { .. } => return "committed",
        CoordinatorView::Collecting { .. } | CoordinatorView::Delegated { .. } => return "open",
        CoordinatorView::NoRecord | CoordinatorView::NotMine => {}
    }
    let recorded = |kinds: &[&str]| {
        let hit = |event: &Event| event.what == "recorded" && kinds.contains(&event.kind.as_str());
        events.iter().any(hit)
    };
    let is = |wanted: fn(&TxnState) -> bool| views(report).any(|view| wanted(&view.state));
    if recorded(&["COMMIT", "commit", "commit_one_phase"]) || is(|state| *state == TxnState::Committed) {
        "committed"
    } else if recorded(&["ABORT", "abort", "prepare_failed"])
        || is(|state| matches!(state, TxnState::Aborted(_)))
    {
        "aborted"
    } else if is(|state| *state == TxnState::Prepared)
        || (report.nodes.is_empty() && recorded(&["prepare_ok"]))
    {
        // Where nobody tells how it stands, because no coordinator can be asked, what was seen last counts.
        "open"
    } else {
        "unknown"
    }
}

fn request(report: &TxnReport, events: &[Event]) -> Option<String> {
    if let Reference::Request(request) = report.reference {
        return Some(request.to_string());
    }
    let remembered = views(report).find_map(|view| view.request);
    let submit = || events.iter().find(|event| event.kind == "submit");
    remembered
        .map(|request| request.to_string())
        .or_else(|| word(submit()?, 1))
}

fn word(event: &Event, place: usize) -> Option<String> {
    event.line.split(' ').nth(place).map(str::to_owned)
}

/// The coordinator's reason; if it is not known, a node's.
fn reason(report: &TxnReport, events: &[Event]) -> Option<String> {
    let recorded = |kind: &str| {
        let mut hits = events
            .iter()
            .filter(|event| event.what == "recorded" && event.kind == kind);
        hits.find_map(|event| word(event, 2))
    };
    let nodes = || {
        views(report).find_map(|view| match &view.state {
            TxnState::Aborted(reason) => Some(reason.to_string()),
            TxnState::Unknown | TxnState::Forgotten | TxnState::Prepared | TxnState::Committed => None,
        })
    };
    recorded("ABORT")
        .or_else(|| recorded("prepare_failed"))
        .or_else(|| recorded("abort"))
        .or_else(nodes)
}

/// The transaction that some refusal names.
fn holder(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| {
        let (_, behind) = event.line.split_once("(held by ")?;
        behind.split([' ', ')']).next().map(str::to_owned)
    })
}

fn legs(report: &TxnReport, events: &[Event]) -> Vec<LegLine> {
    let start = events.iter().find(|event| event.kind == "START");
    if let Some(start) = start {
        return start.line.split(' ').skip(2).filter_map(leg).collect();
    }
    let mut legs: Vec<LegLine> = events
        .iter()
        .filter(|event| matches!(event.kind.as_str(), "prepare_ok" | "commit_one_phase"))
        .flat_map(|event| operations(&event.process, &event.line))
        .collect();
    if legs.is_empty() {
        for (node, view) in &report.nodes {
            let prepared = view.iter().flat_map(|view| &view.operations);
            legs.extend(prepared.map(|operation| LegLine {
                node: node.to_string(),
                account: operation.account.to_string(),
                delta: operation.delta.get(),
            }));
        }
    }
    legs
}

/// `N1/A:-10`, as a coordinator writes it.
fn leg(text: &str) -> Option<LegLine> {
    let (place, delta) = text.rsplit_once(':')?;
    let (node, account) = place.split_once('/')?;
    Some(LegLine {
        node: node.to_owned(),
        account: account.to_owned(),
        delta: delta.parse().ok()?,
    })
}

/// `prepare_ok c-1-7 A -10 B +5`, as a node writes it.
fn operations(node: &str, line: &str) -> Vec<LegLine> {
    let words: Vec<&str> = line.split(' ').skip(2).collect();
    let pairs = words.chunks_exact(2).filter_map(|pair| {
        Some(LegLine {
            node: node.to_owned(),
            account: pair[0].to_owned(),
            delta: pair[1].parse().ok()?,
        })
    });
    pairs.collect()
}

/// What is not in the events, in sentences.
fn missing(legs: &[LegLine], found: &[Found], events: &[Event]) -> Vec<String> {
    let asked = found.iter().map(|found| (found.process.as_str(), &found.what));
    let failed = asked.clone().filter_map(|(process, what)| {
        let why = what.as_ref().err()?;
        Some(format!("The {process} could not be asked ({why}).").replace("The N", "Node N"))
    });
    let mut missing: Vec<String> = failed.collect();
    let every = asked
        .clone()
        .filter_map(|(_, what)| Some(what.as_ref().ok()?.every))
        .max();
    let sampled = match every {
        Some(every) if every > 1 => format!(
            " Under the present load processes keep one transaction in {every}, and this one may not be among them."
        ),
        Some(_) | None => String::new(),
    };
    if events.is_empty() {
        missing.push(format!(
            "No process that answered still has messages and times of it: only the newest are kept, in memory.{sampled}"
        ));
        return missing;
    }
    let takes_part: BTreeSet<&str> = legs.iter().map(|leg| leg.node.as_str()).collect();
    let silent = asked.filter(|(process, what)| {
        let expected = *process == "coordinator" || takes_part.contains(process);
        expected && what.as_ref().is_ok_and(|source| source.sightings.is_empty())
    });
    let silent: Vec<&str> = silent.map(|(process, _)| process).collect();
    if !silent.is_empty() {
        missing.push(format!(
            "{} no longer has messages and times of it.{sampled}",
            silent.join(", ")
        ));
    } else if !events.iter().any(|event| event.kind == "START") && missing.is_empty() {
        missing.push("Its beginning is no longer there.".to_owned());
    }
    missing
}

#[cfg(test)]
mod tests {
    use protocol::id::{StoreId, TxnId};
    use protocol::message::watch::{Party, Sight, Sighting};
    use protocol::reason::Reason;

    use super::super::Source;
    use super::*;

    fn txn() -> TxnId {
        TxnId::new(StoreId(0xc), 1, 7)
    }

    fn report(nodes: &[(&str, TxnState)]) -> TxnReport {
        let view = |state: &TxnState| NodeView {
            txn: Some(txn()),
            request: None,
            state: state.clone(),
            forced: None,
            operations: Vec::new(),
            participants: Vec::new(),
            coordinator_connected: true,
        };
        TxnReport {
            reference: Reference::Txn(txn()),
            txn: Some(txn()),
            coordinator: CoordinatorView::NoRecord,
            nodes: nodes
                .iter()
                .map(|(node, state)| (node.parse().unwrap(), Some(view(state))))
                .collect(),
        }
    }

    fn found(process: &str, sights: Vec<Sight>) -> Found {
        let sighting = |(n, what)| Sighting {
            n,
            at_us: n,
            txn: txn(),
            what,
        };
        let sightings = (1..).zip(sights).map(sighting).collect();
        let process = process.to_owned();
        Found {
            process,
            what: Ok(Source { sightings, every: 1 }),
        }
    }

    fn recorded(line: &str) -> Sight {
        Sight::Recorded {
            seq: 1,
            line: line.to_owned(),
            forced: false,
        }
    }

    #[test]
    fn a_conflict_names_its_reason_and_who_was_in_the_way() {
        let aborted = TxnState::Aborted(Reason::LockContention("B".parse().unwrap()));
        let coordinator = vec![
            Sight::Received {
                from: Party::Client,
                line: "submit 9f00 N1/A:-10 N2/B:+10".to_owned(),
            },
            recorded("START c-1-7 N1/A:-10 N2/B:+10"),
            Sight::Received {
                from: Party::Node("N2".parse().unwrap()),
                line: "vote c-1-7 no lock_contention_on_B (held by c-1-6 for 3 s)".to_owned(),
            },
            recorded("ABORT c-1-7 lock_contention_on_B"),
        ];
        let n2 = vec![recorded("prepare_failed c-1-7 lock_contention_on_B")];
        let n1 = vec![recorded("abort c-1-7 lock_contention_on_B")];
        let found = vec![
            found("coordinator", coordinator),
            found("N1", n1),
            found("N2", n2),
        ];
        let receipt = Receipt::of(&report(&[("N2", aborted)]), found);
        assert_eq!(
            (receipt.outcome, receipt.complete, &receipt.note),
            ("aborted", true, &None)
        );
        assert_eq!(receipt.reason.as_deref(), Some("lock_contention_on_B"));
        assert_eq!(receipt.holder.as_deref(), Some("c-1-6"));
        assert_eq!(receipt.request_id.as_deref(), Some("9f00"));
        let legs: Vec<_> = receipt
            .legs
            .iter()
            .map(|leg| (leg.node.as_str(), leg.delta))
            .collect();
        assert_eq!(legs, [("N1", -10), ("N2", 10)]);
    }

    #[test]
    fn what_is_gone_is_said_and_what_is_durable_still_counts() {
        let receipt = Receipt::of(
            &report(&[("N1", TxnState::Committed)]),
            vec![
                found("coordinator", Vec::new()),
                Found {
                    process: "N1".to_owned(),
                    what: Err("nothing listens there".to_owned()),
                },
            ],
        );
        assert_eq!((receipt.outcome, receipt.complete), ("committed", false));
        let note = receipt.note.unwrap();
        assert!(
            note.contains("Node N1 could not be asked (nothing listens there)"),
            "{note}"
        );
        assert!(note.contains("No process that answered still has"), "{note}");
    }

    #[test]
    fn what_only_a_node_remembers_is_told_with_what_lacks() {
        let n1 = vec![recorded("prepare_ok c-1-7 A -10 C +4")];
        let prepared = report(&[("N1", TxnState::Prepared)]);
        let receipt = Receipt::of(&prepared, vec![found("coordinator", Vec::new()), found("N1", n1)]);
        assert_eq!(
            (receipt.outcome, receipt.legs.len(), receipt.reason),
            ("open", 2, None)
        );
        assert_eq!(
            receipt.note.as_deref(),
            Some("coordinator no longer has messages and times of it.")
        );
    }
}
