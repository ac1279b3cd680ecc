//! What do the processes' log lines look like in one terminal?
//!
//! Each line starts with its process's name, padded so that the lines stand in columns.

use std::sync::Arc;

use cluster::TakeLine;

use crate::output::explain;

/// Prints a line of a process on stderr.
pub(crate) fn printer(nodes: u16) -> TakeLine {
    let width = format!("N{nodes}").len().max(SHORT_COORDINATOR.len());
    Arc::new(move |name, line| explain(&prefixed(name, line, width)))
}

const SHORT_COORDINATOR: &str = "coord";

fn prefixed(name: &str, line: &str, width: usize) -> String {
    let name = if name == "coordinator" {
        SHORT_COORDINATOR
    } else {
        name
    };
    format!("{name:width$} | {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_in_columns() {
        assert_eq!(prefixed("N1", "hello", 5), "N1    | hello");
        assert_eq!(prefixed("coordinator", "hello", 5), "coord | hello");
    }
}
