//! What does a coordinator say about what it found in its log when it started?

/// What a start found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The coordinator's own words, without time and level.
    pub text: String,
    /// How many transactions it commits.
    pub commit: u32,
    /// How many it aborts. What their node has to tell is not counted: such can be left of deposits made a moment before.
    pub abort: u32,
}

impl Found {
    /// Among log lines of one life; `None` if it found nothing to finish.
    pub fn among<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Found> {
        lines.into_iter().find_map(Found::in_line)
    }

    fn in_line(line: &str) -> Option<Found> {
        let text = &line[line.find("Found ")?..];
        let (_, rest) = text.split_once(": ")?;
        let (commit, rest) = rest.split_once(" to commit, ")?;
        let (abort, _) = rest.split_once(" to abort")?;
        Some(Found {
            text: text.to_owned(),
            commit: commit.parse().ok()?,
            abort: abort.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_coordinator_found_is_read_from_its_line() {
        let text = "Found 3 incomplete transactions from previous run: 1 to commit, 2 to abort";
        let counts = |line: &str| Found::among(["x", line]).map(|found| (found.commit, found.abort));
        assert_eq!(counts(text), Some((1, 2)));
        assert_eq!(counts(&format!("{text}, 1 for their node to tell")), Some((1, 2)));
        assert_eq!(counts("Found nothing"), None);
        let line = format!("12:00:00.000Z [INFO] {text}");
        assert_eq!(Found::among([line.as_str()]).unwrap().text, text);
    }
}
