//! A sequence diagram of events: lanes and rows, which whoever draws lays out; as text for a terminal, and as mermaid.

mod mermaid;
mod text;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::Event;
use super::order::messages;

/// A sequence diagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagram {
    /// The processes from left to right: the client, the coordinator, the nodes by name.
    pub lanes: Vec<String>,
    /// What happened, from top to bottom.
    pub rows: Vec<Row>,
}

/// One line of the drawing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub step: Step,
}

/// What happened in a row. Lanes are places in [`Diagram::lanes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A message from lane to lane.
    Message {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
        /// The message.
        label: String,
        /// How long it took, where both sides were seen. Clocks may differ.
        took_us: Option<u64>,
        /// It was sent, and its receiver, which was seen, has not received it.
        lost: bool,
    },
    /// A message waits at the gate.
    Held {
        /// The sender.
        lane: usize,
        /// Whom it waits for.
        to: usize,
        /// The message.
        label: String,
    },
    /// A record is appended.
    Record {
        /// Where.
        lane: usize,
        /// The record.
        label: String,
        /// Whether somebody waits for its sync.
        forced: bool,
        /// What it means, if it means something for the whole.
        glyph: Glyph,
    },
    /// The records before it are on disk.
    Sync {
        /// Where.
        lane: usize,
        /// How long it took.
        took_us: u64,
    },
}

/// What a record does beside being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Glyph {
    /// Nothing that shows.
    None,
    /// Accounts are held from here.
    Lock,
    /// Accounts are free from here.
    Unlock,
    /// From here the outcome cannot change, once it is synced.
    Decision,
}

impl Diagram {
    /// Of events as [`in_order`](super::in_order) gives them.
    pub fn of(events: &[Event]) -> Diagram {
        let lanes = lanes(events);
        let lane = |name: &str| {
            lanes
                .iter()
                .position(|lane| lane == name)
                .expect("every name has a lane")
        };
        let seen: BTreeSet<&str> = events.iter().map(|event| event.process.as_str()).collect();
        let received: HashMap<_, u64> = both_sides(events, "received").collect();
        let sent: HashMap<_, u64> = both_sides(events, "sent").collect();
        let mut rows = Vec::new();
        for (event, message) in events.iter().zip(numbered(events)) {
            let here = lane(&event.process);
            let label = event.label();
            let there = event.peer.as_deref().map(lane);
            let step = match (event.what, there) {
                ("sent", Some(to)) => {
                    let arrived = message.as_ref().and_then(|message| received.get(message));
                    let peer_seen = event.peer.as_deref().is_some_and(|peer| seen.contains(peer));
                    Step::Message {
                        from: here,
                        to,
                        label,
                        took_us: arrived.map(|arrived| arrived.saturating_sub(event.at_us)),
                        lost: arrived.is_none() && peer_seen,
                    }
                }
                // Drawn where it was sent.
                ("received", _) if message.as_ref().is_some_and(|message| sent.contains_key(message)) => {
                    continue;
                }
                ("received", Some(from)) => Step::Message {
                    from,
                    to: here,
                    label,
                    took_us: None,
                    lost: false,
                },
                ("held", Some(to)) => Step::Held {
                    lane: here,
                    to,
                    label,
                },
                ("synced", _) => Step::Sync {
                    lane: here,
                    took_us: event.took_us.unwrap_or_default(),
                },
                _ => Step::Record {
                    lane: here,
                    label,
                    forced: event.forced.unwrap_or_default(),
                    glyph: glyph(&event.kind),
                },
            };
            rows.push(Row {
                at_us: event.at_us,
                step,
            });
        }
        Diagram { lanes, rows }
    }

    /// When the first thing happened.
    fn begin_us(&self) -> u64 {
        self.rows.iter().map(|row| row.at_us).min().unwrap_or_default()
    }
}

/// The client, the coordinator and the nodes, as far as they occur.
fn lanes(events: &[Event]) -> Vec<String> {
    let own = events.iter().map(|event| event.process.as_str());
    let peers = events.iter().filter_map(|event| event.peer.as_deref());
    let names: BTreeSet<&str> = own.chain(peers).collect();
    let first = ["client", "coordinator"];
    let nodes = names.iter().filter(|name| !first.contains(name));
    let mut nodes: Vec<&str> = nodes.copied().collect();
    // N2 before N10.
    nodes.sort_by_key(|name| (name.len(), *name));
    let first = first.into_iter().filter(|name| names.contains(name));
    first.chain(nodes).map(str::to_owned).collect()
}

/// Messages as both of their sides name them, counted by process.
fn numbered(events: &[Event]) -> Vec<Option<(String, String, String, usize)>> {
    // Counting per direction is counting per process: nobody else sends under that name.
    let sides = ["sent", "received"].map(|what| {
        let side: Vec<Event> = events
            .iter()
            .filter(|event| event.what == what)
            .cloned()
            .collect();
        messages(&side).into_iter()
    });
    let [mut sent, mut received] = sides;
    let message = |event: &Event| match event.what {
        "sent" => sent.next().flatten(),
        "received" => received.next().flatten(),
        _ => None,
    };
    events.iter().map(message).collect()
}

fn both_sides<'a>(
    events: &'a [Event],
    what: &'a str,
) -> impl Iterator<Item = ((String, String, String, usize), u64)> + 'a {
    let numbered = events.iter().zip(numbered(events));
    numbered.filter_map(move |(event, message)| Some((message.filter(|_| event.what == what)?, event.at_us)))
}

fn glyph(kind: &str) -> Glyph {
    match kind {
        "prepare_ok" => Glyph::Lock,
        "commit" | "abort" => Glyph::Unlock,
        "COMMIT" | "ABORT" | "commit_one_phase" => Glyph::Decision,
        _ => Glyph::None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::event::tests::event;
    use super::*;

    /// A transfer that commits at N1; N2 has not acknowledged.
    pub(crate) fn transfer() -> Vec<Event> {
        let (c, n1, n2) = ("coordinator", "N1", "N2");
        vec![
            event(c, 1_000, "received", "client", "submit 9f00 N1/A:-10 N2/B:+10"),
            event(c, 1_010, "recorded", "", "START c-1-7 N1/A:-10 N2/B:+10"),
            event(c, 1_020, "sent", n1, "prepare c-1-7 A -10"),
            event(c, 1_021, "sent", n2, "prepare c-1-7 B +10"),
            event(n1, 1_100, "received", c, "prepare c-1-7 A -10"),
            event(n1, 1_110, "recorded", "", "prepare_ok c-1-7 A -10"),
            event(n1, 1_400, "synced", "", ""),
            event(n1, 1_401, "sent", c, "vote c-1-7 yes"),
            event(c, 1_450, "received", n1, "vote c-1-7 yes"),
            event(c, 1_500, "received", n2, "vote c-1-7 yes"),
            event(c, 1_510, "recorded", "", "COMMIT c-1-7"),
            event(c, 1_800, "synced", "", ""),
            event(c, 1_801, "held", n1, "commit c-1-7"),
            event(c, 1_802, "sent", "client", "outcome committed c-1-7"),
            event(c, 1_803, "sent", n1, "commit c-1-7"),
        ]
    }

    #[test]
    fn a_message_is_one_row_whoever_saw_it() {
        let diagram = Diagram::of(&transfer());
        assert_eq!(diagram.lanes, ["client", "coordinator", "N1", "N2"]);
        let messages: Vec<(usize, usize, &str, Option<u64>, bool)> = diagram
            .rows
            .iter()
            .filter_map(|row| match &row.step {
                Step::Message {
                    from,
                    to,
                    label,
                    took_us,
                    lost,
                } => Some((*from, *to, label.as_str(), *took_us, *lost)),
                Step::Held { .. } | Step::Record { .. } | Step::Sync { .. } => None,
            })
            .collect();
        assert_eq!(
            messages,
            [
                (0, 1, "submit N1/A:-10 N2/B:+10", None, false),
                (1, 2, "prepare A -10", Some(80), false),
                (1, 3, "prepare B +10", None, false),
                (2, 1, "vote yes", Some(49), false),
                (3, 1, "vote yes", None, false),
                (1, 0, "outcome committed", None, false),
                (1, 2, "commit", None, true),
            ]
        );
    }
}
