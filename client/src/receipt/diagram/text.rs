//! A diagram for a terminal: one line for each row, a column for each process.
//!
//! ```text
//!        ms  client          coordinator           N1
//!     0.000    ├─ submit … ───▶│                   │
//!     0.010    │               │ START …           │
//!     0.020    │               ├─ prepare A -10 ──▶│
//! ```

use super::{Diagram, Glyph, Step};

/// Characters of a label; the rest is left out.
const LABEL_LEN_MAX: usize = 44;

/// The least distance of two lanes.
const GAP_MIN: usize = 8;

impl Diagram {
    /// The diagram as lines of text.
    pub fn text(&self) -> Vec<String> {
        let at = self.columns();
        let begin = self.begin_us();
        let mut lines = vec![self.head(&at)];
        for row in &self.rows {
            let us = row.at_us.saturating_sub(begin);
            let time = format!("{:>6}.{:03}  ", us / 1000, us % 1000);
            lines.push(format!("{time}{}", draw(&row.step, &at)).trim_end().to_owned());
        }
        lines
    }

    /// The column of each lane.
    fn columns(&self) -> Vec<usize> {
        let mut gaps = vec![GAP_MIN; self.lanes.len()];
        for (lane, name) in self.lanes.iter().enumerate() {
            gaps[lane] = gaps[lane].max(name.chars().count() + 2);
        }
        for row in &self.rows {
            match &row.step {
                // The label stands beside its sender.
                Step::Message { from, to, .. } => {
                    let gap = if to > from { *from } else { from - 1 };
                    gaps[gap] = gaps[gap].max(arrow_label(&row.step).chars().count() + 6);
                }
                Step::Held { lane, .. } | Step::Record { lane, .. } | Step::Sync { lane, .. } => {
                    gaps[*lane] = gaps[*lane].max(note(&row.step).chars().count() + 3);
                }
            }
        }
        let mut column = 2;
        let mut place = |gap: usize| {
            let here = column;
            column += gap;
            here
        };
        gaps.into_iter().map(&mut place).collect()
    }

    fn head(&self, at: &[usize]) -> String {
        let mut line = Line::default();
        for (name, column) in self.lanes.iter().zip(at) {
            line.put(column.saturating_sub(2), name);
        }
        format!("{:>10}  {}", "ms", line.text()).trim_end().to_owned()
    }
}

fn draw(step: &Step, at: &[usize]) -> String {
    let mut line = Line::default();
    for column in at {
        line.put(*column, "│");
    }
    match step {
        Step::Message { from, to, lost, .. } => {
            let (left, right) = (at[*from.min(to)], at[*from.max(to)]);
            line.put(left + 1, &"─".repeat(right - left - 1));
            let (tail, head) = match (to > from, lost) {
                (true, false) => ("├", "▶"),
                (true, true) => ("├", "✗"),
                (false, false) => ("┤", "◀"),
                (false, true) => ("┤", "✗"),
            };
            let label = format!(" {} ", arrow_label(step));
            line.put(at[*from], tail);
            if to > from {
                line.put(right - 1, head);
                line.put(left + 2, &label);
            } else {
                line.put(left + 1, head);
                line.put(right - 1 - label.chars().count(), &label);
            }
        }
        Step::Held { lane, .. } | Step::Record { lane, .. } | Step::Sync { lane, .. } => {
            line.put(at[*lane] + 2, &note(step));
        }
    }
    line.text()
}

fn arrow_label(step: &Step) -> String {
    match step {
        Step::Message {
            label, took_us, lost, ..
        } => {
            let label = short(label);
            match (took_us, lost) {
                (_, true) => format!("{label} (not received)"),
                (Some(us), false) => format!("{label} {us} µs"),
                (None, false) => label,
            }
        }
        Step::Held { .. } | Step::Record { .. } | Step::Sync { .. } => String::new(),
    }
}

fn note(step: &Step) -> String {
    match step {
        Step::Message { .. } => String::new(),
        Step::Held { label, .. } => format!("(held: {})", short(label)),
        Step::Record { label, glyph, .. } => {
            let label = short(label);
            match glyph {
                Glyph::None => label,
                Glyph::Lock => format!("{label} [holds]"),
                Glyph::Unlock => format!("{label} [releases]"),
                Glyph::Decision => format!("{label} [decided]"),
            }
        }
        Step::Sync { took_us, .. } => format!("▒sync▒ {took_us} µs"),
    }
}

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL_LEN_MAX {
        return label.to_owned();
    }
    let kept: String = label.chars().take(LABEL_LEN_MAX - 1).collect();
    format!("{kept}…")
}

/// A line that is written to at any column.
#[derive(Default)]
struct Line(Vec<char>);

impl Line {
    fn put(&mut self, column: usize, text: &str) {
        let end = column + text.chars().count();
        if self.0.len() < end {
            self.0.resize(end, ' ');
        }
        for (place, char) in self.0[column..].iter_mut().zip(text.chars()) {
            *place = char;
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transfer;
    use super::*;

    #[test]
    fn every_row_is_drawn_between_its_lanes() {
        let drawn = Diagram::of(&transfer()).text().join("\n");
        let expected = include_str!("transfer.txt");
        assert_eq!(drawn, expected.trim_end_matches('\n'), "\n{drawn}");
    }

    #[test]
    fn a_long_label_is_cut() {
        assert_eq!(short(&"x".repeat(44)).chars().count(), 44);
        let cut = short(&"x".repeat(45));
        assert!(cut.ends_with("x…") && cut.chars().count() == 44);
    }
}
