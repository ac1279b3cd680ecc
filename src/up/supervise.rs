//! What happens when a process ends that should run?
//!
//! One that was killed, or that gave up because its disk or a peer made it, is started again after a second: recovery
//! is what this program is about. One that cannot start (a corrupt store, a port in use), or that gives up again and
//! again, would only do so for ever: then everything stops with its message and its exit code.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use client::Target;
use cluster::{Cluster, Exit};

use super::interrupt::Interrupt;
use super::{Failure, exit_of};
use crate::output::print_line;

const POLL: Duration = Duration::from_millis(20);

/// How long a process stays down.
const PAUSE: Duration = Duration::from_secs(1);

/// A process that gives up so many times within [`GIVE_UP_WINDOW`] is not started again. Kills don't count.
const GIVE_UPS_MAX: usize = 3;
const GIVE_UP_WINDOW: Duration = Duration::from_secs(30);

/// What is known of a process that ended.
#[derive(Debug, Default)]
struct History {
    /// When it is to be started again.
    due: Option<Instant>,
    /// Whether its return has still to be reported.
    coming_back: bool,
    /// When it gave up.
    gave_up: Vec<Instant>,
}

/// Keeps every process of the cluster running until a signal comes.
///
/// # Errors
/// If one cannot be kept running. The others run on; stopping them is up to the caller.
pub(super) fn until_told_to_stop(cluster: &mut Cluster, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut histories: BTreeMap<Target, History> = BTreeMap::new();
    while !interrupt.came() {
        for (target, exit) in cluster.ended() {
            let history = histories.entry(target).or_default();
            match history.due {
                None => {
                    judge(&exit, history, Instant::now())?;
                    print_line(&obituary(&exit));
                }
                Some(due) if Instant::now() >= due => {
                    history.due = None;
                    history.coming_back = true;
                    cluster
                        .launch(target, &[])
                        .map_err(|error| Failure::start(error.to_string()))?;
                }
                Some(_) => {}
            }
        }
        for (target, history) in &mut histories {
            if history.coming_back && cluster.takes_part(*target) {
                history.coming_back = false;
                print_line(&format!("{} is back.", cluster::name(*target)));
            }
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Decides whether a process is started again, and when.
fn judge(exit: &Exit, history: &mut History, now: Instant) -> Result<(), Failure> {
    history.coming_back = false;
    // Without a code it was killed by a signal.
    if exit.status.code().is_some_and(|code| code != 0) {
        history
            .gave_up
            .retain(|&at| now.duration_since(at) < GIVE_UP_WINDOW);
        history.gave_up.push(now);
        if !exit.was_ready || history.gave_up.len() >= GIVE_UPS_MAX {
            return Err(Failure {
                exit: exit_of(exit),
                text: format!(
                    "{exit}\nIt would end like that again, so everything was stopped. What was promised is on disk."
                ),
            });
        }
    }
    history.due = Some(now + PAUSE);
    Ok(())
}

/// The news of an end, and what it means for the money.
fn obituary(exit: &Exit) -> String {
    let meanwhile = if exit.name == cluster::name(Target::Coordinator) {
        "clients have to wait, and what it had decided is finished when it is back"
    } else {
        "its accounts have to wait, and what it had promised is kept"
    };
    format!(
        "{} {}. It is started again in a second; until then {meanwhile}.",
        exit.name,
        exit.how()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn exit(raw: i32, was_ready: bool) -> Exit {
        Exit {
            name: "N1".to_owned(),
            status: ExitStatus::from_raw(raw),
            was_ready,
            last_lines: vec!["why".to_owned()],
        }
    }

    #[test]
    fn the_killed_come_back_however_often() {
        let mut history = History::default();
        let now = Instant::now();
        for ready in [true, false, true, false, true] {
            judge(&exit(9, ready), &mut history, now).unwrap();
            assert_eq!(history.due, Some(now + PAUSE));
        }
        judge(&exit(0, true), &mut history, now).unwrap();
        assert!(obituary(&exit(9, true)).starts_with("N1 was killed (SIGKILL). It is started again"));
    }

    #[test]
    fn one_that_cannot_start_ends_everything_with_its_code() {
        let failure = judge(&exit(9 << 8, false), &mut History::default(), Instant::now()).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Corrupt);
        assert!(
            failure
                .text
                .starts_with("N1 exited with code 9; its last lines:\n  why\n"),
            "{}",
            failure.text
        );
    }

    #[test]
    fn one_that_gives_up_again_and_again_does_so_too() {
        let mut history = History::default();
        let now = Instant::now();
        judge(&exit(5 << 8, true), &mut history, now).unwrap();
        judge(&exit(5 << 8, true), &mut history, now).unwrap();
        let later = now + GIVE_UP_WINDOW;
        judge(&exit(5 << 8, true), &mut history, later).expect("the first two are long ago");
        judge(&exit(5 << 8, true), &mut history, later).unwrap();
        assert!(judge(&exit(5 << 8, true), &mut history, later).is_err());
    }
}
