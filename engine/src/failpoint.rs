//! Named points where a test or a demo can make this process die, freeze or meet a bad disk.
//!
//! They are part of every build, so that what is tested is what ships, and cost one relaxed load while none is armed, which
//! is possible only after [`enable`] (`--enable-failpoints`). A point is armed with `name=action`:
//!
//! | action | what happens at the point |
//! |---|---|
//! | `kill` | the process kills itself with SIGKILL |
//! | `stop` | the process freezes itself with SIGSTOP |
//! | `sleep:MS` | the thread sleeps |
//! | `panic` | the thread panics |
//! | `error:enospc`, `error:eio` | the operation fails like that |
//! | `torn:N` | `N` bytes of what is being written reach the file, then SIGKILL |
//!
//! `@k` behind the action means: at the k-th hit, not the first. An armed point acts once.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use protocol::id::plain_number;
use rustix::process::{Signal, getpid, kill_process};

static ENABLED: AtomicBool = AtomicBool::new(false);
/// Whether [`ARMED`] holds any point.
static ANY_ARMED: AtomicBool = AtomicBool::new(false);
static ARMED: Mutex<BTreeMap<String, Armed>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Armed {
    action: Action,
    hits_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Sleep(Duration),
    Panic,
    Fail(Fault),
}

/// What the place that hit the point has to do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fail as if the disk were full.
    NoSpace,
    /// Fail as if the disk were broken.
    Broken,
    /// Write this many bytes, then [`die`].
    Torn(usize),
}

impl Fault {
    /// The fault as the error that the system would give.
    pub fn into_error(self) -> io::Error {
        match self {
            Fault::NoSpace => rustix::io::Errno::NOSPC.into(),
            Fault::Broken | Fault::Torn(_) => rustix::io::Errno::IO.into(),
        }
    }
}

/// Lets failpoints act from now on, in this process.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// Whether failpoints may be armed.
pub fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Whether one is armed now. Until then nobody needs to go step by step, nor to know the names of the points it passes.
#[inline]
pub fn armed() -> bool {
    ANY_ARMED.load(Ordering::Relaxed)
}

/// Arms one point: `name=action` or `name=action@k`.
///
/// # Errors
/// A text that says what a good one looks like, or that failpoints are not enabled.
pub fn arm(text: &str) -> Result<(), String> {
    if !enabled() {
        return Err(
            "failpoints are not enabled in this process: start it with --enable-failpoints".to_owned(),
        );
    }
    let (name, armed) = parse(text)?;
    change(|points| points.insert(name, armed));
    Ok(())
}

/// Disarms one point; says whether it was armed.
pub fn disarm(name: &str) -> bool {
    change(|points| points.remove(name)).is_some()
}

/// The points that are armed, sorted.
pub fn list() -> Vec<String> {
    armed_points().keys().cloned().collect()
}

/// Passes the point `name`. Kills, freezes or delays here if armed so; a fault is returned for the caller to act out.
#[inline]
pub fn hit(name: &str) -> Option<Fault> {
    if armed() { act(name) } else { None }
}

/// [`hit`] for a name that costs something to make.
#[inline]
pub fn hit_with(name: impl FnOnce() -> String) -> Option<Fault> {
    if armed() { act(&name()) } else { None }
}

/// [`hit`] where the only faults that make sense are errors.
///
/// # Errors
/// The error that the point was armed with.
#[inline]
pub fn check(name: &str) -> io::Result<()> {
    match hit(name) {
        Some(fault) => Err(fault.into_error()),
        None => Ok(()),
    }
}

/// Kills this process the hard way.
pub fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    loop {
        thread::park();
    }
}

fn armed_points() -> MutexGuard<'static, BTreeMap<String, Armed>> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes what is armed; returns what `change` does.
fn change<T>(change: impl FnOnce(&mut BTreeMap<String, Armed>) -> T) -> T {
    let mut points = armed_points();
    let changed = change(&mut points);
    ANY_ARMED.store(!points.is_empty(), Ordering::Relaxed);
    changed
}

#[cold]
fn act(name: &str) -> Option<Fault> {
    let action = change(|points| {
        let armed = points.get_mut(name)?;
        armed.hits_left -= 1;
        if armed.hits_left > 0 {
            return None;
        }
        points.remove(name).map(|armed| armed.action)
    })?;
    log::warn!("failpoint {name} acts: {action:?}");
    match action {
        Action::Kill => die(),
        Action::Stop => {
            kill_process(getpid(), Signal::STOP).expect("a process may stop itself");
            None
        }
        Action::Sleep(time) => {
            thread::sleep(time);
            None
        }
        Action::Panic => panic!("failpoint {name} panics"),
        Action::Fail(fault) => Some(fault),
    }
}

fn parse(text: &str) -> Result<(String, Armed), String> {
    let bad = || {
        format!(
            "{text:?} is not a failpoint: write name=action with kill, stop, sleep:MS, panic, error:enospc, error:eio \
             or torn:BYTES, and @k behind it for the k-th hit"
        )
    };
    let (name, action) = text.split_once('=').ok_or_else(bad)?;
    let (action, hits_left) = match action.split_once('@') {
        Some((action, k)) => (action, plain_number(k).ok_or_else(bad)?),
        None => (action, 1),
    };
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Kill,
        None if action == "stop" => Action::Stop,
        None if action == "panic" => Action::Panic,
        Some(("sleep", ms)) => Action::Sleep(Duration::from_millis(plain_number(ms).ok_or_else(bad)?)),
        Some(("error", "enospc")) => Action::Fail(Fault::NoSpace),
        Some(("error", "eio")) => Action::Fail(Fault::Broken),
        Some(("torn", bytes)) => Action::Fail(Fault::Torn(plain_number(bytes).ok_or_else(bad)?)),
        None | Some(_) => return Err(bad()),
    };
    if name.is_empty() || hits_left == 0 {
        return Err(bad());
    }
    Ok((name.to_owned(), Armed { action, hits_left }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_acts_at_its_hit_and_only_once() {
        enable();
        arm("unit.point=error:enospc@3").unwrap();
        assert_eq!(hit("unit.point"), None);
        assert_eq!(hit("unit.other"), None);
        assert_eq!(hit_with(|| "unit.point".to_owned()), None);
        assert!(list().contains(&"unit.point".to_owned()));
        assert_eq!(hit("unit.point"), Some(Fault::NoSpace));
        assert_eq!(hit("unit.point"), None);
        assert_eq!(check("unit.point").map_err(|error| error.kind()), Ok(()));
        arm("unit.point=panic").unwrap();
        assert!(std::panic::catch_unwind(|| hit("unit.point")).is_err());
        arm("unit.point=error:eio").unwrap();
        assert!(check("unit.point").is_err());
        assert!(!disarm("unit.point"));
    }

    #[test]
    fn malformed_points_are_refused() {
        for bad in [
            "",
            "x",
            "=kill",
            "x=",
            "x=kil",
            "x=sleep",
            "x=sleep:a",
            "x=kill@0",
            "x=kill@",
            "x=error:x",
            "x=torn:-1",
            "x=torn:+1",
            "x=sleep:+1",
            "x=kill@+1",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} must be refused");
        }
        let sleep = Action::Sleep(Duration::from_millis(5));
        assert_eq!(
            parse("a.b=sleep:5@2"),
            Ok((
                "a.b".to_owned(),
                Armed {
                    action: sleep,
                    hits_left: 2
                }
            ))
        );
    }
}
