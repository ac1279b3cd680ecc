//! What the files of one json store are called.

use protocol::fold::Seq;

use crate::Owner;

/// Closed segments that are kept to be used again: as many as a checkpoint of a long state makes needless.
const OLD_MAX: usize = 16;

/// The names of one owner's files.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The checkpoint.
    pub(crate) state: String,
    /// The checkpoint before it.
    pub(crate) previous: String,
    /// The log segment that takes new records.
    pub(crate) active: String,
    /// The next active segment while the log rotates.
    pub(crate) next: String,
    /// A segment to be, of line breaks so far.
    pub(crate) spare: String,
    /// Closed segments that nobody needs any more, kept to be written over as spare ones.
    pub(crate) old: [String; OLD_MAX],
    /// A checkpoint that nobody needs any more, kept to be written over by the next one.
    pub(crate) outdated: String,
    stem: String,
}

impl Names {
    pub(crate) fn new(owner: Owner) -> Names {
        let (prefix, stem) = (owner.prefix(), owner.log_stem());
        Names {
            state: format!("{prefix}_state.json"),
            previous: format!("{prefix}_state.prev.json"),
            active: format!("{stem}.jsonl"),
            next: format!("{stem}.next.jsonl"),
            spare: format!("{stem}.spare.tmp"),
            outdated: format!("{prefix}_state.old.tmp"),
            old: std::array::from_fn(|number| format!("{stem}.old{number}.tmp")),
            stem,
        }
    }

    /// A closed segment whose first record is `first`.
    pub(crate) fn closed(&self, first: Seq) -> String {
        format!("{}.{first}.jsonl", self.stem)
    }

    /// The first sequences of the closed segments among `names`, ascending.
    pub(crate) fn closed_among(&self, names: &[String]) -> Vec<Seq> {
        let mut firsts: Vec<Seq> = names.iter().filter_map(|name| self.closed_first(name)).collect();
        firsts.sort_unstable();
        firsts
    }

    fn closed_first(&self, name: &str) -> Option<Seq> {
        let middle = name
            .strip_prefix(&self.stem)?
            .strip_prefix('.')?
            .strip_suffix(".jsonl")?;
        let first = middle.parse().ok()?;
        // `007` is not how this store writes 7.
        (self.closed(first) == name).then_some(first)
    }

    /// What a crash may have left half written.
    pub(crate) fn temporary(&self) -> [String; 4] {
        let [state, previous, active] =
            [&self.state, &self.previous, &self.active].map(|name| format!("{name}.tmp"));
        [state, previous, active, self.spare.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_segments_are_told_from_everything_else() {
        let names = Names::new(Owner::Node("N1".parse().unwrap()));
        let files = [
            "node_N1_log.jsonl",
            "node_N1_log.30.jsonl",
            "node_N1_log.4.jsonl",
            "node_N1_log.next.jsonl",
        ];
        let others = [
            "node_N1_log.007.jsonl",
            "node_N1_log.5.jsonl.tmp",
            "node_N10_log.5.jsonl",
            "node_N1_log..jsonl",
        ];
        let all: Vec<String> = files.iter().chain(&others).map(|&name| name.to_owned()).collect();
        assert_eq!(names.closed_among(&all), [4, 30]);
        let names = Names::new(Owner::Coordinator);
        assert_eq!(names.closed(7), "coordinator_tx_log.7.jsonl");
        assert_eq!(names.state, "coordinator_state.json");
    }
}
