//! One process of the cluster: start it, signal it, wait for it, see it end.
//!
//! It inherits the read end of a pipe whose other end only we hold: when this process ends, in whatever way, the pipe
//! closes, and the child, told by `--parent-pipe` to watch it, stops. A child started at the same moment by another thread
//! may inherit that read end too; it keeps nothing open that matters. Its own process group keeps it out of reach of a terminal's
//! Ctrl-C, so that stopping is ours to order. Signals go only to a child that we started and have not yet reaped:
//! its process id cannot have been given to anybody else.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::config::Log;
use crate::error::{Error, Exit};
use crate::log::LogReader;

/// How often a condition is looked at that nothing announces.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// How many last lines of a process go into an error.
const LAST_LINES: usize = 12;

/// A process, running or not.
pub(crate) struct Process {
    /// `N1`, `coordinator`.
    pub(crate) name: String,
    binary: PathBuf,
    args: Vec<String>,
    log: Log,
    running: Option<Running>,
    /// Whether it has been seen at work since the last start.
    pub(crate) ready: bool,
    ended: Option<Exit>,
    /// Of the last start.
    lines: Option<LogReader>,
}

struct Running {
    child: Child,
    _parent_pipe: OwnedFd,
}

impl Process {
    /// A process that has not been started.
    pub(crate) fn new(name: String, binary: PathBuf, args: Vec<String>, log: Log) -> Process {
        Process {
            name,
            binary,
            args,
            log,
            running: None,
            ready: false,
            ended: None,
            lines: None,
        }
    }

    /// Starts it with `more` behind its usual arguments.
    ///
    /// # Errors
    /// If it already runs or cannot be started.
    pub(crate) fn start(&mut self, more: &[String]) -> Result<(), Error> {
        if self.poll().is_none() && self.running.is_some() {
            return Err(Error::Config(format!("{} already runs", self.name)));
        }
        let io = |error| {
            Error::Io(
                format!("cannot start {} ({})", self.name, self.binary.display()),
                error,
            )
        };
        let mut command = Command::new(&self.binary);
        let (inherited, parent_pipe) = parent_pipe().map_err(io)?;
        command
            .args(&self.args)
            .args(["--parent-pipe", &inherited.as_raw_fd().to_string()])
            .args(more);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(io)?;
        let stderr = child.stderr.take().expect("stderr is piped");
        self.running = Some(Running {
            child,
            _parent_pipe: parent_pipe,
        });
        self.ready = false;
        self.ended = None;
        self.lines = Some(LogReader::start(&self.name, stderr, &self.log).map_err(io)?);
        Ok(())
    }

    /// Its usual arguments as one would type them.
    pub(crate) fn command_line(&self) -> String {
        self.args.join(" ")
    }

    /// Its process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Whether it stands still: it was frozen, by whomever, and not let go on.
    pub(crate) fn is_frozen(&self) -> bool {
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.running.as_ref().is_some_and(|running| {
            let pid = WaitId::Pid(Pid::from_child(&running.child));
            matches!(waitid(pid, stopped), Ok(Some(status)) if status.stopped())
        })
    }

    /// How it ended, if it ended since the last start.
    pub(crate) fn poll(&mut self) -> Option<&Exit> {
        if let Some(running) = &mut self.running {
            // An error means that nothing is known: look again later.
            if let Ok(Some(status)) = running.child.try_wait() {
                self.note_end(status);
            }
        }
        self.ended.as_ref()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If it goes on running for `time`, or was never started.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<ExitStatus, Error> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(exit) = self.poll() {
                return Ok(exit.status);
            }
            if self.running.is_none() {
                return Err(Error::NotRunning(self.name.clone()));
            }
            if Instant::now() >= deadline {
                return Err(Error::TooSlow {
                    what: format!("the end of {}", self.name),
                    waited: time,
                    seen: "it still runs".to_owned(),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Kills it with SIGKILL and waits until it is gone. One that does not run is left alone.
    pub(crate) fn kill9(&mut self) {
        if let Some(running) = &mut self.running {
            // Fails only for a process that has already ended.
            let _ = running.child.kill();
            if let Ok(status) = running.child.wait() {
                self.note_end(status);
            }
        }
    }

    /// Asks it with SIGTERM to stop; wakes it for that if it is frozen. One that does not run is left alone.
    pub(crate) fn terminate(&mut self) {
        if self.running.is_some() {
            // Fails only for a process that has just ended, which is what is wanted.
            let _ = self.signal(Signal::TERM);
            let _ = self.thaw();
        }
    }

    /// SIGTERM, then SIGKILL if it has not ended after `patience`.
    ///
    /// # Errors
    /// If it was never started.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<ExitStatus, Error> {
        self.terminate();
        match self.wait(patience) {
            Err(Error::TooSlow { .. }) => {
                self.kill9();
                self.wait(patience)
            }
            ended => ended,
        }
    }

    /// Freezes it with SIGSTOP.
    ///
    /// # Errors
    /// If it does not run.
    pub(crate) fn freeze(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on with SIGCONT.
    ///
    /// # Errors
    /// If it does not run.
    pub(crate) fn thaw(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// The lines that it has written since it was last started.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.lines.as_ref().map(LogReader::lines).unwrap_or_default()
    }

    /// A line that contains `text`, written since it was last started, waiting until `deadline`.
    pub(crate) fn wait_for_line(&self, text: &str, deadline: Instant) -> Option<String> {
        self.lines.as_ref()?.wait_for(text, deadline)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        self.poll();
        let Some(running) = &self.running else {
            return Err(Error::NotRunning(self.name.clone()));
        };
        let name = || format!("cannot signal {}", self.name);
        kill_process(Pid::from_child(&running.child), signal).map_err(|error| Error::Io(name(), error.into()))
    }

    fn note_end(&mut self, status: ExitStatus) {
        self.running = None;
        let last_lines = self.lines.as_mut().map(|lines| {
            lines.wait_for_end();
            lines.last(LAST_LINES)
        });
        self.ended = Some(Exit {
            name: self.name.clone(),
            status,
            was_ready: self.ready,
            last_lines: last_lines.unwrap_or_default(),
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// A pipe: the end that a child inherits, and the end that closes with us.
fn parent_pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::fcntl_setfd(&read, FdFlags::empty())?;
    Ok((read, write))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// A process that runs `script` in a shell, in place of a server. It sees its arguments as `$@`.
    fn shell(dir: &tempfile::TempDir, script: &str) -> Process {
        let path = dir.path().join("server");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Through the shell: executing a file just written can fail while a sibling test forks ("text file busy").
        let args = vec![path.display().to_string(), "node".to_owned()];
        Process::new("N1".to_owned(), "/bin/sh".into(), args, Log::Kept)
    }

    fn started(dir: &tempfile::TempDir, script: &str) -> Process {
        let mut process = shell(dir, script);
        process.start(&[]).unwrap();
        assert!(
            process.wait_for_line("up", Instant::now() + LONG).is_some(),
            "{:?}",
            process.log_lines()
        );
        process
    }

    #[test]
    fn an_early_end_is_reported_with_code_and_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(
            &dir,
            "echo \"$@\" >&2; echo 'port 6001 is already in use' >&2; exit 5",
        );
        process
            .start(&["--failpoint".to_owned(), "x=kill".to_owned()])
            .unwrap();
        assert_eq!(process.wait(LONG).unwrap().code(), Some(5));
        let exit = process.poll().unwrap();
        let echoed = &exit.last_lines[0];
        assert!(echoed.starts_with("node --parent-pipe ") && echoed.ends_with(" --failpoint x=kill"));
        assert!(exit.port_in_use() && !exit.was_ready);
        assert_eq!(
            exit.to_string(),
            format!("N1 exited with code 5; its last lines:\n  {echoed}\n  port 6001 is already in use")
        );
        assert!(process.pid().is_none());
        assert!(matches!(process.freeze(), Err(Error::NotRunning(_))));
    }

    #[test]
    fn a_process_stops_politely_or_is_killed_and_can_start_again() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'exit 0' TERM; echo up >&2; while :; do read line || sleep 0.01; done";
        let mut process = started(&dir, script);
        assert!(process.start(&[]).is_err(), "one at a time");
        process.ready = true;
        assert_eq!(process.stop(LONG).unwrap().code(), Some(0));
        assert!(process.poll().unwrap().was_ready);

        process.start(&[]).unwrap();
        assert!(process.poll().is_none());
        process.kill9();
        process.kill9();
        assert_eq!(process.poll().unwrap().status.signal(), Some(9));
        assert_eq!(process.poll().unwrap().how(), "was killed (SIGKILL)");

        let mut stubborn = started(&dir, "trap '' TERM; echo up >&2; while :; do sleep 0.01; done");
        assert_eq!(
            stubborn.stop(Duration::from_millis(50)).unwrap().signal(),
            Some(9)
        );
    }

    #[test]
    fn a_frozen_process_does_nothing_until_it_is_thawed_or_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "trap 'echo woken >&2' USR1; trap 'exit 0' TERM; echo up >&2; while :; do sleep 0.01; done";
        let mut process = started(&dir, script);
        process.freeze().unwrap();
        let deadline = Instant::now() + LONG;
        while !process.is_frozen() {
            assert!(Instant::now() < deadline, "it never froze");
            thread::sleep(POLL);
        }
        process.signal(Signal::USR1).unwrap();
        assert!(
            process
                .wait_for_line("woken", Instant::now() + Duration::from_millis(50))
                .is_none()
        );
        assert!(process.is_frozen(), "looking does not change what is seen");
        process.thaw().unwrap();
        assert!(process.wait_for_line("woken", Instant::now() + LONG).is_some());
        assert!(!process.is_frozen());
        process.freeze().unwrap();
        assert_eq!(
            process.stop(LONG).unwrap().code(),
            Some(0),
            "stopping wakes it first"
        );
    }

    #[test]
    fn a_process_sees_our_end_as_the_end_of_its_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = started(&dir, "echo up >&2; cat /dev/fd/$3; echo parent gone >&2; exit 3");
        assert!(process.poll().is_none(), "the pipe stays open while we live");
        // What the system does with our pipe when we die.
        let Running { child, _parent_pipe } = process.running.take().unwrap();
        drop(_parent_pipe);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(3));
    }

    #[test]
    fn dropping_a_process_kills_it() {
        let dir = tempfile::tempdir().unwrap();
        let process = started(&dir, "echo up >&2; while :; do sleep 0.01; done");
        let alive = format!("/proc/{}", process.pid().unwrap());
        assert!(std::fs::exists(&alive).unwrap());
        drop(process);
        assert!(!std::fs::exists(&alive).unwrap());
    }
}
