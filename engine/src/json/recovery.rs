//! What a store remembers: the checkpoint, then every record behind it, through [`Fold::apply`].
//!
//! Reading changes nothing on disk, so a store that is refused stays as it was. Every segment that is there is read and
//! checked in full, also those that the checkpoint already contains: each names its predecessor's digest, so that none
//! can be missing, swapped or replaced by an older one without being noticed.

use std::io;
use std::mem;
use std::panic;
use std::sync::mpsc;
use std::thread;

use protocol::fold::{Fold, Seq};
use protocol::id::StoreId;
use protocol::plain::Plain;
use protocol::planted;
use serde::de::DeserializeOwned;

use crate::disk::{Disk, DiskFile};
use crate::failpoint;
use crate::json::backend::Background;
use crate::json::line;
use crate::json::log::fill_ahead;
use crate::json::names::Names;
use crate::json::segment::{self, Place, Segment, Source};
use crate::json::spare;
use crate::json::state_file::{self, Checkpoint};
use crate::json::streamed;
use crate::{Error, Owner, seal};

/// Records handed over at once to whoever applies them, and how many such batches may wait.
const BATCH: usize = 256;
const BATCHES_AHEAD: usize = 16;

/// Records of a batch whose needs are looked at together before they are applied.
const HANDFUL: usize = 32;

/// Where one store's files are and whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Home<D> {
    pub(crate) disk: D,
    pub(crate) names: Names,
    pub(crate) owner: Owner,
    pub(crate) store: StoreId,
}

impl<D: Disk> Home<D> {
    /// A disk error about one file.
    pub(crate) fn io(&self, doing: &str, name: &str) -> impl FnOnce(io::Error) -> Error {
        let what = format!("cannot {doing} {}", self.disk.display(name));
        move |error| Error::io(what, error)
    }

    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let failed = self.io("list the directory of", &self.names.active);
        self.disk.list().map_err(failed)
    }

    pub(crate) fn sync_dir(&self) -> Result<(), Error> {
        let failed = self.io("sync the directory of", &self.names.active);
        self.disk.sync_dir().map_err(failed)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.disk.rename(from, to).map_err(self.io("put in place", to))
    }

    #[cfg(test)]
    pub(crate) fn of_some_coordinator(disk: D) -> Home<D> {
        Home {
            disk,
            names: Names::new(Owner::Coordinator),
            owner: Owner::Coordinator,
            store: StoreId(7),
        }
    }

    /// Removes a file if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match self.disk.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io("remove", name)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The content of a file that must be there.
    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.disk.read(name).map_err(|error| self.unreadable(name, error))
    }

    /// The same in place of what `bytes` hold.
    fn read_into(&self, name: &str, bytes: &mut Vec<u8>) -> Result<(), Error> {
        bytes.clear();
        let file = self.disk.open(name);
        let read = file.and_then(|mut file| file.read_to_end(bytes));
        read.map(drop).map_err(|error| self.unreadable(name, error))
    }

    /// Why a file that must be there cannot be read.
    fn unreadable(&self, name: &str, error: io::Error) -> Error {
        if error.kind() != io::ErrorKind::NotFound {
            return self.io("read", name)(error);
        }
        Error::Corrupt(format!(
            "{} is missing, but this store has been started before. Nothing was changed. Restore the data directory \
             from a backup",
            self.disk.display(name)
        ))
    }
}

/// The state and where the log goes on.
#[derive(Debug)]
pub(crate) struct Recovered<S> {
    pub(crate) state: S,
    /// The newest record in the state file.
    pub(crate) checkpoint: Seq,
    /// The state file's length, in bytes.
    pub(crate) checkpoint_len: u64,
    /// Whether closed segments hold records that the state file does not.
    pub(crate) behind: bool,
    /// The active segment as it was read.
    pub(crate) active: Segment,
    /// Its whole lines.
    pub(crate) bytes: Vec<u8>,
    pub(crate) notices: Vec<String>,
}

/// Reads a whole store.
///
/// # Errors
/// [`Error::Corrupt`] if anything that was promised may be gone, [`Error::Io`] if it cannot be read.
pub(crate) fn read<S: Fold, D: Disk>(home: &Home<D>, background: Background) -> Result<Recovered<S>, Error> {
    let Checkpoint {
        mut state,
        previous,
        len,
    } = read_checkpoint::<S, D>(home)?;
    let checkpoint = state.seq();
    let theirs = home.clone();
    let log = move |on_record: &mut OnRecord<'_>| {
        let listed = theirs.list()?;
        let mut walk = Walk::begin(&theirs, checkpoint, previous);
        walk.closed(&theirs.names.closed_among(&listed), on_record)?;
        let behind = walk.chain.is_some_and(|link| link.last > checkpoint);
        Ok((behind, walk.active(&listed, on_record)?))
    };
    let (behind, active) = match background {
        Background::Threads => follow_ahead(&mut state, log),
        Background::Inline => log(&mut follow(&mut state)),
    }?;
    let Active {
        segment,
        mut bytes,
        notices,
    } = active;
    planted!(TornTailKept: bytes.truncate(segment.valid_len) => ());
    Ok(Recovered {
        state,
        checkpoint,
        checkpoint_len: len,
        behind,
        active: segment,
        bytes,
        notices,
    })
}

/// A state on its way from a checkpoint to the present.
pub(crate) struct Replay<'a, S, D> {
    walk: Walk<'a, D>,
    pub(crate) state: S,
    checkpoint_len: u64,
}

impl<'a, S: Fold, D: Disk> Replay<'a, S, D> {
    /// Starts from the state file.
    pub(crate) fn begin(home: &'a Home<D>) -> Result<Replay<'a, S, D>, Error> {
        let checkpoint = read_checkpoint::<S, D>(home)?;
        Ok(Replay {
            walk: Walk::begin(home, checkpoint.state.seq(), checkpoint.previous),
            state: checkpoint.state,
            checkpoint_len: checkpoint.len,
        })
    }

    /// The newest record in the state file.
    pub(crate) fn checkpoint(&self) -> Seq {
        self.walk.checkpoint
    }

    /// The state file's length, in bytes.
    pub(crate) fn checkpoint_len(&self) -> u64 {
        self.checkpoint_len
    }

    /// Replays the closed segments with these first records.
    pub(crate) fn closed(&mut self, firsts: &[Seq]) -> Result<(), Error> {
        self.walk.closed(firsts, &mut follow(&mut self.state))
    }
}

/// Applies every record that `state` does not contain yet.
fn follow<S: Fold>(state: &mut S) -> impl FnMut(Logged<'_>) -> Result<(), Error> {
    let mut touched = Vec::new();
    move |logged| {
        if logged.is_in(state.seq()) {
            return Ok(());
        }
        apply(state, logged.seq, &logged.record()?, &mut touched)
    }
}

fn apply<S: Fold>(
    state: &mut S,
    seq: Seq,
    record: &S::Record,
    touched: &mut Vec<S::Key>,
) -> Result<(), Error> {
    failpoint::check("recovery.record").map_err(|error| Error::io("failpoint recovery.record", error))?;
    touched.clear();
    state.apply(seq, record, touched);
    Ok(())
}

/// The same, with a thread that reads ahead: checking and parsing a line takes about as long as applying its record.
fn follow_ahead<S: Fold, T: Send>(
    state: &mut S,
    log: impl FnOnce(&mut OnRecord<'_>) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        let (sender, batches) = mpsc::sync_channel(BATCHES_AHEAD);
        let checkpoint = state.seq();
        let reader = move || {
            let mut batch = Vec::with_capacity(BATCH);
            let read = log(&mut |logged| {
                if logged.is_in(checkpoint) {
                    return Ok(());
                }
                batch.push((logged.seq, logged.record::<S::Record>()?));
                if batch.len() < BATCH {
                    return Ok(());
                }
                let full = mem::replace(&mut batch, Vec::with_capacity(BATCH));
                // Nobody takes them only where applying one has failed, and that is what will be told.
                let sent = sender.send(full);
                sent.map_err(|_| Error::io("nobody waits for more", io::ErrorKind::BrokenPipe.into()))
            });
            // Also those in front of something bad.
            let _ = sender.send(batch);
            read
        };
        let reader = thread::Builder::new()
            .name("read".to_owned())
            .spawn_scoped(scope, reader)
            .map_err(|error| Error::io("cannot start a thread that reads the log", error))?;
        let mut touched = Vec::new();
        let applied = batches.into_iter().try_for_each(|batch: Vec<(Seq, S::Record)>| {
            batch.chunks(HANDFUL).try_for_each(|handful| {
                state.look_ahead(handful);
                let mut records = handful.iter();
                records.try_for_each(|(seq, record)| apply(state, *seq, record, &mut touched))
            })
        });
        let read = reader.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        applied.and(read)
    })
}

/// The state file's content.
pub(crate) fn read_checkpoint<S: Fold, D: Disk>(home: &Home<D>) -> Result<Checkpoint<S>, Error> {
    let name = &home.names.state;
    let quick = streamed::read(home).map_err(|error| home.unreadable(name, error))?;
    match quick {
        Some(checkpoint) => Ok(checkpoint),
        None => state_file::read::<S, D>(home, &home.read(name)?),
    }
}

/// A record where it stands in the log.
pub(crate) struct Logged<'a> {
    pub(crate) seq: Seq,
    members: &'a [u8],
    at: Place,
    source: Source<'a>,
}

impl Logged<'_> {
    /// Whether a state with `newest` as its newest record contains it.
    fn is_in(&self, newest: Seq) -> bool {
        self.seq <= newest && !planted!(ReplayedTwice)
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if this program does not know such a record.
    pub(crate) fn record<R: DeserializeOwned + Plain>(&self) -> Result<R, Error> {
        line::read_members(self.members).map_err(|error| {
            let why = format!("record {} is not known here: {error}", self.seq);
            self.source.corrupt(self.at.line, self.at.offset, why)
        })
    }
}

/// What is to happen with each record.
pub(crate) type OnRecord<'f> = dyn FnMut(Logged<'_>) -> Result<(), Error> + 'f;

/// The active segment.
pub(crate) struct Active {
    pub(crate) segment: Segment,
    /// All of its bytes but the filler.
    pub(crate) bytes: Vec<u8>,
    pub(crate) notices: Vec<String>,
}

/// The last segment that was read.
#[derive(Clone, Copy, Debug)]
struct Link {
    segment: u64,
    last: Seq,
    digest: u32,
}

/// A walk through all segments of a log, the oldest first, that checks how each follows the one before.
pub(crate) struct Walk<'a, D> {
    home: &'a Home<D>,
    /// The newest record in the state file.
    checkpoint: Seq,
    /// The newest record in the state file before it.
    previous: Seq,
    chain: Option<Link>,
    /// The segment in hand; the next one takes its place.
    bytes: Vec<u8>,
}

impl<'a, D: Disk> Walk<'a, D> {
    /// Begins in front of the oldest segment of a store whose state file has `checkpoint` as its newest record, and the one
    /// before it `previous`.
    pub(crate) fn begin(home: &'a Home<D>, checkpoint: Seq, previous: Seq) -> Walk<'a, D> {
        Walk {
            home,
            checkpoint,
            previous,
            chain: None,
            bytes: Vec::new(),
        }
    }

    /// Reads the closed segments with these first records.
    pub(crate) fn closed(&mut self, firsts: &[Seq], on_record: &mut OnRecord<'_>) -> Result<(), Error> {
        for &first in firsts {
            let name = self.home.names.closed(first);
            let segment = self.segment(&name, Some(first), on_record)?;
            if let Some(dropped) = segment.dropped {
                let path = self.home.disk.display(&name);
                return Err(Error::Corrupt(format!(
                    "{path}: {dropped}, but a closed segment was durable in full: this log is damaged. Nothing was \
                     changed. Restore the data directory from a backup"
                )));
            }
        }
        Ok(())
    }

    /// Reads the segment that took records last; `listed` is everything in the directory.
    pub(crate) fn active(
        &mut self,
        listed: &[String],
        on_record: &mut OnRecord<'_>,
    ) -> Result<Active, Error> {
        let names = &self.home.names;
        // Only a rotation takes the active segment away, and it has made the next one durable by then.
        let rotating =
            !listed.contains(&names.active) && listed.contains(&names.next) && self.chain.is_some();
        let name = if rotating { &names.next } else { &names.active };
        let segment = self.segment(name, None, on_record)?;
        let path = self.home.disk.display(name);
        if segment.last < self.checkpoint {
            let tail = segment
                .dropped
                .as_ref()
                .map(|dropped| format!(" ({dropped})"))
                .unwrap_or_default();
            return Err(Error::Corrupt(format!(
                "{path}: the log ends with record {}, but {} has record {}: records that were durable are gone{tail}. \
                 Nothing was changed. Restore the data directory from a backup",
                segment.last,
                self.home.disk.display(&names.state),
                self.checkpoint,
            )));
        }
        let dropped = segment.dropped.iter();
        let notices = dropped.map(|dropped| format!("{path}: {dropped}")).collect();
        Ok(Active {
            segment,
            bytes: mem::take(&mut self.bytes),
            notices,
        })
    }

    /// Reads one segment; `named` is the first record that its name promises.
    fn segment(
        &mut self,
        name: &str,
        named: Option<Seq>,
        on_record: &mut OnRecord<'_>,
    ) -> Result<Segment, Error> {
        self.home.read_into(name, &mut self.bytes)?;
        segment::trim_filler(&mut self.bytes);
        let bytes = &self.bytes;
        let path = self.home.disk.display(name);
        let source = Source {
            path: &path,
            store: self.home.store,
        };
        let (header, _) = segment::read_header(bytes, source)?;
        if named.is_some_and(|first| first != header.first) {
            return Err(source.corrupt(
                1,
                0,
                format!(
                    "the segment begins with record {}, not with the one in its name",
                    header.first
                ),
            ));
        }
        self.check_chain(&header, source)?;
        let segment = segment::read(bytes, source, |seq, members, at| {
            on_record(Logged {
                seq,
                members,
                at,
                source,
            })
        })?;
        self.chain = Some(Link {
            segment: segment.header.segment,
            last: segment.last,
            digest: crc32fast::hash(bytes),
        });
        Ok(segment)
    }

    /// Whether this segment goes on where the one before it ended.
    fn check_chain(&self, header: &line::Header, source: Source<'_>) -> Result<(), Error> {
        let Some(link) = self.chain else {
            return self.check_oldest(header, source);
        };
        let digest = seal::hex(link.digest);
        let follows = header.first == link.last + 1
            && header.segment == link.segment + 1
            && header.previous.as_bytes() == digest;
        // Segments wholly in the previous checkpoint are being removed, in whatever order that became durable.
        let gap_is_collected = header.first > link.last + 1 && header.first <= self.previous + 1;
        if follows || gap_is_collected || planted!(ChainUnchecked) {
            return Ok(());
        }
        let why = format!(
            "segment {} from record {} on does not follow segment {}, which ended with record {} and has digest {}: \
             a segment is missing, damaged or not from here",
            header.segment,
            header.first,
            link.segment,
            link.last,
            String::from_utf8_lossy(&digest)
        );
        Err(source.corrupt(1, 0, why))
    }

    /// Whether the log reaches back far enough: to the previous checkpoint, or, if the state file *is* that one, put
    /// back by hand, to itself.
    fn check_oldest(&self, header: &line::Header, source: Source<'_>) -> Result<(), Error> {
        if header.first <= self.previous + 1 {
            return Ok(());
        }
        let names = &self.home.names;
        let put_back = || self.home.disk.read(&names.state).ok() == self.home.disk.read(&names.previous).ok();
        if header.first <= self.checkpoint + 1 && put_back() {
            return Ok(());
        }
        let why = format!(
            "the segments before record {} are missing; record {} is needed",
            header.first,
            self.previous + 1
        );
        Err(source.corrupt(1, 0, why))
    }
}

/// Makes what was read durable, whatever the page cache holds (R23): the active segment's whole lines go to a new file,
/// which is synced and put in place of the old one. Returns that file and its content.
///
/// # Errors
/// [`Error::Io`]; the old file is still there then.
pub(crate) fn settle<D: Disk>(
    home: &Home<D>,
    active: &Segment,
    mut bytes: Vec<u8>,
) -> Result<(D::File, Vec<u8>), Error> {
    if active.ends_with_mark != Some(active.last) {
        line::write_synced(active.last, &mut bytes);
    }
    let names = &home.names;
    // First of all: what a crash left half written must not take the room that the copy needs.
    for name in names.temporary() {
        home.remove(&name)?;
    }
    // The next segment has nothing in it as long as the active one has its name; it may be as long.
    if home
        .disk
        .exists(&names.active)
        .map_err(home.io("look for", &names.active))?
    {
        home.remove(&names.next)?;
    }
    if !spare::has_room_to_keep(&home.disk).map_err(home.io("ask for space beside", &names.active))? {
        spare::forget_old(home)?;
    }
    let aside = format!("{}.tmp", names.active);
    let write = || {
        let mut file = home.disk.create(&aside)?;
        file.append(&bytes)?;
        file.fill_ahead(fill_ahead(&home.disk)?)?;
        planted!(UnsyncedRecovery: file.sync()? => ());
        Ok(file)
    };
    let file = write().map_err(home.io("write", &aside))?;
    home.rename(&aside, &names.active)?;
    planted!(UnsyncedRecoveryName: home.sync_dir()? => ());
    failpoint::check("recovery.copied").map_err(|error| Error::io("failpoint recovery.copied", error))?;
    home.remove(&names.next)?;
    Ok((file, bytes))
}
