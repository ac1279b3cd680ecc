//! A story as a mermaid sequence diagram: paste it wherever mermaid is shown.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::trace::{Event, Line};
use crate::who::Who;

/// The lines as a diagram. Lanes appear in the order clients, coordinators, nodes.
pub fn diagram(lines: &[Line]) -> String {
    let mut out = String::from("sequenceDiagram\n");
    let cast = cast(lines);
    for who in &cast {
        writeln!(out, "    participant {who}").expect("a string takes all");
    }
    for line in lines {
        let written = match &line.event {
            Event::Message { from, to, text } => writeln!(out, "    {from}->>{to}: {}", plain(text)),
            Event::Deed { who, text } => writeln!(out, "    Note over {who}: {}", plain(text)),
            Event::World(text) => match cast.first() {
                Some(first) => writeln!(out, "    Note left of {first}: {}", plain(text)),
                None => Ok(()),
            },
        };
        written.expect("a string takes all");
    }
    out
}

fn cast(lines: &[Line]) -> Vec<Who> {
    let mut cast = BTreeSet::new();
    for line in lines {
        match &line.event {
            Event::Message { from, to, .. } => cast.extend([*from, *to]),
            Event::Deed { who, .. } => {
                cast.insert(*who);
            }
            Event::World(_) => {}
        }
    }
    let lane = |who: &Who| match who {
        Who::Client(number) => (0, *number),
        Who::Coordinator(number) => (1, *number),
        Who::Node(number) => (2, *number),
    };
    let mut cast: Vec<Who> = cast.into_iter().collect();
    cast.sort_by_key(lane);
    cast
}

/// Mermaid ends a text at these.
fn plain(text: &str) -> String {
    text.replace(';', ",").replace('#', "no. ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn lanes_come_in_order_and_texts_stay_on_their_line() {
        let line = |event| Line { at: Time(1), event };
        let (client, coordinator, node) = (Who::Client(0), Who::Coordinator(0), Who::Node(1));
        let lines = [
            line(Event::Message {
                from: coordinator,
                to: node,
                text: "prepare t7; now".to_owned(),
            }),
            line(Event::Deed {
                who: node,
                text: "loses power".to_owned(),
            }),
            line(Event::Message {
                from: coordinator,
                to: client,
                text: "outcome unknown".to_owned(),
            }),
        ];
        assert_eq!(
            diagram(&lines),
            "sequenceDiagram\n    participant client1\n    participant c1\n    participant N2\n    c1->>N2: prepare t7, now\n    \
             Note over N2: loses power\n    c1->>client1: outcome unknown\n"
        );
    }
}
