//! A diagram in mermaid's words, for pages and tools that draw.

use super::{Diagram, Glyph, Step};

impl Diagram {
    /// The diagram as the text of a mermaid `sequenceDiagram`.
    pub fn mermaid(&self) -> String {
        let lane = |lane: &usize| self.lanes[*lane].as_str();
        let mut lines = vec!["sequenceDiagram".to_owned()];
        lines.extend(
            self.lanes
                .iter()
                .map(|name| format!("    participant {}", alias(name))),
        );
        for row in &self.rows {
            let line = match &row.step {
                Step::Message {
                    from,
                    to,
                    label,
                    lost,
                    ..
                } => {
                    let arrow = if *lost { "--x" } else { "->>" };
                    format!("{}{arrow}{}: {}", alias(lane(from)), alias(lane(to)), text(label))
                }
                Step::Held { lane: at, to, label } => {
                    format!(
                        "Note over {}: held for {}: {}",
                        alias(lane(at)),
                        lane(to),
                        text(label)
                    )
                }
                Step::Record {
                    lane: at,
                    label,
                    forced,
                    glyph,
                } => {
                    let forced = if *forced { " (forced)" } else { "" };
                    let meaning = match glyph {
                        Glyph::None => "",
                        Glyph::Lock => ", holds",
                        Glyph::Unlock => ", releases",
                        Glyph::Decision => ", decided",
                    };
                    format!("Note over {}: {}{forced}{meaning}", alias(lane(at)), text(label))
                }
                Step::Sync { lane: at, took_us } => {
                    format!("Note over {}: sync {took_us} µs", alias(lane(at)))
                }
            };
            lines.push(format!("    {line}"));
        }
        lines.join("\n")
    }
}

/// A name that mermaid does not take apart.
fn alias(name: &str) -> String {
    name.replace('-', "_")
}

/// A text without the characters that end a statement or begin a comment or an entity.
fn text(label: &str) -> String {
    label.replace(['#', ';', '%'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::transfer;
    use super::*;

    #[test]
    fn every_row_has_its_line() {
        let text = Diagram::of(&transfer()).mermaid();
        let expected = "\
sequenceDiagram
    participant client
    participant coordinator
    participant N1
    participant N2
    client->>coordinator: submit N1/A:-10 N2/B:+10
    Note over coordinator: START N1/A:-10 N2/B:+10
    coordinator->>N1: prepare A -10
    coordinator->>N2: prepare B +10
    Note over N1: prepare_ok A -10 (forced), holds
    Note over N1: sync 250 µs
    N1->>coordinator: vote yes
    N2->>coordinator: vote yes
    Note over coordinator: COMMIT (forced), decided
    Note over coordinator: sync 250 µs
    Note over coordinator: held for N1: commit
    coordinator->>client: outcome committed
    coordinator--xN1: commit";
        assert_eq!(text, expected);
    }
}
