//! The json backend: a state file that a person can read, and a JSONL write-ahead log.
//!
//! ```text
//! node_N1_state.json         the checkpoint: balances, and in _meta everything else
//! node_N1_state.prev.json    the checkpoint before; the log reaches back to it
//! node_N1_log.1201.jsonl     closed segments, by their first record
//! node_N1_log.jsonl          the active segment
//! ```
//!
//! [`line`](mod@line) is what a line looks like, [`segment`] how a torn tail is told from corruption, [`recovery`] how the state
//! comes back, [`streamed`] how a long state file is read, [`peek`](mod@peek) what people see of a log, [`log`] how it is kept, [`spare`] how its next segment is written ahead, [`checkpoint`] how it is kept short.

mod backend;
mod by_hand;
mod checkpoint;
mod first_start;
mod inspect;
mod line;
mod log;
mod names;
mod outdated;
mod packed;
mod peek;
mod recovery;
mod segment;
mod spare;
mod state_file;
mod streamed;

use std::sync::Arc;
use std::time::Instant;

use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::disk::Disk;
use crate::open::Recovered;
use crate::{Error, Owner, StoreConfig};

pub use backend::Clock;
pub(crate) use inspect::inspect;
pub(crate) use peek::peek;
pub use peek::{LogAsk, LogLine, LogPage, LogPlace};

use backend::{Backend, Background, Manner};
use checkpoint::Cut;
use log::Log;
use names::Names;
use recovery::Home;

/// A checkpoint is due when this many segments have been closed since the last one, or more if the state itself is longer.
const SEGMENTS_PER_CHECKPOINT: u64 = 4;

/// A copy of this many entries takes about half a millisecond, and so does a part of a snapshot.
const COPIED_SIZE_MAX: usize = 5000;
const COPIED_WHOLE_SIZE_MAX: usize = 10 * COPIED_SIZE_MAX;
const PART_SIZE: usize = 4000;

/// The same where everything is small, so that all ways to make a checkpoint are taken.
const SMALL_WORLD: usize = 60;
const SMALL_PART: usize = 50;

/// Whether a first start could succeed with the files that are there. Changes nothing.
///
/// # Errors
/// See [`first_start::check`].
pub(crate) fn check_first_start<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    store: StoreId,
) -> Result<(), Error> {
    first_start::check::<S, D>(&home(disk, config.owner, store))
}

/// Opens the json store of `config.owner`, with checkpoints and spare segments made on threads of their own.
///
/// # Errors
/// [`Error`]; a store that is refused is left as it was.
pub(crate) fn open<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    store: StoreId,
    first_start: bool,
) -> Result<Recovered<S>, Error> {
    let manner = Manner {
        background: Background::Threads,
        clock: Arc::new(Instant::now),
        segment_len_max: config.segment_len_max,
        checkpoint_after: config.segment_len_max.saturating_mul(SEGMENTS_PER_CHECKPOINT),
        copied_size_max: COPIED_SIZE_MAX,
        copied_whole_size_max: COPIED_WHOLE_SIZE_MAX,
        part_size: PART_SIZE,
    };
    open_in(home(disk, config.owner, store), manner, first_start)
}

/// [`open`], with checkpoints and spare segments made within [`tend`](crate::Engine::tend), and a checkpoint for each
/// closed segment.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_on<S: Fold, D: Disk>(
    disk: &D,
    config: &StoreConfig,
    clock: Clock,
    store: StoreId,
    first_start: bool,
) -> Result<Recovered<S>, Error> {
    let manner = Manner {
        background: Background::Inline,
        clock,
        segment_len_max: config.segment_len_max,
        checkpoint_after: config.segment_len_max,
        copied_size_max: SMALL_WORLD,
        copied_whole_size_max: SMALL_WORLD,
        part_size: SMALL_PART,
    };
    open_in(home(disk, config.owner, store), manner, first_start)
}

fn home<D: Disk>(disk: &D, owner: Owner, store: StoreId) -> Home<D> {
    Home {
        disk: disk.clone(),
        names: Names::new(owner),
        owner,
        store,
    }
}

fn open_in<S: Fold, D: Disk>(
    home: Home<D>,
    manner: Manner,
    first_start: bool,
) -> Result<Recovered<S>, Error> {
    let adopted = if first_start {
        first_start::make::<S, D>(&home)?
    } else {
        None
    };
    let found = recovery::read::<S, D>(&home, manner.background)?;
    let (file, bytes) = recovery::settle(&home, &found.active, found.bytes)?;
    let log = Log::new(
        home.clone(),
        file,
        &bytes,
        &found.active.header,
        found.active.last,
    );
    let cut = Cut {
        seq: found.checkpoint,
        len: found.checkpoint_len,
    };
    let backend = Backend::new(home, log, manner, cut, found.behind);
    let notices = adopted.into_iter().chain(found.notices).collect();
    Ok((Box::new(backend), found.state, notices))
}
