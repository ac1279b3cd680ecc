//! Checkpoints: the state file is brought forward, and segments that nobody needs any more go.
//!
//! Where the live state is small, a copy of it is written. Where a copy would hold the loop up, it comes as a snapshot, part
//! by part, turn by turn, while the state goes on changing. For a state that knows no snapshots it comes from where
//! recovery takes it, the old state file and the closed segments. The steps, as the failpoints `checkpoint.k…` name them; each acts *before* its step:
//!
//! | | step | a crash before it leaves |
//! |---|---|---|
//! | K7 K8 K9 | the log rotates: next segment written, synced, in place | the old active segment, or the next one to take its place |
//! | K1 | copy the state, or fold the closed segments | the old state file and all of the log |
//! | K2 K3 | write the new state aside, sync it | a file that nobody looks at |
//! | K4 | the old state file becomes the previous one, by a second name | one state file under two names |
//! | K5 K6 | the new one takes its place, the directory is synced | the old or the new one, each with the log behind it |
//! | K10 K11 | segments wholly in the *previous* state file go, the directory is synced | more log than needed |
//!
//! The state file that loses its name at K4 is kept under another one, and the next checkpoint is written over it (see
//! [outdated]). Where that cannot be it is held open until then, and freed little by little.
//!
//! Step numbers are those of the fault catalogue; rotation comes first here, so that what is folded is closed.

use std::io;
use std::iter;
use std::sync::atomic::AtomicBool;

use protocol::fold::{Fold, Seq};
use protocol::planted;

use crate::disk::Disk;
use crate::error::is_no_space;
use crate::json::outdated;
use crate::json::recovery::{Home, Replay};
use crate::json::spare;
use crate::json::state_file::{self, Content};
use crate::{Error, failpoint};

/// What a checkpoint came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Its newest record.
    pub(crate) seq: Seq,
    /// The state file's length, in bytes.
    pub(crate) len: u64,
}

/// Makes a copy of the live state, all of whose records the log holds durably, the next checkpoint. `replaced` is the one
/// before.
///
/// # Errors
/// As [`fold`].
pub(crate) fn copy<S: Fold, D: Disk>(home: &Home<D>, state: &S, replaced: Cut) -> Result<Cut, Error> {
    step(1)?;
    let seq = state.seq();
    if seq <= replaced.seq {
        return Ok(replaced);
    }
    let len = install(home, Content::of(state), replaced.seq)?;
    Ok(Cut { seq, len })
}

/// Makes a snapshot of the live state, which comes in parts, the next checkpoint. `replaced` is the one before.
///
/// # Errors
/// As [`fold`]; [`is_given_up`] if the parts end before the snapshot is complete.
pub(crate) fn stream<S: Fold, D: Disk>(
    home: &Home<D>,
    seq: Seq,
    parts: impl Iterator<Item = Part<S>>,
    replaced: Cut,
) -> Result<Cut, Error> {
    step(1)?;
    let mut parts = parts.chain([Part::Lost]);
    let mut part = Vec::new().into_iter();
    let entries = iter::from_fn(|| {
        loop {
            if let Some(entry) = part.next() {
                return Some(Ok(entry));
            }
            match parts.next() {
                Some(Part::Entries(entries)) => part = entries.into_iter(),
                Some(Part::End) => return None,
                Some(Part::Lost) | None => return Some(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    });
    let content = Content {
        seq,
        entries: Box::new(entries),
    };
    let len = install::<S, D>(home, content, replaced.seq)?;
    Ok(Cut { seq, len })
}

/// A part of a snapshot.
pub(crate) enum Part<S: Fold> {
    Entries(Vec<S::Entry>),
    /// That was all.
    End,
    /// There will be no more, and it was not all.
    Lost,
}

/// Whether a checkpoint was given up because the store is being closed.
pub(crate) fn is_given_up(error: &Error) -> bool {
    match error {
        Error::Io { source, .. } => source.kind() == io::ErrorKind::BrokenPipe,
        Error::Locked { .. } | Error::Mismatch(_) | Error::Corrupt(_) => false,
    }
}

/// Cuts one checkpoint at the end of the closed segments, from the state file and what they hold.
///
/// # Errors
/// [`Error`]; if only space is missing (see [`is_for_lack_of_space`]), the store is as good as before.
pub(crate) fn fold<S: Fold, D: Disk>(home: &Home<D>) -> Result<Cut, Error> {
    step(1)?;
    let mut replay = Replay::<S, D>::begin(home)?;
    replay.closed(&home.names.closed_among(&home.list()?))?;
    let replaced = replay.checkpoint();
    let seq = replay.state.seq();
    let len = if seq > replaced {
        install(home, Content::of(&replay.state), replaced)?
    } else {
        replay.checkpoint_len()
    };
    Ok(Cut { seq, len })
}

/// Makes a state, which the log must hold durably, the store's state file in place of the one at `replaced`. Returns its
/// length in bytes.
///
/// # Errors
/// As [`fold`].
pub(crate) fn install<S: Fold, D: Disk>(
    home: &Home<D>,
    content: Content<'_, S>,
    replaced: Seq,
) -> Result<u64, Error> {
    let seq = content.seq;
    let names = &home.names;
    let [aside, second, ..] = names.temporary();
    step(2)?;
    let written =
        outdated::take(home, &aside).and_then(|file| state_file::write(home, file, replaced, content));
    let len = match written {
        Ok(len) => len,
        Err(error) => {
            if is_no_space(&error) || error.kind() == io::ErrorKind::BrokenPipe {
                home.remove(&aside)?;
            }
            return Err(home.io("write", &aside)(error));
        }
    };
    planted!(SegmentsGoEarly: () => collect(home, seq)?);
    step(4)?;
    home.remove(&second)?;
    link(home, &names.state, &second).map_err(home.io("keep", &names.state))?;
    outdated::keep(home);
    let leaving = home.disk.hold(&names.previous);
    home.rename(&second, &names.previous)?;
    step(5)?;
    home.rename(&aside, &names.state)?;
    step(6)?;
    planted!(UnsyncedCheckpointName: home.sync_dir()? => ());
    // If both were one file already, the second name stayed.
    home.remove(&second)?;
    collect(home, replaced)?;
    leaving.free(&AtomicBool::new(false));
    Ok(len)
}

/// A second name for a file, or a copy where the file system knows no such thing.
fn link<D: Disk>(home: &Home<D>, name: &str, second: &str) -> io::Result<()> {
    use crate::disk::DiskFile;
    match home.disk.link(name, second) {
        Err(error)
            if error.kind() == io::ErrorKind::Unsupported
                || error.kind() == io::ErrorKind::PermissionDenied =>
        {
            let bytes = home.disk.read(name)?;
            let mut file = home.disk.create(second)?;
            file.append(&bytes)?;
            file.sync()
        }
        result => result,
    }
}

/// Removes the segments that lie wholly in the previous checkpoint, the oldest first.
fn collect<D: Disk>(home: &Home<D>, previous: Seq) -> Result<(), Error> {
    let firsts = home.names.closed_among(&home.list()?);
    step(10)?;
    let mut removed = false;
    for pair in firsts.windows(2) {
        let [first, next] = pair else {
            unreachable!("windows of two")
        };
        if *next <= previous + 1 {
            spare::put_by(home, &home.names.closed(*first))?;
            removed = true;
        }
    }
    if removed {
        step(11)?;
        home.sync_dir()?;
    }
    Ok(())
}

fn step(k: u8) -> Result<(), Error> {
    match failpoint::hit_with(|| format!("checkpoint.k{k}")) {
        Some(fault) => Err(Error::io(
            format!("failpoint checkpoint.k{k}"),
            fault.into_error(),
        )),
        None => Ok(()),
    }
}

/// Whether a checkpoint only has to be tried again when there is more room.
pub(crate) fn is_for_lack_of_space(error: &Error) -> bool {
    match error {
        Error::Io { source, .. } => is_no_space(source),
        Error::Locked { .. } | Error::Mismatch(_) | Error::Corrupt(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::id::StoreId;
    use protocol::participant::{NodeEntry, NodeState};

    use super::*;
    use crate::Owner;
    use crate::disk::OsDisk;
    use crate::json::names::Names;

    /// A store with this many records in its state file.
    fn home(dir: &Path, seq: Seq) -> Home<OsDisk> {
        let owner = Owner::Node("N1".parse().unwrap());
        let home = Home {
            disk: OsDisk::new(dir),
            names: Names::new(owner),
            owner,
            store: StoreId(7),
        };
        let file = home.disk.create(&home.names.state).unwrap();
        state_file::write(&home, file, 0, Content::of(&state(seq))).unwrap();
        home
    }

    fn state(seq: Seq) -> NodeState {
        let accounts = (0..seq).map(|n| NodeEntry::Account(format!("a{n:06}").parse().unwrap(), 5, n));
        NodeState::restore(seq, &mut { accounts }).unwrap()
    }

    fn cut(home: &Home<OsDisk>, seq: Seq, replaced: Seq) {
        install(home, Content::of(&state(seq)), replaced).unwrap();
    }

    /// The state that a file holds, which must be whole.
    fn held(home: &Home<OsDisk>, name: &str) -> NodeState {
        let bytes = home.disk.read(name).unwrap();
        state_file::read_any(home.store, &bytes).unwrap().state
    }

    #[test]
    fn the_state_file_that_is_replaced_becomes_the_previous_one_and_the_one_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let lens = [50_000, 60_000, 90_000, 91_000];
        let home = home(dir.path(), lens[0]);
        let names = &home.names;
        // From an earlier life, and longer than any of these.
        let long = vec![b'x'; 10 * 1024 * 1024];
        std::fs::write(dir.path().join(&names.outdated), long).unwrap();
        for pair in lens.windows(2) {
            cut(&home, pair[1], pair[0]);
            assert_eq!(held(&home, &names.state), state(pair[1]));
            assert_eq!(held(&home, &names.previous), state(pair[0]));
            let mut expected = vec![names.state.as_str(), &names.previous];
            if pair[0] > lens[0] {
                expected.insert(1, &names.outdated);
            }
            assert_eq!(home.disk.list().unwrap(), expected);
        }
    }

    /// A crash between steps 4 and 5 leaves one file under both names.
    #[test]
    fn a_state_file_that_is_the_previous_one_too_stays_whole() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path(), 60_000);
        let names = &home.names;
        home.disk.link(&names.state, &names.previous).unwrap();
        for (next, last) in [(70_000, 60_000), (80_000, 70_000), (90_000, 80_000)] {
            cut(&home, next, last);
            assert_eq!(held(&home, &names.state), state(next));
            assert_eq!(held(&home, &names.previous), state(last));
        }
    }
}
