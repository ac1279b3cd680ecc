//! From which state on the records of a store can be followed to the end.

use engine::Content;
use protocol::fold::{Fold, Seq};

/// A state and every record behind it.
#[derive(Debug)]
pub(crate) struct History<'a, S: Fold> {
    /// The oldest state that the records reach back to: the empty one, if the log is whole.
    pub(crate) base: &'a S,
    /// The newest records without a gap; they begin at the latest behind `base`.
    pub(crate) run: &'a [(Seq, S::Record)],
    /// Whether there is more than one moment to look at.
    pub(crate) has_moments: bool,
}

impl<'a, S: Fold> History<'a, S> {
    /// The longest there is. `empty` is the state before the first record.
    pub(crate) fn of(content: &'a Content<S>, empty: &'a S) -> History<'a, S> {
        let gap = |pair: &[(Seq, S::Record)]| pair[0].0 + 1 != pair[1].0;
        let start = content.records.windows(2).rposition(gap).map_or(0, |at| at + 1);
        let run = &content.records[start..];
        let base = match run.first() {
            None => None,
            Some((1, _)) => Some(empty),
            Some((first, _)) => {
                let reached = content
                    .checkpoints
                    .iter()
                    .filter(|state| state.seq() + 1 >= *first);
                reached.min_by_key(|state| state.seq())
            }
        };
        History {
            base: base.unwrap_or_else(|| newest(content)),
            run,
            has_moments: !run.is_empty() || content.checkpoints.len() > 1,
        }
    }
}

/// The newest state on disk.
pub(crate) fn newest<S: Fold>(content: &Content<S>) -> &S {
    content.checkpoints.last().expect("there is always a state")
}
