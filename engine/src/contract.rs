//! What a durability backend promises. One conformance suite holds every backend to it.

use protocol::fold::{Fold, Seq};
use protocol::id::StoreId;
use protocol::message::Work;

use crate::Error;

/// A backend that keeps a [`Fold`] state.
///
/// The caller appends the records of one step at a time, syncs when somebody waits, and stops the process at the
/// first error: after a failed append or sync the outcome is undefined, and only recovery can tell (R24).
pub trait Engine<S: Fold>: Send {
    /// Appends the records of one step. `state` is the state after them, `touched` the keys they changed. Nothing is
    /// promised yet: a crash may keep any prefix of the unsynced records. Every prefix of a log is a state that the
    /// machines can go on from.
    ///
    /// # Errors
    /// [`Error`]; the store must not be used afterwards.
    fn append(&mut self, records: &[(Seq, S::Record)], touched: &[S::Key], state: &S) -> Result<(), Error>;

    /// Makes everything appended so far durable, with a real fsync.
    ///
    /// # Errors
    /// [`Error`]; the outcome of everything since the last sync is undefined.
    fn sync(&mut self) -> Result<(), Error>;

    /// The newest record that is durable.
    fn synced(&self) -> Seq;

    /// Does what can be done between turns without holding anyone up: starts and finishes checkpoints, and after
    /// 100 ms without an append notes in the log how far it is synced. Returns in how many milliseconds it wants to
    /// be called again at the latest, or `None` if nothing is pending. `state` is as of the last append; it is not
    /// changed, but may be asked for a snapshot.
    ///
    /// # Errors
    /// [`Error`] if the store can no longer be trusted. A checkpoint that fails for lack of space is only logged.
    fn tend(&mut self, state: &mut S) -> Result<Option<u64>, Error>;

    /// Whether the disk has room for new promises: space for the decisions of `open` open transactions and for one
    /// recovery copy stays reserved.
    fn has_room(&mut self, open: usize) -> bool;

    /// Numbers for `status` and the bench.
    fn stats(&self) -> Stats;

    /// Syncs, cuts a last checkpoint where the backend has checkpoints, and lets go of the lock. Nothing depends on
    /// this having happened.
    ///
    /// # Errors
    /// [`Error`]; recovery then does the rest.
    fn close(self: Box<Self>, state: &S) -> Result<(), Error>;
}

/// A recovered store.
pub struct Opened<S: Fold> {
    /// What keeps the state from now on.
    pub engine: Box<dyn Engine<S>>,
    /// The recovered state, durable in full (R23).
    pub state: S,
    /// The store's identity.
    pub store: StoreId,
    /// What recovery has to say: a dropped tail, an adopted file. One line each.
    pub notices: Vec<String>,
    /// Whether this start made the store.
    pub first_start: bool,
}

/// What a backend has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Syncs that had something to make durable.
    pub syncs: u64,
    /// Bytes appended.
    pub bytes: u64,
    /// Checkpoints finished.
    pub checkpoints: u64,
}

impl From<Stats> for Work {
    fn from(stats: Stats) -> Work {
        let Stats {
            records,
            syncs,
            bytes,
            checkpoints,
        } = stats;
        Work {
            records,
            syncs,
            bytes,
            checkpoints,
        }
    }
}
