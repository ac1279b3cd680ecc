//! The json backend while it runs: the log in front, checkpoints behind it.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use protocol::fold::{Fold, Seq};
use protocol::planted;

use crate::disk::Disk;
use crate::json::checkpoint::{self, Cut, Part};
use crate::json::log::Log;
use crate::json::outdated;
use crate::json::recovery::Home;
use crate::json::spare;
use crate::json::state_file::Content;
use crate::{Engine, Error, Stats};

/// Tells the time. A simulator has its own.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Without an append for this long, the log notes how far it is synced.
const IDLE: Duration = Duration::from_millis(100);

/// How soon a running checkpoint is looked after, and when one is tried again that had no room.
const LOOK_AFTER: Duration = Duration::from_millis(100);
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Parts of a snapshot that may wait for the thread that writes them.
const PARTS_AHEAD: usize = 4;

/// Space kept for records that cannot be refused: in all, and for each open transaction.
const RESERVE: u64 = 128 * 1024;
const RESERVE_PER_OPEN: u64 = 1024;

/// How long, and for how many appended bytes, an answer about free space is good.
const ROOM_AGE: Duration = Duration::from_millis(50);
const ROOM_BYTES: u64 = 32 * 1024;

/// Where checkpoints and spare segments are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// On threads of their own, one of each at a time.
    Threads,
    /// Within [`Engine::tend`], so that a run can be repeated exactly.
    Inline,
}

/// How a backend runs.
pub(crate) struct Manner {
    pub(crate) background: Background,
    pub(crate) clock: Clock,
    pub(crate) segment_len_max: u64,
    /// How many bytes of closed segments make a checkpoint due; more if the state is longer than that, since a checkpoint
    /// costs what the state is long.
    pub(crate) checkpoint_after: u64,
    /// A state of at most this many entries is copied for its checkpoint, in one turn.
    pub(crate) copied_size_max: usize,
    /// The same for a state that knows no snapshots: a longer turn, but reading back all that was written since the last
    /// checkpoint costs as much again as writing it did.
    pub(crate) copied_whole_size_max: usize,
    /// Of a larger one, a turn takes about this many entries.
    pub(crate) part_size: usize,
}

/// A job on a thread.
type Job<T> = JoinHandle<Result<T, Error>>;

/// The json backend.
pub(crate) struct Backend<S: Fold, D: Disk> {
    home: Home<D>,
    log: Log<D>,
    manner: Manner,
    running: Option<Job<Cut>>,
    /// A snapshot on its way into a checkpoint.
    feed: Option<Feed<S>>,
    /// Closed segments hold enough records that the state file does not.
    due: bool,
    not_before: Option<Instant>,
    /// The state file.
    checkpoint: Cut,
    /// Bytes of segments that were closed since the last checkpoint began.
    closed_len: u64,
    spare: Spare<D>,
    /// The segment is closed when it is this long.
    rotate_at: u64,
    quiet_since: Option<Instant>,
    room: Option<Room>,
    /// There was no room for new promises when last asked.
    is_full: bool,
    records: u64,
    checkpoints: u64,
}

/// Where the parts of a snapshot go.
struct Feed<S: Fold> {
    seq: Seq,
    to: Receiver<S>,
    /// The part that found no room.
    waiting: Option<Part<S>>,
}

/// Who takes them.
enum Receiver<S: Fold> {
    /// The checkpoint's thread.
    Thread(SyncSender<Part<S>>),
    /// The checkpoint that is made once all are there.
    Gathered(Vec<Part<S>>),
}

/// The segment to be.
enum Spare<D: Disk> {
    None,
    InWork(Job<Option<D::File>>),
    Ready(D::File),
    /// There is no room for one; not tried again for this segment.
    NoRoom,
}

/// What the system said about free space.
#[derive(Clone, Copy, Debug)]
struct Room {
    free: u64,
    asked: Instant,
    bytes: u64,
}

impl<S: Fold, D: Disk> Backend<S, D> {
    pub(crate) fn new(
        home: Home<D>,
        log: Log<D>,
        manner: Manner,
        checkpoint: Cut,
        due: bool,
    ) -> Backend<S, D> {
        let rotate_at = manner.segment_len_max;
        Backend {
            home,
            log,
            manner,
            running: None,
            feed: None,
            due,
            not_before: None,
            checkpoint,
            closed_len: 0,
            spare: Spare::None,
            rotate_at,
            quiet_since: None,
            room: None,
            is_full: false,
            records: 0,
            checkpoints: 0,
        }
    }

    fn free_space(&self, enough: u64) -> io::Result<u64> {
        if self.spare.is_in_work() {
            return self.home.disk.free_space(); // It may just be taking a segment that was put by.
        }
        spare::free_space(&self.home, enough)
    }

    fn rotate_if_full(&mut self) -> Result<(), Error> {
        if self.log.len() < self.rotate_at || !self.log.has_records() {
            return Ok(());
        }
        // Without it the loop would stand still for longer than it takes to get ready. It never takes as long as this.
        if self.spare.is_in_work() && self.log.len() < self.rotate_at.saturating_mul(2) {
            return Ok(());
        }
        let len = self.log.len();
        let spare = self.take_spare()?;
        if self.log.rotate(spare)? {
            self.rotate_at = self.manner.segment_len_max;
            self.closed_len += len;
            self.due |= self.closed_len >= self.manner.checkpoint_after.max(self.checkpoint.len);
        } else {
            self.rotate_at = self.log.len() + self.manner.segment_len_max / 8;
        }
        Ok(())
    }

    /// Has a spare segment made once the active one is half full.
    fn start_spare(&mut self) -> Result<(), Error> {
        let len = self.manner.segment_len_max;
        if !matches!(self.spare, Spare::None) || self.log.len() < len / 2 {
            return Ok(());
        }
        let room = len + len / 8; // A segment is closed at the end of the turn in which it got full.
        self.spare = match self.manner.background {
            Background::Inline => Spare::of(spare::make(&self.home, room)?),
            Background::Threads => {
                let home = self.home.clone();
                let job = move || spare::make(&home, room);
                match thread::Builder::new().name("spare".to_owned()).spawn(job) {
                    Ok(running) => Spare::InWork(running),
                    Err(_) => Spare::NoRoom,
                }
            }
        };
        Ok(())
    }

    /// The spare segment, if one was begun and there was room for it.
    fn take_spare(&mut self) -> Result<Option<D::File>, Error> {
        match mem::replace(&mut self.spare, Spare::None) {
            Spare::InWork(job) => ended(job),
            Spare::Ready(file) => Ok(Some(file)),
            Spare::None | Spare::NoRoom => Ok(None),
        }
    }

    fn start_checkpoint(&mut self, state: &mut S, now: Instant) -> Result<(), Error> {
        let early = self.not_before.is_some_and(|not_before| now < not_before);
        // Without room nothing is appended that would make one due, and a checkpoint makes room.
        self.due |= self.is_full && self.closed_len > 0;
        if !self.due || early || self.running.is_some() || self.feed.is_some() {
            return Ok(());
        }
        // A checkpoint may hold nothing that the log does not hold durably. The next sync is never far.
        if state.seq() != self.log.synced() {
            return Ok(());
        }
        self.due = false;
        self.closed_len = 0;
        let (home, replaced, seq) = (self.home.clone(), self.checkpoint, state.seq());
        let is_small = state.size() <= self.manner.copied_size_max;
        if !is_small && seq > replaced.seq && state.begin_snapshot() {
            self.begin_feed(seq, now)
        } else if state.size() <= self.manner.copied_whole_size_max {
            let copy = state.clone();
            self.run(move || checkpoint::copy(&home, &copy, replaced), now)
        } else {
            self.run(move || checkpoint::fold::<S, D>(&home), now)
        }
    }

    /// Makes a checkpoint.
    fn run(
        &mut self,
        job: impl FnOnce() -> Result<Cut, Error> + Send + 'static,
        now: Instant,
    ) -> Result<(), Error> {
        match self.manner.background {
            Background::Inline => {
                let result = job();
                self.checkpoint_ended(result, now)
            }
            Background::Threads => {
                match thread::Builder::new().name("checkpoint".to_owned()).spawn(job) {
                    Ok(running) => self.running = Some(running),
                    Err(error) => {
                        self.feed = None;
                        self.try_again(&format!("no thread for it: {error}"), now);
                    }
                }
                Ok(())
            }
        }
    }

    /// Prepares for the parts of a snapshot of the state at record `seq`.
    fn begin_feed(&mut self, seq: Seq, now: Instant) -> Result<(), Error> {
        let feed = |to| {
            Some(Feed {
                seq,
                to,
                waiting: None,
            })
        };
        match self.manner.background {
            Background::Inline => {
                self.feed = feed(Receiver::Gathered(Vec::new()));
                Ok(())
            }
            Background::Threads => {
                let (sender, parts) = mpsc::sync_channel(PARTS_AHEAD);
                self.feed = feed(Receiver::Thread(sender));
                let (home, replaced) = (self.home.clone(), self.checkpoint);
                let job = move || checkpoint::stream::<S, D>(&home, seq, parts.into_iter(), replaced);
                self.run(job, now)
            }
        }
    }

    /// Hands on what a turn may take of a snapshot.
    fn feed(&mut self, state: &mut S, now: Instant) -> Result<(), Error> {
        let Some(mut feed) = self.feed.take() else {
            return Ok(());
        };
        let size = self.manner.part_size;
        let part = feed.waiting.take();
        let part = part.unwrap_or_else(|| state.next_part(size).map_or(Part::End, Part::Entries));
        let is_last = matches!(part, Part::End);
        match &mut feed.to {
            Receiver::Thread(sender) => match sender.try_send(part) {
                Ok(()) if is_last => {}
                Ok(()) => self.feed = Some(feed),
                Err(TrySendError::Full(part)) => {
                    feed.waiting = Some(part);
                    self.feed = Some(feed);
                }
                Err(TrySendError::Disconnected(_)) => {} // It has failed, and will say why when it is joined.
            },
            Receiver::Gathered(parts) => {
                parts.push(part);
                if is_last {
                    let parts = mem::take(parts).into_iter();
                    let result = checkpoint::stream::<S, D>(&self.home, feed.seq, parts, self.checkpoint);
                    return self.checkpoint_ended(result, now);
                }
                self.feed = Some(feed);
            }
        }
        Ok(())
    }

    fn finish_checkpoint(&mut self, now: Instant, wait: bool) -> Result<(), Error> {
        match self.running.take_if(|running| wait || running.is_finished()) {
            None => Ok(()),
            Some(running) => self.checkpoint_ended(ended(running), now),
        }
    }

    fn checkpoint_ended(&mut self, result: Result<Cut, Error>, now: Instant) -> Result<(), Error> {
        match result {
            Ok(checkpoint) => {
                self.checkpoint = checkpoint;
                self.checkpoints += 1;
                self.not_before = None;
                log::debug!(
                    "checkpoint at record {} in {}",
                    checkpoint.seq,
                    self.home.names.state
                );
                Ok(())
            }
            Err(error) if checkpoint::is_for_lack_of_space(&error) => {
                self.try_again(&error.to_string(), now);
                Ok(())
            }
            Err(error) if checkpoint::is_given_up(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn try_again(&mut self, why: &str, now: Instant) {
        log::warn!(
            "no checkpoint of {} for now, the log goes on: {why}",
            self.home.names.state
        );
        self.due = true;
        self.not_before = Some(now + TRY_AGAIN);
    }

    /// Writes the idle mark when its time has come; says how long that still takes.
    fn mark_if_idle(&mut self, now: Instant) -> Result<Option<Duration>, Error> {
        if !self.log.needs_mark() {
            return Ok(None);
        }
        let quiet = now.saturating_duration_since(*self.quiet_since.get_or_insert(now));
        if quiet < IDLE {
            return Ok(Some(IDLE - quiet));
        }
        self.log.write_mark()?;
        Ok(None)
    }
}

impl<S: Fold, D: Disk> Engine<S> for Backend<S, D> {
    fn append(&mut self, records: &[(Seq, S::Record)], _touched: &[S::Key], _state: &S) -> Result<(), Error> {
        self.quiet_since = None;
        self.log.append(records)?;
        self.records += u64::try_from(records.len()).expect("memory fits in 64 bits");
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.log.sync()
    }

    fn synced(&self) -> Seq {
        self.log.synced()
    }

    fn tend(&mut self, state: &mut S) -> Result<Option<u64>, Error> {
        let now = (self.manner.clock)();
        self.log.write()?;
        self.finish_checkpoint(now, false)?;
        self.rotate_if_full()?;
        self.start_spare()?;
        self.start_checkpoint(state, now)?;
        self.feed(state, now)?;
        let idle = self.mark_if_idle(now)?;
        let feeding = self.feed.as_ref().map(|_| Duration::ZERO);
        let running = self.running.as_ref().map(|_| LOOK_AFTER);
        let retry = self
            .not_before
            .filter(|_| self.due)
            .map(|at| at.saturating_duration_since(now));
        let soonest = [idle, feeding, running, retry].into_iter().flatten().min();
        Ok(soonest.map(|wait| u64::try_from(wait.as_millis()).expect("a short wait") + 1))
    }

    fn has_room(&mut self, open: usize) -> bool {
        let now = (self.manner.clock)();
        let open = u64::try_from(open).expect("memory fits in 64 bits");
        let reserve = RESERVE + self.log.len() + open.saturating_mul(RESERVE_PER_OPEN);
        let reserve = planted!(ReserveIgnored: reserve => 0);
        let appended = self.log.bytes();
        let stale = |room: &Room| {
            now.saturating_duration_since(room.asked) >= ROOM_AGE || appended - room.bytes >= ROOM_BYTES
        };
        let room = match self.room {
            Some(room) if !stale(&room) => room,
            Some(_) | None => match self.free_space(reserve) {
                Ok(free) => *self.room.insert(Room {
                    free,
                    asked: now,
                    bytes: appended,
                }),
                Err(error) => {
                    log::warn!("cannot ask for free space, so no new promises: {error}");
                    return false;
                }
            },
        };
        let has_room = room.free.saturating_sub(appended - room.bytes) >= reserve;
        self.is_full = !has_room;
        has_room
    }

    fn stats(&self) -> Stats {
        Stats {
            records: self.records,
            syncs: self.log.syncs(),
            bytes: self.log.bytes(),
            checkpoints: self.checkpoints,
        }
    }

    fn close(mut self: Box<Self>, state: &S) -> Result<(), Error> {
        self.log.sync()?;
        let now = (self.manner.clock)();
        self.feed = None;
        self.finish_checkpoint(now, true)?;
        if self.log.needs_mark() {
            self.log.write_mark()?;
            self.log.sync_file()?;
        }
        self.log.trim()?;
        assert_eq!(
            state.seq(),
            self.log.synced(),
            "a store is closed with the state that its log adds up to"
        );
        if let Spare::InWork(job) = mem::replace(&mut self.spare, Spare::None) {
            ended(job)?;
        }
        self.home.remove(&self.home.names.spare)?;
        self.home.remove(&self.home.names.next)?;
        spare::forget_segments(&self.home)?;
        if state.seq() > self.checkpoint.seq {
            let installed = checkpoint::install(&self.home, Content::of(state), self.checkpoint.seq);
            let result = installed.map(|len| Cut {
                seq: state.seq(),
                len,
            });
            self.checkpoint_ended(result, now)?;
        }
        outdated::forget(&self.home)
    }
}

impl<S: Fold, D: Disk> Drop for Backend<S, D> {
    /// The lock must not be let go of while a file is still being written.
    fn drop(&mut self) {
        self.feed = None;
        if let Spare::InWork(job) = mem::replace(&mut self.spare, Spare::None)
            && let Ok(Err(error)) = job.join()
        {
            log::warn!("the last spare segment failed: {error}");
        }
        if let Some(running) = self.running.take()
            && let Ok(Err(error)) = running.join()
            && !checkpoint::is_given_up(&error)
        {
            log::warn!("the last checkpoint failed: {error}");
        }
    }
}

impl<D: Disk> Spare<D> {
    fn is_in_work(&self) -> bool {
        matches!(self, Spare::InWork(job) if !job.is_finished())
    }

    fn of(file: Option<D::File>) -> Spare<D> {
        file.map_or(Spare::NoRoom, Spare::Ready)
    }
}

/// What a job left.
fn ended<T>(job: Job<T>) -> Result<T, Error> {
    job.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
