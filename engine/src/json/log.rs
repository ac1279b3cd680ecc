//! The active segment: where records are appended, synced, and cut into segments.

use std::io;
use std::mem;

use protocol::fold::Seq;
use protocol::plain::Plain;
use protocol::planted;
use serde::Serialize;

use crate::disk::{Disk, DiskFile};
use crate::error::is_no_space;
use crate::failpoint::{self, Fault};
use crate::guard;
use crate::json::line::{self, FORMAT, Header};
use crate::json::recovery::Home;
use crate::json::spare;
use crate::{Error, seal};

/// Bytes that may wait in memory for a sync before they are given to the system.
const BUFFER_LEN_MAX: usize = 256 * 1024;

/// Line breaks written ahead of the log's end, so that most syncs need not grow the file: a sync of a file that keeps
/// its length takes about two thirds of the time.
const FILL_AHEAD: u64 = 256 * 1024;

/// On a smaller disk every byte is for promises.
const FILL_FREE_MIN: u64 = 64 * 1024 * 1024;

/// How far to fill ahead on this disk.
pub(crate) fn fill_ahead(disk: &impl Disk) -> io::Result<u64> {
    Ok(if disk.free_space()? >= FILL_FREE_MIN {
        FILL_AHEAD
    } else {
        0
    })
}

/// The log's open end.
pub(crate) struct Log<D: Disk> {
    home: Home<D>,
    file: D::File,
    segment: u64,
    /// The segment's first record.
    first: Seq,
    /// Lines that the system has not been given yet.
    buffer: Vec<u8>,
    /// The segment's length, in bytes, `buffer` included.
    len: u64,
    /// Over what the system has been given.
    digest: crc32fast::Hasher,
    appended: Seq,
    synced: Seq,
    /// What the newest mark says, if no record stands behind it.
    mark: Option<Seq>,
    /// The system was given something that is not synced; it may be a mark alone.
    dirty: bool,
    /// Bytes appended since the store was opened.
    bytes: u64,
    syncs: u64,
}

impl<D: Disk> Log<D> {
    /// Goes on with the active segment `file`, which holds `content`, durable and ending with a mark.
    pub(crate) fn new(home: Home<D>, file: D::File, content: &[u8], header: &Header, last: Seq) -> Log<D> {
        let mut digest = crc32fast::Hasher::new();
        digest.update(content);
        Log {
            home,
            file,
            segment: header.segment,
            first: header.first,
            buffer: Vec::with_capacity(BUFFER_LEN_MAX),
            len: length(content),
            digest,
            appended: last,
            synced: last,
            mark: Some(last),
            dirty: false,
            bytes: 0,
            syncs: 0,
        }
    }

    /// Appends records; nothing is promised before the next sync.
    pub(crate) fn append<R: Serialize + Plain>(&mut self, records: &[(Seq, R)]) -> Result<(), Error> {
        for (seq, record) in records {
            assert_eq!(*seq, self.appended + 1, "records are numbered without a gap");
            let start = self.buffer.len();
            if self.appended == self.synced && self.mark != Some(self.synced) {
                let durable = planted!(MarkNamesUnsynced: self.synced => *seq);
                line::write_synced(durable, &mut self.buffer);
            }
            let line = self.buffer.len();
            line::write_record(*seq, record, &mut self.buffer);
            self.grow(start);
            (self.appended, self.mark) = (*seq, None);
            if failpoint::armed() {
                self.maybe_tear(line, &guard::action(record));
            }
        }
        if self.buffer.len() >= BUFFER_LEN_MAX || failpoint::armed() {
            self.write()?;
        }
        Ok(())
    }

    /// Notes behind the last record how far the log is synced, unless that stands there already.
    pub(crate) fn write_mark(&mut self) -> Result<(), Error> {
        if self.needs_mark() {
            let start = self.buffer.len();
            line::write_synced(self.synced, &mut self.buffer);
            self.grow(start);
            self.mark = Some(self.synced);
            self.write()?;
        }
        Ok(())
    }

    /// Whether everything is synced, but the log does not say so yet.
    pub(crate) fn needs_mark(&self) -> bool {
        self.appended == self.synced && self.mark != Some(self.synced)
    }

    fn grow(&mut self, start: usize) {
        let added = length(&self.buffer[start..]);
        self.len += added;
        self.bytes += added;
    }

    /// Gives the system what waits in memory: one write.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file
            .append(&self.buffer)
            .map_err(self.home.io("append to", &self.home.names.active))?;
        self.dirty = true;
        self.digest.update(&self.buffer);
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.synced == self.appended {
            return Ok(());
        }
        self.write()?;
        planted!(UnsyncedLog: self.sync_file()? => ());
        self.synced = self.appended;
        self.syncs += 1;
        Ok(())
    }

    /// The same, and a mark that stands behind the last record: the digest of a closed segment is over that, too.
    fn sync_all(&mut self) -> Result<(), Error> {
        self.sync()?;
        self.write()?;
        if self.dirty { self.sync_file() } else { Ok(()) }
    }

    /// Takes the filler away behind the last line.
    pub(crate) fn trim(&mut self) -> Result<(), Error> {
        self.file
            .trim()
            .map_err(self.home.io("shorten", &self.home.names.active))
    }

    /// Makes also a mark durable that stands behind the last record.
    pub(crate) fn sync_file(&mut self) -> Result<(), Error> {
        let synced = self.file.sync();
        let synced = planted!(SyncRetried: synced => synced.or_else(|_| self.file.sync()));
        synced.map_err(self.home.io("sync", &self.home.names.active))?;
        self.dirty = false;
        Ok(())
    }

    /// Syncs and closes the active segment and begins the next one, in the spare file if there is one. `Ok(false)` if the disk has no
    /// room for that; nothing has changed then.
    ///
    /// The next segment is durable under its own name before the active one loses its name, and that is durable before
    /// the next one gets it: after a crash anywhere there is an active segment, or a next one to take its place. The loop
    /// stands still meanwhile, so what can be done before is: a spare file has its name and its length already, and what is
    /// left is one short sync and two of the directory. The filler stays where it is; readers leave it out.
    pub(crate) fn rotate(&mut self, spare: Option<D::File>) -> Result<bool, Error> {
        planted!(UnsyncedClosedSegment: self.sync_all()? => self.write().map(|()| self.synced = self.appended)?);
        assert!(self.buffer.is_empty(), "only a synced segment can be closed");
        assert!(self.appended >= self.first, "a closed segment holds records");
        let names = self.home.names.clone();
        let header = Header {
            segment: self.segment + 1,
            first: self.appended + 1,
            previous: String::from_utf8_lossy(&seal::hex(self.digest.clone().finalize())).into_owned(),
            format: FORMAT,
            store: self.home.store,
        };
        let mut text = Vec::new();
        line::write_header(&header, &mut text);
        let file = match self.write_next(&text, spare) {
            Ok(file) => file,
            Err(error) if is_no_space(&error) => {
                log::warn!(
                    "{}: no room to begin the next segment: {error}",
                    self.home.disk.display(&names.next)
                );
                self.home.remove(&names.spare)?;
                self.home.remove(&names.next)?;
                return Ok(false);
            }
            Err(error) => return Err(self.home.io("write", &names.next)(error)),
        };
        failpoint::check("checkpoint.k9").map_err(|error| Error::io("failpoint checkpoint.k9", error))?;
        self.home.rename(&names.active, &names.closed(self.first))?;
        planted!(UnsyncedClosedName: self.home.sync_dir()? => ());
        self.home.rename(&names.next, &names.active)?;
        planted!(UnsyncedActiveName: self.home.sync_dir()? => ());
        let last = self.appended;
        let next = Log::new(self.home.clone(), file, &text, &header, last);
        let old = mem::replace(self, next);
        (self.bytes, self.syncs) = (old.bytes, old.syncs);
        Ok(true)
    }

    fn write_next(&self, text: &[u8], spare: Option<D::File>) -> io::Result<D::File> {
        failpoint::check("checkpoint.k7")?;
        let Home { disk, names, .. } = &self.home;
        let mut file = match spare {
            Some(file) => file,
            None => {
                let file = disk.create(&names.spare)?;
                spare::name_next(&self.home)?;
                file
            }
        };
        file.append(text)?;
        file.fill_ahead(fill_ahead(disk)?)?;
        failpoint::check("checkpoint.k8")?;
        planted!(UnsyncedNextSegment: file.sync()? => ());
        Ok(file)
    }

    /// Acts out `torn.<action>`: a part of the line that begins at `line` reaches the file, then the process dies.
    fn maybe_tear(&mut self, line: usize, action: &str) {
        if let Some(Fault::Torn(len)) = failpoint::hit_with(|| format!("torn.{action}")) {
            self.buffer.truncate(line + len);
            self.write().expect("a torn write is a write");
            failpoint::die();
        }
    }

    /// The active segment's length, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the active segment holds records.
    pub(crate) fn has_records(&self) -> bool {
        self.appended >= self.first
    }

    /// The newest durable record.
    pub(crate) fn synced(&self) -> Seq {
        self.synced
    }

    /// Bytes appended since the store was opened.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Syncs that had something to make durable.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }
}

/// How many bytes these are.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("memory fits in 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, MemDisk};

    #[derive(Serialize)]
    struct Record {
        action: &'static str,
    }

    impl Plain for Record {}

    /// An idle log gets a mark behind its last record, which nobody waits for.
    #[test]
    fn a_segment_is_closed_with_all_that_its_digest_is_over() {
        let disk = MemDisk::new();
        let home = Home::of_some_coordinator(disk.clone());
        let header = Header::of_first(home.store);
        let mut text = Vec::new();
        line::write_header(&header, &mut text);
        let mut file = disk.create(&home.names.active).unwrap();
        file.append(&text).unwrap();
        file.sync().unwrap();
        disk.sync_dir().unwrap();
        let mut log = Log::new(home.clone(), file, &text, &header, 0);
        log.append(&[(1, Record { action: "x" })]).unwrap();
        log.sync().unwrap();
        log.write_mark().unwrap();
        assert!(log.rotate(None).unwrap());
        for fate in [Fate::Keep, Fate::Drop, Fate::Torn(5), Fate::Zeros] {
            faults::fired("D2");
            let disk = disk.crash(&mut |_| fate);
            let closed = disk.read(&home.names.closed(1)).unwrap();
            let next = String::from_utf8(disk.read(&home.names.active).unwrap()).unwrap();
            let digest = seal::hex(crc32fast::hash(&closed));
            let digest = String::from_utf8_lossy(&digest);
            assert!(next.contains(&*digest), "{fate:?}: {digest} in {next}");
        }
    }
}
