//! What a store remembers: the checkpoint, then every record behind it, through [`Fold::apply`].
//!
//! Reading changes nothing on disk, so a store that is refused stays as it was. Every segment that is there is read and
//! checked in full, also those that the checkpoint already contains: each names its predecessor's digest, so that none
//! can be missing, swapped or replaced by an older one without being noticed.

use std::io;

use protocol::fold::{Fold, Seq};
use protocol::id::StoreId;

use crate::disk::{Disk, DiskFile};
use crate::failpoint;
use crate::json::line;
use crate::json::log::fill_ahead;
use crate::json::names::Names;
use crate::json::segment::{self, Place, Segment, Source};
use crate::json::state_file;
use crate::{Error, Owner, seal};

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
        self.disk
            .list()
            .map_err(|error| Error::io("cannot list the data directory", error))
    }

    pub(crate) fn sync_dir(&self) -> Result<(), Error> {
        self.disk
            .sync_dir()
            .map_err(|error| Error::io("cannot sync the data directory", error))
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.disk.rename(from, to).map_err(self.io("put in place", to))
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
        self.disk.read(name).map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return self.io("read", name)(error);
            }
            Error::Corrupt(format!(
                "{} is missing, but this store has been started before. Nothing was changed. Restore the data directory \
                 from a backup",
                self.disk.display(name)
            ))
        })
    }
}

/// The state and where the log goes on.
#[derive(Debug)]
pub(crate) struct Recovered<S> {
    pub(crate) state: S,
    /// The newest record in the state file.
    pub(crate) checkpoint: Seq,
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
pub(crate) fn read<S: Fold, D: Disk>(home: &Home<D>) -> Result<Recovered<S>, Error> {
    let mut replay = Replay::<S, D>::begin(home)?;
    let listed = home.list()?;
    replay.closed(&home.names.closed_among(&listed))?;
    let checkpoint = replay.checkpoint;
    let behind = replay.state.seq() > checkpoint;
    let names = &home.names;
    // Only a rotation takes the active segment away, and it has made the next one durable by then.
    let rotating = !listed.contains(&names.active) && listed.contains(&names.next) && replay.chain.is_some();
    let name = if rotating { &names.next } else { &names.active };
    let (mut bytes, active) = replay.segment(name, None)?;
    let path = home.disk.display(name);
    if active.last < checkpoint {
        let tail = active
            .dropped
            .as_ref()
            .map(|dropped| format!(" ({dropped})"))
            .unwrap_or_default();
        return Err(Error::Corrupt(format!(
            "{path}: the log ends with record {}, but {} has record {checkpoint}: records that were durable are \
             gone{tail}. Nothing was changed. Restore the data directory from a backup",
            active.last,
            home.disk.display(&names.state),
        )));
    }
    let mut notices = Vec::new();
    if let Some(dropped) = &active.dropped {
        notices.push(format!("{path}: {dropped}"));
    }
    bytes.truncate(active.valid_len);
    Ok(Recovered {
        state: replay.state,
        checkpoint,
        behind,
        active,
        bytes,
        notices,
    })
}

/// The last segment that was read.
#[derive(Clone, Copy, Debug)]
struct Link {
    segment: u64,
    last: Seq,
    digest: u32,
}

/// A state on its way from a checkpoint to the present.
pub(crate) struct Replay<'a, S: Fold, D> {
    home: &'a Home<D>,
    pub(crate) state: S,
    /// The newest record in the state file.
    pub(crate) checkpoint: Seq,
    /// The newest record in the state file before it.
    previous: Seq,
    chain: Option<Link>,
    touched: Vec<S::Key>,
}

impl<'a, S: Fold, D: Disk> Replay<'a, S, D> {
    /// Starts from the state file.
    pub(crate) fn begin(home: &'a Home<D>) -> Result<Replay<'a, S, D>, Error> {
        let bytes = home.read(&home.names.state)?;
        let checkpoint = state_file::read::<S, D>(home, &bytes)?;
        Ok(Replay {
            home,
            checkpoint: checkpoint.state.seq(),
            previous: checkpoint.previous,
            state: checkpoint.state,
            chain: None,
            touched: Vec::new(),
        })
    }

    /// Replays the closed segments with these first records.
    pub(crate) fn closed(&mut self, firsts: &[Seq]) -> Result<(), Error> {
        for &first in firsts {
            let name = self.home.names.closed(first);
            let (_, segment) = self.segment(&name, Some(first))?;
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

    /// Replays one segment; `named` is the first record that its name promises.
    fn segment(&mut self, name: &str, named: Option<Seq>) -> Result<(Vec<u8>, Segment), Error> {
        let mut bytes = self.home.read(name)?;
        if named.is_none() {
            segment::trim_filler(&mut bytes);
        }
        let path = self.home.disk.display(name);
        let source = Source {
            path: &path,
            store: self.home.store,
        };
        let (header, _) = segment::read_header(&bytes, source)?;
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
        let (state, touched) = (&mut self.state, &mut self.touched);
        let mut object = Vec::new();
        let segment = segment::read(&bytes, source, |seq, members, at: Place| {
            if seq <= state.seq() {
                return Ok(());
            }
            object.clear();
            object.push(b'{');
            object.extend_from_slice(members);
            object.push(b'}');
            let record = serde_json::from_slice(&object).map_err(|error| {
                source.corrupt(
                    at.line,
                    at.offset,
                    format!("record {seq} is not known here: {error}"),
                )
            })?;
            failpoint::check("recovery.record")
                .map_err(|error| Error::io("failpoint recovery.record", error))?;
            touched.clear();
            state.apply(seq, &record, touched);
            Ok(())
        })?;
        self.chain = Some(Link {
            segment: segment.header.segment,
            last: segment.last,
            digest: crc32fast::hash(&bytes),
        });
        Ok((bytes, segment))
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
        if follows || gap_is_collected {
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
    let aside = format!("{}.tmp", names.active);
    let write = || {
        let mut file = home.disk.create(&aside)?;
        file.append(&bytes)?;
        file.fill_ahead(fill_ahead(&home.disk)?)?;
        file.sync()?;
        Ok(file)
    };
    let file = write().map_err(home.io("write", &aside))?;
    home.rename(&aside, &names.active)?;
    home.sync_dir()?;
    failpoint::check("recovery.copied").map_err(|error| Error::io("failpoint recovery.copied", error))?;
    home.remove(&names.next)?;
    for name in names.temporary() {
        home.remove(&name)?;
    }
    Ok((file, bytes))
}
